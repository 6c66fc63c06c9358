"""Objects in S3: references, JSON reports, and uploads that appear whole or not at all.

No request names an encryption key. The bucket's own default then applies, which is the lake's own key; asking
for `aws:kms` without a key id would silently fall back to the account's AWS-managed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from botocore.exceptions import ClientError
from clients import s3
from errors import InvalidConfiguration, InvalidData
from events import DataObject, S3Object

# What stays in memory before a file goes to the function's temporary storage.
SPOOL_BYTES = 8 * 1024 * 1024

_MISSING = {"404", "NoSuchKey", "NotFound"}


def uri(reference: S3Object) -> str:
    return f"s3://{reference['bucket']}/{reference['key']}"


def from_uri(text: str) -> S3Object:
    scheme, _, rest = text.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise InvalidConfiguration(f"{text!r} is not an S3 URI; write s3://<bucket>/<key>")
    return {"bucket": bucket, "key": key}


def under(prefix: S3Object, *names: str) -> S3Object:
    """The object `names` below a prefix; a missing slash at the prefix's end is added."""
    base = prefix["key"]
    if base and not base.endswith("/"):
        base += "/"
    return {"bucket": prefix["bucket"], "key": base + "/".join(names)}


def of_run(prefix: S3Object, run: str, *names: str) -> S3Object:
    """The object `names` in the run's own folder below a prefix, which may be that folder already."""
    if f"/{prefix['key']}".rstrip("/").endswith(f"/{run}"):
        return under(prefix, *names)
    return under(prefix, run, *names)


def is_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in _MISSING


def exists(reference: S3Object, size: int) -> bool:
    """Whether the object is there with this size."""
    try:
        head = s3().head_object(Bucket=reference["bucket"], Key=reference["key"])
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return head["ContentLength"] == size


def size(reference: DataObject) -> int:
    """The bytes of an object, or of the version that is named.

    Raises:
        InvalidData: there is no such object any more.
    """
    version = reference.get("versionId")
    try:
        if version:
            head = s3().head_object(Bucket=reference["bucket"], Key=reference["key"], VersionId=version)
        else:
            head = s3().head_object(Bucket=reference["bucket"], Key=reference["key"])
    except ClientError as error:
        if is_missing(error):
            raise InvalidData(f"there is no object {uri(reference)} (any more)") from error
        raise
    return head["ContentLength"]


def to_json(value: Any) -> bytes:
    """The same value always gives the same bytes."""
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def put_json(reference: S3Object, value: Any) -> S3Object:
    s3().put_object(
        Bucket=reference["bucket"],
        Key=reference["key"],
        Body=to_json(value),
        ContentType="application/json",
    )
    return reference


def delete(reference: S3Object) -> None:
    """A versioned bucket keeps what was there."""
    s3().delete_object(Bucket=reference["bucket"], Key=reference["key"])


def get_json(reference: S3Object) -> Any | None:
    """The parsed object, or nothing if there is none."""
    try:
        body = s3().get_object(Bucket=reference["bucket"], Key=reference["key"])["Body"].read()
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return json.loads(body)


@contextmanager
def spooled() -> Iterator[IO[bytes]]:
    """A temporary file that lives in memory while it is small."""
    with SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
        yield file


def upload(file: IO[bytes], reference: S3Object, content_type: str) -> S3Object:
    """Store the file from its start, in parts if it is large; a failed upload leaves no object.

    The file is closed by it.
    """
    file.seek(0)
    s3().upload_fileobj(file, reference["bucket"], reference["key"], ExtraArgs={"ContentType": content_type})
    return reference
