"""A candidate that is not what it should be, and what is asked of it."""

from typing import Any

import pytest
from handlers.pipeline.asset import deploy, errors
from handlers.pipeline.conftest import CONTEXT, Lake
from handlers.pipeline.deploying import DIGESTS, Request, answer, off
from handlers.pipeline.fakes import Clock, FakeLambda

# A candidate that is not what it should be


def broken(_: dict[str, str], payload: dict[str, Any]) -> Any:
    raise RuntimeError(f"out of memory with {len(payload)}")


def short(variables: dict[str, str], payload: dict[str, Any]) -> Any:
    right = answer(variables, payload)
    return right | {"predictions": right["predictions"][:-1]}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (broken, "version 3 of reviews failed: .*out of memory"),
        (off, "gives the row 'id4' positive=.*, but it was evaluated with"),
        (short, "gave 7 predictions for 8 rows"),
        (lambda *_: {"error": {"type": "ValidationError"}}, "answered .*ValidationError"),
        (lambda *_: ["?"], "answered"),
        (lambda *_: {"predictions": "many"}, "answered"),
        (lambda _, payload: answer({"MODEL_SHA256": "c" * 64}, payload), "serves the model ccc"),
        (
            lambda _, payload: {**answer({"MODEL_SHA256": "b" * 64}, payload), "predictions": [None] * 8},
            "=None",
        ),
    ],
)
def test_a_candidate_that_fails_its_test_is_never_called(
    live: Request, function: FakeLambda, reply: Any, message: str
) -> None:
    function.answer = reply
    with pytest.raises(errors.DeploymentFailed, match=message):
        deploy.stage(live("B"), CONTEXT)
    assert function.target() == ("2", {})
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_missing_golden_scores_are_invalid(live: Request, function: FakeLambda, lake: Lake) -> None:
    lake.put("scores.csv", "id,negative,positive,label\n")
    with pytest.raises(errors.InvalidData, match="has no score for the id 'id1'"):
        deploy.stage(live("B"), CONTEXT)
    lake.put("holdout.csv", "id,text,stars\n")
    with pytest.raises(errors.InvalidData, match="has no rows to test with"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


# Snapshots


def test_the_snapshot_of_a_version_is_waited_for(live: Request, function: FakeLambda, clock: Clock) -> None:
    # GIVEN a function with SnapStart, whose versions are pending for five minutes
    function.latest["SnapStart"] = {"ApplyOn": "PublishedVersions"}
    function.pending_versions = 300.0
    begun = clock.now
    assert deploy.stage(live("B"), CONTEXT)["candidate"] == "3"
    assert clock.now - begun >= 300


def test_a_version_without_a_snapshot_is_given_up_sooner(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    function.pending_versions = 300.0
    with pytest.raises(errors.DeploymentFailed, match="is still Pending"):
        deploy.stage(live("B"), CONTEXT)


# Options


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"percent": 0}, "more than 0 and less than 100 percent: 0"),
        ({"percent": 100}, "less than 100 percent: 100"),
        ({"previous": None}, "promote instead"),
        ({"candidate": "2"}, "'2' is not a candidate"),
        ({"candidate": ""}, "'' is not a candidate"),
    ],
)
def test_a_shift_that_makes_no_sense_is_refused(
    live: Request, function: FakeLambda, changes: dict[str, Any], message: str
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    with pytest.raises(errors.InvalidConfiguration, match=message):
        deploy.shift(event | changes, CONTEXT)
    assert function.target() == ("2", {})
