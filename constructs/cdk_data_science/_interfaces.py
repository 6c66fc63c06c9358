"""What a service needs to make network interfaces in the name of a role: in named subnets, with named
security groups, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards

SAGEMAKER_LOOK_UPS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
"""What SageMaker looks up before it attaches something to a VPC."""


def subnet_arn(stack: Stack, subnet: ec2.ISubnet) -> str:
    """The ARN of a subnet, whichever account owns it: in a shared VPC that is another one, and no two subnets
    have the same id.

    See https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html
    """
    return stack.format_arn(service="ec2", account="*", resource="subnet", resource_name=subnet.subnet_id)


def acknowledge_subnet(role: IConstruct, subnet: ec2.ISubnet) -> None:
    """Accept that the ARN of a subnet leaves its account open."""
    acknowledge_wildcards(
        role,
        subnet,
        [subnet_arn(Stack.of(role), subnet)],
        "One subnet, by its id, of which no account has another one. The account is open because a VPC may "
        "be shared with this one, and then its subnets have the owner's.",
    )


def allow_interfaces(
    role: iam.IRole,
    *,
    subnets: Sequence[ec2.ISubnet],
    security_groups: Sequence[ec2.ISecurityGroup],
    look_ups: Sequence[str] = SAGEMAKER_LOOK_UPS,
    lent: bool = True,
    detached: bool = False,
) -> iam.Grant:
    """Let a service make network interfaces as a role, and remove them.

    The code of a job has the role's credentials too. With permissions on all interfaces it could put one
    into any subnet of the account, with any security group, or let somebody attach one that is there.

    Args:
        role: What the service works as.
        subnets: Where the interfaces are.
        security_groups: What they get.
        look_ups: Actions that only look, for which IAM knows no resource.
        lent: The interfaces are lent to instances in an account of the service.
        detached: The service detaches them before it removes them.

    See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    """
    stack = Stack.of(role)

    def arn(kind: str, name: str) -> str:
        return stack.format_arn(service="ec2", resource=kind, resource_name=name)

    interfaces = arn("network-interface", "*")
    places = [subnet_arn(stack, each) for each in subnets]
    in_subnets = {"ArnLike": {"ec2:Subnet": places}}
    groups = [arn("security-group", each.security_group_id) for each in security_groups]
    wildcards = [interfaces]
    on_interfaces = ["ec2:DeleteNetworkInterface"]
    if lent:
        on_interfaces.append("ec2:CreateNetworkInterfacePermission")
    if detached:
        on_interfaces.append("ec2:DetachNetworkInterface")
    permissions: list[tuple[list[str], list[str], dict[str, dict[str, list[str]]] | None]] = [
        (list(look_ups), ["*"], None),
        (["ec2:CreateNetworkInterface"], [interfaces, *places, *groups], None),
        (on_interfaces, [interfaces], in_subnets),
    ]
    if lent:
        # Taking a permission back opens nothing, and its request names the permission, not the subnet.
        permissions.append((["ec2:DeleteNetworkInterfacePermission"], [interfaces], None))
    if detached:
        # They are detached from instances, which are in an account of the service.
        instances = stack.format_arn(service="ec2", account="*", resource="instance", resource_name="*")
        permissions.append((["ec2:DetachNetworkInterface"], [instances], None))
        wildcards.append(instances)
    if Construct.is_construct(role):
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM knows no resource of the calls that describe networks, of CloudWatch's PutMetricData, which "
            "a condition binds to a namespace, and of ECR's GetAuthorizationToken.",
        )
        acknowledge_wildcards(
            role,
            role,
            wildcards,
            "Network interfaces have no ids before they are made. They are made in named subnets with named "
            "security groups alone, and lent and removed in these subnets alone.",
        )
        for subnet in subnets:
            acknowledge_subnet(role, subnet)
    first, *others = (
        iam.Grant.add_to_principal(
            grantee=role, actions=actions, resource_arns=resources, conditions=conditions
        )
        for actions, resources, conditions in permissions
    )
    for other in others:
        first = first.combine(other)
    return first
