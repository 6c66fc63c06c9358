"""Many at once: calls are not lost, and runs that race leave one consistent state."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.platform.conftest import Quick
from tests.platform.deployed import Deployed, Run, Serving, assert_failed_once

pytestmark = pytest.mark.xdist_group("platform")

CALLS, AT_ONCE, RACERS = 200, 20, 5


def test_none_of_many_calls_at_once_is_lost(platform: Deployed, first_run: Run) -> None:
    texts = [f"Product number {number} works well." for number in range(CALLS)]
    expected = platform.predict(*texts)["predictions"]

    def ask(text: str) -> dict[str, Any]:
        answer = platform.post(json.dumps({"instances": [{"text": text}]}))
        assert answer.status == 200, answer
        prediction: dict[str, Any] = answer.body["predictions"][0]
        return prediction

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, texts))
    assert [answer["label"] for answer in answers] == [one["label"] for one in expected]
    # A batch is added up in another order than a single row.
    for answer, one in zip(answers, expected, strict=True):
        assert answer["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)


@dataclass(frozen=True)
class Race:
    before: Serving
    runs: dict[str, Run]
    """By the hash of the model that each brings."""
    after: Serving

    @property
    def winners(self) -> list[str]:
        return [digest for digest, run in self.runs.items() if run.status == "SUCCEEDED"]


@pytest.fixture(scope="module")
def race(platform: Deployed, quick: Quick) -> Race:
    """Runs on different parts of the data, started by hand at the same time."""
    before = platform.serving()
    arns = {}
    for number in range(RACERS):
        mark, digest = quick.new_model()
        # No upload that would start a run by itself: the trigger takes CSV files.
        key = f"reviews/part-{number}.txt"
        platform.put(
            platform.raw, key, quick.reviews.without_reviews(3 + number, seed=number).marked(mark).csv()
        )
        arns[digest] = (key, f"by-hand-{number}")
    started = {digest: platform.start_by_hand(*run) for digest, run in arns.items()}
    runs = {digest: platform.end_of(arn) for digest, arn in started.items()}
    return Race(before, runs, platform.serving())


def test_every_run_of_a_race_ends_and_at_least_one_wins(race: Race) -> None:
    assert Counter(run.status for run in race.runs.values()).keys() <= {"SUCCEEDED", "FAILED"}
    assert race.winners


def test_who_loses_is_told_that_somebody_else_deploys_or_has_newer_data(
    platform: Deployed, race: Race
) -> None:
    for run in race.runs.values():
        if run.status == "FAILED":
            state = platform.record(run)["state"]
            assert state.startswith("Deploy: ")
            assert run.error in ("DeploymentFailed", "OlderData")
            assert_failed_once(platform, run, state=state, error=run.error)


def test_after_a_race_alias_pointer_and_latest_name_the_model_of_a_winner(
    platform: Deployed, race: Race
) -> None:
    after = race.after
    assert after.weights == {}
    assert after.sha256 in race.winners
    assert platform.model_of_version(after.version)["MODEL_SHA256"] == after.sha256
    assert json.loads(after.pointer)["version"] == after.version
    assert after.latest["MODEL_SHA256"] == after.sha256
    assert platform.predict("fine")["model"] == {"sha256": after.sha256, "version": after.version}


def test_after_a_race_each_model_is_registered_once(platform: Deployed, race: Race) -> None:
    digests = Counter(each["CustomerMetadataProperties"]["sha256"] for each in platform.packages())
    assert {digest: digests[digest] for digest in race.runs} == dict.fromkeys(race.runs, 1)
    versions = [each["ModelPackageVersion"] for each in platform.packages()]
    assert versions == sorted(set(versions))


def test_who_took_part_in_a_race_can_be_run_again(platform: Deployed, race: Race, quick: Quick) -> None:
    losers = [run for run in race.runs.values() if run.status == "FAILED"]
    # Where nobody lost, any of them may be run again.
    again = (losers or list(race.runs.values()))[0]
    data = platform.record(again)["data"] if losers else again.output["data"]
    # Its data may be older than those of a winner.
    arn = platform.start_by_hand(data["key"], f"{again.name}-again", allowOlderData=True)
    run = platform.end_of(arn)
    assert run.status == "SUCCEEDED", run
    assert platform.serving().sha256 == run.output["sha256"]
