"""A lake in memory, and the clients that the handlers find instead of AWS."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.pipeline.asset import aliases as aliases_module
from handlers.pipeline.asset import clients, deploy, health, start, versions
from handlers.pipeline.asset import smoke as smoke_module
from handlers.pipeline.deploying import DIGESTS, MANIFEST, Request, answer
from handlers.pipeline.fakes import Clock, FakeCloudWatch, FakeLambda, FakeStepFunctions
from moto import mock_aws

CONTEXT = SimpleNamespace(aws_request_id="request-1", function_name="step")
BUCKET = "lake"
RUN = "run-0123456789abcdef01234567"

_CLIENTS = (clients.s3, clients.stepfunctions, clients.sagemaker, clients.lambda_, clients.cloudwatch)


class Lake:
    """A bucket with what a test needs of it."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3

    def put(self, key: str, body: bytes | str) -> dict[str, str]:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode() if isinstance(body, str) else body)
        return {"bucket": BUCKET, "key": key}

    def get(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def json(self, reference: dict[str, str]) -> Any:
        return json.loads(self.get(reference["key"]))

    def everything(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {item["Key"]: self.get(item["Key"]) for item in listed}


@pytest.fixture(scope="module")
def _clients() -> Iterator[None]:
    """Credentials that moto takes, and clients that are made once: that takes longer than most tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        for client in _CLIENTS:
            client.cache_clear()
        yield
        for client in _CLIENTS:
            client.cache_clear()


@pytest.fixture
def lake(_clients: None) -> Iterator[Lake]:
    with mock_aws():
        s3: Any = clients.s3()
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield Lake(s3)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeStepFunctions:
    arn = "arn:aws:states:us-east-1:000000000000:stateMachine:Reviews"
    monkeypatch.setenv("STATE_MACHINE_ARN", arn)
    fake = FakeStepFunctions(arn)
    monkeypatch.setattr(start, "stepfunctions", lambda: fake)
    return fake


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(versions, "time", fake)
    return fake


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> FakeLambda:
    """A function with the variables of the construct, version 1 without a model, and an alias on it."""
    fake = FakeLambda("reviews", {"MAX_ROWS": "1000"}, alias="live")
    fake.clock = clock
    for module in (aliases_module, versions, smoke_module):
        monkeypatch.setattr(module, "lambda_", lambda: fake)
    return fake


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> FakeCloudWatch:
    fake = FakeCloudWatch()
    monkeypatch.setattr(health, "cloudwatch", lambda: fake)
    return fake


# Deployment


def first_deployment(request_of: Request, model: str = "A") -> None:
    event = request_of(model)
    deploy.promote(event | deploy.stage(event, CONTEXT), CONTEXT)


def deployed(event: dict[str, Any]) -> dict[str, Any]:
    event |= deploy.stage(event, CONTEXT)
    if event["previous"]:
        event |= deploy.shift(event, CONTEXT)
    return event | deploy.promote(event, CONTEXT)


def pointed(lake: Lake) -> dict[str, Any]:
    found: dict[str, Any] = lake.json({"key": "models/reviews/current.json"})
    return found


def canary(request_of: Request, **changes: Any) -> dict[str, Any]:
    event = request_of("B", percent=10, **changes)
    event |= deploy.stage(event, CONTEXT)
    return event | deploy.shift(event, CONTEXT)


@pytest.fixture
def request_of(lake: Lake, function: FakeLambda, watch: FakeCloudWatch) -> Request:
    function.answer = answer
    rows = [(f"id{number}", "word " * number, number / 2) for number in range(1, 13)]
    lake.put("holdout.csv", "id,text,stars\n" + "".join(f"{i},{text},{stars}\n" for i, text, stars in rows))
    scores = [(i, len(text) / 100 + stars / 1000) for i, text, stars in reversed(rows)]
    lake.put(
        "scores.csv", "id,negative,positive,label\n" + "".join(f"{i},{1 - s},{s},x\n" for i, s in scores)
    )
    lake.put("model.json", json.dumps(MANIFEST))

    def make(model: str = "A", **changes: Any) -> dict[str, Any]:
        digest = DIGESTS[model]
        return {
            "run": f"{RUN}-{model}",
            "begun": datetime.now(UTC).isoformat(),
            "function": "reviews",
            "alias": "live",
            "model": {"bucket": BUCKET, "key": f"models/{digest}/model.onnx"},
            "sha256": digest,
            "manifest": {"bucket": BUCKET, "key": "model.json"},
            "golden": {
                "rows": {"bucket": BUCKET, "key": "holdout.csv"},
                "scores": {"bucket": BUCKET, "key": "scores.csv"},
            },
            "pointer": {"bucket": BUCKET, "key": "models/reviews/"},
            **changes,
        }

    return make


@pytest.fixture
def live(request_of: Request) -> Request:
    """Version 2 with model A is live."""
    first_deployment(request_of)
    return request_of
