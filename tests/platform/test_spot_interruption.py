"""Spot capacity that is taken away costs time, not results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.conftest import eventually
from tests.platform import training_sources
from tests.platform.conftest import source_of_training
from tests.platform.deployed import Deployed, Run

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture(scope="module")
def interrupted(platform: Deployed, first_run: Run, content: bytes) -> Run:
    """The data of the first run again, under another name; its training loses its machine after a fold."""
    with source_of_training(platform, training_sources.interruptible()):
        (arn,) = platform.started(platform.upload("interrupted.csv", content))
        name = job_of(platform, arn)
        checkpoint = f"checkpoints/{name}/cross-validation.json"
        eventually(lambda: platform.exists(platform.models, checkpoint), 30, "a checkpoint")
        done = platform.aws.run("faults", "interrupt", name)
        assert done.returncode == 0, done.stderr
        run = platform.end_of(arn)
    assert run.status == "SUCCEEDED", run
    return run


def job_of(platform: Deployed, arn: str) -> str:
    """The name of a run's training job, once it has begun."""
    sagemaker = platform.aws.client("sagemaker")
    part = arn.rsplit(":", 1)[-1][:28]
    found: list[str] = []

    def begun() -> bool:
        jobs = sagemaker.list_training_jobs(NameContains=part)["TrainingJobSummaries"]
        found[:] = [str(job["TrainingJobName"]) for job in jobs]
        return bool(found)

    eventually(begun, 30, f"a training job of {part}")
    return found[0]


def job(platform: Deployed, run: Run) -> dict[str, Any]:
    name = run.output["trainingJob"]["name"]
    described: dict[str, Any] = platform.aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    return described


def log(platform: Deployed, run: Run) -> list[str]:
    name = run.output["trainingJob"]["name"]
    logs, group = platform.aws.client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{name}/")["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(**group, logStreamName=stream["logStreamName"], startFromHead=True)[
            "events"
        ]
    ]


def test_an_interrupted_job_goes_on_and_the_run_succeeds(platform: Deployed, interrupted: Run) -> None:
    phases = [each["Status"] for each in job(platform, interrupted)["SecondaryStatusTransitions"]]
    assert phases.count("Interrupted") == 1
    assert phases.count("Training") == 2
    assert phases[-1] == "Completed"


def test_it_goes_on_from_its_checkpoint(platform: Deployed, interrupted: Run) -> None:
    lines = log(platform, interrupted)
    resumed = [line for line in lines if line.startswith("Resuming after ")]
    assert len(resumed) == 1, lines
    assert resumed[0] != "Resuming after 0 folds."
    trained = [line.split("fold=")[1] for line in lines if line.startswith("cv_auroc=") and "fold=" in line]
    assert sorted(trained) == sorted(set(trained)) == ["0", "1", "2", "3", "4"], lines


def test_its_model_has_the_bytes_of_an_uninterrupted_job(
    platform: Deployed, first_run: Run, interrupted: Run
) -> None:
    assert interrupted.output["sha256"] == first_run.output["sha256"]
    assert interrupted.output["metrics"] == first_run.output["metrics"]


def test_a_known_model_is_registered_once(platform: Deployed, first_run: Run, interrupted: Run) -> None:
    digests = [each["CustomerMetadataProperties"]["sha256"] for each in platform.packages()]
    assert digests.count(first_run.output["sha256"]) == 1
    assert interrupted.output["modelPackage"] == first_run.output["modelPackage"]


def test_the_run_tells_what_was_trained_and_what_is_billed(platform: Deployed, interrupted: Run) -> None:
    training, described = interrupted.output["trainingJob"], job(platform, interrupted)
    assert training["seconds"] == described["TrainingTimeInSeconds"]
    assert training["billedSeconds"] == described["BillableTimeInSeconds"]
    assert 0 < training["billedSeconds"] <= training["seconds"]


def test_the_pointer_is_what_it_was_when_the_model_was_live_already(
    platform: Deployed, interrupted: Run
) -> None:
    serving = platform.serving()
    assert serving.weights == {}
    assert json.loads(serving.pointer)["sha256"] == platform.predict("fine")["model"]["sha256"]
