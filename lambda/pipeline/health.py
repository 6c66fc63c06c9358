"""Does a version do well? The alarms that watch the function, and the calls that the version failed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clients import cloudwatch
from events import DeployEvent

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef

_MOST_DATAPOINTS = 1440
_ALARM = "ALARM"


def in_alarm(names: list[str]) -> dict[str, str | None]:
    """The alarms that have gone off, and when (where CloudWatch says it)."""
    return {name: since for name, (state, since) in _states(names).items() if state == _ALARM}


def reasons(event: DeployEvent, candidate: str) -> list[str]:
    """Why the candidate should not have all of the calls; nothing if it should."""
    return [
        *_alarm_reasons(event.get("alarms") or [], event.get("in_alarm") or {}),
        *_failed_invocations(event, candidate),
        *_server_errors(event, candidate),
    ]


def _alarm_reasons(names: list[str], before: dict[str, str | None]) -> list[str]:
    """What was in ALARM before the deployment says nothing of it, unless it went off once more."""
    states = _states(names)
    found = []
    for name in names:
        state, since = states.get(name, (None, None))
        if state is None:
            found.append(f"the alarm {name} does not exist")
        elif state == _ALARM and not (name in before and before[name] == since):
            found.append(f"the alarm {name} is in ALARM")
    return found


def _states(names: list[str]) -> dict[str, tuple[str, str | None]]:
    if not names:
        return {}
    answer = cloudwatch().describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states: dict[str, tuple[str, str | None]] = {}
    for alarm in [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]:
        since = alarm.get("StateTransitionedTimestamp")
        states[alarm["AlarmName"]] = (alarm["StateValue"], since.isoformat() if since else None)
    return states


def _failed_invocations(event: DeployEvent, candidate: str) -> list[str]:
    """Errors of the candidate among the alias' calls; Lambda counts them by the version that was executed."""
    function = event["function"].rpartition(":function:")[2].split(":")[0]
    count = _sum(
        event,
        "AWS/Lambda",
        "Errors",
        {
            "FunctionName": function,
            "Resource": f"{function}:{event['alias']}",
            "ExecutedVersion": candidate,
        },
    )
    return [f"version {candidate} failed {count:.0f} calls"] if count else []


def _server_errors(event: DeployEvent, candidate: str) -> list[str]:
    """Answers over HTTP with 500 or 503, which are no errors to Lambda: the function counts them itself."""
    metrics = event.get("metrics")
    if not metrics:
        return []
    dimensions = {"Service": metrics["service"], "FunctionVersion": candidate}
    count = _sum(event, metrics["namespace"], "ServerErrors", dimensions)
    return [f"version {candidate} answered {count:.0f} requests with a server error"] if count else []


def _sum(event: DeployEvent, namespace: str, name: str, dimensions: dict[str, str]) -> float:
    """The sum since the deployment began."""
    since, now = datetime.fromisoformat(event["begun"]), datetime.now(UTC)
    named: list[DimensionTypeDef] = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    answer = cloudwatch().get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=named,
        StartTime=since,
        EndTime=now,
        # Points of a minute, or of as many minutes as one answer has room for.
        Period=60 * max(1, math.ceil((now - since).total_seconds() / 60 / (_MOST_DATAPOINTS - 1))),
        Statistics=["Sum"],
    )
    return sum(point.get("Sum", 0) for point in answer["Datapoints"])
