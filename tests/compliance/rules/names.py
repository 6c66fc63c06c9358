"""Tags and names, and what one stack takes from another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.compliance import cloudformation
from tests.compliance.templates import Platform, walk


def missing_tags(platform: Platform, required: Mapping[str, str]) -> Iterator[str]:
    """Whatever can carry tags carries the required ones with their values."""
    for resource in platform.resources():
        holder = cloudformation.tag_property(resource.type)
        if holder is not None:
            present = _tags(resource.properties.get(holder))
            for key, value in required.items():
                if present.get(key) != value:
                    yield f"{resource}: {key} is {present.get(key)!r}, not {value!r}"


def _tags(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {entry["Key"]: entry["Value"] for entry in value or ()}


def fixed_names(platform: Platform, tolerated: Mapping[str, str]) -> Iterator[str]:
    """No names on what an update may have to replace: the new one could not be made beside the old."""
    for resource in platform.resources():
        for name in sorted(cloudformation.physical_names(resource.type)):
            if name in resource.properties and f"{resource.type}.{name}" not in tolerated:
                fixed = platform.text(resource.stack, resource.properties[name])
                if platform.by_placeholder(fixed) is not None:
                    continue  # it goes with the resource that it names
                yield f"{resource}: {name} is fixed to {fixed!r}"


def changing_names(platform: Platform) -> Iterator[str]:
    """No time and no uuid in anything that is deployed: it would be new with every synthesis."""
    uuid = re.compile(
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", re.IGNORECASE
    )
    time = re.compile(r"\b20\d\d-?[01]\d-?[0-3]\d[T_ -]?[0-2]\d:?[0-5]\d")
    for resource in platform.resources():
        for value in (resource.logical_id, *walk(resource.properties)):
            if isinstance(value, str) and (uuid.search(value) or time.search(value)):
                yield f"{resource}: {value[:120]!r} looks like a uuid or a time"


def strong_references(platform: Platform) -> Iterator[str]:
    """A stack never holds another one's update back: no exports, no imports."""
    for name, template in platform.templates.items():
        for key, output in template.get("Outputs", {}).items():
            if "Export" in output:
                yield f"{name}: the output {key} is exported"
        if "Fn::ImportValue" in json.dumps(template):
            yield f"{name}: imports a value"
