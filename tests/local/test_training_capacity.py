"""A training run that loses answers, capacity and time, and what it makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science.training import CapacityRetry
from tests.local.conftest import LocalAws, eventually
from tests.local.training_machine import TrainingMachine

QUICK = "print('trained')"
FAILS = "raise RuntimeError('the script was asked to fail')"
# Too slow on the first type, and quick on the other.
SLOW_ON = """
import os, time
time.sleep(3600 if os.environ["SM_CURRENT_INSTANCE_TYPE"] == "ml.c4.xlarge" else 0)
"""
# Four steps, each with a checkpoint. After all but the last it waits to be interrupted, if it is told so.
STEPS = """
import json, os, pathlib, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
checkpoint = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints", "state.json")
steps = json.loads(checkpoint.read_text()) if checkpoint.is_file() else []
print(f"start={len(steps)}", flush=True)
while len(steps) < 4:
    steps.append(sum(steps) + 1)
    checkpoint.write_text(json.dumps(steps))
    print(f"step={len(steps)}", flush=True)
    if len(steps) < 4 and "INTERRUPTED" in os.environ:
        time.sleep(3600)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(steps))
"""


@pytest.fixture(autouse=True)
def no_faults_left(local_aws: LocalAws) -> Iterator[None]:
    yield
    local_aws.admin("faults/clear")


def lose_the_answer(aws: LocalAws, machine: TrainingMachine) -> int:
    """Let the machine's next job be made without its being told so."""
    return aws.fault("sagemaker:CreateTrainingJob", code="InternalFailure", after=True, role=machine.role)


def lose_capacity(aws: LocalAws, instance_type: str, times: int = 1) -> int:
    """Let there be no instances of a type for the next jobs."""
    code = "InsufficientInstanceCapacity"
    return aws.fault("ec2:RunInstances", code=code, resource=instance_type, times=times)


def finish(aws: LocalAws, machine: TrainingMachine) -> tuple[dict[str, Any], list[str]]:
    """Run the machine to its end: its description, and the states that it went through."""
    run = machine.start()
    return aws.execution_end(run, 60), machine.states_of(run)


def test_a_job_whose_making_was_not_answered_is_found_and_waited_for(local_aws: LocalAws) -> None:
    machine = TrainingMachine.of(local_aws, QUICK)
    lost = lose_the_answer(local_aws, machine)
    done, states = finish(local_aws, machine)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert local_aws.fault_hits(lost) == 1
    (job,) = machine.jobs()
    assert done["output"]["model"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert done["output"]["report"]["name"] == job["TrainingJobName"]
    assert "Train: look for the job" in states


def test_its_failure_is_the_runs(local_aws: LocalAws) -> None:
    machine = TrainingMachine.of(local_aws, FAILS)
    lose_the_answer(local_aws, machine)
    done, _ = finish(local_aws, machine)
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    assert "the script was asked to fail" in json.loads(done["cause"])["FailureReason"]
    assert len(machine.jobs()) == 1


def test_capacity_that_is_lost_on_the_first_type_goes_on_on_the_second(local_aws: LocalAws) -> None:
    retry = CapacityRetry(fallback_types=["ml.c5.2xlarge"])
    machine = TrainingMachine.of(local_aws, QUICK, instance_type="ml.m4.xlarge", capacity_retry=retry)
    lose_capacity(local_aws, "ml.m4.xlarge")
    done, states = finish(local_aws, machine)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    first, second = machine.jobs()
    assert first["FailureReason"].startswith("CapacityError")
    assert second["ResourceConfig"]["InstanceType"] == "ml.c5.2xlarge"
    assert second["TrainingJobName"] == first["TrainingJobName"] + "-1"
    assert second["CheckpointConfig"] == first["CheckpointConfig"]
    assert "Train: wait for capacity" not in states
    report = done["output"]["report"]
    assert (report["tries"], report["instanceType"], report["spot"]) == (2, "ml.c5.2xlarge", True)
    assert 0 < report["billedSeconds"] <= report["seconds"]


def test_without_spot_capacity_the_last_resort_is_on_demand(local_aws: LocalAws) -> None:
    retry = CapacityRetry(attempts=0, on_demand_after=cdk.Duration.hours(1))
    machine = TrainingMachine.of(local_aws, QUICK, instance_type="ml.m4.xlarge", capacity_retry=retry)
    lose_capacity(local_aws, "ml.m4.xlarge")
    done, _ = finish(local_aws, machine)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    spot, on_demand = machine.jobs()
    assert spot["EnableManagedSpotTraining"] is True
    assert on_demand["EnableManagedSpotTraining"] is False
    assert on_demand["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert done["output"]["report"]["spot"] is False


def test_the_tries_have_an_end(local_aws: LocalAws) -> None:
    retry = CapacityRetry(attempts=1, wait=cdk.Duration.seconds(1))
    machine = TrainingMachine.of(local_aws, QUICK, instance_type="ml.m4.xlarge", capacity_retry=retry)
    lose_capacity(local_aws, "ml.m4.xlarge", times=3)
    done, states = finish(local_aws, machine)
    assert done["status"] == "FAILED"
    assert json.loads(done["cause"])["FailureReason"].startswith("CapacityError")
    assert len(machine.jobs()) == 2
    assert states.count("Train: wait for capacity") == 1


def test_a_script_that_tells_of_capacity_is_not_tried_again(local_aws: LocalAws) -> None:
    machine = TrainingMachine.of(local_aws, "raise RuntimeError('CapacityError: InsufficientCapacity')")
    done, _ = finish(local_aws, machine)
    assert done["status"] == "FAILED"
    assert len(machine.jobs()) == 1


def test_a_job_that_used_up_its_waiting_time_goes_on_on_another_type_and_not_on_its_own(
    local_aws: LocalAws,
) -> None:
    times = {"max_runtime": cdk.Duration.seconds(3), "max_wait": cdk.Duration.seconds(3)}
    alone = TrainingMachine.of(local_aws, SLOW_ON, instance_type="ml.c4.xlarge", **times)
    retry = CapacityRetry(fallback_types=["ml.c5.2xlarge"])
    other = TrainingMachine.of(
        local_aws, SLOW_ON, instance_type="ml.c4.xlarge", capacity_retry=retry, first_try_seconds=3
    )
    runs = [alone.start(), other.start()]
    failed, succeeded = (local_aws.execution_end(run, 60) for run in runs)
    assert failed["status"] == "FAILED"
    assert json.loads(failed["cause"])["SecondaryStatus"] == "MaxWaitTimeExceeded"
    assert len(alone.jobs()) == 1
    assert succeeded["status"] == "SUCCEEDED", succeeded.get("cause")
    assert [job["SecondaryStatus"] for job in other.jobs()] == ["MaxWaitTimeExceeded", "Completed"]


def test_a_job_that_is_interrupted_three_times_ends_with_the_result_of_one_that_is_not(
    local_aws: LocalAws,
) -> None:
    # GIVEN the same training twice
    undisturbed = TrainingMachine.of(local_aws, STEPS)
    machine = TrainingMachine.of(local_aws, STEPS, environment={"INTERRUPTED": "yes"})
    other, run = undisturbed.start(), machine.start()
    # WHEN one of them loses its capacity after each of its first three steps
    for step in (1, 2, 3):
        eventually(lambda step=step: f"step={step}" in machine.log(), 30, f"step {step}")
        (job,) = machine.jobs()
        local_aws.admin("faults/interrupt", job=job["TrainingJobName"])
    done, expected = (local_aws.execution_end(each, 60) for each in (run, other))
    # THEN each start went on from the step before, and the result is the same
    assert done["status"] == "SUCCEEDED", done.get("cause")
    starts = [line for line in machine.log() if line.startswith("start=")]
    assert starts == ["start=0", "start=1", "start=2", "start=3"]
    assert machine.model(done["output"]["model"]) == [1, 2, 4, 8]
    assert undisturbed.model(expected["output"]["model"]) == [1, 2, 4, 8]
    (job,) = machine.jobs()
    phases = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert phases.count("Interrupted") == 3
    # AND the run tells what was saved: seconds without capacity are not billed
    report = done["output"]["report"]
    ran, billed = report["seconds"], report["billedSeconds"]
    assert (report["tries"], ran, billed) == (1, job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"])
    assert report["savedPercent"] == pytest.approx((1 - billed / ran) * 100, abs=0.06)
