"""A resource's properties checked against its schema, with the messages that CloudFormation gives.

Checked: unknown and missing properties, types, enums, patterns, lengths, ranges and combinations. A number
or a boolean may be given as text and the other way round, as CloudFormation accepts it. ``UNKNOWN`` stands
for a value that only another resource will tell: it fits everywhere.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

UNKNOWN: Any = object()

_JSON_NAMES = {dict: "JSONObject", list: "JSONArray", str: "String", bool: "Boolean"}
_Schema = dict[str, Any]


def problems(properties: dict[str, Any], schema: _Schema) -> list[str]:
    """One sentence for each violation."""
    read_only = {path.removeprefix("/properties/") for path in schema.get("readOnlyProperties", [])}
    given = sorted(name for name in properties if name in read_only)
    found = [f"#: extraneous key [{name}] is not permitted: it is read-only" for name in given]
    return found + list(_Checker(schema).check(properties, schema, "#"))


class _Checker:
    def __init__(self, root: _Schema) -> None:
        self._root = root

    def check(self, value: Any, schema: _Schema, path: str) -> Iterator[str]:
        if value is UNKNOWN:
            return
        schema = self._resolved(schema)
        kinds = schema.get("type")
        if kinds is not None and not _fits(value, kinds):
            wanted = kinds if isinstance(kinds, str) else " or ".join(kinds)
            yield f"{path}: expected type: {wanted.capitalize()}, found: {_name(value)}"
            return
        yield from _enum(value, schema, path)
        if isinstance(value, dict):
            yield from self._object(value, schema, path)
        elif isinstance(value, list):
            yield from self._array(value, schema, path)
        else:
            yield from _scalar(value, schema, path)
        yield from self._combinations(value, schema, path)

    def _resolved(self, schema: _Schema) -> _Schema:
        for _ in range(10):  # references to references
            if "$ref" not in schema:
                break
            target: Any = self._root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target.get(step, {})
            schema = target | {name: item for name, item in schema.items() if name != "$ref"}
        return schema

    def _object(self, value: dict[str, Any], schema: _Schema, path: str) -> Iterator[str]:
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        for name, item in value.items():
            matching = [s for pattern, s in patterns.items() if _matches(pattern, name)]
            if name in known:
                matching.append(known[name])
            for inner in matching:
                yield from self.check(item, inner, f"{path}/{name}")
            if not matching and schema.get("additionalProperties") is False and (known or patterns):
                yield f"{path}: extraneous key [{name}] is not permitted{_instead(name, known)}"
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}: required key [{name}] not found"
        yield from _groups(value, schema, path)
        yield from _sizes(value, schema, path, "Properties")

    def _array(self, value: list[Any], schema: _Schema, path: str) -> Iterator[str]:
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                yield from self.check(item, items, f"{path}/{index}")
        yield from _sizes(value, schema, path, "Items")
        if schema.get("uniqueItems") and UNKNOWN not in value:
            texts = [json.dumps(item, sort_keys=True, default=str) for item in value]
            if len(texts) != len(set(texts)):
                yield f"{path}: array items are not unique"

    def _combinations(self, value: Any, schema: _Schema, path: str) -> Iterator[str]:
        for inner in schema.get("allOf", []):
            yield from self.check(value, inner, path)
        for keyword in ("anyOf", "oneOf"):
            choices = schema.get(keyword)
            if not choices:
                continue
            results = [list(self.check(value, choice, path)) for choice in choices]
            if all(results):
                fewest = min(results, key=len)
                yield f"{path}: no subschema matched out of the total {len(choices)}; nearest: {fewest[0]}"


def _groups(value: dict[str, Any], schema: _Schema, path: str) -> Iterator[str]:
    """Which properties go together, and which do not."""
    for name, others in schema.get("dependentRequired", {}).items():
        missing = [other for other in others if other not in value] if name in value else []
        if missing:
            yield f"{path}: property [{name}] is missing required dependency [{', '.join(missing)}]"
    for name, others in schema.get("dependentExcluded", {}).items():
        clashing = [other for other in others if other in value] if name in value else []
        if clashing:
            yield f"{path}: properties [{', '.join([name, *clashing])}] must not be given together"
    for keyword, most, many in (("requiredXor", 1, "exactly one"), ("requiredOr", None, "at least one")):
        names = schema.get(keyword, [])
        count = sum(name in value for name in names)
        if names and (count == 0 or (most is not None and count > most)):
            yield f"{path}: {many} of [{', '.join(names)}] must be given"


def _enum(value: Any, schema: _Schema, path: str) -> Iterator[str]:
    allowed = schema.get("enum")
    if allowed is None and "const" in schema:
        allowed = [schema["const"]]
    insensitive = schema.get("enumCaseInsensitive")
    if allowed is not None and not any(_text(value) == _text(item) for item in allowed):
        yield f"{path}: {_text(value)} is not a valid enum value. Supported values: [{_list(allowed)}]"
    elif insensitive and _text(value).lower() not in {_text(item).lower() for item in insensitive}:
        yield f"{path}: {_text(value)} is not a valid enum value. Supported values: [{_list(insensitive)}]"


def _scalar(value: Any, schema: _Schema, path: str) -> Iterator[str]:
    text = _text(value)
    pattern = schema.get("pattern")
    if pattern is not None and not _matches(pattern, text):
        yield f"{path}: {text!r} failed validation constraint for keyword [pattern]: {pattern}"
    if schema.get("type") in ("integer", "number"):
        yield from _range(float(value), schema, path)
    else:
        yield from _sizes(text, schema, path, "Length")


def _range(number: float, schema: _Schema, path: str) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and number < low:
        yield f"{path}: {number:g} is not greater or equal to {low}"
    if high is not None and number > high:
        yield f"{path}: {number:g} is not less or equal to {high}"


def _sizes(value: Any, schema: _Schema, path: str, what: str) -> Iterator[str]:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    kind = {"Length": "length", "Items": "item count", "Properties": "property count"}[what]
    if low is not None and len(value) < low:
        yield f"{path}: expected minimum {kind}: {low}, found: {len(value)}"
    if high is not None and len(value) > high:
        yield f"{path}: expected maximum {kind}: {high}, found: {len(value)}"


def _fits(value: Any, kinds: str | list[str]) -> bool:
    return any(_fits_one(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _fits_one(value: Any, kind: str) -> bool:
    if kind == "object":
        return isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{"))
    if kind == "array":
        return isinstance(value, list)
    if kind == "boolean":
        return isinstance(value, bool) or _text(value) in ("true", "false", "True", "False")
    if kind in ("integer", "number"):
        return not isinstance(value, (bool, dict, list)) and _is_number(value, whole=kind == "integer")
    return isinstance(value, (str, int, float)) if kind == "string" else True


def _is_number(value: Any, *, whole: bool) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number.is_integer() if whole else True


def _instead(name: str, known: _Schema) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f": did you mean {near[0]}?"
    return f". Permitted: [{_list(sorted(known))}]" if known else ""


def _list(values: Any) -> str:
    texts = [_text(value) for value in values]
    return ", ".join(texts[:40]) + (f", … ({len(texts)} in all)" if len(texts) > 40 else "")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _name(value: Any) -> str:
    return _JSON_NAMES.get(type(value), "Number")


def _matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for the few patterns that Python cannot compile: they are not checked."""
    try:
        return re.compile(pattern)
    except re.error:
        return None
