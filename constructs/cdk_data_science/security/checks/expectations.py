"""Checks on properties, for rules that need no code of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cdk_data_science.security.checks.intrinsics import is_unknown
from cdk_data_science.security.checks.rule import Check, Example, Problem
from cdk_data_science.security.checks.templates import Resource

When = Callable[[Resource], bool]


def always(_: Resource) -> bool:
    """Every resource of the type."""
    return True


def is_true(value: Any) -> bool:
    """CloudFormation takes "true" for true."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.lower() == "false")


def number(value: Any) -> float | None:
    """A number, which CloudFormation also takes as a text."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def expect(path: str, holds: Callable[[Any], bool], *, absent: bool = False, when: When = always) -> Check:
    """A check that ``holds`` for every value at ``path``; ``absent`` says whether a missing one is fine."""

    def check(resource: Resource) -> Iterator[Problem]:
        if not when(resource):
            return
        for where, value in resource.each(path):
            if value is None:
                if not absent:
                    yield Problem(at=where)
            elif is_unknown(value):
                yield Problem(at=where, uncertain=True)
            elif not holds(value):
                yield Problem(at=where)

    return check


def present(path: str, *, when: When = always) -> Check:
    """A check that something is set at ``path``; a value that only the deployment knows is something."""

    def check(resource: Resource) -> Iterator[Problem]:
        for where, value in resource.each(path) if when(resource) else ():
            if value in (None, "", []):
                yield Problem(at=where)

    return check


def enabled(path: str, *, absent: bool = False, when: When = always) -> Check:
    """A check that a switch is on; ``absent`` says whether it is on where it is missing."""
    return expect(path, is_true, absent=absent, when=when)


def disabled(path: str, *, absent: bool = True, when: When = always) -> Check:
    """A check that a switch is off; ``absent`` says whether it is off where it is missing."""
    return expect(path, is_false, absent=absent, when=when)


def one_of(path: str, *allowed: Any, absent: bool = False, when: When = always) -> Check:
    """A check that the value is one of some."""
    return expect(path, lambda value: value in allowed, absent=absent, when=when)


def none_of(path: str, *refused: Any, when: When = always) -> Check:
    """A check that the value is none of some."""
    return expect(path, lambda value: value not in refused, absent=True, when=when)


def at_least(path: str, least: float, *, absent: bool = False, when: When = always) -> Check:
    """A check that a number is not too small."""

    def holds(value: Any) -> bool:
        found = number(value)
        return found is not None and found >= least

    return expect(path, holds, absent=absent, when=when)


def every(*checks: Check) -> Check:
    """All of some checks."""

    def check(resource: Resource) -> Iterator[Problem]:
        for part in checks:
            yield from part(resource)

    return check


def has(path: str) -> When:
    """Whether something is set at a path."""
    return lambda resource: resource.get(path) is not None


def equals(path: str, value: Any) -> When:
    """Whether a value is known to be this one."""
    return lambda resource: resource.get(path) == value


# --- Examples ---------------------------------------------------------------------------------------------


def resource(type: str, **properties: Any) -> dict[str, Any]:
    """A resource of an example."""
    return {"Type": type, "Properties": properties}


def example(type: str, **properties: Any) -> Example:
    """An example of one resource."""
    return {"Resource": resource(type, **properties)}


def but(example: Example, id: str = "Resource", **changes: Any) -> Example:
    """An example with some properties changed; None takes one away, ``A__B`` stands for ``A.B``."""
    document = example[id]
    properties = document["Properties"]
    for path, value in changes.items():
        properties = _changed(properties, path.split("__"), value)
    return {**example, id: {**document, "Properties": properties}}


def _changed(document: Any, path: list[str], value: Any) -> Any:
    name, rest = path[0], path[1:]
    if isinstance(document, list):
        return [_changed(item, path, value) for item in document]
    if rest:
        return {**document, name: _changed(document.get(name, {}), rest, value)}
    if value is None:
        return {key: inner for key, inner in document.items() if key != name}
    return {**document, name: value}


def arn(id: str) -> dict[str, Any]:
    """The ARN of another resource of the example."""
    return {"Fn::GetAtt": [id, "Arn"]}


def ref(id: str) -> dict[str, str]:
    """The name of another resource of the example."""
    return {"Ref": id}
