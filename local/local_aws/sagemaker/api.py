"""SageMaker's API as a service of the emulator: our operations, and moto for all others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from local_aws import moto_backend
from local_aws.sagemaker import (
    callers,
    endpoints,
    feature_store,
    hosting,
    jobs,
    mlflow,
    processing,
    registry,
    runtime,
    studio,
    studio_images,
    tagging,
    training,
    transform,
    tuning,
)
from local_aws.sagemaker.errors import ApiError, invalid

Operation = Callable[[dict[str, Any]], dict[str, Any]]


def _operations(kind: jobs.Jobs) -> dict[str, Operation]:
    noun = kind.kind.noun
    return {
        f"Create{noun}": kind.create,
        f"Describe{noun}": kind.describe,
        f"List{noun}s": kind.list_jobs,
        f"Stop{noun}": kind.stop,
    }


OPERATIONS: dict[str, Operation] = {
    "CreateTrainingJob": training.create,
    "DescribeTrainingJob": training.describe,
    "ListTrainingJobs": training.list_jobs,
    "StopTrainingJob": training.stop,
    "CreateModelPackageGroup": registry.create_group,
    "DescribeModelPackageGroup": registry.describe_group,
    "ListModelPackageGroups": registry.list_groups,
    "DeleteModelPackageGroup": registry.delete_group,
    "PutModelPackageGroupPolicy": registry.put_policy,
    "GetModelPackageGroupPolicy": registry.get_policy,
    "DeleteModelPackageGroupPolicy": registry.delete_policy,
    "CreateModelPackage": registry.create_package,
    "DescribeModelPackage": registry.describe_package,
    "ListModelPackages": registry.list_packages,
    "UpdateModelPackage": registry.update_package,
    "DeleteModelPackage": registry.delete_package,
    **_operations(processing.JOBS),
    **_operations(transform.JOBS),
    **_operations(tuning.JOBS),
    "ListTrainingJobsForHyperParameterTuningJob": tuning.list_children,
    "CreateFeatureGroup": feature_store.create,
    "DescribeFeatureGroup": feature_store.describe,
    "UpdateFeatureGroup": feature_store.update,
    "DeleteFeatureGroup": feature_store.delete,
    "ListFeatureGroups": feature_store.list_groups,
    "CreateModel": hosting.create_model,
    "DescribeModel": hosting.MODELS.describe,
    "ListModels": hosting.MODELS.list_items,
    "DeleteModel": hosting.MODELS.delete,
    "CreateEndpointConfig": hosting.create_config,
    "DescribeEndpointConfig": hosting.CONFIGS.describe,
    "ListEndpointConfigs": hosting.CONFIGS.list_items,
    "DeleteEndpointConfig": hosting.CONFIGS.delete,
    "CreateEndpoint": endpoints.create,
    "UpdateEndpoint": endpoints.update,
    "UpdateEndpointWeightsAndCapacities": endpoints.update_weights,
    "DescribeEndpoint": endpoints.describe,
    "ListEndpoints": endpoints.list_endpoints,
    "DeleteEndpoint": endpoints.delete,
    **studio.OPERATIONS,
    **studio_images.OPERATIONS,
    **mlflow.OPERATIONS,
}
_TAGGING: dict[str, Operation] = {
    "AddTags": tagging.add,
    "ListTags": tagging.list_tags,
    "DeleteTags": tagging.delete,
}
_TAGGED = {name for name in OPERATIONS if name.startswith("Create")} - {"CreatePresignedDomainUrl"}
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> moto_backend.Answer:
    if runtime.endpoint_of(path) is not None:
        return await runtime.handle(path, headers, body)
    if feature_store.action_of(method, path) is not None:
        return await feature_store.handle(method, path, body, query)
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        request = json.loads(body or b"{}")
        operation = _operation(name, request)
        if operation is None:
            return await moto_backend.handle(method, path, headers, body, query)
        # On a worker thread: loading the service model for the first time takes a moment.
        answer = await asyncio.to_thread(_perform, name, operation, request, headers)
    except ValueError:
        return _error(ApiError("SerializationException", "The request is not valid JSON."))
    except ApiError as error:
        return _error(error)
    return 200, dict(_JSON), json.dumps(answer, default=str).encode()


def _operation(name: str, request: dict[str, Any]) -> Operation | None:
    if name in _TAGGING:
        return _TAGGING[name] if tagging.is_ours(request) else None
    return OPERATIONS.get(name)


def _perform(
    name: str, operation: Operation, request: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    if not isinstance(request, dict):
        raise invalid("The request must be an object.")
    if name.startswith("Create"):
        _check_role(request, headers)
    token = callers.remember(headers)
    try:
        answer = operation(request)
    finally:
        callers.forget(token)
    return tagging.keep(answer, request) if name in _TAGGED else answer


def _check_role(request: dict[str, Any], headers: dict[str, str]) -> None:
    """Who gives a role to SageMaker must be allowed to pass it, and the role must trust SageMaker."""
    from ministack.core.router import extract_access_key_id, extract_region

    from local_aws.emulator import roles, trust

    definition = request.get("TrainingJobDefinition")
    given = definition if isinstance(definition, dict) else request
    role = given.get("RoleArn", given.get("ExecutionRoleArn"))
    if not isinstance(role, str):
        return  # the validation of the request names what is missing
    try:
        roles.check_pass(
            extract_access_key_id(headers, {}), roles.Given(role, "sagemaker"), extract_region(headers, {})
        )
        trust.require(role, "sagemaker")
    except roles.PassRoleDenied as error:
        raise ApiError("AccessDeniedException", str(error)) from error
    except trust.NotTrusted as error:
        raise ApiError(*roles.refusal(error)) from error


def _error(error: ApiError) -> moto_backend.Answer:
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    return 400, dict(_JSON), body
