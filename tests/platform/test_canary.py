"""A new model gets a share of the calls first, and nobody who calls notices."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest

from tests.local.conftest import eventually
from tests.platform import training_sources
from tests.platform.conftest import Quick, source_of_training
from tests.platform.data import Reviews
from tests.platform.deployed import (
    LONGEST_RUN,
    Deployed,
    HttpAnswer,
    Run,
    Serving,
    assert_failed_once,
)

pytestmark = pytest.mark.xdist_group("platform")


@dataclass
class Caller:
    """Somebody who asks the alias again and again."""

    platform: Deployed
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def call(self) -> None:
        while not self._over.is_set():
            try:
                answer = self.platform.predict("It works, and it looks good.")
                self.answers[answer["model"]["sha256"]] += 1
                assert len(answer["predictions"]) == 1
            except Exception as error:  # noqa: BLE001 (whatever it is, a caller has seen it)
                self.failures.append(repr(error))
            time.sleep(0.04)

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.call, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(LONGEST_RUN)


@dataclass(frozen=True)
class Rollout:
    before: Serving
    run: Run
    caller: Caller
    after: Serving
    seen: list[dict[str, float]]
    """The shares of the candidate, as the alias had them."""
    alarmed: str
    """The state of an alarm, at the end, that had gone off before."""


@contextlib.contextmanager
def watching(platform: Deployed) -> Iterator[list[dict[str, float]]]:
    seen: list[dict[str, float]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            weights = dict(platform.serving().weights)
            if weights and weights not in seen:
                seen.append(weights)
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(LONGEST_RUN)


def alarm_on(platform: Deployed, metric: str) -> str:
    found = platform.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    [name] = [each["AlarmName"] for each in found if each["MetricName"] == metric]
    return str(name)


@contextlib.contextmanager
def alarmed(platform: Deployed, metric: str) -> Iterator[Callable[[], str]]:
    """Let the alarm on a metric go off, for a while; what is yielded tells its state."""
    cloudwatch, name = platform.aws.client("cloudwatch"), alarm_on(platform, metric)

    def state() -> str:
        [known] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(known["StateValue"])

    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="something is wrong")
    try:
        yield state
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="over")


@pytest.fixture(scope="module")
def rollout(platform: Deployed, first_run: Run, reviews: Reviews) -> Rollout:
    """Other data, trained with the real script, while somebody calls and an old alarm is still on."""
    before, caller = platform.serving(), Caller(platform)
    with (
        source_of_training(platform, training_sources.real()),
        alarmed(platform, "Duration") as state,
        caller.calling(),
        watching(platform) as seen,
    ):
        run = platform.run("most-reviews.csv", reviews.without_reviews(12, seed=1).csv())
        alarm = state()
    assert run.status == "SUCCEEDED", run
    return Rollout(before, run, caller, platform.serving(), seen, alarm)


def interrupted(quick: Quick, mark: str, acting: Callable[[], AbstractContextManager[object]]) -> Run:
    """Act when a new model has its share of the calls, and before it is judged; how its run ends."""
    with contextlib.ExitStack() as acts:
        with quick.platform.held("deploy.check") as waits:
            arn = quick.start(mark)
            eventually(waits, LONGEST_RUN, "the check")
            acts.enter_context(acting())
        return quick.platform.end_of(arn)


def test_new_data_goes_through_shift_bake_check_and_promote(platform: Deployed, rollout: Rollout) -> None:
    states = [state for state in platform.states(rollout.run) if state.startswith("Deploy: ")]
    assert [state for state in states if "?" not in state] == [
        *("Deploy: begin", "Deploy: stage", "Deploy: shift", "Deploy: bake", "Deploy: check"),
        *("Deploy: promote", "Deploy: done"),
    ]


def test_an_alarm_that_had_gone_off_before_stops_nothing(rollout: Rollout) -> None:
    assert rollout.alarmed == "ALARM"
    assert rollout.run.status == "SUCCEEDED"


def test_the_candidate_gets_a_tenth_of_the_calls_first(platform: Deployed, rollout: Rollout) -> None:
    deployment = rollout.run.output["deployment"]
    assert deployment["percent"] == 10
    # Who looks now and then may miss it, but sees nothing else.
    assert rollout.seen in ([], [{deployment["version"]: 0.1}])


def test_then_it_gets_all_of_them(platform: Deployed, rollout: Rollout) -> None:
    after, digest = rollout.after, rollout.run.output["sha256"]
    assert digest != rollout.before.sha256
    assert (after.sha256, after.weights) == (digest, {})
    assert after.version == rollout.run.output["deployment"]["version"] != rollout.before.version
    assert after.latest["MODEL_SHA256"] == digest
    assert platform.model_of_version(after.version)["MODEL_SHA256"] == digest


def test_no_call_fails_while_a_model_is_rolled_out(rollout: Rollout) -> None:
    caller = rollout.caller
    assert caller.failures == []
    assert set(caller.answers) <= {rollout.before.sha256, rollout.run.output["sha256"]}
    assert caller.answers[rollout.before.sha256]


def test_the_version_before_still_answers_by_its_number(platform: Deployed, rollout: Rollout) -> None:
    answer = platform.predict("fine", qualifier=rollout.before.version)
    assert answer["model"] == {"sha256": rollout.before.sha256, "version": rollout.before.version}


def test_an_alarm_during_the_bake_brings_the_old_version_back(
    platform: Deployed, rollout: Rollout, quick: Quick
) -> None:
    before, caller = platform.serving(), Caller(platform)
    mark, digest = quick.new_model()
    with caller.calling():
        run = interrupted(quick, mark, lambda: alarmed(platform, "ServerErrors"))
    name = alarm_on(platform, "ServerErrors")
    assert_failed_once(
        platform,
        run,
        state="Deploy: check",
        error="DeploymentFailed",
        cause=("The new version does not do well", f"the alarm {name} is in ALARM"),
    )
    assert platform.record(run)["rollback"]["rolled_back"] is True
    assert platform.serving() == before
    assert caller.failures == []
    assert set(caller.answers) <= {before.sha256, digest}


def test_a_model_that_fails_under_canary_is_taken_back_and_its_error_budget_told(
    platform: Deployed, rollout: Rollout, quick: Quick
) -> None:
    # GIVEN a model that passes every test with held-out rows, and fails on what some callers send
    before = platform.serving()
    statuses: Counter[int] = Counter()

    def ask() -> HttpAnswer:
        answer = platform.post('{"instances": [{"text": "Poison"}]}')
        statuses[answer.status] += 1
        return answer

    @contextlib.contextmanager
    def called() -> Iterator[None]:
        # which of the calls are its share is a matter of chance
        eventually(lambda: ask().status == 500, 60, "a call of the new model")
        eventually(lambda: ask().status == 200, 60, "a call of the old model")
        yield

    # WHEN it gets its share of their calls
    run = interrupted(quick, "fragile", called)
    # THEN the deploy step counts what it failed, and the old version has all of the calls again
    assert_failed_once(
        platform,
        run,
        state="Deploy: check",
        error="DeploymentFailed",
        cause=("The new version does not do well", "requests with a server error"),
    )
    assert platform.serving() == before
    assert platform.post('{"instances": [{"text": "Poison"}]}').status == 200
    assert set(statuses) == {200, 500}
    # AND what it spent of its budget is in the record and in the message
    rollback = platform.record(run)["rollback"]
    budget = rollback["budget"]
    assert rollback["rolled_back"] is True
    assert (budget["allowed"], budget["percent"]) == (0, 0)
    assert 1 <= budget["failed"] <= min(budget["calls"], statuses[500])
    assert f"error budget: {budget['failed']} of {budget['calls']} calls failed" in rollback["reason"]


def test_a_canary_that_somebody_else_stops_is_left_as_they_left_it(
    platform: Deployed, rollout: Rollout, quick: Quick
) -> None:
    @contextlib.contextmanager
    def without_a_share() -> Iterator[None]:
        platform.aws.client("lambda").update_alias(
            FunctionName=platform.function,
            Name=platform.alias,
            RoutingConfig={"AdditionalVersionWeights": {}},
        )
        yield

    before = platform.serving()
    mark, _ = quick.new_model()
    run = interrupted(quick, mark, without_a_share)
    assert_failed_once(
        platform, run, state="Deploy: check", error="DeploymentFailed", cause=("somebody else",)
    )
    assert platform.serving() == before


def test_a_model_of_older_data_comes_back_only_if_that_is_meant(
    platform: Deployed, rollout: Rollout, first_run: Run, quick: Quick
) -> None:
    """That of the first run, which another one has replaced; its version is there already."""
    first, live = first_run.output["sha256"], platform.serving()
    key, version = (first_run.output["data"][name] for name in ("key", "versionId"))
    refused = platform.end_of(platform.start_by_hand(key, "back-unasked", version=version))
    assert_failed_once(
        platform, refused, state="Deploy: stage", error="OlderData", cause=("allowOlderData", key)
    )
    assert platform.serving() == live
    run = platform.end_of(platform.start_by_hand(key, "back", version=version, allowOlderData=True))
    assert run.status == "SUCCEEDED", run
    assert run.output["sha256"] == first
    serving = platform.serving()
    assert (serving.sha256, serving.weights) == (first, {})
    digests = [each["CustomerMetadataProperties"]["sha256"] for each in platform.packages()]
    assert digests.count(first) == 1
