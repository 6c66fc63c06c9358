"""Deployment: what callers of the alias get, step by step, and after a rollback."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.pipeline.asset import clients, deploy, versions
from handlers.pipeline.conftest import BUCKET, CONTEXT, Lake, deployed, first_deployment, pointed
from handlers.pipeline.deploying import DIGESTS, Request
from handlers.pipeline.fakes import FakeLambda, refusal


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
