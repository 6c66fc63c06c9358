"""A pipeline in which a person decides: what it waits for, whom it tells, and how it ends."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.pipelines import ManualApproval
from cdk_data_science.pipelines.turn import HISTORY_LIMIT
from tests.constructs import machines, support
from tests.constructs.pipelines.test_training_pipeline import pipeline


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    pipeline(stack, approval=ManualApproval(timeout=cdk.Duration.days(3)))
    return stack


@pytest.fixture(scope="module")
def states(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(stack)["States"]
    return found


def choices(states: dict[str, Any]) -> dict[str, str]:
    """Where each condition leads."""
    return {each["Condition"]: each["Next"] for each in states["Approve: is it?"]["Choices"]}


def test_a_model_is_registered_to_wait(states: dict[str, Any]) -> None:
    assert states["Register"]["Arguments"]["Payload"]["approval"] == "PendingManualApproval"
    assert states["Register"]["Next"] == "Approve"


def test_nothing_is_deployed_before_the_decision(states: dict[str, Any]) -> None:
    leads_on = {name for name, state in states.items() if state.get("Next") == "Deploy: begin"}
    assert leads_on == {"Approve: done"}
    assert choices(states)["{% $approval.status = 'Approved' %}"] == "Approve: done"
    others = [where for condition, where in choices(states).items() if "Approved" not in condition]
    assert "Approve: done" not in [*others, states["Approve: is it?"]["Default"]]


def test_a_rejected_model_fails_its_run_with_who_and_why(states: dict[str, Any]) -> None:
    refused = states[choices(states)["{% $approval.status = 'Rejected' %}"]]
    assert refused["Assign"]["failure"]["error"] == "ModelNotApproved"
    assert "$approval.by" in refused["Assign"]["failure"]["cause"]
    assert refused["Next"] == "RecordFailure"


def test_a_model_that_nobody_looks_at_fails_its_run_in_time(states: dict[str, Any]) -> None:
    approval = ManualApproval(timeout=cdk.Duration.days(3))
    late = states[choices(states)[f"{{% $approval.looks >= {approval.looks} %}}"]]
    assert late["Assign"]["failure"]["error"] == "ApprovalTimeout"
    assert states["Approve: wait"]["Seconds"] == approval.pause_seconds
    assert (approval.looks - 1) * approval.pause_seconds >= 3 * 86_400


def test_somebody_is_told_once(states: dict[str, Any]) -> None:
    assert choices(states)["{% $approval.looks = 1 %}"] == "Approve: tell"
    message = states["Approve: tell"]["Arguments"]["Message"]
    assert "aws sagemaker update-model-package" in message
    assert "$metrics" in message
    assert states["Approve: tell"]["Next"] == "Approve: wait"


@pytest.mark.parametrize("state", ["Approve: look", "Approve: tell"])
def test_each_call_fails_into_the_failure_path(states: dict[str, Any], state: str) -> None:
    (catch,) = states[state]["Catch"]
    assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "RecordFailure")
    assert states[state]["TimeoutSeconds"]


def test_the_machine_reads_the_versions_and_decides_nothing(stack: cdk.Stack) -> None:
    found = machines.statements(stack, "PipelineStateMachineRole")
    (look,) = (s for s in found if "sagemaker:DescribeModelPackage" in machines.actions([s]))
    assert "model-package/" in str(look["Resource"])
    assert "sagemaker:UpdateModelPackage" not in machines.actions(found)


@pytest.mark.parametrize("days", [1, 30])
def test_a_wait_fits_into_the_history_of_a_run(days: int) -> None:
    approval = ManualApproval(timeout=cdk.Duration.days(days))
    assert approval.looks * 9 < HISTORY_LIMIT / 2


def test_without_a_deployment_the_run_ends_with_a_version_that_waits() -> None:
    stack = support.stack()
    pipeline(stack, approval=ManualApproval(), deploy_to=None, rollout=None)
    found = machines.definition(stack)["States"]
    assert found["Register"]["Arguments"]["Payload"]["approval"] == "PendingManualApproval"
    assert found["Register"]["Next"] == "Succeeded"


@pytest.mark.parametrize("timeout", [cdk.Duration.seconds(59), cdk.Duration.days(31)])
def test_a_time_that_no_run_can_wait_is_told(timeout: cdk.Duration) -> None:
    with pytest.raises(ConfigurationError, match="a minute to 30 days"):
        pipeline(support.stack(), approval=ManualApproval(timeout=timeout))
