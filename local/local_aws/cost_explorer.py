"""Cost Explorer's anomaly monitors and subscriptions, as state: nothing here costs anything."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

from local_aws import context
from local_aws.moto_backend import Answer

_lock = threading.Lock()
_monitors: dict[str, dict[str, Any]] = {}
_subscriptions: dict[str, dict[str, Any]] = {}
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


class UnknownArn(Exception):
    """A monitor or subscription that does not exist."""

    def __init__(self, kind: str, arn: str) -> None:
        super().__init__(f"{kind} {arn} does not exist")
        self.code = f"Unknown{kind}Exception"


def create_monitor(request: dict[str, Any]) -> dict[str, Any]:
    arn = _arn("anomalymonitor")
    with _lock:
        _monitors[arn] = request["AnomalyMonitor"] | {"MonitorArn": arn, "DimensionalValueCount": 0}
    return {"MonitorArn": arn}


def update_monitor(request: dict[str, Any]) -> dict[str, Any]:
    monitor = _known(_monitors, "Monitor", request["MonitorArn"])
    monitor.update({k: v for k, v in request.items() if k == "MonitorName"})
    return {"MonitorArn": request["MonitorArn"]}


def delete_monitor(request: dict[str, Any]) -> dict[str, Any]:
    _known(_monitors, "Monitor", request["MonitorArn"])
    del _monitors[request["MonitorArn"]]
    return {}


def get_monitors(request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("MonitorArnList") or list(_monitors)
    return {"AnomalyMonitors": [_known(_monitors, "Monitor", arn) for arn in wanted]}


def create_subscription(request: dict[str, Any]) -> dict[str, Any]:
    subscription = request["AnomalySubscription"]
    for monitor in subscription.get("MonitorArnList", []):
        _known(_monitors, "Monitor", monitor)
    arn = _arn("anomalysubscription")
    with _lock:
        _subscriptions[arn] = subscription | {"SubscriptionArn": arn, "AccountId": context.settings().account}
    return {"SubscriptionArn": arn}


def update_subscription(request: dict[str, Any]) -> dict[str, Any]:
    subscription = _known(_subscriptions, "Subscription", request["SubscriptionArn"])
    subscription.update(request)
    return {"SubscriptionArn": request["SubscriptionArn"]}


def delete_subscription(request: dict[str, Any]) -> dict[str, Any]:
    _known(_subscriptions, "Subscription", request["SubscriptionArn"])
    del _subscriptions[request["SubscriptionArn"]]
    return {}


def get_subscriptions(request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("SubscriptionArnList") or list(_subscriptions)
    return {"AnomalySubscriptions": [_known(_subscriptions, "Subscription", arn) for arn in wanted]}


_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "CreateAnomalyMonitor": create_monitor,
    "UpdateAnomalyMonitor": update_monitor,
    "DeleteAnomalyMonitor": delete_monitor,
    "GetAnomalyMonitors": get_monitors,
    "CreateAnomalySubscription": create_subscription,
    "UpdateAnomalySubscription": update_subscription,
    "DeleteAnomalySubscription": delete_subscription,
    "GetAnomalySubscriptions": get_subscriptions,
}


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> Answer:
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    operation = _OPERATIONS.get(name)
    if operation is None:
        return _error("ValidationException", f"Cost Explorer's {name} is not there on the local AWS.")
    try:
        return 200, dict(_JSON), json.dumps(operation(json.loads(body or b"{}"))).encode()
    except UnknownArn as error:
        return _error(error.code, str(error))
    except KeyError as error:
        return _error("ValidationException", f"{error.args[0]} must be given.")


def _known(store: dict[str, dict[str, Any]], kind: str, arn: str) -> dict[str, Any]:
    if arn not in store:
        raise UnknownArn(kind, arn)
    return store[arn]


def _arn(kind: str) -> str:
    return f"arn:aws:ce::{context.settings().account}:{kind}/{uuid.uuid4()}"


def _error(code: str, message: str) -> Answer:
    return 400, dict(_JSON), json.dumps({"__type": code, "message": message}).encode()
