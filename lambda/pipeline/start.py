"""Start the pipeline for an uploaded object: once for the same content, however often S3 tells of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import objects
from botocore.exceptions import ClientError
from clients import s3, stepfunctions
from errors import InvalidEvent
from events import DataObject, StartResult
from telemetry import logger, step

_HASHED_BYTES = 256 * 1024 * 1024
_CHECKSUMS = ("SHA512", "SHA256", "CRC64NVME", "CRC32C", "CRC32")
_OVER = {"FAILED", "TIMED_OUT", "ABORTED"}


@step("Start")
def handler(event: Mapping[str, Any]) -> StartResult:
    """Take S3's "Object Created" from EventBridge and start the state machine in `STATE_MACHINE_ARN`.

    The execution is named by the object's place and content, so that Step Functions itself refuses a second
    one. A run that failed is tried again when the object is uploaded again, not when its event comes again.

    Raises:
        InvalidEvent: the event is something else.
    """
    bucket, key, version, upload = _uploaded(event)
    try:
        checksum = _content_identity(bucket, key, version)
    except ClientError as error:
        if objects.is_missing(error):
            return _ignored(f"s3://{bucket}/{key} does not exist any more")
        raise
    data: DataObject = {"bucket": bucket, "key": key, "versionId": version, "checksum": checksum}
    name = "run-" + sha256("\0".join((bucket, key, checksum)).encode()).hexdigest()[:24]
    logger.append_keys(run=name)
    result = _start(name, data)
    if result is None:
        failed = _describe(name)
        if failed["status"] not in _OVER:
            return _ignored(f"the same content is already {failed['status']}", _execution_arn(name))
        if version and json.loads(failed["input"])["data"].get("versionId") == version:
            return _ignored(
                f"the run of this upload {failed['status']}; upload the object again to repeat it",
                _execution_arn(name),
            )
        name = f"{name}-{sha256(upload.encode()).hexdigest()[:8]}"
        result = _start(name, data)
    if result is None:
        return _ignored("this upload was already tried again", _execution_arn(name))
    logger.info("started", extra={"execution": result})
    return {"started": True, "executionArn": result}


def _uploaded(event: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Bucket, key, version (empty without versioning) and what tells this upload from the next."""
    try:
        bucket, uploaded = event["detail"]["bucket"]["name"], event["detail"]["object"]
        key, version = uploaded["key"], uploaded.get("version-id") or ""
        upload = version or uploaded.get("sequencer") or uploaded.get("etag") or ""
    except (KeyError, TypeError, AttributeError):
        raise InvalidEvent("expected an event of S3 with detail.bucket.name and detail.object.key") from None
    if event.get("detail-type") != "Object Created" or not all(
        isinstance(part, str) for part in (bucket, key, version, upload)
    ):
        raise InvalidEvent(f"expected an 'Object Created' event, got {event.get('detail-type')!r}")
    return bucket, key, version, upload


def _content_identity(bucket: str, key: str, version: str) -> str:
    """What is equal for equal bytes: S3's checksum of the whole object, else a hash, else the version.

    An ETag would not do: with encryption by KMS, or in parts, it is not a hash of the content.
    """
    arguments: dict[str, Any] = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    head: Mapping[str, Any] = s3().head_object(**arguments, ChecksumMode="ENABLED")
    size = head["ContentLength"]
    # A composite checksum depends on how the upload was cut into parts.
    if head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm in _CHECKSUMS:
            value = head.get(f"Checksum{algorithm}")
            if value and "-" not in value:
                return f"{algorithm}:{value}:{size}"
    if size <= _HASHED_BYTES or not version:
        digest = sha256()
        for chunk in s3().get_object(**arguments)["Body"].iter_chunks(1024 * 1024):
            digest.update(chunk)
        return f"SHA256:{digest.hexdigest()}:{size}"
    return f"version:{version}"


def _start(name: str, data: DataObject) -> str | None:
    """The execution's ARN; nothing if there was one of this name with other input, or that is over."""
    try:
        return stepfunctions().start_execution(
            stateMachineArn=os.environ["STATE_MACHINE_ARN"],
            name=name,
            input=json.dumps({"data": data}, sort_keys=True),
        )["executionArn"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ExecutionAlreadyExists":
            return None
        raise


def _execution_arn(name: str) -> str:
    return os.environ["STATE_MACHINE_ARN"].replace(":stateMachine:", ":execution:") + f":{name}"


def _describe(name: str) -> Mapping[str, Any]:
    return stepfunctions().describe_execution(executionArn=_execution_arn(name))


def _ignored(reason: str, execution: str | None = None) -> StartResult:
    logger.info("not started", extra={"reason": reason})
    result: StartResult = {"started": False, "reason": reason}
    if execution:
        result["executionArn"] = execution
    return result
