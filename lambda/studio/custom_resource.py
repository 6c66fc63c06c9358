"""The custom resources of a Studio domain.

``Custom::StudioDomainLock`` refuses an update that would replace the domain. ``Custom::StudioUserEnd`` and
``Custom::StudioDomainEnd`` do nothing until they are deleted, and then end what people have made since.

An app can take twenty minutes to end, and a function has fifteen. Shortly before its time is up the function
calls itself with the same request, until all is done or the deadline of the request has passed. Whatever
happens, CloudFormation is answered once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import answers
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from ending import Clients, RefusedError, Target, end_domain, end_user

logger = logging.getLogger()
logger.setLevel(logging.INFO)

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
DEADLINE_SECONDS = 50 * 60  # CloudFormation waits for an hour
SPARE_MS = 60_000  # what handing over takes, with a wide margin

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 10}, connect_timeout=5, read_timeout=30)


_PATIENCE = (
    "InternalFailure",
    "InternalServerError",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)


class NotDoneError(Exception):
    """The deadline has passed; the message tells what was still there."""


def handler(event: dict[str, Any], context: Any) -> None:
    """Carry a request out and answer it, or hand it over to the next call of this function."""
    physical_id = event.get("PhysicalResourceId") or _new_id(event)
    try:
        physical_id = _new_id(event) if event["RequestType"] != "Delete" else physical_id
        if event["RequestType"] == "Delete":
            done = _end(event, context)
        else:
            done = True
            _check_lock(event)
    except Exception as error:  # whatever it was: CloudFormation would wait for an hour
        logger.exception("failed")
        answers.failed(event, event.get("PhysicalResourceId") or physical_id, _told(error))
        return
    if done:
        answers.succeeded(event, physical_id)


def _new_id(event: dict[str, Any]) -> str:
    """What the resource stands for: while this stays the same, CloudFormation deletes nothing."""
    given = event["ResourceProperties"]
    if event["ResourceType"] == "Custom::StudioDomainLock":
        return f"lock-{_digest(given)}"
    return (
        f"{given['DomainId']}/{given['UserProfileName']}" if "UserProfileName" in given else given["DomainId"]
    )


def _digest(given: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(given["CreateOnly"], sort_keys=True).encode()).hexdigest()[:16]


def _check_lock(event: dict[str, Any]) -> None:
    """Refuse other create-only values than those of the domain that is there.

    Those are known by the resource's id, and not by the values of the last request: when CloudFormation rolls
    an update back, the last request is the one that was refused.
    """
    given = event["ResourceProperties"]
    if event["ResourceType"] != "Custom::StudioDomainLock" or event["RequestType"] != "Update":
        return
    if event["PhysicalResourceId"] == _new_id(event) or given.get("MayBeReplaced") == "true":
        return
    old, new = event["OldResourceProperties"]["CreateOnly"], given["CreateOnly"]
    changes = [
        f"{name} from {old.get(name)} to {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    raise RefusedError(
        f"The Studio domain would be replaced by an empty one: the update changes {', '.join(changes)}. "
        "Give the old values back, or say may_be_replaced=True once the files of its people are elsewhere."
    )


def _end(event: dict[str, Any], context: Any) -> bool:
    """Whether all has ended; otherwise the request was handed over."""
    if event["ResourceType"] == "Custom::StudioDomainLock":
        return True
    given = event["ResourceProperties"]
    target = Target(
        domain=given["DomainId"],
        destroy=given["Destroy"] == "true",
        user=given.get("UserProfileName"),
        file_system=given.get("HomeEfsFileSystemId"),
        vpc=given.get("VpcId"),
    )
    step = end_user if target.user else end_domain
    clients = Clients(**{name: boto3.client(name, config=_CONFIG) for name in ("sagemaker", "efs", "ec2")})
    deadline = event.setdefault("Deadline", time.time() + DEADLINE_SECONDS)
    pause, before = SHORTEST_PAUSE_SECONDS, list[str]()
    while waiting := _taken(step, clients, target):
        logger.info("waiting for %s", waiting)
        # What moves on is looked at soon again, what stands still ever more seldom.
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if waiting == before else SHORTEST_PAUSE_SECONDS
        before = waiting
        if time.time() > deadline:
            raise NotDoneError(f"Still there after {DEADLINE_SECONDS // 60} minutes: {', '.join(waiting)}")
        if context.get_remaining_time_in_millis() < SPARE_MS + pause * 1000:
            boto3.client("lambda", config=_CONFIG).invoke(
                FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
            return False
        time.sleep(pause)
    return True


def _taken(step: Callable[[Clients, Target], list[str]], clients: Clients, target: Target) -> list[str]:
    """A step, where a service that asks for patience is one thing more to wait for."""
    try:
        return step(clients, target)
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code not in _PATIENCE:
            raise
        return [f"{error.operation_name} ({code})"]


def _told(error: Exception) -> str:
    return (
        str(error) if isinstance(error, RefusedError | NotDoneError) else f"{type(error).__name__}: {error}"
    )
