"""What a training does when there is no capacity, as its state machine has it.

How the states behave is tested on the local AWS (tests/local/test_training_capacity.py).
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.training import CapacityRetry
from tests.constructs import machines, support
from tests.constructs.training.stacks import job, run, states, training

TYPES = ["ml.g5.xlarge", "ml.m5.2xlarge"]


@pytest.fixture(scope="module")
def plain() -> cdk.Stack:
    stack = support.stack()
    run(stack, training(stack))
    return stack


@pytest.fixture(scope="module")
def falls_back() -> cdk.Stack:
    # GIVEN two types to fall back on, one of them with local disks, and On-Demand after an hour
    stack = support.stack()
    retry = CapacityRetry(attempts=1, fallback_types=TYPES, on_demand_after=cdk.Duration.hours(1))
    run(stack, training(stack, capacity_retry=retry))
    return stack


def catches(stack: cdk.Stack) -> dict[str, str]:
    return {error: rule["Next"] for rule in states(stack)["Train"]["Catch"] for error in rule["ErrorEquals"]}


def test_what_ends_without_success_is_looked_at_and_all_else_fails(plain: cdk.Stack) -> None:
    found = catches(plain)
    assert found["States.TaskFailed"] == "Train: no capacity?"
    assert found["States.ALL"] == "Train: failed"
    choice = states(plain)["Train: no capacity?"]
    (again,) = choice["Choices"]
    assert again["Next"] == "Train: wait for capacity"
    assert choice["Default"] == "Train: failed"
    assert states(plain)["Train: wait for capacity"]["Seconds"] == 300


def test_a_job_that_was_stopped_is_no_success(plain: cdk.Stack) -> None:
    assert states(plain)["Train"]["Next"] == "Train: has the job ended?"
    completed, running, rest = states(plain)["Train: has the job ended?"]["Choices"]
    assert "'Completed'" in completed["Condition"] and "Stopped" not in completed["Condition"]
    assert completed["Next"] == "Train: take its result"
    assert "Stopped" not in running["Condition"]
    assert rest["Next"] == "Train: no capacity?"
    assert rest["Assign"]["failure"]["state"] == "Train"


def test_a_job_that_exists_is_waited_for(plain: cdk.Stack) -> None:
    found = catches(plain)
    assert found["SageMaker.ResourceInUseException"] == "Train: look for the job"
    look = states(plain)["Train: look for the job"]
    assert look["Arguments"]["TrainingJobName"] == states(plain)["Train"]["Arguments"]["TrainingJobName"]


def test_looking_at_a_long_job_does_not_fill_the_history_of_the_run() -> None:
    stack = support.stack()
    run(stack, training(stack, max_wait=cdk.Duration.days(28)))
    looks = cdk.Duration.days(28).to_seconds() / states(stack)["Train: look again later"]["Seconds"]
    assert looks * 9 < 25_000 / 2


def test_looking_at_jobs_needs_no_more_than_creating_them(plain: cdk.Stack) -> None:
    jobs = {
        str(statement["Resource"])
        for statement in machines.statements(plain, "MachineRole")
        if "sagemaker:DescribeTrainingJob" in machines.actions([statement])
    }
    assert len(jobs) == 1
    assert "--*" in jobs.pop()


def test_one_type_on_spot_alone_changes_no_parameter(plain: cdk.Stack) -> None:
    arguments = job(plain)
    assert arguments["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert arguments["EnableManagedSpotTraining"] is True


def test_each_type_has_the_volume_that_the_api_takes(falls_back: cdk.Stack) -> None:
    text = job(falls_back)["ResourceConfig"]
    first, nvme, last = text.split("{")[2:]
    assert "ml.m5.xlarge" in first and "VolumeKmsKeyId" in first
    assert "ml.g5.xlarge" in nvme and "VolumeKmsKeyId" not in nvme
    assert "ml.m5.2xlarge" in last and "VolumeKmsKeyId" in last


def test_a_fallback_gets_the_key_that_the_first_type_cannot_have() -> None:
    stack = support.stack()
    spot = training(
        stack, instance_type="ml.g5.xlarge", capacity_retry=CapacityRetry(fallback_types=["ml.m5.xlarge"])
    )
    assert spot.job.volume_key is None
    run(stack, spot)
    assert job(stack)["ResourceConfig"].count("VolumeKmsKeyId") == 1
    assert [s for s in machines.statements(stack, "TrainingRole") if s.get("Sid") == "VolumeKey"]


def test_on_demand_jobs_have_no_waiting_time(falls_back: cdk.Stack) -> None:
    arguments = job(falls_back)
    assert arguments["EnableManagedSpotTraining"] == "{% $capacityTries < 6 %}"
    spot, on_demand = arguments["StoppingCondition"].split(" : {")
    assert "MaxWaitTimeInSeconds" in spot
    assert "MaxWaitTimeInSeconds" not in on_demand


def test_the_longest_run_holds_every_try(falls_back: cdk.Stack) -> None:
    stack = support.stack()
    retry = CapacityRetry(attempts=1, fallback_types=TYPES, on_demand_after=cdk.Duration.hours(1))
    spot = training(stack, capacity_retry=retry)
    # six tries on Spot of two hours, three On-Demand of one, half an hour to each, one wait of five minutes
    assert spot.longest.to_minutes() == 6 * 150 + 3 * 90 + 5


@pytest.mark.parametrize(
    ("retry", "message"),
    [
        (CapacityRetry(attempts=101), "0 to 100"),
        (CapacityRetry(wait=cdk.Duration.days(2)), "one second to one day"),
        (CapacityRetry(fallback_types=["ml.m5.xlage"]), "such as ml.m5.xlarge"),
        (CapacityRetry(fallback_types=["ml.inf1.xlarge"]), "an instance type of training jobs"),
        (CapacityRetry(attempts=100, fallback_types=["ml.m5.xlarge"] * 10), "at most 1000 tries"),
    ],
)
def test_a_retry_that_cannot_be_is_refused(retry: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        training(support.stack(), capacity_retry=retry)
