"""Calls of APIs with the properties of a template."""

from __future__ import annotations

from typing import Any

from local_aws import context

Props = dict[str, Any]


def call(service: str, operation: str, parameters: Props) -> dict[str, Any]:
    """Call an API with properties of a template: their numbers and booleans may be strings."""
    client = context.client(service)
    shape = client.meta.service_model.operation_model(operation).input_shape
    answer: dict[str, Any] = client._make_api_call(operation, _coerced(parameters, shape, operation))
    return answer


def call_if_there(service: str, operation: str, parameters: Props, *missing: str) -> None:
    """A delete: what is gone already is fine."""
    from botocore.exceptions import ClientError

    try:
        call(service, operation, parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] not in missing:
            raise


def _coerced(value: Any, shape: Any, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        unknown = sorted(set(value) - set(shape.members))
        if unknown:
            message = f"Encountered unsupported property {', '.join(unknown)} in {path}"
            raise ValueError(message)
        return {name: _coerced(item, shape.members[name], name) for name, item in value.items()}
    if kind == "list":
        return [_coerced(item, shape.member, path) for item in value]
    if kind == "map":
        return {name: _coerced(item, shape.value, path) for name, item in value.items()}
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind == "string" and isinstance(value, (int, float)):
        return str(value)
    return value
