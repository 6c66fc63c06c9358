"""How the containers of a job are attached to a VPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._interfaces import allow_interfaces


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingNetwork:
    """The private subnets and security groups that a job's containers are attached to."""

    subnets: Sequence[ec2.ISubnet]
    security_groups: Sequence[ec2.ISecurityGroup]

    def render(self) -> dict[str, Any]:
        """Return the network as the SageMaker API has it."""
        return {
            "Subnets": [subnet.subnet_id for subnet in self.subnets],
            "SecurityGroupIds": [group.security_group_id for group in self.security_groups],
        }


def attach(
    scope: Construct,
    role: iam.Role,
    *,
    vpc: ec2.IVpc,
    subnets: ec2.SubnetSelection | None,
    security_groups: Sequence[ec2.ISecurityGroup] | None,
    efa: bool = False,
) -> TrainingNetwork:
    """Choose where jobs are attached, and let their role make the interfaces.

    Args:
        subnets: The VPC's private subnets with a way out if not given.
        security_groups: A new one, below ``scope``, that lets nothing in from outside if not given.
        efa: The instances talk over Elastic Fabric Adapters, for which a rule to everywhere does not count.
    """
    selection = subnets if subnets is not None else ec2.SubnetSelection()
    if security_groups is None:
        group = ec2.SecurityGroup(
            scope, "SecurityGroup", vpc=vpc, description="Training jobs; nothing is let in from outside"
        )
        # The instances of one job talk to each other.
        group.add_ingress_rule(group, ec2.Port.all_traffic(), "between the instances of a job")
        if efa:
            ec2.CfnSecurityGroupEgress(
                scope,
                "BetweenInstances",
                group_id=group.security_group_id,
                destination_security_group_id=group.security_group_id,
                ip_protocol="-1",
                description="between the instances of a job, over their fabric adapters",
            )
        security_groups = [group]
    network = TrainingNetwork(
        subnets=vpc.select_subnets(
            availability_zones=selection.availability_zones,
            one_per_az=selection.one_per_az,
            subnet_filters=selection.subnet_filters,
            subnet_group_name=selection.subnet_group_name,
            subnets=selection.subnets,
            subnet_type=selection.subnet_type,
        ).subnets,
        security_groups=list(security_groups),
    )
    allow_interfaces(role, subnets=network.subnets, security_groups=network.security_groups)
    return network
