"""AWS::SageMaker::MlflowApp and MlflowTrackingServer, deployed through SageMaker's API."""

from __future__ import annotations

from typing import Any

from local_aws import context
from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def create_app(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("sagemaker", "CreateMlflowApp", props)["Arn"]
    return arn, _app(arn)


def update_app(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if any(old[name] != new[name] for name in ("Name", "RoleArn")):
        return create_app("", new, stack)
    changes = {name: value for name, value in new.items() if name not in ("Name", "RoleArn", "Tags")}
    calls.call("sagemaker", "UpdateMlflowApp", {"Arn": physical_id} | changes)
    return physical_id, _app(physical_id)


def delete_app(physical_id: str, props: Props) -> None:
    calls.call_if_there("sagemaker", "DeleteMlflowApp", {"Arn": physical_id}, "ValidationException")


def create_server(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("sagemaker", "CreateMlflowTrackingServer", props)["TrackingServerArn"]
    return props["TrackingServerName"], {"TrackingServerArn": arn}


def update_server(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if old["TrackingServerName"] != new["TrackingServerName"]:
        return create_server("", new, stack)
    shape = context.client("sagemaker").meta.service_model.shape_for("UpdateMlflowTrackingServerRequest")
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"Tags"}
    fixed = sorted(changed - set(shape.members))
    if fixed:
        message = f"SageMaker cannot change {', '.join(fixed)} of a tracking server"
        raise ValueError(message)
    changes = {name: new[name] for name in changed & new.keys()}
    arn = calls.call(
        "sagemaker", "UpdateMlflowTrackingServer", {"TrackingServerName": physical_id} | changes
    )["TrackingServerArn"]
    return physical_id, {"TrackingServerArn": arn}


def delete_server(physical_id: str, props: Props) -> None:
    named = {"TrackingServerName": physical_id}
    calls.call_if_there("sagemaker", "DeleteMlflowTrackingServer", named, "ValidationException")


def _app(arn: str) -> dict[str, Any]:
    described = context.client("sagemaker").describe_mlflow_app(Arn=arn)
    attributes = {name: described[name] for name in ("Arn", "Status", "MlflowVersion")}
    return attributes | {"MlflowAppId": arn.rpartition("/")[2]}
