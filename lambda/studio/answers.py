"""What CloudFormation is told of a custom resource: one answer to each request, at the address in it."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from typing import Any

logger = logging.getLogger(__name__)

_TRIES = 3
_SECONDS = 10  # for each of them
_LONGEST_REASON = 1000  # CloudFormation takes 4096 bytes for the whole answer


def succeeded(event: dict[str, Any], physical_id: str) -> None:
    """Tell that the request was carried out."""
    _answer(event, {"Status": "SUCCESS", "PhysicalResourceId": physical_id})


def failed(event: dict[str, Any], physical_id: str, reason: str) -> None:
    """Tell why the request was not carried out; the reason is seen among the stack's events."""
    _answer(
        event,
        {"Status": "FAILED", "PhysicalResourceId": physical_id, "Reason": reason[:_LONGEST_REASON]},
    )


def _answer(event: dict[str, Any], told: dict[str, str]) -> None:
    content = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")} | told
    logger.info("answer: %s", told)
    body = json.dumps(content).encode()
    for attempt in range(1, _TRIES + 1):
        # S3 signed the address without a type of content: the request has to have none.
        request = urllib.request.Request(  # noqa: S310 -- the address is CloudFormation's own
            event["ResponseURL"], data=body, method="PUT", headers={"content-type": ""}
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
                return
        except urllib.error.URLError:
            logger.exception("the answer did not arrive, attempt %d of %d", attempt, _TRIES)
            if attempt == _TRIES:
                raise
