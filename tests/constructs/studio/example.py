"""A domain with two teams, as most tests of this folder look at it."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    CustomImage,
    IdleShutdown,
    LifecycleScript,
    PrivateSpace,
    SharedSpace,
    SpaceApp,
    StudioActivity,
    StudioDomain,
    StudioTeam,
    StudioUser,
)
from tests.constructs import support

SCRIPT = LifecycleScript(name="proxy", content="#!/bin/bash\nset -eu\necho started\n")
IMAGE = CustomImage(
    name="reviews",
    image=f"{support.ACCOUNT}.dkr.ecr.{support.REGION}.amazonaws.com/studio:1",
    environment={"TEAM": "reviews"},
)
DESTROY = {"cdk-data-science:destroyData": True}


def vpc(scope: cdk.Stack, *, zones: int = 2) -> ec2.IVpc:
    """A VPC of another app, with one private subnet in each zone."""
    letters = "abcdef"[:zones]
    return ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=[f"{support.REGION}{letter}" for letter in letters],
        isolated_subnet_ids=[f"subnet-0{letter * 16}" for letter in letters],
        isolated_subnet_route_table_ids=[f"rtb-0{letter * 16}" for letter in letters],
    )


def domain(scope: cdk.Stack, **given: Any) -> StudioDomain:
    """A domain in such a VPC, with further options."""
    subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    return StudioDomain(scope, "Studio", **({"vpc": vpc(scope), "subnets": subnets} | given))


def app(**context: Any) -> tuple[cdk.App, cdk.Stack, StudioDomain]:
    """An app with the domain and two teams."""
    made = support.app(context)
    stack = cdk.Stack(made, "Test", env=support.environment())
    studio = domain(
        stack, idle=IdleShutdown(minutes=90, longest_minutes=240), scripts=[SCRIPT], images=[IMAGE]
    )
    StudioTeam(
        stack,
        "Reviews",
        domain=studio,
        name="reviews",
        cost_center="4711",
        users=[
            StudioUser(name="ann", spaces=[PrivateSpace(name="lab", volume_gb=20)]),
            StudioUser(name="ben", persona=Persona.ML_ENGINEER, instance_type="ml.g5.xlarge"),
            StudioUser(name="cay", persona=Persona.APPROVER),
        ],
        shared_spaces=[SharedSpace(name="board", owner="ben", app=SpaceApp.CODE_EDITOR)],
    )
    StudioTeam(
        stack, "Payments", domain=studio, name="payments", cost_center="0815", users=[StudioUser(name="dot")]
    )
    StudioActivity(stack, "Activity", domain=studio)
    return made, stack, studio


@functools.cache
def resources() -> dict[str, dict[str, Any]]:
    """The template's resources, synthesized once."""
    return support.resources(app()[1])


def of_type(kind: str, **properties: Any) -> dict[str, Any]:
    """The one resource of a type that has these properties."""
    found = {
        key: resource
        for key, resource in resources().items()
        if resource["Type"] == kind
        and all(resource["Properties"].get(name) == value for name, value in properties.items())
    }
    return support.only(found)


def policy_length(document: dict[str, Any]) -> int:
    """The characters of a policy as IAM counts them, without white space."""
    return len(json.dumps(_plain(document), separators=(",", ":")))


def _plain(value: Any) -> Any:
    """A policy as it is deployed: each reference as long as an ARN of a key."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        return "".join(str(_plain(part)) for part in value["Fn::Join"][1])
    if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt"):
        return "aws" if value.get("Ref") == "AWS::Partition" else "d-xxxxxxxxxxxx"
    return {key: _plain(each) for key, each in value.items()}
