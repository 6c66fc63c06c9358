"""Deployment: what callers of the alias get, before, during and after, and when others interfere."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.pipeline.asset import clients, deploy, errors, versions
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake
from handlers.pipeline.fakes import Clock, FakeCloudWatch, FakeLambda, refusal
from moto.s3 import models as moto_s3

MANIFEST = {
    "schema": 1,
    "inputs": [{"name": "text", "type": "string"}, {"name": "stars", "type": "float"}],
    "classes": ["negative", "positive"],
}
DIGESTS = {"A": "a" * 64, "B": "b" * 64, "C": "c" * 64}


def answer(variables: dict[str, str], payload: dict[str, Any]) -> dict[str, Any]:
    """The inference function, as far as its contract goes."""
    if "MODEL_SHA256" not in variables:
        return {"error": {"type": "NoModel", "message": "no model"}}
    scores = [len(row["text"]) / 100 + row["stars"] / 1000 for row in payload["instances"]]
    return {
        "predictions": [
            {"label": "negative", "probabilities": {"negative": 1 - score, "positive": score}}
            for score in scores
        ],
        "model": {"sha256": variables["MODEL_SHA256"], "version": "?"},
    }


@pytest.fixture
def request_of(lake: Lake, function: FakeLambda, watch: FakeCloudWatch) -> Callable[..., dict[str, Any]]:
    function.answer = answer
    rows = [(f"id{number}", "word " * number, number / 2) for number in range(1, 13)]
    lake.put("holdout.csv", "id,text,stars\n" + "".join(f"{i},{text},{stars}\n" for i, text, stars in rows))
    scores = [(i, len(text) / 100 + stars / 1000) for i, text, stars in reversed(rows)]
    lake.put(
        "scores.csv", "id,negative,positive,label\n" + "".join(f"{i},{1 - s},{s},x\n" for i, s in scores)
    )
    lake.put("model.json", json.dumps(MANIFEST))

    def make(model: str = "A", **changes: Any) -> dict[str, Any]:
        digest = DIGESTS[model]
        return {
            "run": f"{RUN}-{model}",
            "begun": datetime.now(UTC).isoformat(),
            "function": "reviews",
            "alias": "live",
            "model": {"bucket": BUCKET, "key": f"models/{digest}/model.onnx"},
            "sha256": digest,
            "manifest": {"bucket": BUCKET, "key": "model.json"},
            "golden": {
                "rows": {"bucket": BUCKET, "key": "holdout.csv"},
                "scores": {"bucket": BUCKET, "key": "scores.csv"},
            },
            "pointer": {"bucket": BUCKET, "key": "models/reviews/"},
            **changes,
        }

    return make


Request = Callable[..., dict[str, Any]]


def first_deployment(request_of: Request, model: str = "A") -> None:
    event = request_of(model)
    deploy.promote(event | deploy.stage(event, CONTEXT), CONTEXT)


@pytest.fixture
def live(request_of: Request) -> Request:
    """Version 2 with model A is live."""
    first_deployment(request_of)
    return request_of


def test_the_first_model_goes_live_without_a_canary(
    request_of: Request, function: FakeLambda, lake: Lake
) -> None:
    event = request_of()
    staged = deploy.stage(event, CONTEXT)
    assert staged["candidate"] == "2"
    assert staged["previous"] is None
    assert not staged["unchanged"]
    assert function.target() == ("1", {})  # nobody is served by it yet
    promoted = deploy.promote(event | staged, CONTEXT)
    assert function.target() == ("2", {})
    assert promoted["pointer"] == {"bucket": BUCKET, "key": "models/reviews/current.json"}
    assert lake.json(promoted["pointer"]) == {
        **event["model"],
        "sha256": DIGESTS["A"],
        "version": "2",
        "run": event["run"],
    }
    assert function.variables("2") == {
        "MAX_ROWS": "1000",
        "MODEL_BUCKET": BUCKET,
        "MODEL_KEY": event["model"]["key"],
        "MODEL_SHA256": DIGESTS["A"],
    }


def test_the_next_model_passes_through_a_canary(live: Request, function: FakeLambda) -> None:
    event = live("B")
    staged = deploy.stage(event, CONTEXT)
    assert (staged["candidate"], staged["previous"]) == ("3", "2")
    assert function.target() == ("2", {})
    shifted = deploy.shift(event | staged | {"percent": 10}, CONTEXT)
    assert function.target() == ("2", {"3": 0.1})
    checked = deploy.check(event | staged | shifted, CONTEXT)
    assert (checked["healthy"], checked["reasons"]) == (True, [])
    assert function.target() == ("2", {"3": 0.1})
    deploy.promote(event | staged | shifted, CONTEXT)
    assert function.target() == ("3", {})
    assert function.variables()["MODEL_SHA256"] == DIGESTS["B"]


def test_the_model_that_is_live_is_not_deployed_again(live: Request, function: FakeLambda) -> None:
    function.calls.clear()
    assert deploy.stage(live("A"), CONTEXT)["unchanged"]
    assert set(function.calls) == {"GetAlias", "GetFunctionConfiguration"}


def test_a_version_that_follows_the_pointer_counts_as_live(live: Request, function: FakeLambda) -> None:
    # As CloudFormation publishes it: with the pointer's variables and without the model's.
    pointer = {"MODEL_POINTER_BUCKET": BUCKET, "MODEL_POINTER_KEY": "models/reviews/current.json"}
    function.versions["9"] = function.versions["2"] | {"Environment": {"Variables": pointer}}
    function.move_alias("9")
    assert deploy.stage(live("A"), CONTEXT)["unchanged"]
    staged = deploy.stage(live("B"), CONTEXT)
    assert staged["previous"] == "9"
    assert staged["previous_model"]["sha256"] == DIGESTS["A"]


@pytest.mark.parametrize("step", ["stage", "shift", "promote", "rollback"])
def test_each_step_can_be_repeated(live: Request, function: FakeLambda, lake: Lake, step: str) -> None:
    event: dict[str, Any] = live("B", percent=10)
    for name in ("stage", "shift", "promote", "rollback"):
        if name == "rollback" and step == "promote":
            break
        result = getattr(deploy, name)(event, CONTEXT)
        if name == step:
            before = function.target(), function.variables(), len(function.versions), lake.everything()
            again = getattr(deploy, name)(event, CONTEXT)
            after = function.target(), function.variables(), len(function.versions), lake.everything()
            assert after == before
            if step == "rollback":
                assert again["live"] == result["live"]
                assert not again["rolled_back"]
            else:
                assert again == result
            return
        event |= result


@pytest.mark.parametrize("until", ["stage", "shift", "promote"])
def test_rollback_gives_everything_back(live: Request, function: FakeLambda, lake: Lake, until: str) -> None:
    pointer = lake.json({"key": "models/reviews/current.json"})
    event: dict[str, Any] = live("B", percent=10)
    for name in ("stage", "shift", "promote"):
        event |= getattr(deploy, name)(event, CONTEXT)
        if name == until:
            break
    result = deploy.rollback(event, CONTEXT)
    assert result["rolled_back"] is (until != "stage")
    assert result["live"] == "2"
    assert function.target() == ("2", {})
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]
    assert lake.json({"key": "models/reviews/current.json"})["sha256"] == pointer["sha256"]


def test_rollback_of_a_first_deployment_leaves_the_version_without_a_model(
    request_of: Request, function: FakeLambda
) -> None:
    event = request_of()
    event |= deploy.stage(event, CONTEXT)
    deploy.rollback(event, CONTEXT)
    assert function.target() == ("1", {})
    assert function.variables() == {"MAX_ROWS": "1000"}


@pytest.mark.parametrize("model", ["A", "B"])
def test_a_rollback_that_failed_after_the_alias_moved_restores_the_pointer_when_it_is_repeated(
    request_of: Request, function: FakeLambda, lake: Lake, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    if model == "B":
        first_deployment(request_of)
    before, target = lake.everything(), function.target()
    event = deployed(request_of(model, percent=10))
    with monkeypatch.context() as broken_storage:

        def refuse(**_: Any) -> None:
            raise refusal("PutObject", "SlowDown")

        broken_storage.setattr(clients.s3(), "put_object", refuse)
        broken_storage.setattr(clients.s3(), "delete_object", refuse)
        with pytest.raises(ClientError, match="SlowDown"):
            deploy.rollback(event, CONTEXT)
    assert function.target() == target  # moved, but current.json still names the model taken back
    result = deploy.rollback(event, CONTEXT)
    assert result["rolled_back"]
    assert result["reason"].startswith(f"the alias was back at version {target[0]} already")
    models = [
        {key: json.loads(body)["sha256"] for key, body in found.items() if key.endswith("current.json")}
        for found in (before, lake.everything())
    ]
    assert models[0] == models[1]
    assert not deploy.rollback(event, CONTEXT)["rolled_back"]


def test_after_the_rollback_of_a_first_deployment_no_version_follows_the_pointer_to_the_model(
    request_of: Request, function: FakeLambda, lake: Lake
) -> None:
    # As CloudFormation publishes it: without a model, following a pointer that is not there yet.
    pointer = {"MODEL_POINTER_BUCKET": BUCKET, "MODEL_POINTER_KEY": "models/reviews/current.json"}
    function.versions["1"]["Environment"] = {"Variables": pointer}
    event = deployed(request_of())
    assert pointed(lake)["sha256"] == DIGESTS["A"]
    assert deploy.rollback(event, CONTEXT)["rolled_back"]
    assert function.target() == ("1", {})
    assert versions.model_of(function.versions["1"]) is None
    kept = lake.s3.list_object_versions(Bucket=BUCKET, Prefix="models/reviews/current.json")
    assert len(kept["Versions"]) == 1  # what it named can still be read


def test_the_rollback_of_a_first_deployment_leaves_a_pointer_to_another_model(
    request_of: Request, lake: Lake
) -> None:
    event = deployed(request_of())
    theirs = {**request_of("C")["model"], "sha256": DIGESTS["C"]}
    lake.put("models/reviews/current.json", json.dumps(theirs))
    deploy.rollback(event, CONTEXT)
    assert pointed(lake) == theirs


def test_rollback_before_anything_was_staged_does_nothing(live: Request, function: FakeLambda) -> None:
    assert not deploy.rollback(live("B"), CONTEXT)["rolled_back"]
    assert function.target() == ("2", {})


def test_after_a_rollback_the_same_model_can_be_deployed_again(live: Request, function: FakeLambda) -> None:
    event = live("B")
    deploy.rollback(event | deploy.stage(event, CONTEXT), CONTEXT)
    assert deploy.stage(event, CONTEXT)["candidate"] == "3"  # what has not changed keeps its version


# A candidate that is not what it should be


def broken(_: dict[str, str], payload: dict[str, Any]) -> Any:
    raise RuntimeError(f"out of memory with {len(payload)}")


def off(variables: dict[str, str], payload: dict[str, Any]) -> Any:
    right = answer(variables, payload)
    right["predictions"][3]["probabilities"]["positive"] += 2e-5
    return right


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


# A function that others are busy with


def test_an_update_that_is_under_way_is_waited_for(live: Request, function: FakeLambda, clock: Clock) -> None:
    function.occupy(20)
    assert deploy.stage(live("B"), CONTEXT)["candidate"] == "3"
    assert clock.now >= 5


def test_a_conflict_between_reading_and_writing_is_tried_again(live: Request, function: FakeLambda) -> None:
    conflicts = ["UpdateFunctionConfiguration", "PublishVersion"]

    def interfere(operation: str) -> None:
        if operation in conflicts:
            conflicts.remove(operation)
            function.latest["Environment"]["Variables"]["LOG_LEVEL"] = "DEBUG"
            function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    staged = deploy.stage(live("B"), CONTEXT)
    assert conflicts == []
    assert function.variables(staged["candidate"])["LOG_LEVEL"] == "DEBUG"  # their change is kept


def test_a_function_that_stays_busy_is_given_up_after_a_bounded_time(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    function.occupy(10_000)
    with pytest.raises(errors.DeploymentFailed, match="still Active with its update InProgress after 180 s"):
        versions.set_model("reviews", {"MODEL_SHA256": "x"})
    assert clock.now < 200


def test_endless_conflicts_are_given_up_after_a_bounded_time(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    def interfere(operation: str) -> None:
        if operation == "UpdateFunctionConfiguration":
            raise refusal(operation, "ResourceConflictException")

    function.before = interfere
    with pytest.raises(
        errors.DeploymentFailed, match="met another update for 180 s: ResourceConflictException"
    ):
        deploy.stage(live("B"), CONTEXT)
    assert clock.now < 200
    assert function.target() == ("2", {})


def test_throttling_is_left_to_the_state_machine_and_latest_is_restored(
    live: Request, function: FakeLambda
) -> None:
    def interfere(operation: str) -> None:
        if operation == "Invoke":
            raise refusal(operation, "TooManyRequestsException")

    function.before = interfere
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_a_version_that_fails_to_start_is_a_failed_deployment(live: Request, function: FakeLambda) -> None:
    def interfere(operation: str) -> None:
        if "3" in function.versions:
            function.versions["3"] |= {"State": "Failed", "StateReason": "no such image"}

    function.before = interfere
    with pytest.raises(errors.DeploymentFailed, match="version 3 of reviews failed: no such image"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_an_environment_that_cannot_be_read_is_not_overwritten(live: Request, function: FakeLambda) -> None:
    function.latest["Environment"] = {
        "Error": {"ErrorCode": "AccessDenied", "Message": "no access to the key"}
    }
    with pytest.raises(errors.DeploymentFailed, match="cannot be read: no access to the key"):
        deploy.stage(live("B"), CONTEXT)
    assert "UpdateFunctionConfiguration" not in function.calls[-4:]


def test_two_deployments_at_once_do_not_mix_their_models(live: Request, function: FakeLambda) -> None:
    def interfere(operation: str) -> None:
        if operation == "PublishVersion":
            function.latest["Environment"]["Variables"]["MODEL_SHA256"] = "c" * 64
            function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    with pytest.raises(errors.DeploymentFailed, match="was given another model by somebody else"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == "c" * 64  # theirs to restore


def test_what_is_published_during_a_canary_serves_the_model_that_is_live(
    live: Request, function: FakeLambda
) -> None:
    """An update of the stack publishes `$LATEST`, and gives that version all of the calls."""
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    function.latest["CodeSha256"] = "code-2"
    published = function.publish_version(FunctionName="reviews")["Version"]
    assert published not in ("2", event["candidate"])
    assert function.variables(published)["MODEL_SHA256"] == DIGESTS["A"]


def test_what_is_published_while_the_candidate_is_tested_serves_the_model_that_is_live(
    live: Request, function: FakeLambda
) -> None:
    published = []

    def interfere(operation: str) -> None:
        if operation == "Invoke":
            published.append(function.publish_version(FunctionName="reviews")["Version"])

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert [function.variables(version)["MODEL_SHA256"] for version in published] == [DIGESTS["A"]]


@pytest.mark.parametrize("moment", ["PublishVersion", "UpdateFunctionConfiguration"])
def test_an_update_of_the_stack_that_carries_the_candidate_to_all_calls_is_taken_back(
    live: Request, function: FakeLambda, moment: str
) -> None:
    """It publishes in the very moment in which `$LATEST` has the candidate's model: right before that one is
    published, or right after."""

    def interfere(operation: str) -> None:
        if operation == moment and function.variables()["MODEL_SHA256"] == DIGESTS["B"]:
            function.before = lambda _: None
            function.latest |= {"CodeSha256": "code-2", "RevisionId": "revision of the update"}
            function.move_alias(function.publish_version(FunctionName="reviews")["Version"])

    function.before = interfere
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]  # the next update carries it no further
    with pytest.raises(errors.DeploymentFailed, match="somebody else moved it"):
        deploy.shift(event, CONTEXT)
    assert function.variables(function.target()[0])["MODEL_SHA256"] == DIGESTS["B"]
    assert deploy.rollback(event, CONTEXT)["rolled_back"]
    assert function.target() == ("2", {})


def test_latest_gets_what_is_live_when_the_version_is_out_and_not_what_was_before(
    live: Request, function: FakeLambda
) -> None:
    def interfere(operation: str) -> None:
        if operation == "PublishVersion":
            function.move_alias("1")

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert function.variables() == {"MAX_ROWS": "1000"}  # version 1 has no model


def test_latest_with_the_model_of_a_rival_is_theirs_to_restore(live: Request, function: FakeLambda) -> None:
    # The rival comes between our reading of `$LATEST` and our writing.
    updates = []

    def interfere(operation: str) -> None:
        if operation == "UpdateFunctionConfiguration":
            updates.append(operation)
            if len(updates) == 2:
                function.latest["Environment"]["Variables"]["MODEL_SHA256"] = DIGESTS["C"]
                function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert len(updates) == 2
    assert function.variables()["MODEL_SHA256"] == DIGESTS["C"]


def test_latest_has_the_model_that_was_promoted_though_a_rival_was_staged_meanwhile(
    live: Request, function: FakeLambda
) -> None:
    winner, rival = live("B"), live("C")
    winner |= deploy.stage(winner, CONTEXT)
    rival |= deploy.stage(rival, CONTEXT)
    winner |= deploy.shift(winner, CONTEXT)
    with pytest.raises(errors.DeploymentFailed, match="somebody else"):
        deploy.shift(rival, CONTEXT)
    deploy.rollback(rival, CONTEXT)
    deploy.promote(winner, CONTEXT)
    assert function.target() == (winner["candidate"], {})
    assert function.variables()["MODEL_SHA256"] == DIGESTS["B"]


# An alias that others move


@pytest.mark.parametrize("step", ["shift", "check", "promote"])
@pytest.mark.parametrize("theirs", [("1", {}), ("2", {"1": 0.5}), ("1", {"3": 0.5})])
def test_an_alias_that_somebody_else_moved_is_left_alone(
    live: Request, function: FakeLambda, step: str, theirs: tuple[str, dict[str, float]]
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    if step != "shift":
        event |= deploy.shift(event, CONTEXT)
    function.move_alias(*theirs)
    with pytest.raises(errors.DeploymentFailed, match="somebody else moved it"):
        getattr(deploy, step)(event, CONTEXT)
    assert function.target() == theirs
    result = deploy.rollback(event, CONTEXT)
    assert not result["rolled_back"]
    assert "somebody else moved the alias" in result["reason"]
    assert function.target() == theirs


def test_an_alias_that_was_moved_there_and_back_is_noticed_by_its_revision(
    live: Request, function: FakeLambda
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    function.move_alias("1")
    function.move_alias("2")
    with pytest.raises(errors.DeploymentFailed, match="changed by somebody else meanwhile"):
        deploy.shift(event, CONTEXT)
    assert function.target() == ("2", {})


@pytest.mark.parametrize("step", ["shift", "promote", "rollback"])
def test_an_alias_that_moves_between_reading_and_writing_is_left_alone(
    live: Request, function: FakeLambda, step: str
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    if step != "shift":
        event |= deploy.shift(event, CONTEXT)

    def interfere(operation: str) -> None:
        if operation == "UpdateAlias":
            function.move_alias("1")

    function.before = interfere
    with pytest.raises(
        errors.DeploymentFailed, match="changed by somebody else meanwhile; it is left as it is"
    ):
        getattr(deploy, step)(event, CONTEXT)
    assert function.target() == ("1", {})


def test_a_move_whose_answer_is_lost_is_a_move_all_the_same(live: Request, function: FakeLambda) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)

    def lose_the_answer(operation: str) -> None:
        if operation == "UpdateAlias":
            function.move_alias("2", {"3": 0.1})

    function.before = lose_the_answer
    event |= deploy.shift(event, CONTEXT)
    assert function.target() == ("2", {"3": 0.1})


def test_a_canary_of_another_deployment_stops_this_one(live: Request, function: FakeLambda) -> None:
    function.move_alias("2", {"1": 0.1})
    with pytest.raises(
        errors.DeploymentFailed, match=r"points to version 2 and 10% to version 1: another deployment"
    ):
        deploy.stage(live("B"), CONTEXT)
    assert function.target() == ("2", {"1": 0.1})
    assert len(function.versions) == 2


def test_a_run_that_was_interrupted_takes_its_own_canary_up_again(
    live: Request, function: FakeLambda
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    deploy.shift(event, CONTEXT)
    again = live("B", percent=10)
    again |= deploy.stage(again, CONTEXT)
    assert again["candidate"] == "3"
    again |= deploy.shift(again, CONTEXT)
    deploy.promote(again, CONTEXT)
    assert function.target() == ("3", {})


def test_an_alias_that_does_not_exist_is_named(live: Request) -> None:
    with pytest.raises(errors.DeploymentFailed, match="the alias prod of reviews does not exist"):
        deploy.stage(live("B", alias="prod"), CONTEXT)


# Health

OWN = {"namespace": "Own", "service": "reviews"}


def canary(request_of: Request, **changes: Any) -> dict[str, Any]:
    event = request_of("B", percent=10, **changes)
    event |= deploy.stage(event, CONTEXT)
    return event | deploy.shift(event, CONTEXT)


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


# A function that is lost meanwhile


@pytest.mark.parametrize("step", ["stage", "check", "promote", "rollback"])
def test_a_function_that_is_deleted_while_it_is_deployed_to_is_named(
    live: Request, function: FakeLambda, step: str
) -> None:
    # GIVEN a canary, and somebody who deletes the function
    event = live("B") if step == "stage" else canary(live)

    def gone(operation: str) -> None:
        raise refusal(operation, "ResourceNotFoundException", "Function not found")

    function.before = gone
    # THEN the step fails by its own name, which is not tried again
    with pytest.raises(errors.DeploymentFailed, match="does not exist"):
        getattr(deploy, step)(event, CONTEXT)


@pytest.mark.parametrize("operation", ["UpdateFunctionConfiguration", "PublishVersion", "Invoke"])
def test_a_function_that_is_lost_between_two_calls_is_named(
    live: Request, function: FakeLambda, operation: str
) -> None:
    def gone(now: str) -> None:
        if now == operation:
            raise refusal(now, "ResourceNotFoundException", "Function not found")

    function.before = gone
    with pytest.raises(errors.DeploymentFailed, match="does not exist any more"):
        deploy.stage(live("B"), CONTEXT)
    assert function.target() == ("2", {})


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


# The age of the data


@pytest.fixture
def uploads(lake: Lake) -> list[dict[str, Any]]:
    """Three uploads of the same file, a minute apart, the oldest first."""
    found = []
    for minute in range(3):
        with pytest.MonkeyPatch.context() as monkeypatch:
            at = datetime(2026, 1, 1, 12, minute, tzinfo=UTC).replace(tzinfo=None)
            monkeypatch.setattr(moto_s3, "utcnow", lambda at=at: at)
            put = lake.s3.put_object(Bucket=BUCKET, Key="reviews/all.csv", Body=b"%d" % minute)
        found.append({"bucket": BUCKET, "key": "reviews/all.csv", "versionId": put["VersionId"]})
    return found


def deployed(event: dict[str, Any]) -> dict[str, Any]:
    event |= deploy.stage(event, CONTEXT)
    if event["previous"]:
        event |= deploy.shift(event, CONTEXT)
    return event | deploy.promote(event, CONTEXT)


def pointed(lake: Lake) -> dict[str, Any]:
    found: dict[str, Any] = lake.json({"key": "models/reviews/current.json"})
    return found


def test_the_pointer_says_on_which_data_the_model_was_trained(
    request_of: Request, lake: Lake, uploads: list[dict[str, Any]]
) -> None:
    deployed(request_of("A", data=uploads[0]))
    assert pointed(lake)["data"] == {**uploads[0], "uploaded": "2026-01-01T12:00:00+00:00"}
    deployed(request_of("B", percent=10, data=uploads[1]))
    assert pointed(lake)["data"] == {**uploads[1], "uploaded": "2026-01-01T12:01:00+00:00"}


def test_a_model_of_older_data_is_not_staged(
    request_of: Request, lake: Lake, function: FakeLambda, uploads: list[dict[str, Any]]
) -> None:
    deployed(request_of("A", data=uploads[1]))
    before = function.target(), function.variables(), len(function.versions), lake.everything()
    event = request_of("B", data=uploads[0])
    with pytest.raises(errors.OlderData, match=r"uploaded at 2026-01-01T12:00:00.*allowOlderData"):
        deploy.stage(event, CONTEXT)
    deploy.rollback(event, CONTEXT)
    assert (function.target(), function.variables(), len(function.versions), lake.everything()) == before


def test_a_model_of_older_data_is_staged_and_promoted_if_that_is_meant(
    request_of: Request, lake: Lake, function: FakeLambda, uploads: list[dict[str, Any]]
) -> None:
    deployed(request_of("A", data=uploads[1]))
    deployed(request_of("B", percent=10, data=uploads[0], allow_older_data=True))
    assert function.target() == ("3", {})
    assert pointed(lake)["data"]["versionId"] == uploads[0]["versionId"]


def test_another_model_of_the_same_data_is_not_of_older_data(
    request_of: Request, function: FakeLambda, uploads: list[dict[str, Any]]
) -> None:
    deployed(request_of("A", data=uploads[0]))
    deployed(request_of("B", percent=10, data=uploads[0]))
    assert function.target() == ("3", {})


def test_a_model_of_older_data_is_not_promoted_over_one_that_went_live_meanwhile(
    request_of: Request, lake: Lake, function: FakeLambda, uploads: list[dict[str, Any]]
) -> None:
    """Here the alias leads to the version that follows the pointer, which names another model by now."""
    deployed(request_of("A", data=uploads[0]))
    variables = {"MODEL_POINTER_BUCKET": BUCKET, "MODEL_POINTER_KEY": "models/reviews/current.json"}
    function.versions["9"] = function.versions["2"] | {"Environment": {"Variables": variables}}
    function.move_alias("9")
    event = request_of("B", percent=10, data=uploads[1])
    event |= deploy.stage(event, CONTEXT)
    event |= deploy.shift(event, CONTEXT)
    newer = {**request_of("C")["model"], "sha256": DIGESTS["C"], "data": uploads[2]}
    newer["data"]["uploaded"] = "2026-01-01T12:02:00+00:00"
    lake.put("models/reviews/current.json", json.dumps(newer))
    with pytest.raises(errors.OlderData):
        deploy.promote(event, CONTEXT)
    assert function.target() == ("9", {event["candidate"]: 0.1})
    assert deploy.rollback(event, CONTEXT)["rolled_back"]
    assert pointed(lake)["sha256"] == DIGESTS["C"]


def test_going_back_restores_the_data_of_the_pointer(
    request_of: Request, lake: Lake, uploads: list[dict[str, Any]]
) -> None:
    deployed(request_of("A", data=uploads[0]))
    before = pointed(lake)["data"]
    deploy.rollback(deployed(request_of("B", percent=10, data=uploads[1])), CONTEXT)
    assert pointed(lake)["data"] == before


def test_data_that_nobody_knows_is_not_compared(
    live: Request, function: FakeLambda, uploads: list[dict[str, Any]]
) -> None:
    # Model A was deployed without saying of which data; then one whose data are known, and one without again.
    deployed(live("B", percent=10, data=uploads[0]))
    deployed(live("C", percent=10))
    assert function.target() == ("4", {})


@pytest.mark.parametrize("version", ["none", "kept", "deleted"])
def test_a_model_of_data_that_were_withdrawn_is_not_deployed(
    live: Request, function: FakeLambda, lake: Lake, version: str
) -> None:
    data = {"bucket": BUCKET, "key": "reviews/gone.csv"}
    if version != "none":
        put = lake.s3.put_object(Bucket=BUCKET, Key=data["key"], Body=b"1")
        data["versionId"] = put["VersionId"]
        deleted = {"VersionId": put["VersionId"]} if version == "deleted" else {}
        lake.s3.delete_object(Bucket=BUCKET, Key=data["key"], **deleted)
    with pytest.raises(errors.InvalidData, match=r"s3://lake/reviews/gone\.csv is not there any more"):
        deploy.stage(live("B", data=data), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_a_kept_version_of_withdrawn_data_is_deployed_if_that_is_meant(
    live: Request, function: FakeLambda, lake: Lake
) -> None:
    put = lake.s3.put_object(Bucket=BUCKET, Key="reviews/gone.csv", Body=b"1")
    lake.s3.delete_object(Bucket=BUCKET, Key="reviews/gone.csv")
    data = {"bucket": BUCKET, "key": "reviews/gone.csv", "versionId": put["VersionId"]}
    deployed(live("B", percent=10, data=data, allow_older_data=True))
    assert function.target() == ("3", {})


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
