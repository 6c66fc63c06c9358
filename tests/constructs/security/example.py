"""A team's people and jobs around a lake: what the tests judge and what the docs print."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import DataLake
from cdk_data_science.security import (
    DataAccess,
    JobKind,
    JobRole,
    PermissionBoundary,
    Persona,
    Personas,
)
from tests.constructs import support

TEAM = "reviews"
IMAGES = ["arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"]


def build(app: cdk.App | None = None) -> cdk.Stack:
    """The stack, in a known account and region."""
    stack = support.stack(app, env=support.environment())
    lake = DataLake(stack, "Lake")
    boundary = PermissionBoundary(stack, "Boundary")
    jobs = {
        kind: JobRole(
            stack,
            f"{kind.title()}Jobs",
            kind=kind,
            name_prefix=f"{TEAM}-",
            boundary=boundary,
            images=IMAGES if kind in (JobKind.TRAINING, JobKind.PROCESSING, JobKind.SERVING) else [],
            **support.network(stack) if kind == JobKind.TRAINING else {},
        )
        for kind in JobKind
    }
    machine = sfn.StateMachine.from_state_machine_arn(
        stack, "Machine", f"arn:aws:states:{support.REGION}:{support.ACCOUNT}:stateMachine:{TEAM}"
    )
    Personas(
        stack,
        "People",
        team=TEAM,
        data=[
            DataAccess(zone=lake.curated),
            DataAccess(zone=lake.raw, prefix=f"{TEAM}/", rows_by_tag="country"),
            DataAccess(zone=lake.features, prefix=f"work/{TEAM}/", write=True),
            DataAccess(zone=lake.features, prefix="evaluations/", personas=[Persona.APPROVER]),
        ],
        job_roles=[jobs[kind].role for kind in (JobKind.TRAINING, JobKind.PROCESSING, JobKind.SERVING)],
        pipelines=[machine],
        workgroups=[f"arn:aws:athena:{support.REGION}:{support.ACCOUNT}:workgroup/{TEAM}"],
        in_network=True,
        boundary=boundary,
    )
    return stack
