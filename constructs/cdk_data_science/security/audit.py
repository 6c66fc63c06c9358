"""Who did what: a trail that cannot be changed, and what watches over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import Duration, Stack
from aws_cdk import aws_accessanalyzer as accessanalyzer
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_config as config
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._acknowledgements import (
    acknowledge,
    acknowledge_inline_policy,
)
from cdk_data_science._encryption import allow_log_groups, allow_rules_into_queues
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.security._audit_bucket import CLOUDTRAIL, audit_bucket, trails

_Selector = cloudtrail.CfnTrail.AdvancedEventSelectorProperty

_TAMPERING = (
    "DeleteTrail",
    "PutEventSelectors",
    "StopLogging",
    "UpdateTrail",
)
_MOST_BUCKETS = 250


class LockMode(StrEnum):
    """Whether anybody can end the lock early."""

    GOVERNANCE = "governance"
    """Who holds ``s3:BypassGovernanceRetention`` can."""

    COMPLIANCE = "compliance"
    """Nobody can, the account's root included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditLock:
    """How long no object of the trail can be deleted or replaced."""

    days: int = 365
    """1 to 36500. Default: 365."""

    mode: LockMode = LockMode.GOVERNANCE
    """Default: governance. With compliance the bucket cannot be deleted before the last lock ends."""


CONFIG_RULES = (
    "CLOUD_TRAIL_ENABLED",
    "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED",
    "CLOUDTRAIL_S3_DATAEVENTS_ENABLED",
    "CMK_BACKING_KEY_ROTATION_ENABLED",
    "CW_LOGGROUP_RETENTION_PERIOD_CHECK",
    "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
    "S3_BUCKET_SSL_REQUESTS_ONLY",
    "SAGEMAKER_ENDPOINT_CONFIGURATION_KMS_KEY_CONFIGURED",
    "SAGEMAKER_NOTEBOOK_INSTANCE_KMS_KEY_CONFIGURED",
    "SAGEMAKER_NOTEBOOK_NO_DIRECT_INTERNET_ACCESS",
    "VPC_DEFAULT_SECURITY_GROUP_CLOSED",
    "VPC_FLOW_LOGS_ENABLED",
)
"""AWS Config's managed rules about what this platform builds."""


class AuditTrail(Construct):
    """CloudTrail over the account and over every object of the given buckets, locked against its own admins.

    The trail covers all regions and validates its files. It is kept in a bucket of its own, encrypted with a
    key of its own, locked, and written by CloudTrail alone; and for quick searches in a log group. IAM Access
    Analyzer tells which resources are open to others. Stopping or changing a trail sends a message, if a
    topic is given.

    **Costs at rest**: 1 USD a month for the key. In use, prices of us-east-1 of November 2026: the first copy
    of management events is free, further ones cost 2 USD for 100,000; data events cost 0.10 USD for 100,000;
    the log group 0.50 USD a GB. Config rules, if asked for, cost 0.001 USD an evaluation.

    ```python
    from cdk_data_science import DataLake
    from cdk_data_science.security import AuditTrail

    lake = DataLake(self, "Lake")
    audit = AuditTrail(self, "Audit", buckets=[zone.bucket for zone in lake.zones.values()])
    audit.bucket.bucket_name
    ```

    Args:
        buckets: Buckets whose objects' reads and writes are recorded; at most 250. Default: none.
        management_events: Record calls that manage resources. False where the organization has a trail that
            does, so that they are not paid twice. Default: yes.
        lock: How long the trail is locked. None locks nothing, for accounts that are torn down. Default: a
            year, governance.
        expire_days: Days after which the trail is deleted, later than the lock. Default: never.
        log_retention: How long the log group keeps events. Default: a year.
        alerts: Topic that is told when a trail is stopped or changed. Default: none.
        analyzer: Find resources that are open to others (free). IAM allows one in an account and region:
            False where there is one already. Default: yes.
        config_rules: Add :data:`CONFIG_RULES`. The region must have a configuration recorder. Default: no.
        destroy: Delete bucket, key and log group with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``, and not before the lock has ended. Default: False.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/awscloudtrail/latest/userguide/best-practices-security.html.
    """

    bucket: s3.Bucket
    """Where the trail is kept."""

    key: kms.Key
    """What encrypts it."""

    trail: cloudtrail.CfnTrail
    """The trail."""

    log_group: logs.LogGroup
    """The events, for quick searches."""

    analyzer: accessanalyzer.CfnAnalyzer | None
    """What finds resources that are open to others."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        buckets: Sequence[s3.IBucket] = (),
        management_events: bool = True,
        lock: AuditLock | None = AuditLock(),
        expire_days: int | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_YEAR,
        alerts: sns.ITopic | None = None,
        analyzer: bool = True,
        config_rules: bool = False,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        _check(self, buckets, management_events, lock, expire_days)
        policy = removal_policy(self, destroy=destroy)
        self.key = kms.Key(
            self,
            "Key",
            description=f"Audit trail {self.node.path}",
            enable_key_rotation=True,
            removal_policy=policy,
        )
        self._let_cloudtrail_encrypt()
        allow_log_groups(self.key)
        self.bucket = audit_bucket(
            self,
            "Bucket",
            key=self.key,
            retention=None if lock is None else _retention(lock),
            expire_days=expire_days,
            policy=policy,
        )
        self.log_group = logs.LogGroup(
            self, "Events", encryption_key=self.key, retention=log_retention, removal_policy=policy
        )
        self.trail = self._make_trail(buckets, management_events)
        self.node.default_child = self.trail
        self.analyzer = None
        if analyzer:
            self.analyzer = accessanalyzer.CfnAnalyzer(self, "Analyzer", type="ACCOUNT")
        if alerts is not None:
            self._tell_of_tampering(alerts)
        for identifier in CONFIG_RULES if config_rules else ():
            config.ManagedRule(
                self,
                "".join(part.title() for part in identifier.split("_")),
                identifier=getattr(config.ManagedRuleIdentifiers, identifier, identifier),
            )

    def _let_cloudtrail_encrypt(self) -> None:
        """Follows https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html."""
        stack = Stack.of(self)
        conditions = trails(stack)
        here = {
            "kms:EncryptionContext:aws:cloudtrail:arn": stack.format_arn(
                service="cloudtrail", region="*", resource="trail", resource_name="*"
            )
        }
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudTrailEncrypts",
                principals=[iam.ServicePrincipal(CLOUDTRAIL)],
                actions=["kms:GenerateDataKey*"],
                resources=["*"],  # in a key's policy: this key
                conditions={**conditions, "StringLike": here},
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudTrailSeesTheKey",
                principals=[iam.ServicePrincipal(CLOUDTRAIL)],
                actions=["kms:DescribeKey"],
                resources=["*"],
                conditions=conditions,
            )
        )

    def _make_trail(self, buckets: Sequence[s3.IBucket], management_events: bool) -> cloudtrail.CfnTrail:
        role = iam.Role(
            self,
            "Role",
            description="Delivers the trail to its log group",
            # Who names the role in a trail has to be of this account and may pass it: IAM sees to that.
            assumed_by=iam.ServicePrincipal(CLOUDTRAIL),
        )
        group = self.log_group.log_group_arn
        role.add_to_policy(
            iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group])
        )
        acknowledge_inline_policy(role)
        trail = cloudtrail.CfnTrail(
            self,
            "Trail",
            is_logging=True,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            s3_bucket_name=self.bucket.bucket_name,
            kms_key_id=self.key.key_arn,
            cloud_watch_logs_log_group_arn=group,
            cloud_watch_logs_role_arn=role.role_arn,
            advanced_event_selectors=_selectors(buckets, management_events),
        )
        trail.node.add_dependency(role)
        if self.bucket.policy is not None:
            trail.node.add_dependency(self.bucket.policy)
        return trail

    def _tell_of_tampering(self, alerts: sns.ITopic) -> None:
        allow_rules_into_queues(self.key)
        letters = sqs.Queue(
            self,
            "Undelivered",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=self.key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(letters, ["AwsSolutions-SQS3"], "It is itself the dead-letter queue, of an event rule.")
        events.Rule(
            self,
            "Tampering",
            description="A trail was stopped or changed",
            event_pattern=events.EventPattern(
                source=["aws.cloudtrail"],
                detail_type=["AWS API Call via CloudTrail"],
                detail={"eventSource": [CLOUDTRAIL], "eventName": list(_TAMPERING)},
            ),
            targets=[targets.SnsTopic(alerts, dead_letter_queue=letters)],
        )


def _selectors(buckets: Sequence[s3.IBucket], management_events: bool) -> list[_Selector]:
    def selector(
        name: str, **fields: dict[str, list[str]]
    ) -> cloudtrail.CfnTrail.AdvancedEventSelectorProperty:
        return cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
            name=name,
            field_selectors=[
                cloudtrail.CfnTrail.AdvancedFieldSelectorProperty(
                    field=field.replace("_", "."),
                    equal_to=values.get("equal_to"),
                    starts_with=values.get("starts_with"),
                )
                for field, values in fields.items()
            ],
        )

    found = []
    if management_events:
        found.append(selector("Calls that manage resources", eventCategory={"equal_to": ["Management"]}))
    if buckets:
        found.append(
            selector(
                "Objects of data and models",
                eventCategory={"equal_to": ["Data"]},
                resources_type={"equal_to": ["AWS::S3::Object"]},
                resources_ARN={"starts_with": [bucket.arn_for_objects("") for bucket in buckets]},
            )
        )
    return found


def _retention(lock: AuditLock) -> s3.ObjectLockRetention:
    days = Duration.days(lock.days)
    if lock.mode == LockMode.COMPLIANCE:
        return s3.ObjectLockRetention.compliance(days)
    return s3.ObjectLockRetention.governance(days)


def _check(
    scope: Construct,
    buckets: Sequence[s3.IBucket],
    management_events: bool,
    lock: AuditLock | None,
    expire_days: int | None,
) -> None:
    problems = Problems("AuditTrail", scope)
    problems.check(
        management_events or bool(buckets),
        given="neither management_events nor buckets",
        allowed="a trail that records something",
        write="AuditTrail(…, buckets=[…])",
    )
    problems.check(
        len(buckets) <= _MOST_BUCKETS,
        given=f"{len(buckets)} buckets",
        allowed=f"{_MOST_BUCKETS} or fewer",
    )
    days = 0
    if lock is not None and not is_token(lock.days):
        days = lock.days
        problems.check(
            1 <= days <= 36_500, given=f"AuditLock(days={days})", allowed="1 to 36500", write="days=365"
        )
    if expire_days is not None and not is_token(expire_days):
        problems.check(
            expire_days > days,
            given=f"expire_days={expire_days} with a lock of {days} days",
            allowed="later than the lock",
            write=f"expire_days={days + 1}",
        )
    problems.raise_if_any()
