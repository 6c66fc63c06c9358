"""Runs take turns: what the states ask, how long they wait, what a run's history can hold."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import Canary, DataLake, PipelineOptions, QualityRules
from cdk_data_science.pipelines import Pipeline, QualityGate
from cdk_data_science.pipelines.turn import HISTORY_LIMIT, polling
from tests.compliance import task_parameters
from tests.constructs import machines, support


def pipeline(options: PipelineOptions | None = None) -> cdk.Stack:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "features"])
    steps = [QualityGate(QualityRules("Rules = [ RowCount > 0 ]"))]
    Pipeline(
        stack, "Pipeline", data=lake.raw, prefix="reviews/", work=lake.features, steps=steps, options=options
    )
    return stack


@pytest.fixture(scope="module")
def by_default() -> cdk.Stack:
    return pipeline()


@pytest.fixture(scope="module")
def states(by_default: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(by_default)["States"]
    return found


def test_a_run_asks_for_its_turn_before_anything_else(states: dict[str, Any]) -> None:
    assert states["Begin"]["Next"] == "Wait for turn"
    asked = states["Wait for turn"]
    assert asked["Resource"].endswith(":states:::aws-sdk:sfn:listExecutions")
    assert asked["Arguments"]["StateMachineArn"] == "{% $states.context.StateMachine.Id %}"
    assert asked["Arguments"]["StatusFilter"] == "RUNNING"
    # Nobody waits before the first question.
    assert asked["Next"] == "Wait for turn: is it?"
    assert states["Wait for turn: is it?"]["Default"] == "QualityGate"


def test_a_run_goes_on_while_fewer_older_ones_are_under_way_than_allowed() -> None:
    states = machines.definition(pipeline(PipelineOptions(max_parallel_runs=3)))["States"]
    conditions = [choice["Condition"] for choice in states["Wait for turn: is it?"]["Choices"]]
    assert all("$turn.ahead < 3" in each or "$turn.ahead >= 3" in each for each in conditions)


def test_a_list_that_cannot_be_had_is_a_failure_like_any_other(states: dict[str, Any]) -> None:
    for name in ("Wait for turn", "Wait for turn: more runs"):
        assert states[name]["Catch"][0]["Next"] == "RecordFailure"
    assert states["Wait for turn: too long"]["Next"] == "RecordFailure"
    assert states["Wait for turn: too long"]["Assign"]["failure"]["error"] == "QueueTimeout"


def test_the_machine_may_list_its_own_runs_and_no_others(by_default: cdk.Stack) -> None:
    (listing,) = (
        s
        for s in machines.statements(by_default, "PipelineStateMachineRole")
        if "states:ListExecutions" in machines.actions([s])
    )
    assert listing["Action"] == "states:ListExecutions"
    assert listing["Resource"]["Ref"].startswith("PipelineStateMachine")


def test_nothing_starts_a_run_before_it_may_ask(by_default: cdk.Stack) -> None:
    rule = support.only(support.resources(by_default, "AWS::Events::Rule"))
    assert any(name.startswith("PipelineTurnOwnExecutions") for name in rule["DependsOn"])


def test_the_questions_are_those_of_the_api(by_default: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(by_default)) == []


@pytest.mark.parametrize("days", [1 / 24, 1, 7, 30])
@pytest.mark.parametrize("checks", [1, Canary(bake=cdk.Duration.days(1)).checks])
def test_a_run_that_waits_as_long_as_it_may_fits_into_its_history(days: float, checks: int) -> None:
    # GIVEN a canary of so many checks after the wait, each with a task, a choice and a wait
    others = checks * 9 + 1500
    timeout = cdk.Duration.seconds(round(days * 86_400))
    seconds, polls = polling(timeout, others)
    # THEN it asks at least every minute where there is room, all the time that it may wait
    assert seconds == 60 or polls > 600
    assert polls * seconds >= timeout.to_seconds()
    # AND its history holds all of it, with a second page of the list each time
    assert polls * (9 + 7) + others <= HISTORY_LIMIT


def test_by_default_it_asks_every_minute_for_a_day(states: dict[str, Any]) -> None:
    assert states["Wait for turn: wait"]["Seconds"] == "{% $turn.start < 0 ? 5 : 60 %}"
    assert "$turn.polls >= 1445" in states["Wait for turn: is it?"]["Choices"][1]["Condition"]
