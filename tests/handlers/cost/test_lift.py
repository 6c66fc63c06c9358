"""Lifting what a budget action denied: one step at a time, and nothing that is done already."""

import json
from typing import Any

import pytest
from handlers.cost.asset import lift

ACTIONS = [
    {"AccountId": "111122223333", "BudgetName": "team", "ActionId": name} for name in ("first", "second")
]


class FakeBudgets:
    def __init__(self, **status: str) -> None:
        self.status = status
        self.executed: list[tuple[str, str]] = []

    def describe_budget_action(self, *, AccountId: str, BudgetName: str, ActionId: str) -> dict[str, Any]:  # noqa: N803
        assert (AccountId, BudgetName) == ("111122223333", "team")
        return {"Action": {"Status": self.status[ActionId]}}

    def execute_budget_action(self, *, ActionId: str, ExecutionType: str, **_: str) -> None:  # noqa: N803
        self.executed.append((ActionId, ExecutionType))


def run(monkeypatch: pytest.MonkeyPatch, phase: str, budgets: FakeBudgets) -> dict[str, str]:
    monkeypatch.setenv("ACTIONS", json.dumps(ACTIONS))
    monkeypatch.setattr(lift.boto3, "client", lambda name, **_: {"budgets": budgets}[name])
    return lift.handler({"phase": phase}, None)


@pytest.mark.parametrize(
    ("phase", "status", "asked"),
    [
        ("reverse", "EXECUTION_SUCCESS", "REVERSE_BUDGET_ACTION"),
        ("reverse", "STANDBY", None),
        ("reverse", "REVERSE_IN_PROGRESS", None),
        ("reverse", "REVERSE_SUCCESS", None),
        ("reverse", "PENDING", None),
        ("reset", "REVERSE_SUCCESS", "RESET_BUDGET_ACTION"),
        ("reset", "STANDBY", None),
        # It fired in the new month: that is not for us to lift.
        ("reset", "EXECUTION_SUCCESS", None),
    ],
)
def test_each_phase_asks_for_what_the_status_needs(
    monkeypatch: pytest.MonkeyPatch, phase: str, status: str, asked: str | None
) -> None:
    budgets = FakeBudgets(first=status, second="STANDBY")
    assert run(monkeypatch, phase, budgets) == {"first": status, "second": "STANDBY"}
    assert budgets.executed == ([("first", asked)] if asked else [])


@pytest.mark.parametrize(
    ("phase", "status", "asked"),
    [
        ("reverse", "REVERSE_FAILURE", "REVERSE_BUDGET_ACTION"),
        ("reset", "RESET_FAILURE", "RESET_BUDGET_ACTION"),
        # Still denied on the second day, and nothing left to try.
        ("reset", "REVERSE_FAILURE", None),
        # It never denied anything, and is not armed.
        ("reverse", "EXECUTION_FAILURE", None),
        ("reset", "EXECUTION_FAILURE", None),
    ],
)
def test_what_failed_before_is_tried_again_and_told(
    monkeypatch: pytest.MonkeyPatch, phase: str, status: str, asked: str | None
) -> None:
    budgets = FakeBudgets(first=status, second=status)
    with pytest.raises(lift.StuckError, match=f"first of team is {status}, second of team is {status}"):
        run(monkeypatch, phase, budgets)
    assert budgets.executed == ([("first", asked), ("second", asked)] if asked else [])


def test_a_phase_that_nobody_knows_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        run(monkeypatch, "lift", FakeBudgets(first="STANDBY", second="STANDBY"))
