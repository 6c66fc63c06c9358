"""Requests as callers send them, answers as they see them."""

import base64
import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import app, contract, model, ort
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault

CONTEXT = SimpleNamespace(aws_request_id="request-1")
ROW = {"age": 30, "income (k$)": 1.5}


def post(body: object, **event: object) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "version": "2.0",
        "rawPath": "/",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "body": text,
        "isBase64Encoded": False,
        **event,
    }


def send(function: app.Function, event: object) -> tuple[int, dict[str, Any]]:
    answer = function(event, CONTEXT)
    assert answer["headers"]["content-type"] == "application/json"  # type: ignore[index]
    return answer["statusCode"], json.loads(answer["body"])  # type: ignore[return-value,arg-type]


def fields(answer: dict[str, Any]) -> dict[str, str]:
    return {field["path"]: field["message"] for field in answer["error"]["fields"]}


def metric_lines(output: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, output.splitlines()) if "_aws" in line]


def test_a_request_over_http_gets_a_label_and_a_probability_for_each_class(tabular: app.Function) -> None:
    status, answer = send(tabular, post({"instances": [{"age": 1, "income (k$)": 1}]}))

    assert status == 200
    [prediction] = answer["predictions"]
    assert prediction["label"] == "yes"
    assert prediction["probabilities"]["yes"] == pytest.approx(1 / (1 + math.exp(-2)))
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert answer["model"] == {"sha256": models.tabular().sha256, "version": "7"}


def test_a_direct_invocation_gets_the_same_answer_without_the_envelope(tabular: app.Function) -> None:
    request = {"instances": [ROW, {**ROW, "income (k$)": -200}]}

    direct = tabular(request, CONTEXT)

    assert direct == send(tabular, post(request))[1]
    assert [each["label"] for each in direct["predictions"]] == ["yes", "no"]  # type: ignore[attr-defined,index]


def test_a_text_model_gives_the_probabilities_of_the_pipeline_that_it_was_exported_from(
    text: app.Function,
) -> None:
    texts = [*models.TEXTS, "nothing known here", "GREAT Battery", "ünïcödé great 👍"]

    _, answer = send(text, post({"instances": [{"text": text} for text in texts]}))

    expected = models.text_pipeline().predict_proba([text.lower() for text in texts])
    given = [[p["probabilities"]["negative"], p["probabilities"]["positive"]] for p in answer["predictions"]]
    assert given == [pytest.approx(list(row), abs=1e-5) for row in expected]
    labels = list(models.text_pipeline().predict([text.lower() for text in texts]))
    assert [each["label"] for each in answer["predictions"]] == labels


def test_a_character_that_ends_a_c_string_does_not_end_the_text(text: app.Function) -> None:
    _, answer = send(text, post({"instances": [{"text": "bad \0 great great"}, {"text": "bad great great"}]}))

    first, second = answer["predictions"]
    assert first == second


def test_texts_and_numbers_go_into_inputs_of_their_own_and_a_model_without_label_gets_the_likeliest(
    s3: FakeS3,
) -> None:
    function = app.Function(put(s3, models.mixed()))

    rows = [{"tier": "VIP", "share": 0.75}, {"tier": "VIP", "share": 0.25}, {"share": 1, "tier": "none"}]
    _, answer = send(function, post({"instances": rows}))

    assert [each["label"] for each in answer["predictions"]] == ["yes", "no", "no"]
    assert [each["probabilities"]["yes"] for each in answer["predictions"]] == [0.75, 0.25, 0]


def test_a_base64_body_is_decoded(tabular: app.Function) -> None:
    body = base64.b64encode(json.dumps({"instances": [ROW]}).encode()).decode()
    assert send(tabular, post(body, isBase64Encoded=True))[0] == 200


def test_whole_numbers_are_numbers(tabular: app.Function) -> None:
    assert send(tabular, post('{"instances": [{"age": 120, "income (k$)": 0}]}'))[0] == 200


@pytest.mark.parametrize(
    ("body", "more"),
    [
        ("", {}),
        ("{", {}),
        ("not json", {}),
        ('{"instances": [{"age": NaN, "income (k$)": 1}]}', {}),
        ('{"instances": [{"age": Infinity, "income (k$)": 1}]}', {}),
        ('{"instances": [], }', {}),
        ("[" * 100_000, {}),
        ("{}", {"isBase64Encoded": True}),
        ("/w==", {"isBase64Encoded": True}),
        (None, {"body": None}),
        (None, {"body": 5}),
    ],
)
def test_what_is_not_json_is_refused_with_400(tabular: app.Function, body: str, more: dict[str, Any]) -> None:
    status, answer = send(tabular, {**post(body or ""), **more})
    assert (status, answer["error"]["type"]) == (400, "InvalidJson")


@pytest.mark.parametrize(
    ("request_body", "path", "message"),
    [
        ([], "", "expected an object"),
        ('"text"', "", "expected an object"),
        ({}, "instances", "is required"),
        ({"instances": None}, "instances", "expected an array of rows, got null"),
        ({"instances": {}}, "instances", "expected an array of rows, got an object"),
        ({"instances": []}, "instances", "at least one row"),
        ({"instances": [ROW], "extra": 1}, "extra", "not known here (allowed: instances)"),
        ({"instances": [ROW, None]}, "instances[1]", "expected an object, got null"),
        ({"instances": [ROW, [1, 2]]}, "instances[1]", "expected an object, got an array"),
        ({"instances": [{"age": 1}]}, "instances[0].income (k$)", "is required"),
        (
            {"instances": [{**ROW, "agee": 1}]},
            "instances[0].agee",
            "not known here (allowed: age, income (k$))",
        ),
        ({"instances": [{**ROW, "age": "30"}]}, "instances[0].age", "expected a number, got the string '30'"),
        ({"instances": [{**ROW, "age": None}]}, "instances[0].age", "expected a number, got null"),
        ({"instances": [{**ROW, "age": True}]}, "instances[0].age", "expected a number, got true"),
        ({"instances": [{**ROW, "age": [1]}]}, "instances[0].age", "expected a number, got an array"),
        ({"instances": [{**ROW, "age": -1}]}, "instances[0].age", "must be at least 0, got -1"),
        ({"instances": [{**ROW, "age": 120.5}]}, "instances[0].age", "must be at most 120, got 120.5"),
        ({"instances": [{**ROW, "income (k$)": 1e39}]}, "instances[0].income (k$)", "must be at most 3.4"),
        ({"instances": [{**ROW, "income (k$)": -(10**50)}]}, "instances[0].income (k$)", "at least -3.4"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(
    tabular: app.Function, request_body: object, path: str, message: str
) -> None:
    status, answer = send(tabular, post(request_body))

    assert (status, answer["error"]["type"]) == (422, "ValidationError")
    assert list(fields(answer)) == [path]
    assert message in fields(answer)[path]


def test_every_wrong_field_of_every_row_is_named_at_once(tabular: app.Function) -> None:
    rows = [{"age": "x"}, ROW, {**ROW, "age": 200, "other": 1}, 7]

    _, answer = send(tabular, post({"instances": rows}))

    assert answer["error"]["message"] == "the request has 5 problems"
    assert list(fields(answer)) == [
        "instances[0].age",
        "instances[0].income (k$)",
        "instances[2].age",
        "instances[2].other",
        "instances[3]",
    ]


def test_a_long_list_of_problems_is_cut_and_says_so(tabular: app.Function) -> None:
    _, answer = send(tabular, post({"instances": [{}] * 100}))
    assert len(answer["error"]["fields"]) == contract.MAX_REPORTED
    assert answer["error"]["message"] == "the request has more than 20 problems; the first 20 are listed"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "expected a string, got the number 5"),
        (None, "expected a string, got null"),
        ("x" * 51, "must have at most 50 characters, got 51"),
    ],
)
def test_a_wrong_text_is_named(text: app.Function, value: object, message: str) -> None:
    status, answer = send(text, post({"instances": [{"text": "fine"}, {"text": value}]}))
    assert (status, fields(answer)) == (422, {"instances[1].text": message})


def test_half_a_surrogate_pair_is_refused_however_it_comes(text: app.Function) -> None:
    status, _ = send(text, post('{"instances": [{"text": "\\ud800"}]}'))
    direct: Any = text({"instances": [{"text": "fine"}, {"text": "\ud800"}]}, CONTEXT)

    assert status in (400, 422)
    assert list(fields(direct)) == ["instances[1].text"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_refused_in_a_direct_invocation(
    tabular: app.Function, number: float
) -> None:
    answer: Any = tabular({"instances": [ROW, {**ROW, "income (k$)": number}]}, CONTEXT)
    assert fields(answer) == {"instances[1].income (k$)": f"must be finite, got {number}"}


def test_a_direct_invocation_with_wrong_fields_returns_the_error_and_raises_nothing(
    tabular: app.Function,
) -> None:
    answer: Any = tabular({"instances": [{"age": 1}], "more": 1}, CONTEXT)
    assert answer["error"]["type"] == "ValidationError"
    assert list(fields(answer)) == ["more", "instances[0].income (k$)"]


@pytest.mark.parametrize("event", [{}, {"Records": []}, [], None, "text", 5])
def test_an_event_of_another_service_is_told_what_is_understood(tabular: app.Function, event: object) -> None:
    answer: Any = tabular(event, CONTEXT)
    assert answer["error"]["type"] == "UnknownEvent"
    assert "instances" in answer["error"]["message"]


def test_a_method_other_than_post_is_refused(tabular: app.Function) -> None:
    answer: Any = tabular({**post({}), "requestContext": {"http": {"method": "GET"}}}, CONTEXT)
    assert answer["statusCode"] == 405
    assert answer["headers"]["allow"] == "POST"


@pytest.mark.parametrize("encoded", [False, True])
def test_ten_megabytes_are_refused_before_they_are_parsed(tabular: app.Function, encoded: bool) -> None:
    status, answer = send(tabular, post("A" * (14 if encoded else 10) * 1024 * 1024, isBase64Encoded=encoded))
    assert (status, answer["error"]["type"]) == (413, "PayloadTooLarge")


def test_the_limit_of_a_body_counts_bytes_and_not_characters(s3: FakeS3) -> None:
    function = app.Function({**put(s3, models.text()), "MAX_BODY_BYTES": "70"})
    body = '{"instances": [{"text": "%s"}]}'
    room = 70 - len(body % "")
    wide = "é" * (room // 2)

    assert send(function, post(body % ("x" * room)))[0] == 200
    assert send(function, post(body % ("x" * (room + 1))))[0] == 413
    assert send(function, post(body % wide))[0] == 200
    assert send(function, post(body % (wide + "éé")))[0] == 413


def test_a_limit_that_is_no_number_is_reported_and_the_default_holds(
    s3: FakeS3, capsys: pytest.CaptureFixture[str]
) -> None:
    function = app.Function({**put(s3, models.tabular()), "MAX_BODY_BYTES": "6 MB"})
    assert send(function, post({"instances": [ROW]}))[0] == 200
    assert "MAX_BODY_BYTES must be a positive whole number, got '6 MB'" in capsys.readouterr().out


def test_more_rows_than_allowed_are_refused(s3: FakeS3) -> None:
    function = app.Function({**put(s3, models.tabular()), "MAX_ROWS": "3"})

    assert send(function, post({"instances": [ROW] * 3}))[0] == 200
    status, answer = send(function, post({"instances": [ROW] * 4}))
    assert (status, fields(answer)) == (422, {"instances": "must hold at most 3 rows, got 4"})


def test_a_model_that_fails_on_a_request_answers_500_and_serves_the_next_one(s3: FakeS3) -> None:
    function = app.Function(put(s3, models.tabular(weight=3e38)))  # overflows on anything above one

    status, answer = send(function, post({"instances": [ROW]}))
    assert (status, answer["error"]["type"]) == (500, "InferenceError")
    assert "NaN" in answer["error"]["message"]
    assert send(function, post({"instances": [{"age": 0, "income (k$)": 0}]}))[0] == 200


def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_everything(
    tabular: app.Function, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(model.Model, "predict", broken)

    status, answer = send(tabular, post({"instances": [ROW]}))

    assert (status, answer["error"]["type"]) == (500, "InternalError")
    assert "secret" not in json.dumps(answer)
    assert "request-1" in answer["error"]["message"]
    [entry] = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" not in line]
    assert entry["message"] == "secret detail"
    assert "broken" in entry["stack"]


def test_each_invocation_writes_one_line_of_metrics(
    tabular: app.Function, capsys: pytest.CaptureFixture[str]
) -> None:
    send(tabular, post({"instances": [ROW, ROW]}))
    send(tabular, post("no json"))
    tabular.shelf.main._model = None
    tabular.shelf.main._environment = {}
    send(tabular, post({"instances": [ROW]}))

    good, bad, broken = metric_lines(capsys.readouterr().out)
    assert good["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tests"
    assert good["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Service"], ["Service", "FunctionVersion"]]
    assert (good["Service"], good["FunctionVersion"], good["requestId"]) == ("reviews", "7", "request-1")
    assert (good["Invocations"], good["Rows"], good["ValidationErrors"], good["ServerErrors"]) == (1, 2, 0, 0)
    assert 0 < good["ModelLatency"] < good["Latency"]
    assert good["ModelLoad"] > 0
    assert (bad["Rows"], bad["ValidationErrors"], bad["ServerErrors"]) == (0, 1, 0)
    assert "ModelLoad" not in bad
    assert (broken["ValidationErrors"], broken["ServerErrors"]) == (0, 1)


def test_every_metric_that_is_declared_has_its_value_in_the_line(
    tabular: app.Function, capsys: pytest.CaptureFixture[str]
) -> None:
    send(tabular, post({"instances": [ROW]}))
    send(tabular, post({}))
    for line in metric_lines(capsys.readouterr().out):
        for declared in line["_aws"]["CloudWatchMetrics"]:
            names = [metric["Name"] for metric in declared["Metrics"]]
            dimensions = [name for each in declared["Dimensions"] for name in each]
            assert all(isinstance(line[name], int | float) for name in names)
            assert all(isinstance(line[name], str) for name in dimensions)


def test_the_model_is_loaded_once_while_the_sandbox_starts(s3: FakeS3) -> None:
    function = app.Function(put(s3, models.tabular()))
    function.prepare()
    fetched = len(s3.requests)

    for _ in range(3):
        assert send(function, post({"instances": [ROW]}))[0] == 200

    assert fetched == len(s3.requests) == 2


def test_a_function_without_a_model_answers_503_and_lives(capsys: pytest.CaptureFixture[str]) -> None:
    function = app.Function({})
    function.prepare()

    status, answer = send(function, post({"instances": [ROW]}))

    assert (status, answer["error"]["type"]) == (503, "NoModel")
    assert "MODEL_BUCKET" in answer["error"]["message"]
    assert '"NoModel"' in capsys.readouterr().out


def test_a_model_that_cannot_be_loaded_answers_503_with_the_reason(s3: FakeS3) -> None:
    function = app.Function({**put(s3, models.tabular()), "MODEL_SHA256": "0" * 64})
    function.prepare()

    status, answer = send(function, post({"instances": [ROW]}))

    assert (status, answer["error"]["type"]) == (503, "ModelUnavailable")
    assert "SHA-256" in answer["error"]["message"]


def test_a_load_that_failed_on_a_passing_fault_is_tried_again_later(s3: FakeS3) -> None:
    function = app.Function(put(s3, models.tabular()))
    clock = [0.0]
    function.shelf.main._now = lambda: clock[0]
    s3.faults += [Fault(503)] * 4
    function.prepare()

    assert send(function, post({"instances": [ROW]}))[0] == 503
    assert len(s3.requests) == 4  # no second try within the pause
    clock[0] = 1.1
    assert send(function, post({"instances": [ROW]}))[0] == 200


def test_the_engine_says_why_it_refuses(s3: FakeS3) -> None:
    with pytest.raises(ort.OrtError, match="protobuf"):
        ort.Session(ort.Engine(), b"no model")


@pytest.mark.parametrize("broken", [{}, {"MODEL_SHA256": "0" * 64}])
def test_a_direct_invocation_that_the_function_cannot_answer_fails_so_that_the_event_is_not_lost(
    s3: FakeS3, broken: dict[str, str]
) -> None:
    function = app.Function({**put(s3, models.tabular()), **broken} if broken else {})
    with pytest.raises(app.InferenceFailed, match="SHA-256" if broken else "NoModel: no model is configured"):
        function({"instances": [ROW]}, CONTEXT)


def test_each_failed_load_is_counted_once_and_a_success_says_zero(
    s3: FakeS3, capsys: pytest.CaptureFixture[str]
) -> None:
    function = app.Function(put(s3, models.tabular()))
    clock = [0.0]
    function.shelf.main._now = lambda: clock[0]
    s3.faults.append(Fault(404))
    function.prepare()
    send(function, post({"instances": [ROW]}))
    clock[0] = 2.0
    send(function, post({"instances": [ROW]}))
    send(function, post({"instances": [ROW]}))

    counts = [line.get("ModelLoadFailures") for line in metric_lines(capsys.readouterr().out)]
    assert counts == [1, None, 0, None]


def test_a_model_that_loads_while_the_sandbox_starts_is_measured_then(
    tabular: app.Function, capsys: pytest.CaptureFixture[str]
) -> None:
    tabular.prepare()
    [line] = metric_lines(capsys.readouterr().out)
    assert line["ModelLoad"] > 0
    assert "Invocations" not in line
