"""``AWS::Budgets::BudgetsAction``, whose properties have other names than its API."""

from __future__ import annotations

from typing import Any

from local_aws import context
from local_aws.cloudformation import calls

Props = dict[str, Any]
_CREATE_ONLY = ("ActionType", "BudgetName")


def create(logical_id: str, props: Props, stack: str) -> tuple[str, dict[str, Any]]:
    made = calls.call("budgets", "CreateBudgetAction", {"ApprovalModel": "AUTOMATIC"} | _parameters(props))
    return f"{made['ActionId']}|{made['BudgetName']}", {"ActionId": made["ActionId"]}


def update(physical_id: str, old: Props, new: Props, stack: str) -> tuple[str, dict[str, Any]]:
    if any(old[name] != new[name] for name in _CREATE_ONLY):
        return create("", new, stack)
    parameters = {
        name: value for name, value in _parameters(new).items() if name not in ("ActionType", "ResourceTags")
    }
    action_id = physical_id.partition("|")[0]
    calls.call("budgets", "UpdateBudgetAction", parameters | {"ActionId": action_id})
    return physical_id, {"ActionId": action_id}


def delete(physical_id: str, props: Props) -> None:
    action_id, _, budget = physical_id.partition("|")
    parameters = {"AccountId": context.settings().account, "BudgetName": budget, "ActionId": action_id}
    calls.call_if_there("budgets", "DeleteBudgetAction", parameters, "NotFoundException")


def _parameters(props: Props) -> Props:
    threshold = props["ActionThreshold"]
    return props | {
        "AccountId": context.settings().account,
        "ActionThreshold": {
            "ActionThresholdType": threshold["Type"],
            "ActionThresholdValue": threshold["Value"],
        },
        "Subscribers": [
            {"SubscriptionType": subscriber["Type"], "Address": subscriber["Address"]}
            for subscriber in props["Subscribers"]
        ],
    }
