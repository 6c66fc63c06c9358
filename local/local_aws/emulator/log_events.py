"""CloudWatch Logs: every event can be found, however many there are.

ministack's FilterLogEvents ends at its limit without a token, so that whatever came later was never seen, and
takes no notice of the prefix of streams. Every event has an id, as in AWS; a page's token says up to where
events were told.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import Any

_MOST = 10_000
"""Events of a page, as in AWS."""


def install() -> None:
    from ministack.services import cloudwatch_logs

    append, find = cloudwatch_logs._append_log_events, cloudwatch_logs._filter_log_events

    def append_with_ids(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        for event in events:
            event.setdefault("eventId", str(uuid.uuid4()))
        append(stream, events)

    def find_by_pages(data: dict[str, Any]) -> Any:
        limit = min(data.get("limit", _MOST), _MOST)
        try:
            since, told = _told(data.get("nextToken"))
        except ValueError:
            return _refused("The specified nextToken is invalid.")
        asked = data | {"limit": min(limit + len(told), _MOST)}
        if since is not None:
            asked["startTime"] = since
        if data.get("logStreamNamePrefix"):
            asked["logStreamNames"] = _streams(data) or ["-"]
        status, headers, body = find(asked)
        if status != 200:
            return status, headers, body
        found = json.loads(body)["events"]
        new = [event for event in found if event["eventId"] not in told]
        answer: dict[str, Any] = {"events": new[:limit], "searchedLogStreams": []}
        if len(found) == asked["limit"] or len(new) > limit:
            if not new:
                return _refused(f"More than {_MOST:,} events of one millisecond: no page can hold them.")
            last = answer["events"][-1]["timestamp"]
            here = {event["eventId"] for event in answer["events"] if event["timestamp"] == last}
            answer["nextToken"] = _token(last, here | (told if last == since else set()))
        return cloudwatch_logs.json_response(answer)

    cloudwatch_logs._append_log_events = append_with_ids
    cloudwatch_logs._filter_log_events = find_by_pages


def _streams(data: dict[str, Any]) -> list[str]:
    from ministack.services import cloudwatch_logs

    group = cloudwatch_logs._log_groups.get(cloudwatch_logs._resolve_log_group_name(data)) or {}
    return [name for name in list(group.get("streams", {})) if name.startswith(data["logStreamNamePrefix"])]


def _refused(message: str) -> Any:
    from ministack.services import cloudwatch_logs

    return cloudwatch_logs.error_response_json("InvalidParameterException", message, 400)


def _token(since: int, told: set[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([since, sorted(told)]).encode()).decode()


def _told(token: str | None) -> tuple[int | None, set[str]]:
    """From when on events are still to be told, and those of that time that were told. Raises ValueError."""
    if token is None:
        return None, set()
    try:
        since, told = json.loads(base64.urlsafe_b64decode(token))
        return int(since), set(told)
    except (binascii.Error, TypeError, UnicodeDecodeError) as error:
        raise ValueError(token) from error
