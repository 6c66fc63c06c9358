"""The training task alone, in any state machine."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import Channel, TrainingJob, TrainingJobTask
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.training.stacks import IMAGE


def task(stack: cdk.Stack, **options: Any) -> TrainingJobTask:
    role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    defaults: dict[str, Any] = {
        "job": TrainingJob(role=role, image=IMAGE, max_runtime=cdk.Duration.hours(1)),
        "job_name": "{% 'churn-' & $states.context.Execution.Name %}",
        "job_name_pattern": "churn-*",
        "channels": [Channel(name="train", uri="s3://lake/train/")],
        "output_uri": "s3://lake/models/",
    }
    return TrainingJobTask(stack, "Train", **{**defaults, **options})


def test_the_task_alone_runs_an_on_demand_job_in_any_state_machine() -> None:
    stack = support.stack()
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(task(stack)))
    state = machines.definition(stack)["States"]["Train"]
    assert state["QueryLanguage"] == "JSONata"
    assert state["TimeoutSeconds"] == 5400
    assert state["Arguments"]["EnableManagedSpotTraining"] is False
    assert "Tags" not in state["Arguments"]
    assert "CheckpointConfig" not in state["Arguments"]
    assert task_parameters.faults(machines.definition(stack)) == []


def test_a_quota_is_waited_for_as_long_as_others_may_wait_behind() -> None:
    """A quota of 0 never frees itself, and all runs that have to wait for their turn wait along."""
    stack = support.stack()
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(task(stack)))
    rules = machines.definition(stack)["States"]["Train"]["Retry"]
    (rule,) = (rule for rule in rules if "SageMaker.ResourceLimitExceeded" in rule["ErrorEquals"])
    waits = [rule["IntervalSeconds"] * rule["BackoffRate"] ** tried for tried in range(rule["MaxAttempts"])]
    longest = sum(min(wait, rule["MaxDelaySeconds"]) for wait in waits)
    assert 5 * 60 <= longest <= 12 * 60


def warnings(stack: cdk.Stack) -> list[str]:
    return [str(entry.data) for entry in stack.node.metadata if entry.type == "aws:cdk:warning"]


def test_a_long_spot_job_without_checkpoints_is_warned_of() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    times = {"max_runtime": cdk.Duration.hours(5), "max_wait": cdk.Duration.hours(6)}
    task(stack, job=TrainingJob(role=role, image=IMAGE, **times))
    (warning,) = warnings(stack)
    assert "Spot job of up to 5 hours without checkpoint_uri" in warning


@pytest.mark.parametrize(("hours", "checkpoint_uri"), [(1, None), (5, "s3://lake/checkpoints/")])
def test_a_short_one_and_one_with_checkpoints_are_not(hours: int, checkpoint_uri: str | None) -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    times = {"max_runtime": cdk.Duration.hours(hours), "max_wait": cdk.Duration.hours(6)}
    task(stack, job=TrainingJob(role=role, image=IMAGE, **times), checkpoint_uri=checkpoint_uri)
    assert warnings(stack) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job_name": "under_score", "job_name_pattern": "x-*"}, "letters, digits and hyphens"),
        ({"job_name_pattern": None}, "matching every name"),
        ({"channels": [Channel(name="a b", uri="s3://b/")]}, "dots, hyphens and underscores"),
        ({"channels": [Channel(name="a", uri="s3://b/")] * 2}, "each name once"),
        ({"channels": [Channel(name=f"c{n}", uri="s3://b/") for n in range(21)]}, "at most 20"),
    ],
)
def test_a_task_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        task(support.stack(), **options)
