"""Condition keys and resources of requests that ministack's IAM leaves out: which policy is attached to a
role, which instance types SageMaker would start, and which action of a budget is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def install() -> None:
    from ministack.core import iam_actions

    request_tags, resource_arn = iam_actions.request_tag_context, iam_actions.extract_resource_arn

    def conditions(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = request_tags(service, iam_action, body, params)
        if service == "iam" and "PolicyArn" in params:
            given = params["PolicyArn"]
            found |= {"iam:PolicyARN": given[0] if isinstance(given, list) else given}
        if service == "sagemaker":
            types = sorted(set(_instance_types(_parsed(body))))
            found |= {"sagemaker:InstanceTypes": types} if types else {}
        return found

    def with_budget_actions(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        if service == "budgets":
            return budget_resource(_parsed(body), account_id)
        return str(resource_arn(service, method, path, headers, body, query_params, region, account_id))

    iam_actions.request_tag_context = conditions
    iam_actions.extract_resource_arn = with_budget_actions


def budget_resource(request: Any, account: str) -> str:
    """The budget, or the action of a budget, that a request is authorized on."""
    name = request.get("BudgetName") if isinstance(request, dict) else None
    if not isinstance(name, str):
        return "*"
    action = request.get("ActionId")
    suffix = f"/action/{action}" if isinstance(action, str) else ""
    return f"arn:aws:budgets::{account}:budget/{name}{suffix}"


def _instance_types(request: Any) -> Iterator[str]:
    """Every instance type that a request names, wherever its API has it."""
    if isinstance(request, list):
        for item in request:
            yield from _instance_types(item)
    elif isinstance(request, dict):
        for name, item in request.items():
            if name == "InstanceType" and isinstance(item, str):
                yield item
            else:
                yield from _instance_types(item)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}
