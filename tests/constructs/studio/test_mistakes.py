"""Values of another kind, as people write them who have no type checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError
from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    CustomImage,
    IdleShutdown,
    LifecycleScript,
    StudioActivity,
    StudioDomain,
    StudioEntry,
    StudioTeam,
    StudioUser,
)
from tests.constructs import support
from tests.constructs.studio import example

ECR = "111122223333.dkr.ecr.us-east-1.amazonaws.com/studio"


def imported(stack: cdk.Stack, **given: Any) -> Any:
    return StudioDomain.from_domain_attributes(stack, "Studio", **({"domain_id": "d-abcdefghijkl"} | given))


def team(stack: cdk.Stack, **given: Any) -> StudioTeam:
    rest: dict[str, Any] = {"name": "reviews", "cost_center": "1", "users": [StudioUser(name="ann")]}
    return StudioTeam(stack, "Team", **({"domain": imported(stack)} | rest | given))


def user(**given: Any) -> list[StudioUser]:
    return [StudioUser(**({"name": "ann"} | given))]


Case = tuple[Callable[[cdk.Stack], Any], str]
CASES: dict[str, Case] = {
    "a name for users": (lambda s: team(s, users="ann"), 'users=[StudioUser(name="ann")]'),
    "one user": (lambda s: team(s, users=StudioUser(name="ann")), "a list of StudioUser"),
    "names of users": (lambda s: team(s, users=["ann"]), "users with 'ann'"),
    "a persona's name": (
        lambda s: team(s, users=user(persona="data-scientist")),
        "persona=Persona.DATA_SCIENTIST",
    ),
    "a number for who pays": (lambda s: team(s, cost_center=4711), 'cost_center="4711"'),
    "a name for spaces": (lambda s: team(s, users=user(spaces="lab")), 'PrivateSpace(name="lab")'),
    "names of shared spaces": (lambda s: team(s, shared_spaces=["board"]), "a list of SharedSpace"),
    "a number for a limit": (lambda s: team(s, limits={Persona.APPROVER: 4}), "a list of InstanceLimit"),
    "a persona's name for a limit": (lambda s: team(s, limits={"boss": 4}), "limits with 'boss'"),
    "the ARN of a role": (lambda s: team(s, job_roles=["arn:aws:iam::1:role/x"]), "iam.Role.from_role_arn"),
    "one role": (
        lambda s: team(s, job_roles=iam.Role.from_role_name(s, "Role", "jobs")),
        "1 problem\n  - given job_roles, which is Test/Role alone; allowed: a list",
    ),
    "the name of a role": (
        lambda s: team(s, job_roles="jobs"),
        "1 problem\n  - given job_roles='jobs'; allowed: a list of constructs",
    ),
    "the name of a pipeline": (
        lambda s: team(s, pipelines="train"),
        "1 problem\n  - given pipelines='train'",
    ),
    "limits without personas": (lambda s: team(s, limits=[4]), "limits={Persona.APPROVER:"),
    "the id of a domain": (
        lambda s: team(s, domain="d-abcdefghijkl"),
        "StudioDomain.from_domain_attributes(…)",
    ),
    "no VPC": (lambda s: example.domain(s, vpc=None), "given vpc=None; allowed: a construct"),
    "the id of a domain for a dashboard": (
        lambda s: StudioActivity(s, "A", domain="d-abcdefghijkl"),  # type: ignore[arg-type]
        "given domain='d-abcdefghijkl'; allowed: a construct",
    ),
    "the id of a VPC": (lambda s: example.domain(s, vpc="vpc-1"), "ec2.Vpc.from_vpc_attributes"),
    "ids of subnets": (lambda s: example.domain(s, subnets=["subnet-1"]), "ec2.SubnetSelection(…)"),
    "the id of a group": (
        lambda s: example.domain(s, security_groups="sg-1"),
        "1 problem\n  - given security_groups='sg-1'",
    ),
    "the id of a group of an imported domain": (
        lambda s: imported(s, security_groups="sg-1"),
        "1 problem\n  - given security_groups='sg-1'",
    ),
    "ids of groups": (lambda s: example.domain(s, security_groups=["sg-1"]), "from_security_group_id"),
    "how people enter, as text": (lambda s: example.domain(s, identity="LDAP"), "StudioIdentity.IDENTITY_C"),
    "a volume as text": (lambda s: example.domain(s, volume_gb="10"), "volume_gb='10'"),
    "half a gigabyte": (lambda s: example.domain(s, volume_gb=10.5), "a whole number"),
    "minutes alone": (lambda s: example.domain(s, idle=120), "idle=IdleShutdown(minutes=120)"),
    "minutes as text": (
        lambda s: example.domain(s, idle=IdleShutdown(minutes="120")),  # type: ignore[arg-type]
        "IdleShutdown(minutes='120')",
    ),
    "a script as text": (lambda s: example.domain(s, scripts="#!/bin/bash"), "LifecycleScript(…)"),
    "a script of bytes": (
        lambda s: example.domain(s, scripts=[LifecycleScript(name="a", content=b"#!")]),  # type: ignore[arg-type]
        "content bytes(…)",
    ),
    "an app's name": (
        lambda s: example.domain(s, scripts=[LifecycleScript(name="a", content="#!", app="Lab")]),  # type: ignore[arg-type]
        "app=SpaceApp.JUPYTER_LAB",
    ),
    "an image without a version": (
        lambda s: example.domain(s, images=[CustomImage(name="a", image=ECR)]),
        f'image="{ECR}:1"',
    ),
    "a number in an environment": (
        lambda s: example.domain(s, images=[CustomImage(name="a", image=f"{ECR}:1", environment={"A": 1})]),  # type: ignore[dict-item]
        "environment['A'] 1",
    ),
    "the ARN of MLflow": (lambda s: example.domain(s, mlflow="arn:aws:sagemaker"), "Mlflow.from_arn"),
    "minutes of a dashboard as text": (
        lambda s: StudioActivity(s, "A", domain=imported(s), minutes="5"),  # type: ignore[arg-type]
        "minutes='5'",
    ),
    "a person's name": (
        lambda s: StudioEntry(s, "E", domain=imported(s), people="ann"),  # type: ignore[arg-type]
        "iam.ArnPrincipal",
    ),
    "hours as a number": (
        lambda s: StudioEntry(s, "E", domain=imported(s), longest_session=8),  # type: ignore[arg-type]
        "longest_session=Duration.hours(8)",
    ),
    "the ARN of a key": (lambda s: imported(s, key="arn:aws:kms"), "kms.Key.from_key_arn"),
    "a list of scripts": (lambda s: imported(s, scripts=["arn"]), "{SpaceApp.JUPYTER_LAB:"),
    "names of images": (lambda s: imported(s, images=["team"]), "AttachedImage(…)"),
    "a number for a domain": (lambda s: imported(s, domain_id=5), 'domain_id="d-abcdefghijkl"'),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_of_another_kind_is_told_with_what_to_write(case: str) -> None:
    make, expected = CASES[case]
    with pytest.raises(ConfigurationError) as failure:
        make(support.stack())
    assert expected in str(failure.value)
