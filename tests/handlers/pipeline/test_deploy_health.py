"""How well a candidate does during its canary: alarms, its error budget, and the live version beside it."""

from datetime import UTC, datetime, timedelta

import pytest
from handlers.pipeline.asset import deploy
from handlers.pipeline.conftest import CONTEXT, canary
from handlers.pipeline.deploying import Request, off
from handlers.pipeline.fakes import FakeCloudWatch, FakeLambda

# Health


OWN = {"namespace": "Own", "service": "reviews"}


def test_what_is_wrong_during_the_canary_is_told(
    live: Request, function: FakeLambda, watch: FakeCloudWatch
) -> None:
    watch.alarms = {"errors": "OK", "latency": "OK"}
    event = canary(live, alarms=["errors", "latency", "gone"], metrics=OWN)
    watch.alarms["errors"] = "ALARM"
    watch.errors = {"3": 2.0, "2": 5.0}
    watch.server_errors = {"3": 7.0, "2": 1.0}
    function.answer = off
    result = deploy.check(event, CONTEXT)
    assert not result["healthy"]
    assert result["reasons"][:4] == [
        "the alarm errors is in ALARM",
        "the alarm gone does not exist",
        "version 3 failed 2 calls",
        "version 3 answered 7 requests with a server error",
    ]
    assert "'id4'" in result["reasons"][4]
    assert function.target() == ("2", {"3": 0.1})


def test_alarms_without_data_and_errors_of_the_old_version_do_not_count(
    live: Request, watch: FakeCloudWatch
) -> None:
    event = canary(live, alarms=["errors"], metrics=OWN)
    watch.alarms = {"errors": "INSUFFICIENT_DATA"}
    watch.errors = {"3": 0.0, "2": 5.0}
    watch.server_errors = {"2": 5.0}
    assert deploy.check(event, CONTEXT)["healthy"]


@pytest.mark.parametrize("told", [True, False])
def test_an_alarm_that_had_gone_off_before_says_nothing_of_the_candidate(
    live: Request, watch: FakeCloudWatch, told: bool
) -> None:
    watch.alarms = {"errors": "ALARM"}
    watch.changed = {"errors": datetime(2026, 1, 1, tzinfo=UTC)} if told else {}
    event = canary(live, alarms=["errors"])
    assert deploy.check(event, CONTEXT)["healthy"]


def test_an_alarm_that_had_gone_off_before_and_does_so_again_counts(
    live: Request, watch: FakeCloudWatch
) -> None:
    watch.alarms, watch.changed = {"errors": "ALARM"}, {"errors": datetime(2026, 1, 1, tzinfo=UTC)}
    event = canary(live, alarms=["errors"])
    watch.changed["errors"] += timedelta(minutes=3)
    assert deploy.check(event, CONTEXT)["reasons"] == ["the alarm errors is in ALARM"]


def test_an_alarm_that_an_interrupted_canary_set_off_counts_when_it_is_taken_up_again(
    live: Request, watch: FakeCloudWatch
) -> None:
    watch.alarms = {"errors": "OK"}
    canary(live, alarms=["errors"])
    watch.alarms = {"errors": "ALARM"}
    event = canary(live, alarms=["errors"])
    assert deploy.check(event, CONTEXT)["reasons"] == ["the alarm errors is in ALARM"]


@pytest.mark.parametrize(
    ("ago", "period"), [(timedelta(minutes=5), 60), (timedelta(hours=23), 60), (timedelta(hours=25), 120)]
)
def test_errors_count_from_the_beginning_of_the_deployment(
    live: Request, watch: FakeCloudWatch, ago: timedelta, period: int
) -> None:
    begun = datetime.now(UTC) - ago
    deploy.check(canary(live, begun=begun.isoformat(), metrics=OWN), CONTEXT)
    assert {(each["StartTime"], each["Period"]) for each in watch.requests} == {(begun, period)}


# The error budget, and how the two versions compare


GUARD = {
    "failed_percent": 0.0,
    "slower_percent": 100.0,
    "refused_points": 5.0,
    "confidence_shift": 0.2,
    "minimum_calls": 100,
}


def answers(
    watch: FakeCloudWatch,
    version: str,
    *,
    calls: float = 1000,
    p99: float = 20,
    refused: float = 0,
    confidence: float = 0.8,
) -> None:
    """What a version tells of itself."""
    watch.own[version, "Invocations"] = {"Sum": calls}
    watch.own[version, "Latency"] = {"ExtendedStatistics": {"p99": p99}}
    watch.own[version, "ValidationErrors"] = {"Sum": refused}
    watch.own[version, "Confidence"] = {"Average": confidence, "SampleCount": calls - refused}


def compared(live: Request, watch: FakeCloudWatch, **candidate: float) -> list[str]:
    answers(watch, "2")
    answers(watch, "3", **candidate)
    checked = deploy.check(canary(live, metrics=OWN, guard=GUARD), CONTEXT)
    reasons: list[str] = checked["reasons"]
    return reasons


@pytest.mark.parametrize(
    ("failed", "healthy"), [(0.0, False), (0.8, False), (0.9, True), (2.0, True)], ids=str
)
def test_a_candidate_may_fail_as_many_calls_as_its_budget_has(
    live: Request, watch: FakeCloudWatch, failed: float, healthy: bool
) -> None:
    # GIVEN 9 failures in a thousand calls
    watch.invocations, watch.errors, watch.server_errors = {"3": 1000.0}, {"3": 2.0}, {"3": 7.0}
    event = canary(live, metrics=OWN, guard={**GUARD, "failed_percent": failed})
    # WHEN the budget allows some, or none
    checked = deploy.check(event, CONTEXT)
    # THEN the whole budget is told, whether it is spent or not
    assert checked["healthy"] is healthy
    assert checked["budget"] == {
        "calls": 1000,
        "failed": 9,
        "allowed": int(10 * failed),
        "percent": failed,
    }


def test_failures_that_come_before_their_calls_in_the_metrics_count(
    live: Request, watch: FakeCloudWatch
) -> None:
    watch.errors = {"3": 4.0}
    checked = deploy.check(canary(live, guard={**GUARD, "failed_percent": 50.0}), CONTEXT)
    assert checked["budget"]["calls"] == 4
    assert not checked["healthy"]


def test_a_rollback_prints_the_budget_that_was_spent(
    live: Request, function: FakeLambda, watch: FakeCloudWatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.invocations, watch.errors = {"3": 40.0}, {"3": 9.0}
    event = canary(live, metrics=OWN, guard=GUARD)
    checked = deploy.check(event, CONTEXT)
    result = deploy.rollback(event | {"budget": checked["budget"]}, CONTEXT)
    assert function.target() == ("2", {})
    assert result["budget"] == checked["budget"]
    told = "error budget: 9 of 40 calls failed, 0 allowed (0%)"
    assert result["reason"] == f"the alias is back at version 2; {told}"
    assert caplog.text.count(told) == 2  # with the check, and with the rollback


def test_a_candidate_like_the_live_version_is_healthy(live: Request, watch: FakeCloudWatch) -> None:
    assert compared(live, watch, p99=39, refused=49, confidence=0.61) == []


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ({"p99": 41}, "takes 41.0 ms at the 99th percentile, version 2 20.0 ms; 100% more is allowed"),
        ({"refused": 51}, "refuses 5.1% of its requests, version 2 0.0%; 5 points more are allowed"),
        ({"confidence": 0.55}, "is 0.550 sure of its answers on the average, version 2 0.800"),
        ({"confidence": 1.0001}, "a difference of 0.2 is allowed"),
    ],
)
def test_a_candidate_that_is_worse_by_far_is_told_with_both_numbers(
    live: Request, watch: FakeCloudWatch, candidate: dict[str, float], reason: str
) -> None:
    [told] = compared(live, watch, **candidate)
    assert reason in told


def test_a_few_milliseconds_are_noise(live: Request, watch: FakeCloudWatch) -> None:
    answers(watch, "2", p99=1)
    answers(watch, "3", p99=5.9)
    assert deploy.check(canary(live, metrics=OWN, guard=GUARD), CONTEXT)["healthy"]


@pytest.mark.parametrize("version", ["2", "3"])
def test_versions_with_few_calls_are_not_compared(live: Request, watch: FakeCloudWatch, version: str) -> None:
    answers(watch, "2")
    answers(watch, "3", p99=500)
    answers(watch, version, calls=99, p99=500 if version == "3" else 20)
    assert deploy.check(canary(live, metrics=OWN, guard=GUARD), CONTEXT)["healthy"]


def test_what_the_guard_leaves_out_is_not_even_asked(live: Request, watch: FakeCloudWatch) -> None:
    event = canary(live, metrics=OWN, guard={"failed_percent": 0.0, "minimum_calls": 100})
    watch.requests.clear()
    deploy.check(event, CONTEXT)
    assert {each["MetricName"] for each in watch.requests} == {"Errors", "Invocations", "ServerErrors"}


def test_versions_that_tell_nothing_of_latency_and_confidence_are_not_compared_in_them(
    live: Request, watch: FakeCloudWatch
) -> None:
    for version in ("2", "3"):
        watch.own[version, "Invocations"] = {"Sum": 1000.0}
    assert deploy.check(canary(live, metrics=OWN, guard=GUARD), CONTEXT)["healthy"]
