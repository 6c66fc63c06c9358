"""Records of what goes through a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowLogs:
    """What is recorded of a VPC's traffic, in a CloudWatch log group with a key."""

    retention: logs.RetentionDays = logs.RetentionDays.ONE_YEAR
    """How long records are kept. Default: a year."""

    traffic: Literal["ALL", "ACCEPT", "REJECT"] = "ALL"
    """Which traffic is recorded. Default: all of it."""

    aggregation_seconds: Literal[60, 600] = 600
    """The time that one record sums up, 60 or 600 seconds. Default: 600, a tenth of the records."""


class FlowLogGroup(Construct):
    """The log group, the role that may write to it, and the flow log of one VPC."""

    log_group: logs.LogGroup
    """Where the records are."""

    def __init__(self, scope: Construct, id: str, *, vpc_id: str, options: FlowLogs, key: kms.IKey) -> None:
        super().__init__(scope, id)
        self.log_group = logs.LogGroup(self, "Records", encryption_key=key, retention=options.retention)
        self.flow_log = ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_type="VPC",
            resource_id=vpc_id,
            traffic_type=options.traffic,
            log_destination_type="cloud-watch-logs",
            log_group_name=self.log_group.log_group_name,
            deliver_logs_permission_arn=self._role().role_arn,
            max_aggregation_interval=options.aggregation_seconds,
        )

    def _role(self) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="Writes the flow log of one VPC",
            assumed_by=iam.ServicePrincipal(
                "vpc-flow-logs.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="ec2", resource="vpc-flow-log", resource_name="*"
                        )
                    },
                },
            ),
        )
        group = self.log_group.log_group_arn
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                resources=[group],
            )
        )
        acknowledge_inline_policy(role)
        return role
