"""A training run that loses answers, capacity and time, and what it makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.local.conftest import LocalAws
from tests.local.training_machine import TrainingMachine

QUICK = "print('trained')"
FAILS = "raise RuntimeError('the script was asked to fail')"


@pytest.fixture(autouse=True)
def no_faults_left(local_aws: LocalAws) -> Iterator[None]:
    yield
    local_aws.admin("faults/clear")


def lose_the_answer(aws: LocalAws, machine: TrainingMachine) -> int:
    """Let the machine's next job be made without its being told so."""
    return aws.fault("sagemaker:CreateTrainingJob", code="InternalFailure", after=True, role=machine.role)


def test_a_job_whose_making_was_not_answered_is_found_and_waited_for(local_aws: LocalAws) -> None:
    machine = TrainingMachine.of(local_aws, QUICK)
    lost = lose_the_answer(local_aws, machine)
    run = machine.start()
    done = local_aws.execution_end(run, 60)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert local_aws.fault_hits(lost) == 1
    (job,) = machine.jobs()
    assert done["output"] == {
        "job": job["TrainingJobName"],
        "model": job["ModelArtifacts"]["S3ModelArtifacts"],
    }
    assert "Train: look for the job" in machine.states_of(run)


def test_its_failure_is_the_runs(local_aws: LocalAws) -> None:
    machine = TrainingMachine.of(local_aws, FAILS)
    lose_the_answer(local_aws, machine)
    done = local_aws.execution_end(machine.start(), 60)
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    assert "the script was asked to fail" in json.loads(done["cause"])["FailureReason"]
    assert len(machine.jobs()) == 1
