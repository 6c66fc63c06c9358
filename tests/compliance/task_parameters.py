"""Checks what the tasks of a state machine send to AWS against botocore's models.

`botocore.validate` knows names, types and required members; enums, patterns, minima and maxima are walked
here. What only a run can know (JSONata, intrinsics of CloudFormation) is taken for right.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session

_INTEGRATION = re.compile(
    r"arn:[^:]*:states:::(?P<sdk>aws-sdk:)?(?P<service>[\w-]+):(?P<operation>\w+)(?:\.\w+)*"
)
_SERVICES = {"states": "stepfunctions", "sfn": "stepfunctions", "eventbridge": "events"}
# What the integration takes beside the API's own members, or in another form.
_JSON_PAYLOADS = {("lambda", "Invoke", "Payload")}
# Marks a part of a text that is known only at deployment.
_TOKEN = "\N{REPLACEMENT CHARACTER}"
_NUMBERS: dict[str, Any] = {"integer": int, "long": int, "float": (int, float), "double": (int, float)}


def definitions(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parsed definition of each state machine in a template, with a mark for each token."""
    return {
        logical_id: json.loads(_text(resource["Properties"]["DefinitionString"]))
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    }


def faults(definition: Mapping[str, Any]) -> list[str]:
    """Everything that AWS would refuse in the arguments of the tasks."""
    return [f"{name}: {fault}" for name, task in tasks(definition) for fault in _task_faults(task)]


def tasks(definition: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tasks of a definition, those in branches and maps included."""
    for name, state in definition.get("States", {}).items():
        if state["Type"] == "Task":
            yield name, state
        for inner in [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]:
            if inner is not None:
                yield from tasks(inner)


def _task_faults(task: Mapping[str, Any]) -> Iterator[str]:
    match = _INTEGRATION.fullmatch(task["Resource"])
    if match is None:
        return  # a function's or an activity's own ARN: its input is free
    service = _SERVICES.get(match["service"], match["service"])
    operation = match["operation"][0].upper() + match["operation"][1:]
    shape = _input_shape(service, operation)
    if shape is None:
        yield f"botocore knows no operation {service}.{operation}"
        return
    arguments = task.get("Arguments", task.get("Parameters", {}))
    if match["sdk"]:
        arguments = _with_api_names(arguments, shape)
    free = {member for owner, call, member in _JSON_PAYLOADS if (owner, call) == (service, operation)}
    yield from _faults({k: v for k, v in arguments.items() if k not in free}, shape, operation, free)


def _with_api_names(value: Any, shape: Any) -> Any:
    """Arguments of an ``aws-sdk`` integration, whose names begin with a capital letter, as the API has them.

    A name that the integration would not take is kept in a form that the API has not either.
    """
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {name[0].upper() + name[1:]: name for name in shape.members}
        return {
            members.get(name, f"{name} (begins with a capital letter)" if name in shape.members else name): (
                _with_api_names(entry, shape.members[members[name]]) if name in members else entry
            )
            for name, entry in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_with_api_names(entry, shape.member) for entry in value]
    return value


@functools.cache
def _input_shape(service: str, operation: str) -> Any:
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return None
    model = session.get_service_model(service)
    return model.operation_model(operation).input_shape if operation in model.operation_names else None


def _faults(value: Any, shape: Any, where: str, given: set[str] | None = None) -> Iterator[str]:
    if _is_dynamic(value):
        return
    kind = shape.type_name
    if kind == "structure":
        yield from _structure_faults(value, shape, where, given or set())
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{where} is no list: {value!r}"
            return
        yield from _range_faults(len(value), shape, where, "entries")
        for index, entry in enumerate(value):
            yield from _faults(entry, shape.member, f"{where}[{index}]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{where} is no map: {value!r}"
            return
        yield from _range_faults(len(value), shape, where, "entries")
        for key, entry in value.items():
            yield from _faults(key, shape.key, f"{where} key")
            yield from _faults(entry, shape.value, f"{where}[{key}]")
    elif kind == "string":
        yield from _string_faults(value, shape, where)
    elif kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS[kind]):
            yield f"{where} is no {kind}: {value!r}"
        else:
            yield from _range_faults(value, shape, where, "")
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{where} is no boolean: {value!r}"


def _structure_faults(value: Any, shape: Any, where: str, given: set[str]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no structure: {value!r}"
        return
    for name in shape.required_members:
        if name not in value and name not in given:
            yield f"{where} lacks {name}"
    for name, entry in value.items():
        if name not in shape.members:
            yield f"{where} has no member {name}"
        else:
            yield from _faults(entry, shape.members[name], f"{where}.{name}")


def _string_faults(value: Any, shape: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where} is no string: {value!r}"
        return
    if _TOKEN in value:
        return
    if shape.enum and value not in shape.enum:
        yield f"{where} is {value!r}, which is none of the {len(shape.enum)} allowed values"
    yield from _range_faults(len(value), shape, where, "characters")
    pattern = _compiled(shape.metadata.get("pattern"))
    if pattern is not None and not pattern.fullmatch(value):
        yield f"{where} is {value!r}, which does not match {shape.metadata['pattern']}"


def _range_faults(number: float, shape: Any, where: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and number < least:
        yield f"{where} has {number} {unit}, fewer than {least}".replace("  ", " ")
    if most is not None and number > most:
        yield f"{where} has {number} {unit}, more than {most}".replace("  ", " ")


@functools.cache
def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    # Java writes what is beyond the first 65,536 characters as pairs, Python as what they are.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    # Python has no Unicode categories: letters, separators and digits come close enough.
    for category, ours in ((r"\p{L}", r"\w"), (r"\p{Z}", r"\s"), (r"\p{N}", r"\d"), (r"\p{M}", r"\w")):
        pattern = pattern.replace(category, ours)
    # The registry's metadata have an end of the text that is repeated, which Python refuses.
    pattern = re.sub(r"\$\{\d+,\d+\}$", "$", pattern)
    return None if r"\p{" in pattern else re.compile(pattern)


def _is_dynamic(value: Any) -> bool:
    return isinstance(value, str) and (
        value == _TOKEN or (value.startswith("{%") and value.endswith("%}")) or value.startswith("$.")
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(_text(part) for part in parts)
    return _TOKEN
