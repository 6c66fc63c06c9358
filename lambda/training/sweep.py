"""Remove the file systems of an execution that ended without removing them: it was stopped, it timed out, or
the removal failed.

A file system carries the ARN of its execution in a tag. A call that comes twice finds nothing the second
time; what cannot be removed fails the call, which is made again, and ends in the dead-letter queue.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_GOING = "DELETING"
_GONE = "FileSystemNotFound"


class UnknownEventError(ValueError):
    """The event is no end of an execution."""


class NotRemovedError(Exception):
    """Some file systems are still there, and cost by the hour; the message tells which and why."""


@cache
def _fsx() -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3)
    return boto3.client("fsx", config=config)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, list[str]]:
    """Remove what the execution of the event left; the answer holds the numbers of what was removed.

    Raises:
        UnknownEventError: The event is no end of an execution.
        NotRemovedError: Some are still there.
    """
    execution = (event.get("detail") or {}).get("executionArn")
    if not isinstance(execution, str):
        raise UnknownEventError(f"no execution in the event: {json.dumps(event, default=str)[:500]}")
    removed, failed = remove(execution)
    # A creation that was on its way when the execution was stopped comes to light a moment later.
    time.sleep(float(os.environ["SETTLE_SECONDS"]))
    later, failed = remove(execution)
    if failed:
        raise NotRemovedError(json.dumps(failed))
    found = list(dict.fromkeys([*removed, *later]))
    logger.info("removed of %s: %s", execution, found)
    return {"removed": found}


def remove(execution: str) -> tuple[list[str], dict[str, str]]:
    """Remove the file systems of an execution; the numbers of those removed, and why others were not."""
    removed: list[str] = []
    failed: dict[str, str] = {}
    for number in left(execution):
        try:
            _fsx().delete_file_system(FileSystemId=number)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _GONE:
                logger.exception("%s could not be removed", number)
                failed[number] = str(error)
        else:
            removed.append(number)
    return removed, failed


def left(execution: str) -> Iterator[str]:
    """The file systems of an execution that nobody has begun to remove."""
    wanted = {"Key": os.environ["RUN_TAG"], "Value": execution}
    for page in _fsx().get_paginator("describe_file_systems").paginate():
        for system in page["FileSystems"]:
            if system.get("Lifecycle") != _GOING and wanted in system.get("Tags", ()):
                yield system["FileSystemId"]
