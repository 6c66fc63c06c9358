"""One local AWS with the platform deployed to it, for all tests of this folder."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from examples.review_sentiment.data import fetch_reviews
from tests.local.conftest import ACCOUNT, COMMAND, REGION, ROOT, LocalAws, free_port, local_aws_command
from tests.platform import training_sources
from tests.platform.data import Reviews
from tests.platform.deployed import Deployed, Run
from tests.platform.training_sources import Model

CDK = ROOT / "node_modules" / ".bin" / "cdk"
SPOT_NOTICE = 60.0
SOURCE_KEY = "source/sourcedir.tar.gz"
DATA_NAME = "amazon-reviews.csv"
# Each name is a model of its own for the stand-in; a test that needs a new model takes one that no other has.
VARIANTS = [f"variant-{number}" for number in range(1, 25)]


@dataclass(frozen=True)
class FirstUse:
    """A run and a prediction on a platform that nobody has used before."""

    run: Run
    roles: dict[str, dict[str, Any]]
    """By the role's name: what it used, did not use and was denied."""


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, assemblies: Path) -> Iterator[Deployed]:
    """The platform of `settings/local.toml`, deployed with the CDK's command line; nothing was run yet."""

    state_dir = tmp_path_factory.mktemp("platform-aws")
    up = local_aws_command(
        *("up", "--port", str(free_port()), "--spot-notice", str(SPOT_NOTICE)),
        *("--no-schedules", "--json", "--state-dir", str(state_dir)),
    )
    assert up.returncode == 0, up.stderr
    aws = LocalAws(json.loads(up.stdout)["endpoint"], state_dir)
    try:
        deploy(aws, assemblies / "local")
        yield deployed(aws)
    finally:
        aws.run("down")


def deploy(aws: LocalAws, folder: Path) -> None:
    quiet = ("--no-notices", "--ci", "--app", str(folder))
    for command in (
        [str(CDK), "bootstrap", *quiet, f"aws://{ACCOUNT}/{REGION}"],
        [str(CDK), "deploy", "--all", *quiet, "--require-approval", "never", "--concurrency", "4"],
    ):
        watch = [str(COMMAND), "deploy-watch", "--state-dir", str(aws.state_dir), "--timeout", "600", "--"]
        done = subprocess.run(
            [*watch, *command], cwd=aws.state_dir, capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"


def deployed(aws: LocalAws) -> Deployed:
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    outputs = {
        output["OutputKey"]: output["OutputValue"] for stack in stacks for output in stack.get("Outputs", [])
    }
    return Deployed(aws, outputs, subscribed(aws, outputs["AlertTopicArn"]))


def subscribed(aws: LocalAws, topic: str) -> str:
    """The URL of a queue that gets the topic's messages."""
    url, arn = aws.queue()
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


@pytest.fixture(scope="session")
def content() -> bytes:
    """The file with the reviews."""
    return fetch_reviews().path.read_bytes()


@pytest.fixture(scope="session")
def reviews(content: bytes) -> Reviews:
    return Reviews.read(content)


@pytest.fixture(scope="session")
def first_use(platform: Deployed, content: bytes) -> FirstUse:
    """The first upload to the new platform, trained with the real script, and what every role did in it."""
    platform.put(platform.models, SOURCE_KEY, training_sources.real())
    run = platform.run(DATA_NAME, content)
    assert run.status == "SUCCEEDED", run
    platform.predict("It works.")
    told = platform.aws.run("report", "--json")
    assert told.returncode == 0, told.stderr
    return FirstUse(run, {role["role"]: role for role in json.loads(told.stdout)["roles"]})


@pytest.fixture(scope="session")
def first_run(first_use: FirstUse) -> Run:
    """The first run, which has trained and deployed a model."""
    return first_use.run


@dataclass
class Quick:
    """Runs that do not train: the stand-in hands over a model by the mark in the data."""

    platform: Deployed
    reviews: Reviews
    model: Model
    _free: list[str]

    def new_model(self) -> tuple[str, str]:
        """The mark of a model that nobody has seen yet, and its hash."""
        mark = self._free.pop(0)
        return mark, self.model.variant(mark).sha256

    def data(self, mark: str) -> bytes:
        return self.reviews.marked(mark).csv()

    def start(self, mark: str) -> str:
        (arn,) = self.platform.started(self.platform.upload(f"{mark}.csv", self.data(mark)))
        return arn

    def run(self, mark: str) -> Run:
        return self.platform.end_of(self.start(mark))


@pytest.fixture(scope="session")
def stand_in(platform: Deployed, first_run: Run) -> tuple[Model, bytes]:
    """The model of the first run, and a source archive that hands it over without training."""
    model, manifest = (
        platform.get(first_run.output[name]["bucket"], first_run.output[name]["key"])
        for name in ("model", "manifest")
    )
    trained = Model(model, json.loads(manifest))
    return trained, training_sources.stand_in(trained, VARIANTS)


@pytest.fixture(scope="session")
def variants() -> list[str]:
    return list(VARIANTS)


@pytest.fixture(scope="module")
def quick(
    platform: Deployed, reviews: Reviews, stand_in: tuple[Model, bytes], variants: list[str]
) -> Iterator[Quick]:
    """While a module's tests run, training is the stand-in."""
    model, source = stand_in
    with source_of_training(platform, source):
        yield Quick(platform, reviews.first(1500), model, variants)


@contextlib.contextmanager
def source_of_training(platform: Deployed, source: bytes) -> Iterator[None]:
    """Let training jobs run another source, for a while."""
    before = platform.get(platform.models, SOURCE_KEY)
    platform.put(platform.models, SOURCE_KEY, source)
    try:
        yield
    finally:
        platform.put(platform.models, SOURCE_KEY, before)
