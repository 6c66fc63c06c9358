"""Tags of what this package keeps itself; all other ARNs are moto's."""

from __future__ import annotations

import threading
from typing import Any

from local_aws.sagemaker import (
    endpoints,
    feature_store,
    hosting,
    mlflow,
    processing,
    registry,
    studio,
    studio_images,
    training,
    transform,
    tuning,
    validation,
)

_KNOWN = (
    training.arns,
    registry.arns,
    processing.JOBS.arns,
    transform.JOBS.arns,
    tuning.JOBS.arns,
    hosting.MODELS.arns,
    hosting.CONFIGS.arns,
    endpoints.arns,
    studio.arns,
    studio_images.IMAGES.arns,
    studio_images.APP_CONFIGS.arns,
    studio_images.SCRIPTS.arns,
    mlflow.arns,
    feature_store.arns,
)
_lock = threading.Lock()
_tags: dict[str, dict[str, str]] = {}


def keep(answer: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Keep the tags that a create request gave to what it created."""
    arn = next(value for name, value in answer.items() if name.endswith("Arn"))
    with _lock:
        _tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in request.get("Tags", [])})
    return answer


def is_ours(request: dict[str, Any]) -> bool:
    arn = request.get("ResourceArn", "")
    return any(arn in known() for known in _KNOWN)


def add(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("AddTags", request)
    with _lock:
        tags = _tags.setdefault(request["ResourceArn"], {})
        tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {"Tags": _listed(request["ResourceArn"])}


def list_tags(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListTags", request)
    return {"Tags": _listed(request["ResourceArn"])}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteTags", request)
    with _lock:
        for key in request["TagKeys"]:
            _tags.get(request["ResourceArn"], {}).pop(key, None)
    return {}


def _listed(arn: str) -> list[dict[str, str]]:
    with _lock:
        return [{"Key": key, "Value": value} for key, value in _tags.get(arn, {}).items()]
