"""Every VPC is born with a security group that lets its members talk; here it is emptied."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science.network._vpc import PACKS, VpcResources

CLOSED_GROUP = "Custom::ClosedDefaultSecurityGroup"


class ClosedDefaultGroup(Construct):
    """Takes the rules away that every VPC's default security group is born with.

    CloudFormation has no property for it, so CDK's function for single API calls makes two of them, once.
    """

    def __init__(self, scope: Construct, id: str, *, vpc: VpcResources, log_key: kms.IKey) -> None:
        super().__init__(scope, id)
        group = vpc.resource.attr_default_security_group
        itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
        anywhere: dict[str, object] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        egress = [anywhere]
        if vpc.ipv6_block is not None:
            egress.append({"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]})
        role = self._role(group)
        log_group = logs.LogGroup(self, "Logs", encryption_key=log_key, retention=logs.RetentionDays.ONE_YEAR)
        log_group.grant_write(role)
        for direction, permissions in (("Ingress", [itself]), ("Egress", egress)):
            call = cr.AwsCustomResource(
                self,
                direction,
                resource_type=CLOSED_GROUP,
                install_latest_aws_sdk=False,
                timeout=Duration.minutes(2),
                log_group=log_group,
                role=role,
                on_create=cr.AwsSdkCall(
                    service="EC2",
                    action=f"revokeSecurityGroup{direction}",
                    parameters={"GroupId": group, "IpPermissions": permissions},
                    physical_resource_id=cr.PhysicalResourceId.of(f"closed-{direction.lower()}"),
                    # Somebody may have closed it before.
                    ignore_error_codes_matching="InvalidPermission.NotFound",
                    output_paths=[],
                ),
            )
            if vpc.ipv6_block is not None:
                call.node.add_dependency(vpc.ipv6_block)

        _acknowledge_function(self)

    def _role(self, group: str) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="Closes the default security group of one VPC",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
                resources=[stack.format_arn(service="ec2", resource="security-group", resource_name=group)],
            )
        )
        acknowledge_inline_policy(role)
        return role


def _acknowledge_function(scope: Construct) -> None:
    """The function is one for all such calls of a stack, at the stack's top."""
    function: IConstruct = Stack.of(scope).node.find_child("AWS679f53fac002430cb0da5b7982bd2287")
    acknowledge(
        function,
        [
            *(f"{pack}-LambdaInsideVPC" for pack in PACKS),
            *(f"{pack}-LambdaDLQ" for pack in PACKS[:2]),
            *(f"{pack}-LambdaConcurrency" for pack in PACKS[:2]),
        ],
        "CloudFormation invokes the function when the VPC is made, waits for its answer and fails with it. "
        "It calls EC2 alone, for one security group, and takes no other input.",
    )
