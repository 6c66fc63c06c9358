"""Requests checked against the service's own model: types, required members, enums, patterns, lengths.

AWS checks all of these on its side; an SDK checks only names, types and required members. The messages are
worded as AWS words them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from local_aws import context
from local_aws.sagemaker.errors import invalid

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
    "blob": (str, bytes),
}


@cache
def _model(service: str) -> Any:
    from botocore.model import ServiceModel

    loader = context.session().get_component("data_loader")
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


def check(operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Raise ValidationException with every violation of the operation's input shape."""
    shape = _model(service).operation_model(operation).input_shape
    problems = list(_violations(request, shape, ""))
    if problems:
        plural = "s" if len(problems) > 1 else ""
        message = f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}"
        raise invalid(message)


def members(operation: str, service: str = "sagemaker") -> frozenset[str]:
    """The names of the members of an operation's answer."""
    shape = _model(service).operation_model(operation).output_shape
    return frozenset(shape.members if shape is not None else ())


def shape_members(shape: str, service: str = "sagemaker") -> frozenset[str]:
    """The names of the members of a structure."""
    return frozenset(_model(service).shape_for(shape).members)


def _violations(value: Any, shape: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    allowed = _PYTHON_TYPES.get(kind, (object,))
    fits: bool = isinstance(value, allowed) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        yield f"Value at '{path}' failed to satisfy constraint: Member must be of type {kind}"
    elif kind == "structure":
        yield from _structure_violations(value, shape, path)
    elif kind == "list":
        yield from _size_violations(value, shape, path)
        for index, item in enumerate(value, 1):
            yield from _violations(item, shape.member, f"{path}.{index}.member")
    elif kind == "map":
        yield from _size_violations(value, shape, path)
        for key, item in value.items():
            yield from _violations(key, shape.key, f"{path}.{key}.key")
            yield from _violations(item, shape.value, f"{path}.{key}.value")
    elif kind == "string":
        yield from _string_violations(value, shape, path)
    elif kind in ("integer", "long", "float", "double"):
        yield from _number_violations(value, shape, path)


def _structure_violations(value: dict[str, Any], shape: Any, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _failed(None, _join(path, name), "Member must not be null")
    for name, item in value.items():
        if item is not None and name in shape.members:  # services ignore members that they do not know
            yield from _violations(item, shape.members[name], _join(path, name))


def _size_violations(value: Any, shape: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield _failed(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield _failed(value, path, f"Member must have length less than or equal to {high}")


def _string_violations(value: str, shape: Any, path: str) -> Iterator[str]:
    yield from _size_violations(value, shape, path)
    if shape.enum and value not in shape.enum:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(sorted(shape.enum))}]")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _number_violations(value: float, shape: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield _failed(value, path, f"Member must have value greater than or equal to {low}")
    if high is not None and value > high:
        yield _failed(value, path, f"Member must have value less than or equal to {high}")


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for the few patterns of the models that Python cannot compile: they are not checked."""
    if r"\p{" in pattern:  # Java's character classes
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _failed(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else value
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    camel = name[0].lower() + name[1:]
    return f"{path}.{camel}" if path else camel
