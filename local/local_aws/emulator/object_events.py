"""S3's "Object Created" and "Object Deleted" events name the version of the object, as AWS's do."""

from __future__ import annotations

import contextvars
import json
from typing import Any

_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("local_aws_version", default=None)


def install() -> None:
    from ministack.services import eventbridge, s3

    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args: Any, **kwargs: Any) -> None:
        token = _version.set(kwargs.get("version_id"))
        try:
            fire(*args, **kwargs)
        finally:
            _version.reset(token)

    def dispatch_with_version(event: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        version = _version.get()
        if version is not None and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = event | {"Detail": json.dumps(detail)}
        return dispatch(event, *args, **kwargs)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version
