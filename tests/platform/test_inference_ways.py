"""The other ways to predictions: an HTTP API, models by name, objects in S3, and a queue."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.conftest import eventually
from tests.platform.deployed import Deployed, HttpAnswer, Run

pytestmark = pytest.mark.xdist_group("platform")

ROWS = {"instances": [{"text": "It works, and it looks good."}, {"text": "Terrible junk."}]}
BODY = json.dumps(ROWS)


@pytest.fixture(scope="module")
def expected(platform: Deployed, first_run: Run) -> dict[str, Any]:
    """What the Function URL answers."""
    return platform.post(BODY).body


# HTTP API


def test_the_api_answers_what_the_url_answers(platform: Deployed, expected: dict[str, Any]) -> None:
    assert platform.post(BODY, to="HttpApiUrl") == HttpAnswer(status=200, body=expected)


def test_the_api_refuses_who_does_not_sign(platform: Deployed, first_run: Run) -> None:
    assert platform.post(BODY, to="HttpApiUrl", signed=False).status == 403


def test_the_api_has_no_other_ways(platform: Deployed, first_run: Run) -> None:
    assert platform.post(BODY, to="HttpApiUrl", path="/admin").status == 404
    assert platform.post(BODY, to="HttpApiUrl", method="GET").status == 404


# Models by name


@pytest.fixture(scope="module")
def named(platform: Deployed, first_run: Run) -> None:
    """The model of the first run, under a name of its own too."""
    digest = first_run.output["sha256"]
    for file, output in (("model.onnx", "model"), ("model.json", "manifest")):
        place = first_run.output[output]
        content = platform.get(place["bucket"], place["key"])
        platform.put(platform.models, f"models/previous/{digest}/{file}", content)
    pointer = {"bucket": platform.models, "key": f"models/previous/{digest}/model.onnx", "sha256": digest}
    platform.put(platform.models, "models/previous/current.json", json.dumps(pointer).encode())


@pytest.mark.parametrize("to", ["FunctionUrl", "HttpApiUrl"])
def test_a_model_is_asked_for_by_its_name(platform: Deployed, first_run: Run, named: None, to: str) -> None:
    digest = first_run.output["sha256"]
    for name in ("previous", f"previous@{digest}"):
        answer = platform.post(BODY, to=to, path=f"/models/{name}")
        assert (answer.status, answer.body["model"]["sha256"]) == (200, digest)


def test_a_name_that_nobody_configured_is_404(platform: Deployed, first_run: Run) -> None:
    answer = platform.post(BODY, path="/models/other")
    assert (answer.status, answer.error["type"]) == (404, "UnknownModel")


# Objects in S3


def test_rows_in_an_object_are_answered_in_an_object(platform: Deployed, expected: dict[str, Any]) -> None:
    platform.put(platform.raw, "inference/requests/rows.json", BODY.encode())
    answer = platform.post(
        json.dumps({"instances_from": f"s3://{platform.raw}/inference/requests/rows.json"})
    )
    assert (answer.status, answer.body["rows"]) == (200, 2)
    bucket, _, key = answer.body["predictions_at"].removeprefix("s3://").partition("/")
    assert bucket == platform.outputs["CuratedBucket"]
    assert json.loads(platform.get(bucket, key)) == expected


@pytest.mark.parametrize("key", ["reviews/amazon-reviews.csv", "inference/requests/none.json"])
def test_an_object_elsewhere_or_nowhere_is_refused(platform: Deployed, first_run: Run, key: str) -> None:
    answer = platform.post(json.dumps({"instances_from": f"s3://{platform.raw}/{key}"}))
    assert answer.status == (404 if key.endswith("none.json") else 422)


# The queue


@contextlib.contextmanager
def impatient(platform: Deployed, url: str) -> Iterator[None]:
    """The queue gives back after a second what failed."""
    sqs, name = platform.aws.client("sqs"), "VisibilityTimeout"
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: "1"})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def is_empty(platform: Deployed, url: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = platform.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return all(counts["Attributes"][name] == "0" for name in names)


def test_messages_are_predicted_and_a_poison_one_ends_in_the_dead_letters(
    platform: Deployed, expected: dict[str, Any]
) -> None:
    # GIVEN a message
    sqs, url = platform.aws.client("sqs"), platform.outputs["PredictionQueueUrl"]
    good = sqs.send_message(QueueUrl=url, MessageBody=BODY)["MessageId"]
    # WHEN Lambda has read it THEN its predictions lie in the lake
    found: dict[str, Any] = {}

    def predicted() -> bool:
        found.update(predictions(platform))
        return good in found

    eventually(predicted, 30, "the predictions of a message")
    assert found[good]["predictions"] == expected["predictions"]
    assert found[good]["model"] == expected["model"]["sha256"]
    # AND it is gone from the queue: an impatient one would give it back to be predicted again
    eventually(lambda: is_empty(platform, url), 30, "an empty queue")
    with impatient(platform, url):
        # AND one that can never be predicted is, after three tries, in the dead letters, as it came
        sqs.send_message(QueueUrl=url, MessageBody='{"instances": [{"text": 5}]}')
        redrive = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
        name = json.loads(redrive["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
        letters = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        bodies: list[str] = []

        def given_up() -> bool:
            received = sqs.receive_message(QueueUrl=letters, WaitTimeSeconds=1).get("Messages", [])
            bodies.extend(each["Body"] for each in received)
            return bool(bodies)

        eventually(given_up, 60, "a dead letter")
    assert bodies == ['{"instances": [{"text": 5}]}']
    assert set(predictions(platform)) == {good}


def predictions(platform: Deployed) -> dict[str, Any]:
    """The lines of all objects with predictions, by their messages."""
    bucket = platform.outputs["CuratedBucket"]
    listed = platform.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="inference/predictions/")
    lines = [
        json.loads(line)
        for entry in listed.get("Contents", [])
        for line in platform.get(bucket, entry["Key"]).splitlines()
    ]
    return {line["record"]: line for line in lines}
