"""The buckets of a lake: one for each zone, one for access logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science.data_lake.zone_definition import ObjectLock, ZoneDefinition
from cdk_data_science.data_lake.zone_storage import ARCHIVE_CLASSES, Replication, replication_rule

ACCESS_LOG_DAYS = 365
_INVENTORY_FIELDS = (
    "Size",
    "LastModifiedDate",
    "StorageClass",
    "ETag",
    "IsMultipartUploaded",
    "EncryptionStatus",
    "BucketKeyStatus",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "IntelligentTieringAccessTier",
)

_REPLICATION_RULES = (
    "NIST.800.53.R5-S3BucketReplicationEnabled",
    "HIPAA.Security-S3BucketReplicationEnabled",
    "PCI.DSS.321-S3BucketReplicationEnabled",
)


def zone_bucket(
    scope: Construct,
    *,
    definition: ZoneDefinition,
    key: kms.IKey,
    access_logs: s3.IBucket | None,
    policy: RemovalPolicy,
) -> s3.Bucket:
    """A private bucket whose objects can be encrypted with one key only."""
    bucket = s3.Bucket(
        scope,
        "Bucket",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=definition.versioned,
        object_lock_default_retention=_lock(definition.object_lock),
        lifecycle_rules=_lifecycle(definition),
        replication_rules=None
        if definition.replication is None
        else [replication_rule(definition.replication)],
        removal_policy=policy,
        auto_delete_objects=policy == RemovalPolicy.DESTROY,
    )
    if definition.events:
        _send_events(bucket)
    if access_logs is not None:
        _send_access_logs(bucket, access_logs, prefix=f"s3/{definition.name}/")
        if definition.inventory is not None:
            _send_inventory(bucket, access_logs, definition)
    _deny_other_encryption(bucket, key, unnamed_key_prefixes=definition.unnamed_key_prefixes)
    _keep_policy(bucket, policy)
    if definition.replication is None:
        acknowledge(
            bucket,
            _REPLICATION_RULES,
            "Versions make every overwrite and deletion reversible within the zone. A second copy of the "
            "lake doubles its storage price, and its region is a decision of the data's owner, who takes it "
            "by ZoneDefinition(replication=…).",
        )
    else:
        _acknowledge_replication(bucket, definition.replication)
    return bucket


def _acknowledge_replication(bucket: s3.Bucket, replication: Replication) -> None:
    role = bucket.node.find_child("ReplicationRole")
    acknowledge_inline_policy(role)
    acknowledge(
        role,
        ("AwsSolutions-IAM5[Action::kms:GenerateDataKey*]", "AwsSolutions-IAM5[Action::kms:ReEncrypt*]"),
        "CDK writes these actions of KMS with their variants, for the key of the copies alone.",
    )
    acknowledge_wildcards(
        role,
        bucket,
        [bucket.arn_for_objects("*"), replication.bucket.arn_for_objects("*")],
        "S3 copies whatever objects of the zone there are, with a role that may read this bucket's versions "
        "and write copies to that one, and nothing else.",
    )


def access_log_bucket(scope: Construct, id: str, *, policy: RemovalPolicy) -> s3.Bucket:
    """Where S3 delivers the access logs of the zones."""
    bucket = s3.Bucket(
        scope,
        id,
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Expire",
                expiration=Duration.days(ACCESS_LOG_DAYS),
                noncurrent_version_expiration=Duration.days(30),
                abort_incomplete_multipart_upload_after=Duration.days(7),
            )
        ],
        removal_policy=policy,
        auto_delete_objects=policy == RemovalPolicy.DESTROY,
    )
    _keep_policy(bucket, policy)
    acknowledge(
        bucket,
        (
            "NIST.800.53.R5-S3DefaultEncryptionKMS",
            "HIPAA.Security-S3DefaultEncryptionKMS",
            "PCI.DSS.321-S3DefaultEncryptionKMS",
        ),
        "S3 delivers server access logs only to buckets with S3-managed keys (SSE-S3). The logs name objects "
        "and principals, and hold no data of the lake.",
    )
    acknowledge(
        bucket,
        _REPLICATION_RULES,
        "Access logs are evidence for a year, versioned where they are; the lake's data is not in them.",
    )
    return bucket


def _keep_policy(bucket: s3.Bucket, policy: RemovalPolicy) -> None:
    """A bucket that is kept keeps its rules: CloudFormation would delete its policy with the stack."""
    if bucket.policy is not None and policy != RemovalPolicy.DESTROY:
        bucket.policy.apply_removal_policy(policy)


def _lock(lock: ObjectLock | None) -> s3.ObjectLockRetention | None:
    if lock is None:
        return None
    duration = Duration.days(lock.days)
    if lock.mode == "compliance":
        return s3.ObjectLockRetention.compliance(duration)
    return s3.ObjectLockRetention.governance(duration)


def _lifecycle(definition: ZoneDefinition) -> list[s3.LifecycleRule]:
    """One rule for the whole zone, and one for each folder with a life of its own."""

    def days(value: int | None) -> Duration | None:
        return None if value is None else Duration.days(value)

    rule = s3.LifecycleRule(
        id="Zone",
        abort_incomplete_multipart_upload_after=days(definition.abort_upload_days),
        expiration=days(definition.expire_days),
        # S3 removes the marks itself where there is an age of expiry, and refuses both in one rule.
        expired_object_delete_marker=True
        if definition.versioned
        and definition.expire_days is None
        and definition.noncurrent_expire_days is not None
        else None,
        noncurrent_version_expiration=days(definition.noncurrent_expire_days),
        transitions=_transitions(definition),
    )
    settings = (
        definition.abort_upload_days,
        definition.expire_days,
        definition.noncurrent_expire_days,
        definition.intelligent_tiering_days,
        definition.infrequent_access_days,
        definition.archive,
    )
    folders = [
        s3.LifecycleRule(
            id=f"Folder-{folder.prefix}",
            prefix=folder.prefix,
            expiration=days(folder.expire_days),
            noncurrent_version_expiration=days(folder.noncurrent_expire_days),
        )
        for folder in definition.expire_folders
    ]
    return [rule, *folders] if any(setting is not None for setting in settings) else folders


def _transitions(definition: ZoneDefinition) -> list[s3.Transition] | None:
    archive = definition.archive
    ways = (
        (s3.StorageClass.INTELLIGENT_TIERING, definition.intelligent_tiering_days),
        (s3.StorageClass.INFREQUENT_ACCESS, definition.infrequent_access_days),
        (
            ARCHIVE_CLASSES[archive.depth if archive is not None else "instant"],
            None if archive is None else archive.days,
        ),
    )
    found = [
        s3.Transition(storage_class=storage_class, transition_after=Duration.days(days))
        for storage_class, days in ways
        if days is not None
    ]
    return found or None


def _send_events(bucket: s3.Bucket) -> None:
    """EventBridge, on the resource itself: the L2 property would add a function to the stack."""
    _resource(bucket).notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )


def _send_access_logs(bucket: s3.Bucket, logs: s3.IBucket, *, prefix: str) -> None:
    """Access logs, admitted by the log bucket's policy.

    On the resource itself: without a feature flag, the L2 property gives the log bucket an ACL, which a
    bucket without ACLs refuses.
    """
    _resource(bucket).logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
        destination_bucket_name=logs.bucket_name,
        log_file_prefix=prefix,
        # Partitions by the event's date let Athena read one day without scanning all of them.
        target_object_key_format=s3.CfnBucket.TargetObjectKeyFormatProperty(
            partitioned_prefix=s3.CfnBucket.PartitionedPrefixProperty(partition_date_source="EventTime")
        ),
    )
    _let_deliver(bucket, logs, service="logging.s3.amazonaws.com", prefix=prefix)


def _send_inventory(bucket: s3.Bucket, logs: s3.IBucket, definition: ZoneDefinition) -> None:
    """Lists of the objects, where their table can be queried: one folder a zone."""
    folder = f"inventory/{definition.name}"
    _resource(bucket).inventory_configurations = [
        s3.CfnBucket.InventoryConfigurationProperty(
            id="Zone",
            enabled=True,
            included_object_versions="All" if definition.versioned else "Current",
            schedule_frequency="Daily" if definition.inventory == "daily" else "Weekly",
            optional_fields=list(_INVENTORY_FIELDS),
            destination=s3.CfnBucket.DestinationProperty(
                bucket_arn=logs.bucket_arn,
                bucket_account_id=Stack.of(bucket).account,
                format="Parquet",
                prefix=folder,
            ),
        )
    ]
    _let_deliver(bucket, logs, service="s3.amazonaws.com", prefix=f"{folder}/")


def _let_deliver(bucket: s3.Bucket, logs: s3.IBucket, *, service: str, prefix: str) -> None:
    """Admit what S3 itself writes about a zone to the log bucket, for this zone and its own folder."""
    stack = Stack.of(bucket)
    conditions: dict[str, dict[str, str]] = {"StringEquals": {"aws:SourceAccount": stack.account}}
    if logs.stack == stack:
        # Elsewhere, naming the zone in the log bucket's policy would make the stacks depend on each other.
        conditions["ArnLike"] = {"aws:SourceArn": bucket.bucket_arn}
    logs.add_to_resource_policy(
        iam.PolicyStatement.from_json(
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "s3:PutObject",
                "Resource": logs.arn_for_objects(f"{prefix}*"),
                "Condition": conditions,
            }
        )
    )


def _resource(bucket: s3.Bucket) -> s3.CfnBucket:
    return cast("s3.CfnBucket", bucket.node.default_child)


def _deny_other_encryption(bucket: s3.Bucket, key: kms.IKey, *, unnamed_key_prefixes: Sequence[str]) -> None:
    """Refuse uploads that ask for anything but the zone's key. Uploads that ask for nothing get it by
    default."""
    header = "s3:x-amz-server-side-encryption"
    key_header = f"{header}-aws-kms-key-id"
    customer_header = f"{header}-customer-algorithm"
    given, missing = "false", "true"
    objects, key_arn = bucket.arn_for_objects(""), key.key_arn
    # A negated comparison is true for an absent header, hence a Null test in each.
    refusals = {
        "DenyOtherEncryption": {"StringNotEquals": {header: "aws:kms"}, "Null": {header: given}},
        "DenyOtherKey": {"StringNotEquals": {key_header: key_arn}, "Null": {key_header: given}},
        # "aws:kms" without a key means the account's aws/s3 key, whatever the bucket's default is.
        "DenyUnnamedKey": {"StringEquals": {header: "aws:kms"}, "Null": {key_header: missing}},
        "DenyCustomerProvidedKey": {"Null": {customer_header: given}},
    }
    statements = []
    for sid, conditions in refusals.items():
        excepted = unnamed_key_prefixes if sid == "DenyUnnamedKey" else ()
        named = {"NotResource": [f"{objects}{prefix}*" for prefix in excepted]}
        # As a document: each principal, effect and list of its own would be a call of CDK's process.
        statement = {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:PutObject",
            "Condition": conditions,
            **(named if excepted else {"Resource": f"{objects}*"}),
        }
        statements.append(iam.PolicyStatement.from_json(statement))
    policy = bucket.policy
    assert policy is not None  # the one that asks for TLS
    policy.document.add_statements(*statements)
