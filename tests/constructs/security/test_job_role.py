"""JobRole: for one service acting for this account, with what a job needs to run and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import aws_ec2 as ec2

from cdk_data_science import ConfigurationError
from cdk_data_science.security import JobKind, JobRole, PermissionBoundary
from tests.compliance import iam as catalogue
from tests.constructs import machines, nag, support

SERVICES = {
    "training": "sagemaker",
    "processing": "sagemaker",
    "serving": "sagemaker",
    "pipeline": "states",
    "crawler": "glue",
}
IMAGE = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"


def trust(stack: Any) -> dict[str, Any]:
    role = support.only(support.resources(stack, "AWS::IAM::Role"))
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    found: dict[str, Any] = statement
    return found


@pytest.mark.parametrize("kind", JobKind)
def test_only_its_service_acting_for_its_jobs_of_this_account_can_use_it(kind: JobKind) -> None:
    stack = support.stack(env=support.environment())
    JobRole(stack, "Job", kind=kind, name_prefix="reviews-")
    statement = trust(stack)
    assert statement["Principal"] == {"Service": f"{SERVICES[kind]}.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": support.ACCOUNT}
    sources = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    for source in sources if isinstance(sources, list) else [sources]:
        text = json.dumps(source)
        assert f":{SERVICES[kind]}:{support.REGION}:{support.ACCOUNT}:" in text
        # For inference SageMaker names the account's resources as a whole; a narrower ARN would lock it out.
        whole = kind in (JobKind.SERVING, JobKind.CRAWLER)
        assert text.rstrip('"]}').endswith(f":{support.ACCOUNT}:*" if whole else "reviews-*")


@pytest.mark.parametrize("kind", JobKind)
def test_it_may_write_logs_and_metrics_of_its_jobs_and_nothing_else(kind: JobKind) -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    sagemaker = SERVICES[kind] == "sagemaker"
    images = [IMAGE] if sagemaker else []
    JobRole(
        stack,
        "Job",
        kind=kind,
        name_prefix="reviews-",
        images=images,
        **support.network(stack) if sagemaker else {},
    )
    policies = support.resources(stack, "AWS::IAM::Policy")
    allowed = machines.actions(machines.statements(stack, "Job")) if policies else set()
    expected = {"logs", "cloudwatch", "ecr", "ec2"} if sagemaker else set()
    if kind == JobKind.CRAWLER:
        expected = {"logs"}
    assert {action.partition(":")[0] for action in allowed} == expected
    assert nag.unacknowledged(app) == []


def test_no_action_that_can_be_limited_is_allowed_everywhere_but_metrics_of_one_namespace() -> None:
    stack = support.stack(env=support.environment())
    JobRole(stack, "Job", kind=JobKind.TRAINING, name_prefix="reviews-", images=[IMAGE])
    for statement in machines.statements(stack, "Job"):
        if statement["Resource"] == "*":
            for action in machines.actions([statement]):
                bound = "cloudwatch:namespace" in json.dumps(statement.get("Condition", {}))
                assert bound or not catalogue.can_be_limited(action)


def test_a_boundary_bounds_it() -> None:
    stack = support.stack(env=support.environment())
    boundary = PermissionBoundary(stack, "Boundary")
    JobRole(stack, "Job", kind=JobKind.CRAWLER, name_prefix="reviews-", boundary=boundary)
    role = support.only(support.resources(stack, "AWS::IAM::Role"))
    assert "PermissionsBoundary" in role["Properties"]


def test_all_mistakes_are_told_at_once() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="5 problems") as failure:
        JobRole(
            stack,
            "Job",
            kind=JobKind.CRAWLER,
            name_prefix="reviews",
            images=["scikit"],
            subnets=[ec2.Subnet.from_subnet_id(stack, "Subnet", support.SUBNET)],
        )
    for part in (
        "a hyphen",
        "images for crawler",
        "ARN of an ECR repository",
        "subnets or security_groups for crawler",
        "1 subnets and 0 security_groups",
    ):
        assert part in str(failure.value)
