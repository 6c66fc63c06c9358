"""S3 with a KMS key of one's own: reading needs ``kms:Decrypt``, writing ``kms:GenerateDataKey``.

Checked in the caller's name against its policies and the key's, as in AWS, where a missing permission for the
key is the most common reason why a role that may read a bucket cannot. Not there: the source of a copy.
"""

from __future__ import annotations

from typing import Any

_KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
_UPLOAD_QUERY = {"x-id", "uploads"}


def install() -> None:
    from ministack.services import s3

    handle = s3.handle_request

    async def handle_with_key(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        if _uploads(method, path, query):
            headers = _with_managed_key(headers)
            bucket = path.split("/")[1]
            key = headers.get(_KEY_HEADER) or s3._bucket_default_sse_headers(bucket).get(_KEY_HEADER)
            denied = _denied("kms:GenerateDataKey", key, headers, query)
            if denied is not None:
                return denied
        answer = await handle(method, path, headers, body, query)
        if answer[0] in (200, 206) and _reads(method, headers, query):
            denied = _denied("kms:Decrypt", answer[1].get(_KEY_HEADER), headers, query)
            if denied is not None:
                return denied
        return answer

    s3.handle_request = handle_with_key


def _with_managed_key(headers: dict[str, str]) -> dict[str, str]:
    """``aws:kms`` without a key means the one that AWS manages, which ministack does not know."""
    if headers.get("x-amz-server-side-encryption") != "aws:kms" or headers.get(_KEY_HEADER):
        return headers
    from ministack.core.responses import get_account_id, get_region

    return headers | {_KEY_HEADER: f"arn:aws:kms:{get_region()}:{get_account_id()}:alias/aws/s3"}


def _uploads(method: str, path: str, query: dict[str, Any]) -> bool:
    """An upload, or the first request of one in parts."""
    wanted = method == "PUT" or (method == "POST" and "uploads" in query)
    return (
        wanted
        and len(path.split("/", 2)) == 3
        and bool(path.split("/", 2)[2])
        and set(query) <= _UPLOAD_QUERY
    )


def _reads(method: str, headers: dict[str, str], query: dict[str, Any]) -> bool:
    """A download, or a question for the checksum, which is encrypted like the object."""
    if method == "HEAD":
        return headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    return method == "GET" and not set(query) & {"acl", "tagging", "attributes", "retention", "legal-hold"}


def _denied(action: str, key: str | None, headers: dict[str, str], query: dict[str, Any]) -> Any:
    from ministack.core.iam_actions import access_denied_response, identity_denial_message
    from ministack.core.iam_evaluator import AuthError, enforce
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id

    caller = extract_access_key_id(headers, query)
    if not key or not caller or "alias/" in key:
        return None  # not encrypted with a key of the account's own
    region, account = get_region(), get_account_id()
    arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{key}"
    conditions = {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:CallerAccount": account}
    denied = enforce(caller, action, "kms", region, resource_arn=arn, service_context=conditions)
    if denied is None or isinstance(denied, AuthError):
        return None  # who the caller is, S3 itself has checked
    explicit = denied.decision == "Deny"
    message = identity_denial_message(action, denied.principal_arn, arn, explicit)
    return access_denied_response("s3", action, denied.principal_arn, "", message=message)
