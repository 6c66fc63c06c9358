"""Reads from CloudFormation's resource schemas which types carry tags, in which property and shape.

The schemas are the ones in cfn-lint's package. After an update of cfn-lint::

    python -m tests.constructs.cost.generate_taggable_types
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdk_data_science.cost import taggable
from cdk_data_science.cost.taggable import TagShape

SCHEMAS = Path(find_spec("cfnlint").origin).parent / "data" / "schemas"  # type: ignore[union-attr,arg-type]
REGION = "us-east-1"  # has every type
UNNAMED = "/properties/Tags"  # what a schema means that names no tag property
SPECIFICATIONS = "TagSpecifications"

Document = dict[str, dict[str, dict[str, list[str]]]]


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and schema of each resource type."""
    types = json.loads((SCHEMAS / "providers" / f"{REGION}.json").read_text(encoding="utf-8"))
    for name, digest in sorted(types.items()):
        yield name, json.loads((SCHEMAS / "resources" / f"{digest}.json").read_text(encoding="utf-8"))


def taggable_types() -> Document:
    """Shape -> tag property -> service -> types."""
    found: Document = {}
    for name, schema in schemas():
        tag_property = _tag_property(schema)
        if tag_property is not None:
            _, service, resource = name.split("::", 2)
            shapes = found.setdefault(_shape(schema, tag_property), {})
            shapes.setdefault(tag_property, {}).setdefault(service, []).append(resource)
    return {shape: dict(sorted(properties.items())) for shape, properties in sorted(found.items())}


def _tag_property(schema: dict[str, Any]) -> str | None:
    """The property that takes tags, unless the schema says that the type takes none.

    EC2's tag specifications take tags whatever the schema says: CloudFormation itself adds none to them, and
    that is what some schemas mean by ``taggable``.
    """
    if SPECIFICATIONS in schema["properties"]:
        return SPECIFICATIONS
    tagging = schema.get("tagging", {})
    if not tagging.get("taggable", schema.get("taggable", True)):
        return None
    path = tagging.get("tagProperty", UNNAMED)
    name = path.removeprefix("/properties/")
    writable = name in schema["properties"] and path not in schema.get("readOnlyProperties", [])
    return name if writable else None


def _shape(schema: dict[str, Any], tag_property: str) -> TagShape:
    if tag_property == SPECIFICATIONS:
        return TagShape.SPECIFICATIONS
    definition = schema["properties"][tag_property]
    while "$ref" in definition:
        definition = schema["definitions"][definition["$ref"].rpartition("/")[2]]
    return TagShape.LIST if definition.get("type") == "array" else TagShape.MAP


def document() -> str:
    """The data file: one line a service, so that a change is a readable diff."""
    shapes = []
    for shape, properties in taggable_types().items():
        blocks = []
        for tag_property, services in properties.items():
            rows = [f"{json.dumps(service)}: {json.dumps(names)}" for service, names in services.items()]
            blocks.append(f"{json.dumps(tag_property)}: {{\n" + ",\n".join(rows) + "\n}")
        shapes.append(f"{json.dumps(shape)}: {{\n" + ",\n".join(blocks) + "\n}")
    return "{\n" + ",\n".join(shapes) + "\n}\n"


if __name__ == "__main__":
    taggable.DATA.write_text(document(), encoding="utf-8")
