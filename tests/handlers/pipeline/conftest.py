"""A lake in memory, and the clients that the handlers find instead of AWS."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.pipeline.asset import aliases as aliases_module
from handlers.pipeline.asset import clients, health, start, versions
from handlers.pipeline.asset import smoke as smoke_module
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
