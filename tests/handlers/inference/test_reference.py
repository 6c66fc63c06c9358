"""Requests and answers in S3: which objects may be named, and what is told of the others."""

import json
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import app
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault
from handlers.inference.test_app import CONTEXT, post, send

ROWS = {"instances": [{"age": 1, "income (k$)": 1}, {"age": 2, "income (k$)": -9}]}


@pytest.fixture
def function(s3: FakeS3) -> app.Function:
    environment = put(s3, models.tabular())
    return app.Function(
        {**environment, "REQUESTS_AT": "s3://lake/requests/", "ANSWERS_AT": "s3://lake/answers/"}
    )


def ask(function: app.Function, key: object) -> tuple[int, dict[str, Any]]:
    return send(function, post({"instances_from": key}))


def test_the_answer_to_an_object_is_an_object(function: app.Function, s3: FakeS3) -> None:
    # GIVEN a request in S3
    s3.objects["lake/requests/march/rows.json"] = json.dumps(ROWS).encode()
    # WHEN it is named THEN the answer lies below the model's hash, and is what a request would be answered
    status, answer = ask(function, "s3://lake/requests/march/rows.json")
    digest = models.tabular().sha256
    assert status == 200
    assert answer == {
        "predictions_at": f"s3://lake/answers/{digest}/march/rows.json",
        "rows": 2,
        "model": {"sha256": digest, "version": "7"},
    }
    assert json.loads(s3.objects[f"lake/answers/{digest}/march/rows.json"]) == send(function, post(ROWS))[1]
    assert function({"instances_from": "s3://lake/requests/march/rows.json"}, CONTEXT) == answer


def test_more_rows_than_a_request_may_hold_are_answered_by_reference(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    places = {"REQUESTS_AT": "s3://lake/requests/", "ANSWERS_AT": "s3://lake/answers/"}
    function = app.Function({**environment, **places, "MAX_ROWS": "1", "MAX_REFERENCED_ROWS": "2"})
    s3.objects["lake/requests/two"] = json.dumps(ROWS).encode()
    s3.objects["lake/requests/three"] = json.dumps(
        {"instances": ROWS["instances"] + ROWS["instances"]}
    ).encode()
    assert send(function, post(ROWS))[0] == 422
    assert ask(function, "s3://lake/requests/two")[1]["rows"] == 2
    status, answer = ask(function, "s3://lake/requests/three")
    assert (status, answer["error"]["fields"][0]["message"]) == (422, "must hold at most 2 rows, got 4")


@pytest.mark.parametrize(
    "key",
    [
        "s3://lake/models/secret.json",
        "s3://other/requests/rows.json",
        "s3://lake/requests/",
        "s3://lake/requestsandmore/rows.json",
        "requests/rows.json",
        5,
        None,
    ],
)
def test_an_object_elsewhere_is_never_read(function: app.Function, s3: FakeS3, key: object) -> None:
    function.prepare()
    s3.requests.clear()
    status, answer = ask(function, key)
    assert (status, answer["error"]["fields"]) == (
        422,
        [{"path": "instances_from", "message": "instances_from must be an object below s3://lake/requests/"}],
    )
    assert s3.requests == []


def test_a_reference_stands_alone(function: app.Function) -> None:
    request = {"instances_from": "s3://lake/requests/rows.json", **ROWS}
    _, answer = send(function, post(request))
    assert (
        answer["error"]["fields"][0]["message"] == "instances_from stands alone; there is instances beside it"
    )


def test_a_function_that_was_given_no_place_says_so(tabular: app.Function) -> None:
    status, answer = ask(tabular, "s3://lake/requests/rows.json")
    assert status == 422
    assert "reads no requests from S3" in answer["error"]["fields"][0]["message"]


def test_an_object_that_is_missing_or_forbidden_is_404(function: app.Function, s3: FakeS3) -> None:
    function.prepare()
    status, answer = ask(function, "s3://lake/requests/none.json")
    assert (status, answer["error"]["type"]) == (404, "NoObject")
    s3.faults.append(Fault(403))
    assert ask(function, "s3://lake/requests/none.json")[0] == 404


def test_an_object_that_is_too_large_is_not_read(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    places = {"REQUESTS_AT": "s3://lake/requests/", "ANSWERS_AT": "s3://lake/answers/"}
    function = app.Function({**environment, **places, "MAX_REFERENCED_BYTES": "10"})
    s3.objects["lake/requests/rows.json"] = json.dumps(ROWS).encode()
    status, answer = ask(function, "s3://lake/requests/rows.json")
    assert (status, answer["error"]["type"]) == (404, "NoObject")
    assert "more than 10" in answer["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"no json", b"\xff"])
def test_an_object_that_is_no_json_is_400(function: app.Function, s3: FakeS3, content: bytes) -> None:
    s3.objects["lake/requests/rows.json"] = content
    status, answer = ask(function, "s3://lake/requests/rows.json")
    assert (status, answer["error"]["type"]) == (400, "InvalidJson")
    assert "s3://lake/requests/rows.json is not JSON" in answer["error"]["message"]


def test_wrong_rows_of_an_object_are_named_and_nothing_is_written(function: app.Function, s3: FakeS3) -> None:
    s3.objects["lake/requests/rows.json"] = b'{"instances": [{"age": 1}]}'
    status, answer = ask(function, "s3://lake/requests/rows.json")
    assert (status, answer["error"]["fields"]) == (
        422,
        [{"path": "instances[0].income (k$)", "message": "is required"}],
    )
    assert not any(key.startswith("lake/answers/") for key in s3.objects)


def test_a_store_that_is_down_is_the_functions_own_failure(function: app.Function, s3: FakeS3) -> None:
    function.prepare()
    s3.faults = [Fault(503)] * 4
    status, answer = ask(function, "s3://lake/requests/rows.json")
    assert (status, answer["error"]["type"]) == (500, "InternalError")
    assert "lake" not in answer["error"]["message"]
