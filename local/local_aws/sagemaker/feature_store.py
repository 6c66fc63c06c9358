"""Feature Store, as state: groups, and the newest record of each identifier in their online stores.

Not there: what the offline store writes into S3, its table, expiry of records, and throughput.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from local_aws import context
from local_aws.moto_backend import Answer
from local_aws.sagemaker import paging, validation
from local_aws.sagemaker.errors import ApiError, invalid

_ROUTE = re.compile(r"/FeatureGroup/([^/]+)")
_BATCH = "/BatchGetRecord"
_ACTIONS = {"PUT": "PutRecord", "GET": "GetRecord", "DELETE": "DeleteRecord"}
_STORES = ("OnlineStoreConfig", "OfflineStoreConfig")
_lock = threading.RLock()
_groups: dict[str, dict[str, Any]] = {}
_records: dict[str, dict[str, dict[str, str]]] = {}


def action_of(method: str, path: str) -> str | None:
    """The operation of a request to the data plane; None for other requests."""
    if path == _BATCH:
        return "BatchGetRecord"
    return _ACTIONS.get(method) if _ROUTE.fullmatch(path) else None


def group_of(path: str) -> str | None:
    """The group that a request to the data plane names."""
    match = _ROUTE.fullmatch(path)
    return _name(unquote(match[1])) if match else None


def arns() -> list[str]:
    """Of all groups."""
    with _lock:
        return [group["FeatureGroupArn"] for group in _groups.values()]


def create(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateFeatureGroup", request)
    name = request["FeatureGroupName"]
    names = [each["FeatureName"] for each in request["FeatureDefinitions"]]
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if request[member] not in names:
            raise invalid(f"{member} {request[member]} is not among the FeatureDefinitions")
    if not any(store in request for store in _STORES):
        raise invalid("Either OnlineStoreConfig or OfflineStoreConfig has to be given")
    arn = f"arn:aws:sagemaker:{context.settings().region}:{context.settings().account}:feature-group/{name}"
    with _lock:
        if name in _groups:
            message = f"Resource Already Exists: FeatureGroup with name {name} already exists."
            raise ApiError("ResourceInUse", message)
        kept = {key: value for key, value in request.items() if key != "Tags"}
        _groups[name] = kept | {
            "FeatureGroupArn": arn,
            "CreationTime": time.time(),
            "LastModifiedTime": time.time(),
            "FeatureGroupStatus": "Created",
        }
        _records[name] = {}
    return {"FeatureGroupArn": arn}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    return {"NextToken": ""} | _group(request["FeatureGroupName"])


def update(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        group = _group(request["FeatureGroupName"])
        group["FeatureDefinitions"] = [*group["FeatureDefinitions"], *request.get("FeatureAdditions", [])]
        if "ThroughputConfig" in request:
            group["ThroughputConfig"] = request["ThroughputConfig"]
        if "OnlineStoreConfig" in request:
            group["OnlineStoreConfig"] = group.get("OnlineStoreConfig", {}) | request["OnlineStoreConfig"]
        group["LastModifiedTime"] = time.time()
        return {"FeatureGroupArn": group["FeatureGroupArn"]}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        name = _name(request["FeatureGroupName"])
        _group(name)
        del _groups[name], _records[name]
    return {}


def list_groups(request: dict[str, Any]) -> dict[str, Any]:
    members = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus")
    with _lock:
        items = [{member: group[member] for member in members} for group in _groups.values()]
    return paging.page(
        items,
        request,
        member="FeatureGroupSummaries",
        name="FeatureGroupName",
        sort={"CreationTime": "CreationTime", "Name": "FeatureGroupName"},
    )


async def handle(method: str, path: str, body: bytes, query: dict[str, list[str]]) -> Answer:
    operation = _OPERATIONS[str(action_of(method, path))]
    try:
        answer = await asyncio.to_thread(operation, group_of(path), json.loads(body or b"{}"), query)
    except ApiError as error:
        code = "ResourceNotFound" if error.code == "ResourceNotFound" else "ValidationError"
        headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
        return (
            404 if code == "ResourceNotFound" else 400,
            headers,
            json.dumps({"Message": error.message}).encode(),
        )
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _put(name: str, request: dict[str, Any], _query: dict[str, list[str]]) -> dict[str, Any]:
    group = _group(name)
    kinds = {each["FeatureName"]: each["FeatureType"] for each in group["FeatureDefinitions"]}
    record: dict[str, str] = {}
    for value in request.get("Record", []):
        feature = value["FeatureName"]
        if feature not in kinds:
            raise invalid(f"The feature {feature} is not one of {name}")
        record[feature] = _checked(feature, kinds[feature], value.get("ValueAsString", ""))
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if not record.get(group[member]):
            raise invalid(f"The record has no value for {group[member]}")
    _seconds(record[group["EventTimeFeatureName"]])
    with _lock:
        stored = _records[name]
        identifier = record[group["RecordIdentifierFeatureName"]]
        known = stored.get(identifier)
        time_name = group["EventTimeFeatureName"]
        # An older record goes to the offline store alone.
        if known is None or _seconds(known[time_name]) <= _seconds(record[time_name]):
            stored[identifier] = record
    return {}


def _get(name: str, _request: dict[str, Any], query: dict[str, list[str]]) -> dict[str, Any]:
    record = _online(name).get(_first(query, "RecordIdentifierValueAsString"))
    wanted = query.get("FeatureName", [])
    return {} if record is None else {"Record": _shown(record, wanted)}


def _delete(name: str, _request: dict[str, Any], query: dict[str, list[str]]) -> dict[str, Any]:
    with _lock:
        _online(name).pop(_first(query, "RecordIdentifierValueAsString"), None)
    return {}


def _batch(_of: str | None, request: dict[str, Any], _query: dict[str, list[str]]) -> dict[str, Any]:
    found = []
    for asked in request.get("Identifiers", []):
        stored = _online(asked["FeatureGroupName"])
        for identifier in asked["RecordIdentifiersValueAsString"]:
            if identifier in stored:
                shown = _shown(stored[identifier], asked.get("FeatureNames", []))
                found.append(
                    {
                        "FeatureGroupName": asked["FeatureGroupName"],
                        "RecordIdentifierValueAsString": identifier,
                        "Record": shown,
                    }
                )
    return {"Records": found, "Errors": [], "UnprocessedIdentifiers": []}


_OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "PutRecord": _put,
    "GetRecord": _get,
    "DeleteRecord": _delete,
    "BatchGetRecord": _batch,
}


def _online(name: str) -> dict[str, dict[str, str]]:
    group = _group(name)
    if not group.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
        raise invalid(f"The online store of {name} is not enabled")
    return _records[_name(name)]


def _shown(record: dict[str, str], wanted: list[str]) -> list[dict[str, str]]:
    return [
        {"FeatureName": feature, "ValueAsString": value}
        for feature, value in record.items()
        if not wanted or feature in wanted
    ]


def _checked(feature: str, kind: str, text: str) -> str:
    try:
        if kind == "Integral":
            int(text)
        elif kind == "Fractional":
            float(text)
    except ValueError as error:
        raise invalid(f"The value {text!r} of {feature} is not {kind}") from error
    return text


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise invalid(f"{text!r} is no event time") from error


def _group(name: str) -> dict[str, Any]:
    with _lock:
        found = _groups.get(_name(name))
    if found is None:
        raise ApiError("ResourceNotFound", f"Resource Not Found: FeatureGroup {name} does not exist.")
    return found


def _name(given: str) -> str:
    return given.rsplit("/", 1)[-1]


def _first(query: dict[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    return values[0] if isinstance(values, list) and values else str(values or "")
