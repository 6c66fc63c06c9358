"""What file systems of a stack and of a run have in common: their group, and who may use what."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science.data_lake import IZone
from cdk_data_science.training.file_systems.clients import allow
from cdk_data_science.training.file_systems.lustre_values import LustreLink

S3_SERVICE = "s3.data-source.lustre.fsx.amazonaws.com"
# Clients and servers call each other: https://docs.aws.amazon.com/fsx/latest/LustreGuide/limit-access-security-groups.html
_PORTS = (ec2.Port.tcp(988), ec2.Port.tcp_range(1018, 1023))


def server_group(scope: Construct, id: str, *, vpc: ec2.IVpc) -> ec2.SecurityGroup:
    """Make the security group of Lustre servers: open to each other, on Lustre's ports alone."""
    group = ec2.SecurityGroup(
        scope,
        id,
        vpc=vpc,
        description="Lustre servers, and clients that were let in",
        allow_all_outbound=False,
    )
    for port in _PORTS:
        group.connections.allow_internally(port, "between the servers")
    return group


def let_in(group: ec2.SecurityGroup, clients: Sequence[ec2.ISecurityGroup]) -> None:
    """Let clients and servers reach each other."""
    for each in clients:
        for port in _PORTS:
            allow(group, each, port, "Lustre clients")
            group.connections.allow_to(each, port, "Lustre servers call their clients")


def allow_describe(grantee: iam.IGrantable) -> iam.Grant:
    """Let a principal find the mount name of a file system; IAM knows no resource of this action."""
    principal = grantee.grant_principal
    if isinstance(principal, iam.Role):
        acknowledge(
            principal,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM knows no resource of fsx:DescribeFileSystems, which tells where file systems are and shows "
            "none of their data.",
        )
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=["fsx:DescribeFileSystems"], resource_arns=["*"]
    )


def one_subnet(vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None) -> str:
    """The subnet of a file system: the first of the selection, or of the VPC's private subnets."""
    given = subnets if subnets is not None else ec2.SubnetSelection()
    chosen: list[str] = vpc.select_subnets(
        subnets=given.subnets,
        subnet_type=given.subnet_type,
        subnet_group_name=given.subnet_group_name,
        availability_zones=given.availability_zones,
        subnet_filters=given.subnet_filters,
    ).subnet_ids
    return chosen[0]


def open_keys(scope: Construct, links: Sequence[LustreLink]) -> None:
    """Let FSx read and write the objects of linked zones with the zones' keys."""
    for zone in {id(link.zone): link.zone for link in links}.values():
        _open_key(scope, zone)


def _open_key(scope: Construct, zone: IZone) -> None:
    """FSx reads and writes objects in a service-linked role that it makes for each linked file system.

    It has to be in the key's own policy. The role's name holds the number of the file system, which the key's
    stack must not depend on. An imported key's policy is its owner's to change.
    """
    if zone.key is None:
        return
    stack = Stack.of(scope)
    role = stack.format_arn(
        service="iam",
        region="",
        resource="role",
        resource_name=f"aws-service-role/{S3_SERVICE}/AWSServiceRoleForFSxS3Access_fs-*",
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )
    zone.key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LustreFileSystemsOfThisAccount",
            principals=[iam.AccountPrincipal(stack.account)],
            actions=[
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            resources=["*"],
            conditions={
                "ArnLike": {"aws:PrincipalArn": role},
                "StringEquals": {"kms:ViaService": f"s3.{stack.region}.amazonaws.com"},
            },
        )
    )
