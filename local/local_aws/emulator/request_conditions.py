"""Condition keys and resources of requests that ministack's IAM leaves out: which policy is attached to a
role, whose a part of a network is, what SageMaker would start, in which network and with which approval, what
Application Auto Scaling would scale, and which action of a budget is meant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

_SCALING = "application-autoscaling"


def install() -> None:
    from ministack.core import iam_actions

    request_tags, resource_arn = iam_actions.request_tag_context, iam_actions.extract_resource_arn

    def conditions(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = request_tags(service, iam_action, body, params)
        if service == "iam" and "PolicyArn" in params:
            given = params["PolicyArn"]
            found |= {"iam:PolicyARN": given[0] if isinstance(given, list) else given}
        if service == "ec2":
            found |= _of_network(params)
        if service == "sagemaker":
            found |= _of_sagemaker(_parsed(body))
        if service == _SCALING:
            found |= _of_scaling(_parsed(body))
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
        if service == _SCALING:
            return scalable_target(_parsed(body), region, account_id)
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


def scalable_target(request: Any, region: str, account: str) -> str:
    """The scalable target that a request of Application Auto Scaling is authorized on, by our own name."""
    if not isinstance(request, dict) or "ResourceId" not in request:
        return "*"
    named = f"{request.get('ServiceNamespace')}{request['ResourceId']}{request.get('ScalableDimension')}"
    identifier = hashlib.sha256(named.encode()).hexdigest()[:20]
    return f"arn:aws:{_SCALING}:{region}:{account}:scalable-target/{identifier}"


def _of_scaling(request: Any) -> dict[str, str]:
    """The condition keys of Application Auto Scaling that a request has values for."""
    if not isinstance(request, dict):
        return {}
    keys = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
    return {f"{_SCALING}:{key}": request[name] for key, name in keys.items() if name in request}


def _of_network(params: dict[str, Any]) -> dict[str, str]:
    """The VPC and the tags of the security group or network interface that a request is about."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ec2

    for member, known in (("GroupId", ec2._security_groups), ("NetworkInterfaceId", ec2._network_interfaces)):
        given = params.get(member)
        name = given[0] if isinstance(given, list) and given else given
        found = known.get(name)
        if found:
            vpc = f"arn:aws:ec2:{get_region()}:{get_account_id()}:vpc/{found['VpcId']}"
            tags = {f"aws:ResourceTag/{tag['Key']}": str(tag["Value"]) for tag in ec2._tags.get(name, ())}
            return {"ec2:Vpc": vpc, **tags}
    return {}


_SAGEMAKER_KEYS = {
    "sagemaker:InstanceTypes": "InstanceType",
    "sagemaker:VpcSubnets": "Subnets",
    "sagemaker:VpcSecurityGroupIds": "SecurityGroupIds",
}


def _of_sagemaker(request: Any) -> dict[str, Any]:
    """The condition keys of SageMaker that a request has values for."""
    found: dict[str, Any] = {key: sorted(set(_texts(request, name))) for key, name in _SAGEMAKER_KEYS.items()}
    if isinstance(request, dict):
        found["sagemaker:ModelApprovalStatus"] = request.get("ModelApprovalStatus")
    return {key: value for key, value in found.items() if value}


def _texts(request: Any, member: str) -> Iterator[str]:
    """Every text, alone or in a list, that a request has in members of this name, wherever its API has it."""
    if isinstance(request, list):
        for item in request:
            yield from _texts(item, member)
    elif isinstance(request, dict):
        for name, item in request.items():
            texts = [text for text in (item if isinstance(item, list) else [item]) if isinstance(text, str)]
            yield from texts if name == member else _texts(item, member)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}
