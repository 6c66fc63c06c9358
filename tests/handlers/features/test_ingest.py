"""What is written, what is delivered again, and what goes to the dead letters."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.features.asset import FOLDER, ingest

from tests.compliance.handlers import Asset

FEATURES = {"id": "String", "at": "String", "count": "Integral"}
AT = "2026-11-28T12:00:00Z"


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "at": AT, "count": number, **changes}


class Aws:
    """A store that refuses some records, objects, and a queue."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str | None], bytes] = {}
        self.written: list[dict[str, str]] = []
        self.refused: dict[str, str] = {}
        self.rejected: list[dict[str, Any]] = []

    def put_record(self, *, FeatureGroupName: str, Record: list[dict[str, str]]) -> None:  # noqa: N803
        assert FeatureGroupName == "products"
        record = {each["FeatureName"]: each["ValueAsString"] for each in Record}
        code = self.refused.get(record["id"])
        if code is not None:
            raise ClientError({"Error": {"Code": code, "Message": f"no {record['id']}"}}, "PutRecord")
        self.written.append(record)

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        return {"Body": BytesIO(self.objects[(Bucket, Key, VersionId)])}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        assert QueueUrl == "https://queue"
        self.rejected.append(json.loads(MessageBody))

    @property
    def ids(self) -> set[str]:
        return {record["id"] for record in self.written}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    fake = Aws()
    for name, value in {
        "FEATURE_GROUP": "products",
        "FEATURES": json.dumps(FEATURES),
        "RECORD_ID": "id",
        "EVENT_TIME": "at",
        "REJECTED_QUEUE": "https://queue",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (ingest._store, ingest._s3, ingest._sqs, ingest._group)
    for each in caches:
        each.cache_clear()
    monkeypatch.setattr(ingest.boto3, "client", lambda *_, **__: fake)
    yield fake
    for each in caches:
        each.cache_clear()


def message(number: int, body: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": f"m{number}", "eventSource": "aws:sqs", "body": text}


def streamed(number: int, body: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(body).encode()).decode()
    return {"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": f"s{number}", "data": data}}


def failures(answer: dict[str, Any]) -> list[str]:
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def test_messages_are_written_and_only_those_that_were_not_come_again(aws: Aws) -> None:
    aws.refused = {"p3": "InternalFailure"}
    records = [
        message(1, row(1)),
        message(2, row(2, count="many")),
        message(3, row(3)),
        message(4, "nope"),
        message(5, row(5)),
    ]
    assert failures(ingest.handler({"Records": records}, None)) == ["m2", "m3", "m4"]
    assert aws.ids == {"p1", "p5"}


def test_a_stream_stops_at_the_first_record_that_cannot_be_written(aws: Aws) -> None:
    aws.refused = {"p2": "ServiceUnavailable"}
    records = [streamed(number, row(number)) for number in (1, 2, 3)]
    assert failures(ingest.handler({"Records": records}, None)) == ["s2"]
    assert aws.ids == {"p1"}


def test_a_message_that_comes_again_is_written_again_with_the_same_bytes(aws: Aws) -> None:
    for _ in range(2):
        assert failures(ingest.handler({"Records": [message(1, row(1))]}, None)) == []
    first, second = aws.written
    assert first == second


def lines(*rows: Any) -> bytes:
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows).encode()


def test_an_object_is_written_and_its_wrong_rows_are_kept_apart(aws: Aws) -> None:
    aws.refused = {"p3": "ValidationError"}
    aws.objects[("lake", "products/a.jsonl", None)] = lines(row(1), row(2, count="many"), row(3), "nope")
    answer = ingest.handler({"bucket": "lake", "key": "products/a.jsonl"}, None)
    assert answer == {"written": 1, "rejected": 3}
    assert aws.ids == {"p1"}
    told = {each["line"]: each for each in aws.rejected}
    assert set(told) == {2, 3, 4}
    assert told[2]["object"] == "s3://lake/products/a.jsonl"
    assert "whole number" in told[2]["reason"]
    assert json.loads(told[3]["row"]) == row(3)


def test_a_csv_of_many_rows_is_written_whole(aws: Aws) -> None:
    body = "id,at,count\n" + "".join(f"p{n},{AT},{n}\n" for n in range(1000))
    aws.objects[("lake", "products/a.csv", "v1")] = body.encode()
    answer = ingest.handler({"bucket": "lake", "key": "products/a.csv", "version": "v1"}, None)
    assert answer == {"written": 1000, "rejected": 0}
    assert len(aws.ids) == 1000


def test_an_object_of_wrong_rows_alone_fails_by_name(aws: Aws) -> None:
    aws.objects[("lake", "a.jsonl", None)] = lines({"id": "p1"}, "nope")
    with pytest.raises(ingest.NoRowWritten, match=r"s3://lake/a.jsonl: line 1: at has no value; line 2"):
        ingest.handler({"bucket": "lake", "key": "a.jsonl"}, None)
    assert len(aws.rejected) == 2


def test_an_empty_object_is_no_failure(aws: Aws) -> None:
    aws.objects[("lake", "a.jsonl", None)] = b""
    assert ingest.handler({"bucket": "lake", "key": "a.jsonl"}, None) == {"written": 0, "rejected": 0}


def test_a_fault_of_the_service_fails_the_whole_call_which_is_repeated(aws: Aws) -> None:
    aws.refused = {"p2": "InternalFailure"}
    aws.objects[("lake", "a.jsonl", None)] = lines(row(1), row(2))
    with pytest.raises(ClientError):
        ingest.handler({"bucket": "lake", "key": "a.jsonl"}, None)
    assert aws.rejected == []


def test_an_event_of_s3_in_a_message_names_the_object(aws: Aws) -> None:
    aws.objects[("lake", "products/a.jsonl", "v7")] = lines(row(1))
    detail = {"bucket": {"name": "lake"}, "object": {"key": "products/a.jsonl", "version-id": "v7"}}
    told = message(1, {"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    assert failures(ingest.handler({"Records": [told]}, None)) == []
    assert aws.ids == {"p1"}


def test_time_that_runs_out_is_told_by_name(aws: Aws) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 1000

    aws.objects[("lake", "a.jsonl", None)] = lines(row(1), row(2))
    with pytest.raises(ingest.ObjectTooLargeError, match="split the object"):
        ingest.handler({"bucket": "lake", "key": "a.jsonl"}, Context())


@pytest.mark.parametrize("wrong", [{}, {"Records": []}, {"bucket": "lake"}])
def test_other_events_are_refused_by_name(aws: Aws, wrong: dict[str, Any]) -> None:
    with pytest.raises(ingest.UnknownEventError, match="neither records nor an object"):
        ingest.handler(wrong, None)


def test_the_calls_can_be_followed() -> None:
    asset = Asset.in_folder(FOLDER)
    assert asset.unclear() == []
    assert {action for call in asset.calls("ingest.handler") for action in call.actions()} == {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "sagemaker:PutRecord",
        "sqs:SendMessage",
    }
