"""Where the trail is kept: locked, encrypted, and written by CloudTrail alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge

CLOUDTRAIL = "cloudtrail.amazonaws.com"
_PACKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
_ACCESS_LOG_DAYS = 365


def trails(stack: Stack) -> dict[str, Any]:
    """The condition that CloudTrail acts for a trail of this account and region.

    The trail's own name is not in it: CloudFormation makes it up after the bucket and the key are there.
    """
    source = stack.format_arn(service="cloudtrail", resource="trail", resource_name="*")
    return {"ArnLike": {"aws:SourceArn": source}}


def audit_bucket(
    scope: Construct,
    id: str,
    *,
    key: kms.IKey,
    retention: s3.ObjectLockRetention | None,
    expire_days: int | None,
    policy: RemovalPolicy,
) -> s3.Bucket:
    """A bucket that CloudTrail writes to, and that nobody can delete from before the lock ends."""
    logs = _access_log_bucket(scope, f"{id}AccessLogs", policy=policy)
    bucket = s3.Bucket(
        scope,
        id,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        object_lock_enabled=retention is not None,
        object_lock_default_retention=retention,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="Audit",
                transitions=[
                    s3.Transition(
                        storage_class=s3.StorageClass.INTELLIGENT_TIERING, transition_after=Duration.days(0)
                    )
                ],
                expiration=None if expire_days is None else Duration.days(expire_days),
                noncurrent_version_expiration=Duration.days(1),
                abort_incomplete_multipart_upload_after=Duration.days(7),
            )
        ],
        server_access_logs_bucket=logs,
        server_access_logs_prefix="audit/",
        removal_policy=policy,
        auto_delete_objects=policy == RemovalPolicy.DESTROY,
    )
    _admit_cloudtrail(bucket)
    acknowledge(
        bucket,
        (f"{pack}-S3BucketReplicationEnabled" for pack in _PACKS),
        "The trail is locked and versioned where it is. A copy in another account is a decision of the "
        "organization, which can replicate this bucket or keep a trail of its own.",
    )
    return bucket


def _admit_cloudtrail(bucket: s3.Bucket) -> None:
    """Follows https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html."""
    stack = Stack.of(bucket)
    conditions: Mapping[str, Any] = trails(stack)
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="CloudTrailSeesWhoseBucketItIs",
            principals=[iam.ServicePrincipal(CLOUDTRAIL)],
            actions=["s3:GetBucketAcl"],
            resources=[bucket.bucket_arn],
            conditions=dict(conditions),
        )
    )
    written = {"s3:x-amz-acl": "bucket-owner-full-control"}
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="CloudTrailWrites",
            principals=[iam.ServicePrincipal(CLOUDTRAIL)],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"AWSLogs/{stack.account}/*")],
            conditions={**conditions, "StringEquals": written},
        )
    )


def _access_log_bucket(scope: Construct, id: str, *, policy: RemovalPolicy) -> s3.Bucket:
    """S3 delivers access logs to no bucket with a default lock or with a key of ours."""
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
                expiration=Duration.days(_ACCESS_LOG_DAYS),
                noncurrent_version_expiration=Duration.days(30),
                abort_incomplete_multipart_upload_after=Duration.days(7),
            )
        ],
        removal_policy=policy,
        auto_delete_objects=policy == RemovalPolicy.DESTROY,
    )
    acknowledge(
        bucket,
        (
            *(f"{pack}-S3DefaultEncryptionKMS" for pack in _PACKS),
            *(f"{pack}-S3BucketReplicationEnabled" for pack in _PACKS),
        ),
        "It holds who read the trail, for a year. S3 delivers access logs only to buckets with its own keys.",
    )
    return bucket
