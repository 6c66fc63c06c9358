"""Lift what a budget action has denied, when a new period begins, and arm the action again.

What AWS Budgets does with an executed action at the beginning of a period is not left to chance: the action's
status tells what there is to do, and whatever is done already is left alone.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any, TypedDict

import boto3
from botocore.config import Config

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# What each phase finds, and asks for. Armed at once, an action could fire again on last month's costs.
_PHASES = {
    "reverse": ("REVERSE_BUDGET_ACTION", ("EXECUTION_SUCCESS", "REVERSE_FAILURE")),
    "reset": ("RESET_BUDGET_ACTION", ("REVERSE_SUCCESS", "RESET_FAILURE")),
}

# A request is answered before it is carried out: that it failed shows in the status that the next call finds.
_FAILED = ("EXECUTION_FAILURE", "REVERSE_FAILURE", "RESET_FAILURE")


class Action(TypedDict):
    """A budget action, by the names that its API asks for."""

    AccountId: str
    BudgetName: str
    ActionId: str


class StuckError(Exception):
    """What was asked of some actions before has failed; the message tells of which."""


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Take one step with each action of `ACTIONS`; the answer tells the status in which each was found.

    Raises:
        StuckError: An action was found failed. It was asked again where that can help; Lambda's own retries
            find out whether it did.
    """
    request, due = _PHASES[event["phase"]]
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3)
    budgets = boto3.client("budgets", config=config)
    actions: list[Action] = json.loads(os.environ["ACTIONS"])
    found, stuck = {}, []
    for action in actions:
        status = budgets.describe_budget_action(**action)["Action"]["Status"]
        found[action["ActionId"]] = status
        logger.info("%s of %s is %s", action["ActionId"], action["BudgetName"], status)
        if status in due:
            budgets.execute_budget_action(**action, ExecutionType=request)
            logger.info("%s requested", request)
        if status in _FAILED:
            stuck.append(f"{action['ActionId']} of {action['BudgetName']} is {status}")
    if stuck:
        raise StuckError(", ".join(stuck))
    return found
