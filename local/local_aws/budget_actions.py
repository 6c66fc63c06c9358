"""Actions of AWS Budgets: a policy attached when a budget has reached a threshold, and detached on request.

Nothing costs anything here, so somebody says what was spent: ``local-aws budgets reached``. What follows is
done in the action's own role, which has to trust Budgets and is checked by IAM.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from typing import Any

from local_aws import context, identity
from local_aws.moto_backend import Answer

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_lock = threading.Lock()
_actions: dict[str, dict[str, Any]] = {}
# What each request may find, and what it leads to.
_STEPS = {
    "APPROVE_BUDGET_ACTION": ("PENDING",),
    "RETRY_BUDGET_ACTION": ("EXECUTION_FAILURE",),
    "REVERSE_BUDGET_ACTION": ("EXECUTION_SUCCESS", "REVERSE_FAILURE"),
    "RESET_BUDGET_ACTION": ("REVERSE_SUCCESS", "RESET_FAILURE"),
}


class ActionError(Exception):
    """A request about an action that cannot be answered."""

    def __init__(self, message: str, code: str = "InvalidParameterException") -> None:
        super().__init__(message)
        self.code = code


def reached(budget: str, percent: float, *, forecast: bool = False) -> list[dict[str, str]]:
    """Take every action of the budget whose threshold that is; id and status of each action."""
    _require_budget(budget)
    kind = "FORECASTED" if forecast else "ACTUAL"
    for action in _of_budget(budget):
        due = (
            action["NotificationType"] == kind
            and action["ActionThreshold"]["ActionThresholdValue"] <= percent
        )
        if due and action["Status"] == "STANDBY":
            if action["ApprovalModel"] == "MANUAL":
                action["Status"] = "PENDING"
            else:
                _run(action, "attach_role_policy", "EXECUTION")
    return listed(budget)


def listed(budget: str | None = None) -> list[dict[str, str]]:
    """Budget, id and status of the actions, of all budgets or of one."""
    return [
        {"budget": action["BudgetName"], "action": action["ActionId"], "status": action["Status"]}
        for action in list(_actions.values())
        if budget in (None, action["BudgetName"])
    ]


def install() -> None:
    """Answer what ministack's Budgets does not know."""
    from ministack import app

    known = app.SERVICE_HANDLERS["budgets"]

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Answer:
        operation = _OPERATIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if operation is None:
            answer: Answer = await known(method, path, headers, body, query)
            return answer
        try:
            # Off the event loop: an action calls this instance over HTTP.
            found = await asyncio.to_thread(operation, json.loads(body or b"{}"))
        except ActionError as error:
            refused = {"__type": error.code, "message": str(error)}
            return 400, dict(_JSON), json.dumps(refused).encode()
        return 200, dict(_JSON), json.dumps(found).encode()

    app.SERVICE_HANDLERS["budgets"] = handle


def _create(request: dict[str, Any]) -> dict[str, Any]:
    _require_budget(request["BudgetName"])
    if request["ActionType"] != "APPLY_IAM_POLICY":
        raise ActionError(f"{request['ActionType']} is not there on the local AWS: only APPLY_IAM_POLICY")
    if request["ActionThreshold"]["ActionThresholdType"] != "PERCENTAGE":
        raise ActionError("Thresholds in money are not there on the local AWS: only PERCENTAGE")
    definition = request["Definition"]["IamActionDefinition"]
    if definition.get("Users") or definition.get("Groups") or not definition.get("Roles"):
        raise ActionError("Users and groups are not there on the local AWS: only roles")
    action_id = str(uuid.uuid4())
    kept = {name: value for name, value in request.items() if name not in ("AccountId", "ResourceTags")}
    with _lock:
        _actions[action_id] = {
            "ApprovalModel": "AUTOMATIC",
            **kept,
            "ActionId": action_id,
            "Status": "STANDBY",
        }
    return _named(_actions[action_id])


def _update(request: dict[str, Any]) -> dict[str, Any]:
    action = _known(request)
    old = dict(action)
    action.update({name: value for name, value in request.items() if name != "AccountId"})
    return {"AccountId": context.settings().account, "BudgetName": action["BudgetName"]} | {
        "OldAction": old,
        "NewAction": action,
    }


def _delete(request: dict[str, Any]) -> dict[str, Any]:
    action = _known(request)
    with _lock:
        del _actions[action["ActionId"]]
    return {"AccountId": context.settings().account, "BudgetName": action["BudgetName"], "Action": action}


def _describe(request: dict[str, Any]) -> dict[str, Any]:
    action = _known(request)
    return {"AccountId": context.settings().account, "BudgetName": action["BudgetName"], "Action": action}


def _describe_all(request: dict[str, Any]) -> dict[str, Any]:
    return {"Actions": _of_budget(request.get("BudgetName"))}


def _execute(request: dict[str, Any]) -> dict[str, Any]:
    action, asked = _known(request), request["ExecutionType"]
    if action["Status"] not in _STEPS[asked]:
        raise ActionError(f"{asked} is not possible for an action that is {action['Status']}")
    if asked == "RESET_BUDGET_ACTION":
        action["Status"] = "STANDBY"
    elif asked == "REVERSE_BUDGET_ACTION":
        _run(action, "detach_role_policy", "REVERSE")
    else:
        _run(action, "attach_role_policy", "EXECUTION")
    return _named(action) | {"ExecutionType": asked}


def _run(action: dict[str, Any], call: str, phase: str) -> None:
    """Attach or detach in the action's role; a failure is the action's status, as in AWS."""
    from botocore.exceptions import ClientError

    from local_aws.emulator.trust import NotTrusted

    definition = action["Definition"]["IamActionDefinition"]
    source = f"arn:aws:budgets::{context.settings().account}:budget/{action['BudgetName']}"
    try:
        credentials = identity.assume(action["ExecutionRoleArn"], "budgets", "AWSBudgets", source)
        iam = context.client("iam", credentials)
        for role in definition["Roles"]:
            getattr(iam, call)(RoleName=role, PolicyArn=definition["PolicyArn"])
    except (ClientError, NotTrusted):
        import logging

        logging.getLogger("local_aws").warning("Budget action %s failed", action["ActionId"], exc_info=True)
        action["Status"] = f"{phase}_FAILURE"
    else:
        action["Status"] = f"{phase}_SUCCESS"


def _require_budget(name: str) -> None:
    from ministack.services import budgets

    if name not in budgets._budgets:
        raise ActionError(f"Unable to find budget {name}", "NotFoundException")


def _known(request: dict[str, Any]) -> dict[str, Any]:
    action = _actions.get(request["ActionId"])
    if action is None or action["BudgetName"] != request["BudgetName"]:
        raise ActionError(f"Unable to find action {request['ActionId']}", "NotFoundException")
    return action


def _of_budget(name: str | None) -> list[dict[str, Any]]:
    return [action for action in list(_actions.values()) if name in (None, action["BudgetName"])]


def _named(action: dict[str, Any]) -> dict[str, Any]:
    names = {name: action[name] for name in ("BudgetName", "ActionId")}
    return {"AccountId": context.settings().account} | names


_OPERATIONS = {
    "CreateBudgetAction": _create,
    "UpdateBudgetAction": _update,
    "DeleteBudgetAction": _delete,
    "DescribeBudgetAction": _describe,
    "DescribeBudgetActionsForBudget": _describe_all,
    "DescribeBudgetActionsForAccount": _describe_all,
    "ExecuteBudgetAction": _execute,
}
