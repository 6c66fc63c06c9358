"""One content, one run: whatever EventBridge delivers and however often it is uploaded."""

import json
import re
from typing import Any

import pytest
from handlers.pipeline.asset import errors, start
from handlers.pipeline.conftest import BUCKET, CONTEXT, Lake
from handlers.pipeline.fakes import FakeStepFunctions

KEY = "reviews/new file+ä.csv"


def upload(lake: Lake, body: bytes = b"a\n1\n", key: str = KEY, **options: Any) -> dict[str, Any]:
    """Store an object and return the event that S3 sends of it."""
    options.setdefault("ChecksumAlgorithm", "SHA256")
    version = lake.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **options)["VersionId"]
    return {
        "id": "event-1",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": len(body), "version-id": version, "sequencer": version[:8]},
        },
    }


def test_an_upload_starts_a_run_with_a_reference_to_exactly_this_content(
    lake: Lake, machine: FakeStepFunctions
) -> None:
    event = upload(lake)
    result = start.handler(event, CONTEXT)
    assert result["started"]
    (execution,) = machine.executions.values()
    assert result["executionArn"] == execution["executionArn"]
    assert re.fullmatch(r"run-[0-9a-f]{24}", execution["name"])
    data = json.loads(execution["input"])["data"]
    assert data["bucket"] == BUCKET
    assert data["key"] == KEY
    assert data["versionId"] == event["detail"]["object"]["version-id"]
    assert data["checksum"].startswith("SHA256:")


@pytest.mark.parametrize("finished", [None, "SUCCEEDED"])
def test_a_second_upload_of_the_same_bytes_starts_nothing(
    lake: Lake, machine: FakeStepFunctions, finished: str | None
) -> None:
    start.handler(upload(lake), CONTEXT)
    if finished:
        machine.finish(finished)
    result = start.handler(upload(lake), CONTEXT)
    assert not result["started"]
    assert f"the same content is already {finished or 'RUNNING'}" in result["reason"]
    assert len(machine.executions) == 1


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
def test_an_event_that_is_delivered_twice_starts_one_run(
    lake: Lake, machine: FakeStepFunctions, status: str
) -> None:
    event = upload(lake)
    first = start.handler(event, CONTEXT)
    if status != "RUNNING":
        machine.finish(status)
    second = start.handler(event, CONTEXT)
    assert len(machine.executions) == 1
    assert second["executionArn"] == first["executionArn"]
    if status == "FAILED":
        assert "upload the object again to repeat it" in second["reason"]


def test_an_upload_after_a_failed_run_is_tried_once(lake: Lake, machine: FakeStepFunctions) -> None:
    start.handler(upload(lake), CONTEXT)
    machine.finish("FAILED")
    again = upload(lake)
    result = start.handler(again, CONTEXT)
    assert result["started"]
    first, second = machine.executions
    assert re.fullmatch(rf"{first}-[0-9a-f]{{8}}", second)
    machine.finish("TIMED_OUT")
    repeated = start.handler(again, CONTEXT)
    assert not repeated["started"]
    assert "already tried again" in repeated["reason"]
    third = start.handler(upload(lake), CONTEXT)
    assert third["started"]
    assert len(machine.executions) == 3


def test_other_content_or_another_place_is_another_run(lake: Lake, machine: FakeStepFunctions) -> None:
    start.handler(upload(lake), CONTEXT)
    start.handler(upload(lake, b"a\n2\n"), CONTEXT)
    start.handler(upload(lake, key="reviews/other.csv"), CONTEXT)
    assert len(machine.executions) == 3


def head_of(changes: dict[str, Any]) -> Any:
    class Head:
        def head_object(self, **request: Any) -> dict[str, Any]:
            assert request["ChecksumMode"] == "ENABLED"
            return {"ContentLength": 9, **changes}

        def get_object(self, **request: Any) -> Any:
            class Body:
                def iter_chunks(self, size: int) -> Any:
                    yield b"a\n1\n"

            return {"Body": Body()}

    return Head()


@pytest.mark.parametrize(
    ("head", "identity"),
    [
        ({"ChecksumSHA256": "abc=", "ChecksumType": "FULL_OBJECT"}, "SHA256:abc=:9"),
        ({"ChecksumCRC64NVME": "xyz=", "ChecksumType": "FULL_OBJECT"}, "CRC64NVME:xyz=:9"),
        ({"ChecksumCRC32": "xyz=", "ChecksumSHA256": "abc="}, "SHA256:abc=:9"),
        ({"ChecksumSHA256": "abc=-3"}, "SHA256:309b0e45"),
        ({"ChecksumSHA256": "abc=", "ChecksumType": "COMPOSITE"}, "SHA256:309b0e45"),
        ({}, "SHA256:309b0e45"),
        ({"ContentLength": 10**9}, "version:v1"),
    ],
)
def test_what_tells_content_apart(
    monkeypatch: pytest.MonkeyPatch, head: dict[str, Any], identity: str
) -> None:
    monkeypatch.setattr(start, "s3", lambda: head_of(head))
    assert start._content_identity(BUCKET, KEY, "v1")[: len(identity)] == identity


def test_an_object_that_is_gone_starts_nothing(lake: Lake, machine: FakeStepFunctions) -> None:
    event = upload(lake)
    lake.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=event["detail"]["object"]["version-id"])
    result = start.handler(event, CONTEXT)
    assert result == {"started": False, "reason": f"s3://{BUCKET}/{KEY} does not exist any more"}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": []},
        {"detail-type": "Object Created", "detail": {"bucket": {}, "object": {"key": "x"}}},
        {"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": None}}},
        {"detail-type": "Object Deleted", "detail": {"bucket": {"name": "b"}, "object": {"key": "x"}}},
    ],
)
def test_an_event_that_is_not_understood_is_an_error(
    machine: FakeStepFunctions, event: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidEvent):
        start.handler(event, CONTEXT)
