"""The role of a job, its two log groups, and what encrypts its logs, bookmarks and output."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Fn, Names, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._interfaces import allow_interfaces
from cdk_data_science.data_lake._service_role import service_role

_LOG = (
    "logs:AssociateKmsKey",  # without it, Glue writes no log at all
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
)
_LOOK_UPS = (
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
)
_SERVICE_TAG = "aws-glue-service-resource"


class JobRole(Construct):
    """A role that may write the logs and metrics of its job, and nothing else until more is granted.

    Glue names the log groups of a job by its security configuration and its role. Made here, they have a key
    and a retention from the first line on.

    Follows https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html and
    https://docs.aws.amazon.com/glue/latest/dg/encryption-security-configuration.html.
    """

    role: iam.Role
    """What the job works as."""

    security: glue.CfnSecurityConfiguration
    """What encrypts."""

    error_log: logs.LogGroup
    """Where Spark and the job's logger write."""

    output_log: logs.LogGroup
    """Where the script prints to."""

    def __init__(
        self, scope: Construct, id: str, *, data_key: kms.IKey | None, log_key: kms.IKey, what: str
    ) -> None:
        super().__init__(scope, id)
        self.role = service_role(
            self, "glue", f"Role of one {what}: its logs, and the places that it reads and writes"
        )
        # CloudFormation gives no name to it.
        name = Names.unique_resource_name(self, max_length=200, separator="-")
        bookmark_key = log_key if data_key is None else data_key
        configuration = glue.CfnSecurityConfiguration
        self.security = configuration(
            self,
            "Security",
            name=name,
            encryption_configuration=configuration.EncryptionConfigurationProperty(
                cloud_watch_encryption=configuration.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=log_key.key_arn
                ),
                job_bookmarks_encryption=configuration.JobBookmarksEncryptionProperty(
                    job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=bookmark_key.key_arn
                ),
                s3_encryptions=[
                    configuration.S3EncryptionProperty(s3_encryption_mode="SSE-S3")
                    if data_key is None
                    else configuration.S3EncryptionProperty(
                        s3_encryption_mode="SSE-KMS", kms_key_arn=data_key.key_arn
                    )
                ],
            ),
        )
        bookmark_key.grant(self.role, "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
        self.error_log = self._log_group("error", name, log_key)
        self.output_log = self._log_group("output", name, log_key)
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="Metrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
            )
        )
        self.role.add_to_policy(
            iam.PolicyStatement(actions=["glue:GetSecurityConfiguration"], resources=["*"])
        )
        acknowledge(
            self.role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM knows no resource of cloudwatch:PutMetricData and glue:GetSecurityConfiguration. A "
            "condition binds the first to Glue's namespace; the second reads which keys encrypt.",
        )

    def allow_network(
        self, subnets: Sequence[ec2.ISubnet], security_groups: Sequence[ec2.ISecurityGroup]
    ) -> None:
        """Let the job make the network interfaces of its connections, and tag them as Glue does."""
        allow_interfaces(
            self.role, subnets=subnets, security_groups=security_groups, look_ups=_LOOK_UPS, lent=False
        )
        interfaces = Stack.of(self).format_arn(service="ec2", resource="network-interface", resource_name="*")
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="TagsOfNetworkInterfaces",
                actions=["ec2:CreateTags", "ec2:DeleteTags"],
                resources=[interfaces],
                conditions={
                    "ForAllValues:StringEquals": {"aws:TagKeys": [_SERVICE_TAG]},
                    # A request that names no tag deletes all of them, and meets ForAllValues.
                    "Null": {"aws:TagKeys": "false"},
                },
            )
        )

    def _log_group(self, name: str, security: str, key: kms.IKey) -> logs.LogGroup:
        group_name = Fn.join("", [f"/aws-glue/jobs/{security}-role/", self.role.role_name, f"/{name}"])
        group = logs.LogGroup(
            self,
            f"{name.capitalize()}Log",
            log_group_name=group_name,
            encryption_key=key,
            retention=logs.RetentionDays.ONE_YEAR,
        )
        plain = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=group_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        streams = f"{plain}:*"
        self.role.add_to_policy(iam.PolicyStatement(actions=list(_LOG), resources=[plain, streams]))
        acknowledge_wildcards(
            self.role, self, [streams], "The log streams of one log group, which Glue names by its runs."
        )
        return group
