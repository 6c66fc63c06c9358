"""The same data twice is one run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.conftest import eventually
from tests.platform.conftest import DATA_NAME, Quick
from tests.platform.deployed import Deployed, Run

pytestmark = pytest.mark.xdist_group("platform")


def event_for(platform: Deployed, key: str, version: str) -> dict[str, Any]:
    """S3's event of an upload, as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "000000000000",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{platform.raw}"],
        "detail": {
            "version": "0",
            "bucket": {"name": platform.raw},
            "object": {"key": key, "version-id": version, "sequencer": "00617F08299329D189"},
            "reason": "PutObject",
        },
    }


def deliver(platform: Deployed, event: dict[str, Any]) -> dict[str, Any]:
    """Call the start function as EventBridge does; its answer."""
    name = platform.functions["start.handler"]["FunctionName"]
    answer = platform.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    text = answer["Payload"].read()
    assert "FunctionError" not in answer, text
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def upload_again(platform: Deployed, run: Run, content: bytes) -> dict[str, Any]:
    """Upload the data of a run once more; what the start function makes of it."""
    before = len(platform.answers_of_start(run.name))
    platform.upload(DATA_NAME, content)
    eventually(lambda: len(platform.answers_of_start(run.name)) > before, 60, "an answer to the upload")
    return platform.answers_of_start(run.name)[-1]


def test_the_same_object_uploaded_again_starts_nothing(
    platform: Deployed, first_run: Run, content: bytes
) -> None:
    before = platform.serving()
    runs = platform.executions(f"reviews/{DATA_NAME}")
    answer = upload_again(platform, first_run, content)
    assert platform.executions(f"reviews/{DATA_NAME}") == runs
    assert answer["message"] == "not started"
    assert "already SUCCEEDED" in answer["reason"]
    assert platform.serving() == before


def test_an_event_of_a_finished_run_starts_nothing(platform: Deployed, first_run: Run) -> None:
    version = first_run.output["data"]["versionId"]
    runs = platform.executions(f"reviews/{DATA_NAME}")
    answer = deliver(platform, event_for(platform, f"reviews/{DATA_NAME}", version))
    assert answer["started"] is False
    assert answer["executionArn"] == first_run.arn
    assert platform.executions(f"reviews/{DATA_NAME}") == runs


def test_an_event_delivered_again_while_its_run_goes_on_starts_nothing(
    platform: Deployed, quick: Quick
) -> None:
    """Twice beside S3's own delivery: three times in all."""
    mark, _ = quick.new_model()
    key = f"reviews/{mark}.csv"
    version = platform.put(platform.raw, key, quick.data(mark))
    event = event_for(platform, key, version)
    answers = [deliver(platform, event), deliver(platform, event)]
    arns = {answer["executionArn"] for answer in answers} | set(platform.started(key))
    assert len(arns) == 1
    run = platform.end_of(arns.pop())
    assert run.status == "SUCCEEDED", run
    eventually(lambda: len(platform.answers_of_start(run.name)) == 3, 60, "all three answers")
    assert platform.executions(key) == [run.arn]


def test_an_event_of_a_failed_run_delivered_again_starts_nothing(platform: Deployed, quick: Quick) -> None:
    key = "reviews/failed-once.csv"
    version = platform.put(platform.raw, key, quick.reviews.first(1).csv())
    (arn,) = platform.started(key)
    run = platform.end_of(arn)
    assert run.status == "FAILED"
    answer = deliver(platform, event_for(platform, key, version))
    assert answer["started"] is False
    assert "upload the object again" in answer["reason"]
    assert platform.executions(key) == [arn]
    assert len(platform.notifications(run)) == 1


def test_an_event_of_an_object_that_is_gone_starts_nothing(platform: Deployed, first_run: Run) -> None:
    answer = deliver(platform, event_for(platform, "reviews/never-there.csv", ""))
    assert answer["started"] is False
    assert "does not exist" in answer["reason"]


def test_other_objects_start_nothing(platform: Deployed, first_run: Run, content: bytes) -> None:
    others = ["reviews/notes.txt", "other/amazon.csv", "reviews.csv"]
    for key in others:
        platform.put(platform.raw, key, b"a,b\n1,2\n")
    upload_again(platform, first_run, content)  # which came after them, and is answered
    assert [arn for key in others for arn in platform.executions(key)] == []
