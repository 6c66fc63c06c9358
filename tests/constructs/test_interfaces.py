"""Network interfaces: in the subnets of a job, with its security groups, by the service and not by code."""

from __future__ import annotations

import pytest
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._interfaces import allow_interfaces
from cdk_data_science.data_lake.etl._role import JobRole as GlueJobRole
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

EC2 = f"arn:aws:ec2:{support.REGION}:{support.ACCOUNT}"
INTERFACE = f"{EC2}:network-interface/eni-1"
HERE = {"ec2:Subnet": f"{EC2}:subnet/{support.SUBNET}"}
ELSEWHERE = {"ec2:Subnet": f"{EC2}:subnet/subnet-0ther"}


@pytest.fixture(scope="module")
def jobs() -> Simulator:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    role = iam.Role(stack, "Jobs", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    allow_interfaces(role, **support.network(stack), detached=True)
    acknowledge_inline_policy(role)
    assert nag.unacknowledged(app) == []
    return Simulator(support.resources(stack), "Jobs")


@pytest.mark.parametrize(
    ("resource", "allowed"),
    [
        (f"subnet/{support.SUBNET}", True),
        (f"security-group/{support.GROUP}", True),
        ("network-interface/*", True),
        ("subnet/subnet-0ther", False),
        ("security-group/sg-0ther", False),
    ],
)
def test_interfaces_are_made_in_the_subnets_with_the_groups(
    jobs: Simulator, resource: str, allowed: bool
) -> None:
    assert jobs.allows("ec2:CreateNetworkInterface", f"{EC2}:{resource}", when={}) is allowed


@pytest.mark.parametrize(
    "action",
    ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DetachNetworkInterface"],
)
def test_interfaces_of_other_subnets_are_neither_lent_nor_taken_away(jobs: Simulator, action: str) -> None:
    assert jobs.allows(action, INTERFACE, when=HERE)
    assert not jobs.allows(action, INTERFACE, when=ELSEWHERE)
    assert not jobs.allows(action, INTERFACE, when={})


def test_a_subnet_that_another_account_shares_has_the_account_of_its_owner(jobs: Simulator) -> None:
    # Of a shared VPC, EC2 tells the owner's account in the ARN of the subnet, and ours in that of interfaces.
    theirs = f"arn:aws:ec2:{support.REGION}:444455556666:subnet"
    assert jobs.allows("ec2:CreateNetworkInterface", f"{theirs}/{support.SUBNET}", when={})
    assert jobs.allows(
        "ec2:DeleteNetworkInterface", INTERFACE, when={"ec2:Subnet": f"{theirs}/{support.SUBNET}"}
    )
    assert not jobs.allows("ec2:CreateNetworkInterface", f"{theirs}/subnet-0ther", when={})
    assert not jobs.allows(
        "ec2:DeleteNetworkInterface", INTERFACE, when={"ec2:Subnet": f"{theirs}/subnet-0ther"}
    )


def test_subnets_of_another_stack_are_acknowledged_as_they_are_written_there() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    vpc = ec2.Vpc(support.stack(app, "Network", env=support.environment()), "Vpc", max_azs=1)
    role = iam.Role(stack, "Jobs", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    groups = support.network(stack)["security_groups"]
    allow_interfaces(role, subnets=vpc.private_subnets, security_groups=groups)
    acknowledge_inline_policy(role)
    assert [found for found in nag.unacknowledged(app) if "Jobs" in found] == []


def test_a_service_looks_at_the_network_and_takes_back_what_it_was_lent(jobs: Simulator) -> None:
    assert jobs.allows("ec2:DescribeSubnets", when={})
    assert jobs.allows("ec2:DeleteNetworkInterfacePermission", INTERFACE, when={})
    assert jobs.allows(
        "ec2:DetachNetworkInterface", f"arn:aws:ec2:{support.REGION}:999:instance/i-1", when={}
    )
    assert not jobs.allows("ec2:TerminateInstances", f"{EC2}:instance/i-1", when={})


def test_glue_tags_its_interfaces_with_its_own_tag_alone() -> None:
    stack = support.stack(env=support.environment())
    key = operations_key(stack, "Key", description="Logs")
    role = GlueJobRole(stack, "Job", data_key=None, log_key=key, what="job")
    role.allow_network(**support.network(stack))
    glue = Simulator(support.resources(stack), "JobRole")
    for action in ("ec2:CreateTags", "ec2:DeleteTags"):
        assert glue.allows(action, INTERFACE, when={"aws:TagKeys": "aws-glue-service-resource"})
        assert not glue.allows(action, INTERFACE, when={"aws:TagKeys": "owner"})
        # A request without a tag deletes all of them.
        assert not glue.allows(action, INTERFACE, when={})
    assert glue.allows("ec2:DeleteNetworkInterface", INTERFACE, when=HERE)
    assert not glue.allows("ec2:DeleteNetworkInterface", INTERFACE, when=ELSEWHERE)
    # Its interfaces are in this account: there is nobody to lend them to.
    assert not glue.allows("ec2:CreateNetworkInterfacePermission", INTERFACE, when=HERE)


def test_the_code_of_a_function_makes_no_interfaces() -> None:
    stack = support.stack(env=support.environment())
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    PlatformFunction(
        stack,
        "Handler",
        asset="training",
        handler="sweep.handler",
        description="a function in a VPC",
        log_key=operations_key(stack, "Key", description="Logs"),
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        memory_size=128,
        timeout=Duration.seconds(3),
        network=FunctionNetwork(vpc=vpc),
    )
    role = Simulator(support.resources(stack), "HandlerRole")
    code = {"lambda:SourceFunctionArn": f"arn:aws:lambda:{support.REGION}:{support.ACCOUNT}:function:handler"}
    for action in ("CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses"):
        assert role.allows(f"ec2:{action}", INTERFACE, when={})  # Lambda itself
        assert not role.allows(f"ec2:{action}", INTERFACE, when=code)
