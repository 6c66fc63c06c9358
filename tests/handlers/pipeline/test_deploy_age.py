"""The age of the data that a model was trained on."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from handlers.pipeline.asset import deploy, errors
from handlers.pipeline.conftest import BUCKET, CONTEXT, Lake, deployed, pointed
from handlers.pipeline.deploying import DIGESTS, Request
from handlers.pipeline.fakes import FakeLambda
from moto.s3 import models as moto_s3


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
