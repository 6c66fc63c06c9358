"""The function behind the custom resources of a domain, and those resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science.monitoring import AlertTopic

LOCK, USER_END, DOMAIN_END = "Custom::StudioDomainLock", "Custom::StudioUserEnd", "Custom::StudioDomainEnd"
_WAIT = Duration.hours(1)
_OWNER_TAG = "ManagedByAmazonSageMakerResource"


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
        self._of_users: iam.Policy | None = None
        self.dead_letters = letters(self, "DeadLetters", log_key)
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
        self.alarm = letters_alarm(
            self,
            self.dead_letters,
            f"A call of a function of {self.node.path} failed, and is in the dead-letter queue",
            id="Failed",
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
        ended.node.add_dependency(self._allow_domain(domain_id, vpc_id, file_system))
        return ended

    def end_user(
        self, scope: Construct, id: str, *, domain_id: str, user: str, destroy: bool
    ) -> CustomResource:
        """End a user's apps and spaces, when this is deleted. It has to depend on the user's profile."""
        ended = CustomResource(
            scope,
            id,
            resource_type=USER_END,
            service_token=self.function.function_arn,
            service_timeout=_WAIT,
            properties={"DomainId": domain_id, "UserProfileName": user, "Destroy": str(destroy).lower()},
        )
        if self._of_users is not None and Stack.of(scope) is Stack.of(self):
            ended.node.add_dependency(self._of_users)
        return ended

    def allow_users(self, domain_id: str) -> None:
        """Let it end the apps and spaces of users, and not the domain, which something else owns."""
        parts = {
            "sagemaker:DeleteApp": self._arn(domain_id, "app", "*"),
            "sagemaker:DeleteSpace": self._arn(domain_id, "space", "*"),
        }
        statements = [
            iam.PolicyStatement(
                sid="SeeWhatThereIs", actions=["sagemaker:ListApps", "sagemaker:ListSpaces"], resources=["*"]
            ),
            *(iam.PolicyStatement(actions=[action], resources=[arn]) for action, arn in parts.items()),
            self._go_on(),
        ]
        self._of_users = self._policy(
            statements,
            [*parts.values()],
            "What people made is not known before. The patterns hold what is in one domain.",
        )

    def _allow_domain(self, domain_id: str, vpc_id: str, file_system: str | None) -> iam.Policy:
        stack = Stack.of(self)

        def ec2(kind: str) -> str:
            return stack.format_arn(service="ec2", resource=kind, resource_name="*")

        parts = {
            "sagemaker:DeleteApp": self._arn(domain_id, "app", "*"),
            "sagemaker:DeleteSpace": self._arn(domain_id, "space", "*"),
            "sagemaker:DeleteUserProfile": self._arn(domain_id, "user-profile", "*"),
        }
        interfaces, groups = ec2("network-interface"), ec2("security-group")
        # A VPC that is shared with this account has its owner's in its ARN, and no two have one id.
        vpc = stack.format_arn(service="ec2", account="*", resource="vpc", resource_name=vpc_id)
        in_vpc = {"ArnLike": {"ec2:Vpc": vpc}}
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
                resources=[self._arn(domain_id, "domain")],
            ),
            *(iam.PolicyStatement(actions=[action], resources=[arn]) for action, arn in parts.items()),
            iam.PolicyStatement(
                sid="ReleaseInterfaces",
                actions=["ec2:DeleteNetworkInterface"],
                resources=[interfaces],
                conditions=in_vpc,
            ),
            iam.PolicyStatement(
                sid="ReleaseGroups",
                actions=[
                    "ec2:DeleteSecurityGroup",
                    "ec2:RevokeSecurityGroupEgress",
                    "ec2:RevokeSecurityGroupIngress",
                ],
                resources=[groups],
                # SageMaker tags the two groups that it makes for a domain with the domain's ARN.
                conditions={
                    **in_vpc,
                    "StringEquals": {f"aws:ResourceTag/{_OWNER_TAG}": self._arn(domain_id, "domain")},
                },
            ),
            self._go_on(),
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
        return self._policy(
            statements,
            [*parts.values(), interfaces, groups],
            "What people and SageMaker made is not known before. The patterns hold what is in one domain; "
            "conditions hold the interfaces of one VPC, and in it the security groups that SageMaker made "
            "for this domain and tagged with its ARN.",
        )

    def _policy(
        self, statements: Sequence[iam.PolicyStatement], wildcards: Sequence[str], reason: str
    ) -> iam.Policy:
        policy = iam.Policy(self, "Permissions", statements=[*statements], roles=[self.role])
        acknowledge_inline_policy(policy)
        acknowledge(
            policy,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM has no resource for these lists; what is in them is deleted under limits of its own.",
        )
        acknowledge_wildcards(policy, self, wildcards, reason)
        return policy

    def _go_on(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="GoOn", actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
        )

    def _arn(self, domain_id: str, kind: str, *name: str) -> str:
        return Stack.of(self).format_arn(
            service="sagemaker", resource=kind, resource_name="/".join([domain_id, *name])
        )
