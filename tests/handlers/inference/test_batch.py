"""Batches from queues and streams: what is predicted, what is tried again, and what is put away."""

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.inference import fake_services, models
from handlers.inference.asset import app, ort
from handlers.inference.asset import services as services_module
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault
from handlers.inference.fake_services import LETTERS, QUEUE, FakeServices
from handlers.inference.test_app import metric_lines

CONTEXT = SimpleNamespace(aws_request_id="request-1")
SENT = 1_795_867_200_000  # 2026-11-28, 12:00 UTC, in milliseconds


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    monkeypatch.setattr(services_module, "_BACKOFF_SECONDS", 0.0)
    with fake_services.serve() as known:
        yield known


def function(s3: FakeS3, services: FakeServices, to: str, **more: str) -> app.Function:
    environment = put(s3, models.text())
    return app.Function({**environment, **services.environment(), "RESULTS_TO": to, **more})


def message(identifier: str, body: object) -> dict[str, Any]:
    return {
        "messageId": identifier,
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"SentTimestamp": str(SENT)},
        "eventSource": "aws:sqs",
    }


def record(number: int, body: object) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "kinesis": {
            "sequenceNumber": f"seq-{number}",
            "partitionKey": "shop",
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": SENT / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/reviews",
    }


def rows(*texts: str) -> dict[str, Any]:
    return {"instances": [{"text": text} for text in texts]}


def again(answer: Any) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def stored(s3: FakeS3) -> dict[str, bytes]:
    return {key: body for key, body in s3.objects.items() if key.startswith("lake/predicted/")}


def test_a_batch_of_a_queue_is_predicted_into_one_object_of_its_day(
    s3: FakeS3, services: FakeServices
) -> None:
    # GIVEN two messages of one and two rows
    event = {"Records": [message("a", rows("great phone")), message("b", rows("bad", "great price"))]}
    # WHEN the function gets them
    answer = function(s3, services, "s3://lake/predicted/")(event, CONTEXT)
    # THEN nothing is tried again, and there is a line for each message with what a request would be answered
    assert answer == {"batchItemFailures": []}
    [(key, content)] = stored(s3).items()
    assert key.startswith("lake/predicted/day=2026-11-28/")
    assert key.endswith(".jsonl")
    first, second = lines(content)
    assert (first["record"], second["record"]) == ("a", "b")
    assert [each["label"] for each in second["predictions"]] == ["negative", "positive"]
    assert first["model"] == models.text().sha256
    alone: Any = app.Function(put(s3, models.text()))(rows("great phone"), CONTEXT)
    assert first["predictions"] == alone["predictions"]


def test_the_same_batch_again_replaces_its_own_object(s3: FakeS3, services: FakeServices) -> None:
    serving = function(s3, services, "s3://lake/predicted/")
    for _ in range(2):
        serving({"Records": [message("a", rows("great"))]}, CONTEXT)
    assert len(stored(s3)) == 1


@pytest.mark.parametrize(
    "poison",
    ["no json", "[]", '{"instances": []}', '{"instances": [{"text": 5}]}', '{"instances": [{"txt": "a"}]}'],
)
def test_a_poison_message_alone_is_given_back_to_its_queue(
    s3: FakeS3, services: FakeServices, poison: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {
        "Records": [message("a", rows("great")), message("bad", poison), message("c", rows("bad battery"))]
    }
    answer = function(s3, services, "s3://lake/predicted/")(event, CONTEXT)
    assert again(answer) == ["bad"]
    assert [each["record"] for each in lines(*stored(s3).values())] == ["a", "c"]
    [told] = [
        line
        for line in map(json.loads, capsys.readouterr().out.splitlines())
        if line.get("type") == "Rejected"
    ]
    assert told["record"] == "bad"


def test_a_row_that_the_model_fails_on_fails_its_own_message_only(
    s3: FakeS3, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = function(s3, services, "s3://lake/predicted/")
    model = serving.shelf.get()
    predict = model.predict

    def fragile(batch: Any) -> Any:
        if b"poison" in batch.columns[0]:
            raise ort.OrtError("it cannot be done")
        return predict(batch)

    monkeypatch.setattr(model, "predict", fragile)
    event = {
        "Records": [message("a", rows("great")), message("p", rows("poison")), message("c", rows("bad"))]
    }
    assert again(serving(event, CONTEXT)) == ["p"]
    assert [each["record"] for each in lines(*stored(s3).values())] == ["a", "c"]


def test_rows_of_many_messages_are_one_call_of_the_model(
    s3: FakeS3, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = function(s3, services, QUEUE)
    model, calls = serving.shelf.get(), []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda batch: calls.append(batch.rows) or predict(batch))
    serving({"Records": [message(str(number), rows("great", "bad")) for number in range(25)]}, CONTEXT)
    assert calls == [50]
    assert len(services.queues[QUEUE]) == 25
    assert services.calls == ["SendMessageBatch"] * 3


def test_predictions_that_a_queue_does_not_take_are_tried_again(s3: FakeS3, services: FakeServices) -> None:
    services.refused = {'"b"'}
    event = {"Records": [message(each, rows("great")) for each in "abc"]}
    assert again(function(s3, services, QUEUE)(event, CONTEXT)) == ["b"]
    assert [json.loads(each)["record"] for each in services.queues[QUEUE]] == ["a", "c"]


def test_predictions_go_to_a_firehose_stream_as_lines(s3: FakeS3, services: FakeServices) -> None:
    services.refused = {'"c"'}
    event = {"Records": [message(each, rows("great")) for each in "abc"]}
    assert again(function(s3, services, "firehose:predictions")(event, CONTEXT)) == ["c"]
    assert all(each.endswith(b"}\n") for each in services.stream)
    assert [json.loads(each)["record"] for each in services.stream] == ["a", "b"]


def test_a_bucket_that_refuses_fails_every_message_of_the_object(s3: FakeS3, services: FakeServices) -> None:
    serving = function(s3, services, "s3://lake/predicted/")
    serving.prepare()
    s3.faults.append(Fault(403))
    event = {"Records": [message(each, rows("great")) for each in "ab"]}
    assert again(serving(event, CONTEXT)) == ["a", "b"]


def test_a_passing_fault_of_the_queue_is_survived_and_a_missing_queue_is_told(
    s3: FakeS3, services: FakeServices, capsys: pytest.CaptureFixture[str]
) -> None:
    services.faults = [500, 503]
    serving = function(s3, services, QUEUE)
    assert again(serving({"Records": [message("a", rows("great"))]}, CONTEXT)) == []
    services.faults = [400]
    assert again(serving({"Records": [message("a", rows("great"))]}, CONTEXT)) == ["a"]
    assert "sqs:SendMessageBatch: 400 QueueDoesNotExist" in capsys.readouterr().out


def test_a_stream_goes_on_past_a_poison_record_which_is_put_away_whole(
    s3: FakeS3, services: FakeServices
) -> None:
    # GIVEN a shard with a record that can never be predicted
    event = {"Records": [record(1, rows("great")), record(2, b"\xff\xfe"), record(3, rows("bad"))]}
    # WHEN the function gets it
    serving = function(s3, services, "s3://lake/predicted/", REJECTED_TO=LETTERS)
    # THEN nothing is tried again, and the record lies in the dead letters with the reason
    assert serving(event, CONTEXT) == {"batchItemFailures": []}
    assert [each["record"] for each in lines(*stored(s3).values())] == ["seq-1", "seq-3"]
    [letter] = map(json.loads, services.queues[LETTERS])
    assert base64.b64decode(letter["data"]) == b"\xff\xfe"
    assert (letter["sequenceNumber"], letter["partitionKey"]) == ("seq-2", "shop")
    assert letter["reason"].startswith("the record is not JSON")


def test_the_dead_letter_of_a_wrong_field_names_it(s3: FakeS3, services: FakeServices) -> None:
    serving = function(s3, services, "s3://lake/predicted/", REJECTED_TO=LETTERS)
    serving({"Records": [record(1, {"instances": [{"text": 5}]})]}, CONTEXT)
    [letter] = map(json.loads, services.queues[LETTERS])
    assert letter["fields"] == [
        {"path": "instances[0].text", "message": "expected a string, got the number 5"}
    ]


def test_a_record_that_is_too_large_for_a_message_is_named_by_its_number(
    s3: FakeS3, services: FakeServices
) -> None:
    serving = function(s3, services, "s3://lake/predicted/", REJECTED_TO=LETTERS)
    serving({"Records": [record(7, b"x" * 900_000)]}, CONTEXT)
    [letter] = map(json.loads, services.queues[LETTERS])
    assert (letter["data"], letter["sequenceNumber"]) == (None, "seq-7")


@pytest.mark.parametrize("letters", ["", LETTERS])
def test_a_record_that_cannot_be_put_away_blocks_the_shard_rather_than_being_lost(
    s3: FakeS3, services: FakeServices, letters: str
) -> None:
    serving = function(s3, services, QUEUE, REJECTED_TO=letters)
    event = {"Records": [record(1, b"no json"), record(2, b"{}")]}
    services.faults = [400, 400]
    assert again(serving(event, CONTEXT)) == ["seq-1", "seq-2"]


def test_a_record_can_ask_for_a_model_by_its_name(s3: FakeS3, services: FakeServices) -> None:
    other = put(s3, models.tabular())
    s3.objects["lake/models/churn/current.json"] = json.dumps(
        {"bucket": "lake", "key": other["MODEL_KEY"], "sha256": other["MODEL_SHA256"]}
    ).encode()
    serving = function(
        *(s3, services, QUEUE),
        MODEL_NAMES="churn",
        MODEL_POINTER_BUCKET="lake",
        MODEL_POINTER_KEY="models/current.json",
    )
    numbers = {"model": "churn", "instances": [{"age": 1, "income (k$)": 1}]}
    event = {
        "Records": [
            message("text", rows("great")),
            message("numbers", numbers),
            message("unknown", {**numbers, "model": "other"}),
            message("wrong", {**numbers, "model": 5}),
        ]
    }
    assert again(serving(event, CONTEXT)) == ["unknown", "wrong"]
    assert [json.loads(each)["model"] for each in services.queues[QUEUE]] == [
        models.text().sha256,
        models.tabular().sha256,
    ]


def test_without_a_model_the_whole_batch_is_tried_again(services: FakeServices) -> None:
    serving = app.Function({**services.environment(), "RESULTS_TO": QUEUE})
    with pytest.raises(app.InferenceFailed, match="NoModel"):
        serving({"Records": [message("a", rows("great"))]}, CONTEXT)


def test_without_a_place_for_predictions_the_batch_fails_and_says_so(
    s3: FakeS3, services: FakeServices
) -> None:
    with pytest.raises(Exception, match="RESULTS_TO is not set"):
        function(s3, services, "")({"Records": [message("a", rows("great"))]}, CONTEXT)


def test_a_batch_writes_one_line_of_metrics(
    s3: FakeS3, services: FakeServices, capsys: pytest.CaptureFixture[str]
) -> None:
    serving = function(s3, services, QUEUE)
    capsys.readouterr()
    serving({"Records": [message("a", rows("great", "bad")), message("b", "no json")]}, CONTEXT)
    [line] = metric_lines(capsys.readouterr().out)
    values = {name: line[name] for name in ("Records", "RejectedRecords", "FailedRecords", "Rows")}
    assert values == {"Records": 2, "RejectedRecords": 1, "FailedRecords": 0, "Rows": 2}
    assert line["requestId"] == "request-1"
