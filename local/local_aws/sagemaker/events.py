"""State changes as EventBridge events, as SageMaker sends them."""

from __future__ import annotations

import json
import logging
from typing import Any

_log = logging.getLogger("local_aws.sagemaker")


def training_job_changed(arn: str, description: dict[str, Any]) -> None:
    send("SageMaker Training Job State Change", arn, description)


def model_package_changed(arn: str, description: dict[str, Any]) -> None:
    send("SageMaker Model Package State Change", arn, description)


def in_milliseconds(value: Any) -> Any:
    """Times as events and Step Functions show them: milliseconds since 1970."""
    if isinstance(value, dict):
        return {
            name: int(item * 1000)
            if name.endswith("Time") and isinstance(item, (int, float))
            else in_milliseconds(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [in_milliseconds(item) for item in value]
    return value


def send(detail_type: str, arn: str, detail: dict[str, Any]) -> None:
    """Put an event of SageMaker on the default bus."""
    from ministack.services import eventbridge

    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(in_milliseconds(detail), default=str),
        "Resources": [arn],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:  # noqa: BLE001
        # Delivery is best effort, as in AWS: the job itself does not depend on who listens.
        _log.exception("The event %s of %s was not delivered", detail_type, arn)
