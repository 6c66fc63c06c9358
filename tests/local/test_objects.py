"""S3, as far as the lake and the pipeline depend on it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, unique


@pytest.fixture
def versioned(local_aws: LocalAws) -> str:
    """A versioned bucket, encrypted with a key of its own, that sends its events to EventBridge."""
    s3 = local_aws.client("s3")
    key = local_aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket = local_aws.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return bucket


def test_checksums_are_kept_and_told_on_request(local_aws: LocalAws, versioned: str) -> None:
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=versioned, Key="a.csv", Body=b"text", ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=versioned, Key="a.csv", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"text").digest()).decode()
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert "ChecksumSHA256" not in s3.head_object(Bucket=versioned, Key="a.csv")


def test_versions_are_kept_and_encryption_is_the_buckets(local_aws: LocalAws, versioned: str) -> None:
    s3 = local_aws.client("s3")
    first = s3.put_object(Bucket=versioned, Key="a.csv", Body=b"first")
    second = s3.put_object(Bucket=versioned, Key="a.csv", Body=b"second")
    assert first["VersionId"] != second["VersionId"]
    assert first["ServerSideEncryption"] == "aws:kms"
    old = s3.get_object(Bucket=versioned, Key="a.csv", VersionId=first["VersionId"])
    assert old["Body"].read() == b"first"


def test_a_new_object_is_an_event_that_names_its_version(local_aws: LocalAws, versioned: str) -> None:
    events = local_aws.client("events")
    url, arn = local_aws.queue("events")
    rule = unique("rule")
    pattern: dict[str, Any] = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [versioned]}, "object": {"key": [{"wildcard": "reviews/*.csv"}]}},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=versioned, Key="reviews/readme.txt", Body=b"no")
    put = s3.put_object(Bucket=versioned, Key="reviews/a.csv", Body=b"yes")
    (message,) = local_aws.messages(url)
    detail = json.loads(message["Body"])["detail"]
    assert detail["object"]["key"] == "reviews/a.csv"
    assert detail["object"]["version-id"] == put["VersionId"]
    assert detail["object"]["size"] == 3
    assert detail["reason"] == "PutObject"


def test_a_write_on_condition_fails_where_the_object_exists(local_aws: LocalAws, versioned: str) -> None:
    s3 = local_aws.client("s3")
    s3.put_object(Bucket=versioned, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=versioned, Key="once", Body=b"2", IfNoneMatch="*")


def test_a_policy_that_denies_plain_http_does_not_shut_out_the_loopback(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    arns = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": arns,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    local_aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    role = local_aws.role("lambda", allow("s3:PutObject", resource=arns))
    local_aws.session_for_role(role).client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")


def test_a_role_reads_only_the_prefix_that_it_may(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    for key in ("open/a", "closed/a"):
        local_aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"1")
    role = local_aws.role("lambda", allow("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/open/*"))
    s3 = local_aws.session_for_role(role).client("s3")
    assert s3.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"1"
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=bucket, Key="closed/a")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=bucket)


def test_an_explicit_denial_wins(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    deny = {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}
    role = local_aws.role("lambda", allow("s3:*"), deny)
    s3 = local_aws.session_for_role(role).client("s3")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="a")


def test_a_wrong_secret_is_refused(local_aws: LocalAws) -> None:
    keys = local_aws.session_for_role(local_aws.role("lambda", allow("s3:*"))).credentials
    stranger = local_aws.client("s3", **keys | {"aws_secret_access_key": "guessed"})
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_buckets()


@pytest.fixture
def key(local_aws: LocalAws, versioned: str) -> str:
    """The key with which a bucket's objects are encrypted."""
    rules = local_aws.client("s3").get_bucket_encryption(Bucket=versioned)[
        "ServerSideEncryptionConfiguration"
    ]
    return str(rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"])


def test_reading_and_writing_need_the_permission_for_the_key_too(
    local_aws: LocalAws, versioned: str, key: str
) -> None:
    local_aws.client("s3").put_object(Bucket=versioned, Key="a", Body=b"1")

    def as_role(*actions: str) -> Any:
        objects = [f"arn:aws:s3:::{versioned}", f"arn:aws:s3:::{versioned}/*"]
        statements = [allow("s3:*", resource=objects)]
        statements += [allow(*actions, resource=key)] if actions else []
        return local_aws.session_for_role(local_aws.role("lambda", *statements)).client("s3")

    without, reader, writer = as_role(), as_role("kms:Decrypt"), as_role("kms:GenerateDataKey*")
    with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt on resource: arn:aws:kms"):
        without.get_object(Bucket=versioned, Key="a")
    with pytest.raises(ClientError, match="403"):
        without.head_object(Bucket=versioned, Key="a", ChecksumMode="ENABLED")
    without.head_object(Bucket=versioned, Key="a")
    without.list_objects_v2(Bucket=versioned)
    assert reader.get_object(Bucket=versioned, Key="a")["Body"].read() == b"1"
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        reader.put_object(Bucket=versioned, Key="b", Body=b"2")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        reader.create_multipart_upload(Bucket=versioned, Key="b")
    writer.put_object(Bucket=versioned, Key="b", Body=b"2")
    assert local_aws.client("s3").get_object(Bucket=versioned, Key="b")["Body"].read() == b"2"


def test_encryption_without_a_key_uses_the_managed_one(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    objects = f"arn:aws:s3:::{bucket}/*"
    role = local_aws.role("lambda", allow("s3:PutObject", "s3:GetObject", resource=objects))
    s3 = local_aws.session_for_role(role).client("s3")
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ServerSideEncryption="aws:kms")
    assert put["ServerSideEncryption"] == "aws:kms"
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


def test_the_policy_of_a_key_can_shut_a_role_out(local_aws: LocalAws, versioned: str, key: str) -> None:
    role = local_aws.role("lambda", allow("s3:*", "kms:*"))
    s3 = local_aws.session_for_role(role).client("s3")
    s3.put_object(Bucket=versioned, Key="a", Body=b"1")
    account = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*"}
    deny = {"Effect": "Deny", "Principal": {"AWS": role}, "Action": "kms:Decrypt"}
    statements = [statement | {"Resource": "*"} for statement in (account, deny)]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    local_aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    with pytest.raises(ClientError, match="kms:Decrypt"):
        s3.get_object(Bucket=versioned, Key="a")


def test_a_policy_may_ask_for_the_key_that_an_upload_names(local_aws: LocalAws, key: str) -> None:
    bucket = local_aws.bucket()
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    arn = local_aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    statements = [
        {"Condition": {"StringNotEquals": {header: arn}, "Null": {header: "false"}}},
        {
            "Condition": {
                "Null": {header: "true"},
                "StringEquals": {header[: -len("-aws-kms-key-id")]: "aws:kms"},
            }
        },
    ]
    common = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [common | statement for statement in statements]}
    local_aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    role = local_aws.role("lambda", allow("s3:PutObject", "kms:*"))
    s3 = local_aws.session_for_role(role).client("s3")
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", **named)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **named)["UploadId"]
    s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"1")
    for wrong in ({"ServerSideEncryption": "aws:kms"}, named | {"SSEKMSKeyId": "alias/aws/s3"}):
        with pytest.raises(ClientError, match="explicit deny"):
            s3.put_object(Bucket=bucket, Key="a", Body=b"1", **wrong)
