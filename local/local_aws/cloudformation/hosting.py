"""AWS::SageMaker::Model, EndpointConfig and Endpoint, deployed through SageMaker's API."""

from __future__ import annotations

import time
from typing import Any

from local_aws import context
from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_READY_SECONDS = 600.0
_POLL = 0.1
_LISTS = {"Model": "list_models", "EndpointConfig": "list_endpoint_configs", "Endpoint": "list_endpoints"}
_UPDATE_ONLY = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")


def create_model(logical_id: str, props: Props, stack: str) -> Created:
    return _create("Model", logical_id, props, stack)


def create_config(logical_id: str, props: Props, stack: str) -> Created:
    return _create("EndpointConfig", logical_id, props, stack)


def create_endpoint(logical_id: str, props: Props, stack: str) -> Created:
    kept = {name: value for name, value in props.items() if name not in _UPDATE_ONLY}
    arn, attributes = _create("Endpoint", logical_id, kept, stack)
    try:
        _wait(attributes["EndpointName"], props["EndpointConfigName"])
    except ValueError:
        _delete("Endpoint", arn)
        raise
    return arn, attributes


def update_endpoint(physical_id: str, old: Props, new: Props, stack: str, logical_id: str) -> Created:
    if new.get("EndpointName") != old.get("EndpointName"):
        created = create_endpoint(logical_id, new, stack)
        _delete("Endpoint", physical_id)
        return created
    name = _name("Endpoint", physical_id)
    if new["EndpointConfigName"] != old["EndpointConfigName"]:
        parameters = {member: value for member, value in new.items() if member != "Tags"}
        calls.call("sagemaker", "UpdateEndpoint", parameters | {"EndpointName": name})
        _wait(name, new["EndpointConfigName"])
    return physical_id, {"EndpointName": name, "EndpointArn": physical_id}


def delete_model(physical_id: str, props: Props) -> None:
    _delete("Model", physical_id)


def delete_config(physical_id: str, props: Props) -> None:
    _delete("EndpointConfig", physical_id)


def delete_endpoint(physical_id: str, props: Props) -> None:
    _delete("Endpoint", physical_id)


def _create(noun: str, logical_id: str, props: Props, stack: str) -> Created:
    from ministack.services.cloudformation.provisioners import _physical_name

    member = f"{noun}Name"
    name = props.get(member) or _physical_name(stack, logical_id, max_len=63)
    arn = calls.call("sagemaker", f"Create{noun}", props | {member: name})[f"{noun}Arn"]
    return arn, {member: name, f"{noun}Arn": arn}


def _delete(noun: str, arn: str) -> None:
    name = {f"{noun}Name": _name(noun, arn)}
    calls.call_if_there("sagemaker", f"Delete{noun}", name, "ValidationException")


def _name(noun: str, arn: str) -> str:
    """The name as it was given: an ARN has it in lower case."""
    for page in context.client("sagemaker").get_paginator(_LISTS[noun]).paginate():
        for item in page[f"{noun}s"]:
            if item[f"{noun}Arn"] == arn:
                return str(item[f"{noun}Name"])
    return arn.rsplit("/", 1)[-1]


def _wait(name: str, config: str) -> None:
    """Until the endpoint serves the configuration; a ValueError with the reason where it does not."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        described = context.client("sagemaker").describe_endpoint(EndpointName=name)
        status = described["EndpointStatus"]
        if status == "InService" and described["EndpointConfigName"] == config:
            return
        if status in ("Failed", "InService"):
            message = f"Endpoint {name} did not stabilize: {described.get('FailureReason', status)}"
            raise ValueError(message)
        time.sleep(_POLL)
    message = f"Endpoint {name} was not in service after {_READY_SECONDS:.0f} s"
    raise ValueError(message)
