"""Does a version do well? The alarms that watch the function, the calls that the version failed, and how it
compares with the version that was live: how fast it answers, what it refuses, how sure it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from clients import cloudwatch
from events import Budget, DeployEvent, Guard

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef

_MOST_DATAPOINTS = 1440
_ALARM = "ALARM"
# What lies between two measurements of the same model.
_NOISE_MS = 5.0
_DEFAULT: Guard = {"failed_percent": 0.0}


class Verdict(NamedTuple):
    """Why a version should not have all of the calls, and what it has spent of its error budget."""

    reasons: list[str]
    budget: Budget


def in_alarm(names: list[str]) -> dict[str, str | None]:
    """The alarms that have gone off, and when (where CloudWatch says it)."""
    return {name: since for name, (state, since) in _states(names).items() if state == _ALARM}


def judge(event: DeployEvent, candidate: str) -> Verdict:
    """Look at everything that is known of the candidate since the deployment began."""
    guard = event.get("guard") or _DEFAULT
    failures = _Failures.of(event, candidate)
    budget = failures.budget(guard)
    reasons = _alarm_reasons(event.get("alarms") or [], event.get("in_alarm") or {})
    if budget["failed"] > budget["allowed"]:
        reasons += failures.reasons(candidate)
    previous = event.get("previous")
    if previous and event.get("metrics") and _compares(guard):
        reasons += _worse(event, guard, candidate, previous)
    return Verdict(reasons, budget)


def told(budget: Budget) -> str:
    """The budget in words."""
    return (
        f"error budget: {budget['failed']} of {budget['calls']} calls failed, {budget['allowed']} allowed "
        f"({budget['percent']:g}%)"
    )


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


class _Failures(NamedTuple):
    """The candidate's share of the calls, and what it failed of them.

    Lambda counts by the version that was executed; answers over HTTP with 500 or 503 are no errors to it, and
    the function counts them itself. A direct call that the function fails by itself is in both: it is counted
    twice rather than not at all.
    """

    calls: int
    errors: int
    server_errors: int

    @classmethod
    def of(cls, event: DeployEvent, version: str) -> _Failures:
        errors = _sum(event, "AWS/Lambda", "Errors", _executed(event, version))
        invocations = _sum(event, "AWS/Lambda", "Invocations", _executed(event, version))
        metrics = event.get("metrics")
        if not metrics:
            return cls(int(invocations), int(errors), 0)
        own = {"Service": metrics["service"], "FunctionVersion": version}
        server_errors = _sum(event, metrics["namespace"], "ServerErrors", own)
        return cls(int(invocations), int(errors), int(server_errors))

    def budget(self, guard: Guard) -> Budget:
        failed = self.errors + self.server_errors
        # Metrics come late, and not all at once: what failed was called.
        calls = max(self.calls, failed)
        percent = guard.get("failed_percent", 0.0)
        return {
            "calls": calls,
            "failed": failed,
            "allowed": math.floor(calls * percent / 100),
            "percent": percent,
        }

    def reasons(self, version: str) -> list[str]:
        found = []
        if self.errors:
            found.append(f"version {version} failed {self.errors} calls")
        if self.server_errors:
            found.append(f"version {version} answered {self.server_errors} requests with a server error")
        return found


def _compares(guard: Guard) -> bool:
    return any(
        guard.get(name) is not None for name in ("slower_percent", "refused_points", "confidence_shift")
    )


def _worse(event: DeployEvent, guard: Guard, candidate: str, previous: str) -> Iterator[str]:
    """In what the candidate is worse than the version that gets the other calls, in the same time."""
    new, old = _Answers(event, candidate), _Answers(event, previous)
    least = guard.get("minimum_calls", 100)
    if new.count < least or old.count < least:
        return
    slower, refused, shift = (
        guard.get("slower_percent"),
        guard.get("refused_points"),
        guard.get("confidence_shift"),
    )
    if slower is not None:
        ours, theirs = new.latency(), old.latency()
        if (
            ours is not None
            and theirs is not None
            and ours > max(theirs * (1 + slower / 100), theirs + _NOISE_MS)
        ):
            yield (
                f"version {candidate} takes {ours:.1f} ms at the 99th percentile, version {previous} "
                f"{theirs:.1f} ms; {slower:g}% more is allowed"
            )
    if refused is not None and new.refused_percent() - old.refused_percent() > refused:
        yield (
            f"version {candidate} refuses {new.refused_percent():.1f}% of its requests, version {previous} "
            f"{old.refused_percent():.1f}%; {refused:g} points more are allowed"
        )
    if shift is not None:
        ours, theirs = new.confidence(), old.confidence()
        if ours is not None and theirs is not None and abs(ours - theirs) > shift:
            yield (
                f"version {candidate} is {ours:.3f} sure of its answers on the average, version {previous} "
                f"{theirs:.3f}; a difference of {shift:g} is allowed"
            )


class _Answers:
    """What one version tells of its answers since the deployment began."""

    def __init__(self, event: DeployEvent, version: str) -> None:
        metrics = event.get("metrics")
        assert metrics is not None
        self._event = event
        self._namespace = metrics["namespace"]
        self._dimensions = {"Service": metrics["service"], "FunctionVersion": version}
        self.count = _sum(event, self._namespace, "Invocations", self._dimensions)

    def latency(self) -> float | None:
        points = _points(
            self._event, self._namespace, "Latency", self._dimensions, percentile="p99", whole=True
        )
        found: list[float] = [point["ExtendedStatistics"]["p99"] for point in points]
        return max(found) if found else None

    def refused_percent(self) -> float:
        refused = _sum(self._event, self._namespace, "ValidationErrors", self._dimensions)
        return 100 * refused / self.count

    def confidence(self) -> float | None:
        points = _points(
            self._event, self._namespace, "Confidence", self._dimensions, "Average", "SampleCount"
        )
        count: float = sum(point["SampleCount"] for point in points)
        if not count:
            return None
        total: float = sum(point["Average"] * point["SampleCount"] for point in points)
        return total / count


def _executed(event: DeployEvent, version: str) -> dict[str, str]:
    function = event["function"].rpartition(":function:")[2].split(":")[0]
    return {
        "FunctionName": function,
        "Resource": f"{function}:{event['alias']}",
        "ExecutedVersion": version,
    }


def _sum(event: DeployEvent, namespace: str, name: str, dimensions: Mapping[str, str]) -> float:
    """The sum since the deployment began."""
    total: float = sum(point.get("Sum", 0) for point in _points(event, namespace, name, dimensions, "Sum"))
    return total


def _points(
    event: DeployEvent,
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    *statistics: Any,
    percentile: str | None = None,
    whole: bool = False,
) -> list[Any]:
    """Datapoints since the deployment began: of a minute each, or as few as there can be."""
    since, now = datetime.fromisoformat(event["begun"]), datetime.now(UTC)
    named: list[DimensionTypeDef] = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    minutes = max(1.0, (now - since).total_seconds() / 60)
    # One answer has room for a day of minutes.
    period = math.ceil(minutes) if whole else math.ceil(minutes / (_MOST_DATAPOINTS - 1))
    answer = cloudwatch().get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=named,
        StartTime=since,
        EndTime=now,
        Period=60 * period,
        **({"ExtendedStatistics": [percentile]} if percentile else {"Statistics": list(statistics)}),
    )
    return list(answer["Datapoints"])
