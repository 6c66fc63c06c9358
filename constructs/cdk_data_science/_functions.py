"""The platform's Lambda functions: a role, a log group and a function that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat, Duration, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science._assets import function_code

_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
_LOOK_UPS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")

NEWEST_PYTHON = "python3.14"
"""The runtime that cdk-nag knows as the newest."""

_PACKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionNetwork:
    """The VPC that functions are attached to. It needs a way to S3 and the other services that they call."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection | None = None
    security_groups: Sequence[ec2.ISecurityGroup] | None = None


class PlatformFunction(Construct):
    """A Lambda function with a role of its own that may write its log and nothing else, until more is
    granted."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        asset: str,
        handler: str,
        description: str,
        log_key: kms.IKey,
        runtime: lambda_.Runtime,
        architecture: lambda_.Architecture,
        memory_size: int,
        timeout: Duration,
        environment: Mapping[str, str] | None = None,
        network: FunctionNetwork | None = None,
        reserved_concurrency: int | None = None,
        dead_letter_queue: sqs.IQueue | None = None,
        ephemeral_storage_mib: int | None = None,
        snap_start: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.log_group = logs.LogGroup(
            self, "Logs", encryption_key=log_key, retention=logs.RetentionDays.ONE_YEAR
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Role of: {description}"[:1000],
        )
        self.log_group.grant_write(self.role)
        if network is not None:
            self._allow_network()
        self.function = lambda_.Function(
            self,
            "Function",
            code=function_code(self, asset, runtime=runtime, architecture=architecture),
            handler=handler,
            description=description,
            runtime=runtime,
            architecture=architecture,
            memory_size=memory_size,
            timeout=timeout,
            environment=None if environment is None else dict(environment),
            role=self.role,
            log_group=self.log_group,
            vpc=None if network is None else network.vpc,
            vpc_subnets=None if network is None else network.subnets,
            security_groups=(
                None if network is None or network.security_groups is None else list(network.security_groups)
            ),
            reserved_concurrent_executions=reserved_concurrency,
            dead_letter_queue=dead_letter_queue,
            ephemeral_storage_size=(
                None if ephemeral_storage_mib is None else Size.mebibytes(ephemeral_storage_mib)
            ),
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
        )
        if dead_letter_queue is not None and dead_letter_queue.encryption_master_key is not None:
            # CDK grants the queue alone; a message cannot be sent without its key.
            dead_letter_queue.encryption_master_key.grant(self.role, "kms:Decrypt", "kms:GenerateDataKey")
        if snap_start:
            acknowledge(
                self.function,
                ["@aws-cdk/aws-lambda:snapStartRequirePublish"],
                "Whoever asks for snapshots here publishes versions: there is an alias, and it serves those.",
            )
        self._acknowledge_findings(
            in_vpc=network is not None,
            bounded=reserved_concurrency is not None,
            has_dead_letters=dead_letter_queue is not None,
            newest_runtime=runtime.name == NEWEST_PYTHON,
        )

    def _allow_network(self) -> None:
        """Lambda works with the function's role, but the function's code does not have what Lambda needs.

        See https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        """
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="NetworkInterfaces", actions=sorted([*_INTERFACES, *_LOOK_UPS]), resources=["*"]
            )
        )
        functions = Stack.of(self).format_arn(
            service="lambda",
            resource="function",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="NotByTheCode",
                effect=iam.Effect.DENY,
                actions=list(_INTERFACES),
                resources=["*"],
                conditions={"ArnLike": {"lambda:SourceFunctionArn": functions}},
            )
        )
        acknowledge(
            self.role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "Lambda makes the network interfaces of a VPC with the function's role, under ids that are not "
            "known before, and asks for all of them. The function's own code is denied these calls, whatever "
            "it becomes: a statement denies them to what runs in a function.",
        )

    def _acknowledge_findings(
        self, *, in_vpc: bool, bounded: bool, has_dead_letters: bool, newest_runtime: bool
    ) -> None:
        acknowledge_inline_policy(self.role)
        if not newest_runtime:
            acknowledge(
                self.function,
                ["AwsSolutions-L1"],
                "The runtime is a supported one, chosen by the app and the one that the dependencies are "
                "built, compiled and tested for. It is raised with them, not on the day that Lambda offers "
                "a newer one.",
            )
        if not in_vpc:
            acknowledge(
                self.function,
                [f"{pack}-LambdaInsideVPC" for pack in _PACKS],
                "The function calls AWS APIs alone, each allowed by its role for named resources, and "
                "reaches no private resource. Who must keep API traffic in a VPC gives `network`.",
            )
        # PCI DSS has no rules on concurrency and dead letters.
        if not bounded:
            acknowledge(
                self.function,
                [f"{pack}-LambdaConcurrency" for pack in _PACKS[:2]],
                "Reserved concurrency is taken from the account's pool whether it is used or not, and "
                "cannot be had at all under the initial quota. The account's own limit bounds the function.",
            )
        if not has_dead_letters:
            acknowledge(
                self.function,
                [f"{pack}-LambdaDLQ" for pack in _PACKS[:2]],
                "A state machine invokes the function synchronously, sees each failure and records it. "
                "Lambda never puts a synchronous invocation into a dead-letter queue.",
            )
