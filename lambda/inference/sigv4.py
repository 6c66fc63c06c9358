"""AWS Signature Version 4 for one request, with the standard library."""

import hashlib
import hmac
from typing import NamedTuple

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Credentials(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None = None


def quote(text: str, *, keep: str = "") -> str:
    """Percent-encode as S3 wants it: everything but unreserved characters, in upper-case hexadecimal."""
    kept = _UNRESERVED | frozenset(keep.encode())
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())


def headers(
    *,
    method: str,
    host: str,
    path: str,
    query: str,
    payload: bytes,
    credentials: Credentials,
    region: str,
    timestamp: str,
    extra: dict[str, str] | None = None,
    service: str = "s3",
) -> dict[str, str]:
    """Return the headers of a signed request. `path` and `query` are quoted already.

    `timestamp` is like 20261123T231500Z; header names are in lower case.
    """
    payload_hash = hashlib.sha256(payload).hexdigest()
    signed = {
        "host": host,
        "x-amz-content-sha256": payload_hash,
        "x-amz-date": timestamp,
        **(extra or {}),
    }
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    canonical = "\n".join(
        [
            method,
            path,
            query,
            *(f"{name}:{signed[name].strip()}" for name in names),
            "",
            ";".join(names),
            payload_hash,
        ]
    )
    day = timestamp[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return {
        **signed,
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        ),
    }
