"""Data at rest and on its way: buckets, keys, topics, queues, grants of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.compliance.templates import Platform, Resource, as_list, walk


def careless_buckets(platform: Platform, without_log: Mapping[str, str]) -> Iterator[str]:
    """Every bucket is encrypted, private, logged, and speaks TLS alone."""
    for bucket in platform.resources("AWS::S3::Bucket"):
        properties = bucket.properties
        if "BucketEncryption" not in properties:
            yield f"{bucket}: is not encrypted"
        block = properties.get("PublicAccessBlockConfiguration", {})
        if not all(
            block.get(key) is True
            for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        ):
            yield f"{bucket}: public access is not blocked in all four ways"
        if not _refuses_plain_http(platform, bucket):
            yield f"{bucket}: answers requests without TLS"
        logged = "DestinationBucketName" in properties.get("LoggingConfiguration", {})
        if not logged and not any(bucket.path.endswith(path) for path in without_log):
            yield f"{bucket}: access to it is not logged"


def _refuses_plain_http(platform: Platform, bucket: Resource) -> bool:
    for policy in platform.resources("AWS::S3::BucketPolicy"):
        if platform.target(policy.stack, policy.properties["Bucket"]) != bucket:
            continue
        for statement in as_list(policy.properties["PolicyDocument"]["Statement"]):
            refused = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
            if (
                statement["Effect"] == "Deny"
                and str(refused).lower() == "false"
                and "*" in walk(statement["Principal"])
            ):
                return True
    return False


def still_keys(platform: Platform) -> Iterator[str]:
    """Every symmetric key rotates."""
    for key in platform.resources("AWS::KMS::Key"):
        symmetric = key.properties.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
        if symmetric and key.properties.get("EnableKeyRotation") is not True:
            yield f"{key}: does not rotate"


def plain_messages(platform: Platform) -> Iterator[str]:
    """Every topic and every queue is encrypted."""
    for topic in platform.resources("AWS::SNS::Topic"):
        if "KmsMasterKeyId" not in topic.properties:
            yield f"{topic}: is not encrypted"
    for queue in platform.resources("AWS::SQS::Queue"):
        if (
            "KmsMasterKeyId" not in queue.properties
            and queue.properties.get("SqsManagedSseEnabled") is not True
        ):
            yield f"{queue}: is not encrypted"


def odd_lake_permissions(platform: Platform) -> Iterator[str]:
    """Lake Formation grants mean what they say: no table named `*`, no table right on a database."""
    table_rights = {"SELECT", "INSERT", "DELETE"}
    for grant in platform.resources(
        "AWS::LakeFormation::PrincipalPermissions", "AWS::LakeFormation::Permissions"
    ):
        resource = grant.properties.get("Resource", {})
        table = resource.get("Table", resource.get("TableResource", {}))
        if table.get("Name") == "*":
            yield f"{grant}: grants on a table that is named '*'; all tables are TableWildcard"
        database = {"Database", "DatabaseResource"} & set(resource)
        rights = set(grant.properties.get("Permissions", ())) & table_rights
        if database and rights:
            yield f"{grant}: gives {sorted(rights)} on a database, which has no such right"
