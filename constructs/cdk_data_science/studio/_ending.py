"""The function behind the custom resources of a domain, and those resources."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import ArnFormat, CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._functions import PlatformFunction
from cdk_data_science.monitoring import AlertTopic, alarm

LOCK, USER_END, DOMAIN_END = "Custom::StudioDomainLock", "Custom::StudioUserEnd", "Custom::StudioDomainEnd"
_WAIT = Duration.hours(1)


class StudioEnding(Construct):
    """Refuses updates that would replace a domain, and ends what people made before something is deleted.

    The function has its permissions in a policy apart: it names the domain, and the function is needed
    before there is one.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        log_key: kms.IKey,
        runtime: lambda_.Runtime,
        architecture: lambda_.Architecture,
        alerts: AlertTopic | None,
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=log_key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        made = PlatformFunction(
            self,
            "Handler",
            asset="studio",
            handler="custom_resource.handler",
            description="Ends apps, spaces and what a Studio domain leaves, before CloudFormation deletes it",
            log_key=log_key,
            runtime=runtime,
            architecture=architecture,
            memory_size=256,
            timeout=Duration.minutes(15),
            dead_letter_queue=self.dead_letters,
        )
        self.function, self.role = made.function, made.role
        self.alarm = alarm(
            self,
            "Failed",
            self.dead_letters.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=Duration.minutes(5)
            ),
            description=f"A call of a function of {self.node.path} failed, and is in the dead-letter queue",
        )
        if alerts is not None:
            alerts.notify(self.alarm)
        else:
            acknowledge(
                self.alarm,
                ["HIPAA.Security-CloudWatchAlarmAction", "NIST.800.53.R5-CloudWatchAlarmAction"],
                "Who is told is the app's to say: alerts=AlertTopic(…), or an action added to the alarm.",
            )

    def lock(
        self, scope: Construct, id: str, *, create_only: Mapping[str, str], may_be_replaced: bool
    ) -> CustomResource:
        """Refuse an update with other create-only values. What it is to protect has to depend on it."""
        return CustomResource(
            scope,
            id,
            resource_type=LOCK,
            service_token=self.function.function_arn,
            service_timeout=Duration.minutes(5),
            properties={"CreateOnly": dict(create_only), "MayBeReplaced": str(may_be_replaced).lower()},
        )

    def end_domain(
        self,
        scope: Construct,
        id: str,
        *,
        domain_id: str,
        vpc_id: str,
        file_system: str | None,
        destroy: bool,
    ) -> CustomResource:
        """End all that is in a domain, the domain, and what it leaves, when this is deleted."""
        properties = {"DomainId": domain_id, "VpcId": vpc_id, "Destroy": str(destroy).lower()}
        if file_system is not None:
            properties["HomeEfsFileSystemId"] = file_system
        ended = CustomResource(
            scope,
            id,
            resource_type=DOMAIN_END,
            service_token=self.function.function_arn,
            service_timeout=_WAIT,
            properties=properties,
        )
        ended.node.add_dependency(self._allow(domain_id, vpc_id, file_system))
        return ended

    def end_user(
        self, scope: Construct, id: str, *, domain_id: str, user: str, destroy: bool
    ) -> CustomResource:
        """End a user's apps and spaces, when this is deleted. It has to depend on the user's profile."""
        return CustomResource(
            scope,
            id,
            resource_type=USER_END,
            service_token=self.function.function_arn,
            service_timeout=_WAIT,
            properties={"DomainId": domain_id, "UserProfileName": user, "Destroy": str(destroy).lower()},
        )

    def _allow(self, domain_id: str, vpc_id: str, file_system: str | None) -> iam.Policy:
        stack = Stack.of(self)

        def sagemaker(kind: str, *name: str) -> str:
            return stack.format_arn(
                service="sagemaker", resource=kind, resource_name="/".join([domain_id, *name])
            )

        def ec2(kind: str) -> str:
            return stack.format_arn(service="ec2", resource=kind, resource_name="*")

        parts = {
            "sagemaker:DeleteApp": sagemaker("app", "*"),
            "sagemaker:DeleteSpace": sagemaker("space", "*"),
            "sagemaker:DeleteUserProfile": sagemaker("user-profile", "*"),
        }
        interfaces, groups = ec2("network-interface"), ec2("security-group")
        in_vpc = {
            "ArnEquals": {"ec2:Vpc": stack.format_arn(service="ec2", resource="vpc", resource_name=vpc_id)}
        }
        statements = [
            iam.PolicyStatement(
                sid="SeeWhatThereIs",
                actions=[
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "sagemaker:ListApps",
                    "sagemaker:ListSpaces",
                    "sagemaker:ListUserProfiles",
                ],
                resources=["*"],
            ),
            iam.PolicyStatement(
                sid="EndTheDomain",
                actions=["sagemaker:DeleteDomain", "sagemaker:DescribeDomain"],
                resources=[sagemaker("domain")],
            ),
            *(iam.PolicyStatement(actions=[action], resources=[arn]) for action, arn in parts.items()),
            iam.PolicyStatement(
                sid="ReleaseTheNetwork",
                actions=[
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteSecurityGroup",
                    "ec2:RevokeSecurityGroupEgress",
                    "ec2:RevokeSecurityGroupIngress",
                ],
                resources=[interfaces, groups],
                conditions=in_vpc,
            ),
            iam.PolicyStatement(
                sid="GoOn", actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
            ),
        ]
        if file_system is not None:
            statements.append(
                iam.PolicyStatement(
                    sid="EndTheHomeFileSystem",
                    actions=[
                        "elasticfilesystem:DeleteFileSystem",
                        "elasticfilesystem:DeleteMountTarget",
                        "elasticfilesystem:DescribeFileSystems",
                        "elasticfilesystem:DescribeMountTargets",
                    ],
                    resources=[
                        stack.format_arn(
                            service="elasticfilesystem",
                            resource="file-system",
                            resource_name=file_system,
                            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
                        )
                    ],
                )
            )
        policy = iam.Policy(self, "Permissions", statements=statements, roles=[self.role])
        acknowledge_inline_policy(policy)
        acknowledge(
            policy,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM has no resource for these lists; what is in them is deleted under limits of its own.",
        )
        acknowledge_wildcards(
            policy,
            self,
            [*parts.values(), interfaces, groups],
            "What people and SageMaker made is not known before. The patterns hold what is in one domain, "
            "and a condition the interfaces and groups of one VPC.",
        )
        return policy
