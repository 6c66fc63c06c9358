"""Containers of models in a VPC."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._interfaces import allow_interfaces
from cdk_data_science._validation import Problems


def check_attachment(
    problems: Problems,
    vpc: ec2.IVpc | None,
    subnets: ec2.SubnetSelection | None,
    security_groups: Sequence[ec2.ISecurityGroup] | None,
) -> None:
    """Report what is said of a VPC that is not there."""
    problems.check(
        vpc is not None or (subnets is None and security_groups is None),
        given="subnets or security_groups without vpc",
        allowed="both only in a VPC",
        write="vpc=vpc",
    )


def attach(
    scope: Construct,
    role: iam.IRole,
    vpc: ec2.IVpc,
    selection: ec2.SubnetSelection | None,
    groups: Sequence[ec2.ISecurityGroup] | None,
) -> tuple[list[str], list[str]]:
    """Let SageMaker attach containers to a VPC; returns the ids of subnets and of security groups."""
    if groups is None:
        groups = [
            ec2.SecurityGroup(
                scope, "SecurityGroup", vpc=vpc, description="Model containers; nothing is let in"
            )
        ]
    chosen = selection if selection is not None else ec2.SubnetSelection()
    subnets = vpc.select_subnets(
        availability_zones=chosen.availability_zones,
        one_per_az=chosen.one_per_az,
        subnet_filters=chosen.subnet_filters,
        subnet_group_name=chosen.subnet_group_name,
        subnets=chosen.subnets,
        subnet_type=chosen.subnet_type,
    )
    allow_interfaces(role, subnets=subnets.subnets, security_groups=groups)
    return subnets.subnet_ids, [group.security_group_id for group in groups]
