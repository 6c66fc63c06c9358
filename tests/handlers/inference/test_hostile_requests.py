"""What a caller can send to harm the function: every answer is theirs to mend, and none ends in an error."""

import base64
import json
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import app, shelf
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3
from handlers.inference.fake_services import FakeServices
from handlers.inference.test_app import CONTEXT, ROW, fields, post, send
from handlers.inference.test_batch import LETTERS, record, services
from handlers.inference.test_shelf import following, point

__all__ = ["services"]  # a fixture

HUGE = "9" * 400  # more than a float holds, and a whole number for Python
LONGEST = "9" * 5000  # more digits than Python writes


def row(age: str) -> str:
    return f'{{"instances": [{{"age": {age}, "income (k$)": 1}}]}}'


NUMBERS = {
    "400 digits": HUGE,
    "less than none": f"-{HUGE}",
    "more digits than Python writes": LONGEST,
    "an exponent": "1e400",
    "more than single precision": "1e39",
    "a long fraction": f"0.{HUGE}e500",
}
DIRECT: dict[str, float] = {
    "400 digits": int(HUGE),
    "less than none": -int(HUGE),
    "more digits than Python writes": 10**5000,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "more than 64 bits": 2**64,
    "more than single precision": 1e39,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_no_model_takes_are_the_callers(tabular: app.Function, name: str) -> None:
    status, _ = send(tabular, post(row(NUMBERS[name])))
    assert status in (400, 422)


@pytest.mark.parametrize("name", DIRECT)
def test_numbers_of_a_direct_invocation_are_the_callers_too(tabular: app.Function, name: str) -> None:
    answer: Any = tabular({"instances": [{**ROW, "age": DIRECT[name]}]}, CONTEXT)
    assert set(fields(answer)) == {"instances[0].age"}


def test_half_a_surrogate_pair_as_a_name_is_answered(tabular: app.Function) -> None:
    half = '{"instances": [{"age": 1, "income (k$)": 1, "\\ud800": 1}]}'
    status, _ = send(tabular, post(half))
    assert status in (400, 422)
    answer: Any = tabular({"instances": [{**ROW, "\ud800": 1}]}, CONTEXT)
    json.dumps(answer, ensure_ascii=False).encode()
    outside: Any = tabular({"instances": [ROW], "\ud800": 1}, CONTEXT)
    json.dumps(outside, ensure_ascii=False).encode()


def test_names_of_megabytes_are_not_sent_back(tabular: app.Function) -> None:
    unknown = {f"{number}{'x' * 1_000_000}": 1 for number in range(5)}
    answer = tabular(post({"instances": [{**ROW, **unknown}]}), CONTEXT)
    assert answer["statusCode"] == 422
    assert len(str(answer["body"])) < 10_000


def test_deep_nesting_is_refused_wherever_it_is(tabular: app.Function) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    for body in (deep, row(deep), f'{{"instances": {deep}}}', f'{{"instances": [], "more": {deep}}}'):
        assert send(tabular, post(body))[0] in (400, 422)
    objects = '{"instances":' * 5_000 + "1" + "}" * 5_000
    assert send(tabular, post(objects))[0] in (400, 422)


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"instances": "\xed\xa0\x80"}', b'{"\xff": 1}', b"\x00"])
def test_bytes_that_are_no_text_are_refused(tabular: app.Function, content: bytes) -> None:
    body = base64.b64encode(content).decode()
    assert send(tabular, post(body, isBase64Encoded=True))[0] in (400, 422)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-type": "text/csv"}, "send application/json, not 'text/csv'"),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            "send application/json, not 'multipart/form-data'",
        ),
        (
            {"content-encoding": "gzip", "content-type": "application/json"},
            "send the body as it is, not as 'gzip'",
        ),
        ({"Content-Type": "text/csv"}, "send application/json, not 'text/csv'"),
    ],
)
def test_other_kinds_of_content_are_told_by_their_name(
    tabular: app.Function, headers: dict[str, str], expected: str
) -> None:
    status, answer = send(tabular, post("age,income\n1,2\n", headers=headers))
    assert (status, answer["error"]["type"]) == (415, "UnsupportedMediaType")
    assert expected in answer["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        5,
        {"content-type": None},
        {"content-type": "application/json"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/octet-stream"},
        {"content-type": "text/plain; charset=utf-8"},
    ],
)
def test_what_is_no_json_is_told_so_without_a_kind(tabular: app.Function, headers: object) -> None:
    assert send(tabular, post("{", headers=headers))[0] == 400


def test_json_is_taken_whatever_it_is_called(tabular: app.Function) -> None:
    # As curl sends it, if not said otherwise
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert send(tabular, post({"instances": [ROW]}, headers=headers))[0] == 200


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(tabular: app.Function) -> None:
    request = json.dumps({"instances": [ROW]})
    for size, expected in ((tabular._max_body, 200), (tabular._max_body + 1, 413)):
        body = request + " " * (size - len(request))
        assert send(tabular, post(body))[0] == expected
        encoded = base64.b64encode(body.encode()).decode()
        assert send(tabular, post(encoded, isBase64Encoded=True))[0] == expected


def test_an_answer_that_lambda_would_not_carry_is_told_beforehand(
    tabular: app.Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"instances": [ROW] * 50}
    carried = tabular(post(request), CONTEXT)
    # As Lambda writes it, in the answer to itself
    length = len(json.dumps(carried["body"])) - 2
    monkeypatch.setattr(app, "_LONGEST_ANSWER", length)
    assert tabular(post(request), CONTEXT)["statusCode"] == 200
    monkeypatch.setattr(app, "_LONGEST_ANSWER", length - 1)
    status, answer = send(tabular, post(request))
    assert (status, answer["error"]["type"]) == (413, "AnswerTooLarge")
    assert "the predictions of 50 rows" in answer["error"]["message"]


def test_a_model_that_is_switched_in_mid_flight_answers_what_it_began(s3: FakeS3) -> None:
    # GIVEN a request that is being answered
    point(s3, models.tabular())
    function = app.Function(following(s3, MODEL_REFRESH_SECONDS="60"))
    model = function.shelf.get()
    predict = model.predict

    def switched(rows: Any) -> Any:
        # WHEN another model takes over meanwhile
        point(s3, models.tabular(2.0))
        function.shelf.forget_time()
        assert function.shelf.get().sha256 == models.tabular(2.0).sha256
        return predict(rows)

    model.predict = switched  # type: ignore[method-assign]
    # THEN the request has the answer and the name of the first, and the next one those of the other
    first, second = (send(function, post({"instances": [ROW]}))[1] for _ in range(2))
    assert [each["model"]["sha256"] for each in (first, second)] == [
        models.tabular().sha256,
        models.tabular(2.0).sha256,
    ]
    assert first["predictions"] != second["predictions"]


def test_made_up_versions_put_no_model_away_that_others_ask_for(s3: FakeS3) -> None:
    for name, artifact in (("a", models.tabular()), ("b", models.text()), ("c", models.tabular(2.0))):
        point(s3, artifact, name=name)
    known = shelf.Shelf(following(s3, MODEL_NAMES="a,b,c", MAX_MODELS="3"))
    for name in "abc":
        known.get(name)
    for number in range(20):
        with pytest.raises(shelf.models.ModelUnavailable):
            known.get(f"a@{number:064x}")
    # THEN all three are there as before, and of the others one failure alone is remembered
    s3.requests.clear()
    for name in "abc":
        known.get(name)
    assert s3.requests == []
    assert len(known.keepers) == 1 + 3 + 1


@pytest.mark.parametrize("key", ["\ud800", "k" * 1025], ids=["half a pair", "too long"])
def test_keys_that_s3_has_none_of_are_the_callers(s3: FakeS3, key: str) -> None:
    environment = put(s3, models.tabular())
    function = app.Function(
        {**environment, "REQUESTS_AT": "s3://lake/requests/", "ANSWERS_AT": "s3://lake/answers/"}
    )
    answer: Any = function({"instances_from": f"s3://lake/requests/{key}"}, CONTEXT)
    assert set(fields(answer)) == {"instances_from"}
    beside: Any = function({"instances_from": "s3://lake/requests/a", f"x{key}": 1}, CONTEXT)
    json.dumps(beside, ensure_ascii=False).encode()
    assert "stands alone" in fields(beside)["instances_from"]


def test_a_poisonous_number_blocks_no_shard(s3: FakeS3, services: FakeServices) -> None:
    # GIVEN a record with a number that no float holds, among others
    environment = {**put(s3, models.tabular()), **services.environment()}
    serving = app.Function({**environment, "RESULTS_TO": "s3://lake/predicted/", "REJECTED_TO": LETTERS})
    bodies = [{"instances": [ROW]}, row(HUGE).encode(), {"instances": [ROW]}]
    event = {"Records": [record(number, body) for number, body in enumerate(bodies)]}
    # THEN it lies in the dead letters, and the shard goes on
    assert serving(event, CONTEXT) == {"batchItemFailures": []}
    assert len(services.queues[LETTERS]) == 1
