"""Requests that are wrong get an answer that says what to mend, and the function lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.platform.deployed import MODEL_VARIABLES, Deployed, HttpAnswer, Run

pytestmark = pytest.mark.xdist_group("platform")

GOOD = json.dumps({"instances": [{"text": "It works."}]})


def rows(*rows: Any) -> str:
    return json.dumps({"instances": list(rows)})


@pytest.fixture(autouse=True)
def still_answers(platform: Deployed, first_run: Run) -> Iterator[None]:
    yield
    answer = platform.post(GOOD)
    assert (answer.status, len(answer.body["predictions"])) == (200, 1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        '{"instances": [{"text": "cut',
        '{"instances": [{"text": NaN}]}',
        '{"instances": [{"text": "a"}]} and more',
        "[" * 100_000,
    ],
    ids=["empty", "text", "cut", "nan", "trailing", "deep"],
)
def test_what_is_no_json_is_said_to_be_none(platform: Deployed, body: str) -> None:
    answer = platform.post(body)
    assert (answer.status, answer.error["type"]) == (400, "InvalidJson")
    assert "JSON" in answer.error["message"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (rows(), {"instances": "must hold at least one row"}),
        ("{}", {"instances": "is required"}),
        ('{"instances": {"text": "a"}}', {"instances": "expected an array of rows, got an object"}),
        ('["a"]', {"": 'expected an object {"instances": […]}, got an array'}),
        ("null", {"": 'expected an object {"instances": […]}, got null'}),
        (rows("a"), {"instances[0]": "expected an object, got the string 'a'"}),
        (rows({"text": "a"}, {}), {"instances[1].text": "is required"}),
        (rows({"text": 3.5}), {"instances[0].text": "expected a string, got the number 3.5"}),
        (rows({"text": None}), {"instances[0].text": "expected a string, got null"}),
        (rows({"text": ["a"]}), {"instances[0].text": "expected a string, got an array"}),
        (rows({"text": "x" * 5001}), {"instances[0].text": "must have at most 5000 characters, got 5001"}),
        (rows({"text": "a", "stars": 5}), {"instances[0].stars": "is not known here (allowed: text)"}),
        (
            '{"instances": [{"text": "a"}], "verbose": true}',
            {"verbose": "is not known here (allowed: instances)"},
        ),
    ],
    ids=[
        *("no rows", "no instances", "one row for many", "array", "null", "text for a row", "row 1 empty"),
        *("number", "null text", "array for text", "too long", "unknown field", "unknown member"),
    ],
)
def test_what_breaks_the_contract_is_told_field_by_field(
    platform: Deployed, body: str, fields: dict[str, str]
) -> None:
    answer = platform.post(body)
    assert (answer.status, answer.error["type"]) == (422, "ValidationError")
    assert answer.fields == fields


def test_every_wrong_field_of_a_request_is_told_at_once(platform: Deployed) -> None:
    answer = platform.post(rows({"text": 1}, {"text": "fine"}, {"review": "a"}))
    assert set(answer.fields) == {"instances[0].text", "instances[2].text", "instances[2].review"}


def test_too_many_rows_are_refused_by_their_number(platform: Deployed) -> None:
    answer = platform.post(rows(*[{"text": "a"}] * 1001))
    assert answer.status == 422
    assert answer.fields == {"instances": "must hold at most 1000 rows, got 1001"}


def test_as_many_rows_as_are_allowed_are_answered_in_order(platform: Deployed) -> None:
    texts = ["Great, I love it.", "Terrible junk, I returned it."] * 500
    answer = platform.post(rows(*({"text": text} for text in texts)))
    assert answer.status == 200
    assert [each["label"] for each in answer.body["predictions"]] == ["positive", "negative"] * 500


def test_a_body_of_ten_megabytes_is_refused(platform: Deployed) -> None:
    answer = platform.post(rows({"text": "x" * 10_000_000}))
    assert answer.status == 413
    assert "bytes" in json.dumps(answer.body)


@pytest.mark.parametrize(
    "text",
    [
        "Très bien, ça marche! 👍🏽",
        "とても良い",
        "مرحبا",
        "a\u0000b",
        "",
        "\U0001f600" * 2000,
        "İSTANBUL ß ﬁ",
    ],
    ids=["accents", "japanese", "arabic", "nul", "empty", "emoji", "case folding"],
)
def test_any_text_is_answered(platform: Deployed, text: str) -> None:
    by_url = platform.post(json.dumps({"instances": [{"text": text}]}, ensure_ascii=False).encode())
    assert by_url.status == 200, by_url
    assert by_url.body == platform.predict(text)


def test_half_of_a_surrogate_pair_is_no_text(platform: Deployed) -> None:
    answer = platform.post('{"instances": [{"text": "\\ud83d"}]}')
    assert 400 <= answer.status < 500
    assert answer.error["type"] in ("InvalidJson", "ValidationError")


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", None])
def test_another_content_type_does_not_change_the_answer(
    platform: Deployed, content_type: str | None
) -> None:
    """A URL hands bodies of unknown types over in base64."""
    assert platform.post(GOOD, content_type=content_type).body == platform.post(GOOD).body


def test_bytes_that_are_no_text_are_no_json(platform: Deployed) -> None:
    body = b'{"instances": [{"text": "\xff\xfe"}]}'
    answer = platform.post(body, content_type="application/octet-stream")
    assert (answer.status, answer.error["type"]) == (400, "InvalidJson")


def test_a_form_is_no_json(platform: Deployed) -> None:
    answer = platform.post("text=It+works", content_type="application/x-www-form-urlencoded")
    assert (answer.status, answer.error["type"]) == (400, "InvalidJson")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_answered(platform: Deployed, method: str) -> None:
    answer = platform.post(GOOD, method=method)
    assert (answer.status, answer.error["type"]) == (405, "MethodNotAllowed")


def test_a_direct_call_gets_the_same_errors(platform: Deployed) -> None:
    answer = platform.invoke({"instances": [{"text": 1}]})
    assert answer["error"]["fields"][0]["path"] == "instances[0].text"
    assert platform.invoke({"Records": []})["error"]["type"] == "UnknownEvent"


@pytest.fixture(scope="module")
def misled(platform: Deployed, first_run: Run) -> Iterator[str]:
    """A version that was published with another hash than its model has."""
    before = platform.serving()
    wrong = {"MODEL_SHA256": "0" * 64}
    set_latest(platform, wrong)
    try:
        functions = platform.aws.client("lambda")
        yield str(functions.publish_version(FunctionName=platform.function)["Version"])
    finally:
        set_latest(platform, {name: value for name, value in before.latest.items() if value})


def set_latest(platform: Deployed, changes: dict[str, str]) -> None:
    functions = platform.aws.client("lambda")
    known = functions.get_function_configuration(FunctionName=platform.function)
    assert set(changes) <= set(MODEL_VARIABLES)
    functions.update_function_configuration(
        FunctionName=platform.function,
        Environment={"Variables": known["Environment"]["Variables"] | changes},
    )
    platform.aws.wait_for_function(platform.function)


def http_event(body: str) -> dict[str, Any]:
    http = {"method": "POST", "path": "/"}
    return {"version": "2.0", "requestContext": {"http": http}, "body": body, "isBase64Encoded": False}


def test_a_model_with_another_hash_is_never_served(platform: Deployed, misled: str) -> None:
    result = platform.invoke(http_event(GOOD), qualifier=misled)
    answer = HttpAnswer(status=result["statusCode"], body=json.loads(result["body"]))
    assert (answer.status, answer.error["type"]) == (503, "ModelUnavailable")
    assert "SHA-256" in answer.error["message"]
    assert "0" * 64 in answer.error["message"]
    assert result["headers"]["retry-after"]


def test_a_direct_call_of_it_fails_so_that_lambda_counts_it(platform: Deployed, misled: str) -> None:
    answer = platform.aws.client("lambda").invoke(
        FunctionName=platform.function, Qualifier=misled, Payload=GOOD.encode()
    )
    assert answer["FunctionError"]
    failure = json.loads(answer["Payload"].read())
    assert failure["errorType"] == "InferenceFailed"
    assert "ModelUnavailable" in failure["errorMessage"]
