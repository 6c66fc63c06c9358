"""What scales an endpoint's variants, remembered when the endpoint goes and registered again when it is back.

Application Auto Scaling keeps what is registered for an endpoint that is deleted, unless whoever deletes it
may deregister it too, which the function may not. What is missing in the morning nevertheless, is put again;
what is there is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

_NAMESPACE = "sagemaker"
_STEPS = "StepScaling"
_TARGET = ("ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity", "SuspendedState")
_POLICY = ("PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration")
_ACTION = ("ScheduledActionName", "Schedule", "Timezone", "ScalableTargetAction")
_TIMES = ("StartTime", "EndTime")
_ONCE = "at("


def registered(client: Any, endpoint: str, variants: Iterable[str]) -> list[dict[str, Any]]:
    """The scalable targets of an endpoint's variants, each with its policies and scheduled actions."""
    resources = [f"endpoint/{endpoint}/variant/{variant}" for variant in variants]
    if not resources:
        return []  # the call would tell of every endpoint of the account
    found = client.describe_scalable_targets(ServiceNamespace=_NAMESPACE, ResourceIds=resources)
    return [_with_its_rules(client, target) for target in found["ScalableTargets"]]


def restore(
    client: Any, wanted: Iterable[Mapping[str, Any]], there: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Register what is missing, and return the names of step policies that are.

    The alarms that call a step policy name it by an ARN that a new policy would not have: only whoever made
    the alarms can put such a policy back.
    """
    known = {_key(target): target for target in there}
    lost: list[str] = []
    for target in wanted:
        where = {
            "ServiceNamespace": _NAMESPACE,
            "ResourceId": target["ResourceId"],
            "ScalableDimension": target["ScalableDimension"],
        }
        same = known.get(_key(target), {"Policies": [], "Actions": []})
        if _key(target) not in known:
            bounds = {name: target[name] for name in _TARGET[2:] if name in target}
            client.register_scalable_target(**where, **bounds)
        policies = {policy["PolicyName"] for policy in same["Policies"]}
        for policy in target["Policies"]:
            if policy["PolicyName"] in policies:
                continue
            if policy["PolicyType"] == _STEPS:
                lost.append(policy["PolicyName"])
            else:
                client.put_scaling_policy(**where, **policy)
        actions = {action["ScheduledActionName"] for action in same["Actions"]}
        for action in target["Actions"]:
            if action["ScheduledActionName"] not in actions and not _is_over(action):
                client.put_scheduled_action(**where, **action)
    return lost


def _with_its_rules(client: Any, target: Mapping[str, Any]) -> dict[str, Any]:
    where = {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": target["ResourceId"],
        "ScalableDimension": target["ScalableDimension"],
    }
    policies = client.describe_scaling_policies(**where)["ScalingPolicies"]
    actions = client.describe_scheduled_actions(**where)["ScheduledActions"]
    return {
        **_only(target, _TARGET),
        "Policies": [_only(policy, _POLICY) for policy in policies],
        "Actions": [{**_only(action, _ACTION), **_times(action)} for action in actions],
    }


def _times(action: Mapping[str, Any]) -> dict[str, str]:
    """From when to when an action is done, as JSON and a call take it."""
    return {name: action[name].isoformat() for name in _TIMES if name in action}


def _is_over(action: Mapping[str, Any]) -> bool:
    """Whether the last time of an action is past, in the night perhaps: then it is missing rightly."""
    now = datetime.now(UTC)
    if action["Schedule"].startswith(_ONCE):
        once = datetime.fromisoformat(action["Schedule"].removeprefix(_ONCE).removesuffix(")"))
        return once.replace(tzinfo=ZoneInfo(action.get("Timezone", "UTC"))) <= now
    return "EndTime" in action and datetime.fromisoformat(action["EndTime"]) <= now


def _only(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _key(target: Mapping[str, Any]) -> tuple[str, str]:
    return target["ResourceId"], target["ScalableDimension"]
