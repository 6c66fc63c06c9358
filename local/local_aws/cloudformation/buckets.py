"""Buckets of stacks get the encryption and the tags that their template gives, which ministack drops."""

from __future__ import annotations

from typing import Any

from local_aws import context

TYPE = "AWS::S3::Bucket"
Props = dict[str, Any]


def handlers(base: dict[str, Any]) -> dict[str, Any]:
    """ministack's own handlers of the type, completed."""

    def create(logical_id: str, props: Props, stack: str) -> Any:
        created = base["create"](logical_id, props, stack)
        _apply(created[0], props)
        return created

    def update(physical_id: str, old: Props, new: Props, stack: str, *more: Any) -> Any:
        updated = base["update"](physical_id, old, new, stack, *more)
        _apply(updated[0], new)
        return updated

    return base | {"create": create, "update": update}


def _apply(bucket: str, props: Props) -> None:
    s3 = context.client("s3")
    rules = props.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    if rules:
        s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [_rule(rule) for rule in rules]}
        )
    else:
        s3.delete_bucket_encryption(Bucket=bucket)
    tags = [tag for tag in props.get("Tags", []) if not tag["Key"].startswith("aws:")]
    if tags:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    else:
        s3.delete_bucket_tagging(Bucket=bucket)


def _rule(rule: Props) -> Props:
    named = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    renamed = {named.get(name, name): value for name, value in rule.items()}
    if "BucketKeyEnabled" in renamed:
        renamed["BucketKeyEnabled"] = str(renamed["BucketKeyEnabled"]).lower() == "true"
    return renamed
