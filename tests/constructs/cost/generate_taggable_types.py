"""Reads from CloudFormation's resource schemas which types carry tags, and under which property.

The schemas are the ones in cfn-lint's package. After an update of cfn-lint::

    python -m tests.constructs.cost.generate_taggable_types
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdk_data_science.cost import taggable

SCHEMAS = Path(find_spec("cfnlint").origin).parent / "data" / "schemas"  # type: ignore[union-attr,arg-type]
REGION = "us-east-1"  # has every type
UNNAMED = "/properties/Tags"  # what a schema means that names no tag property


def taggable_types() -> dict[str, dict[str, list[str]]]:
    """Tag property -> service -> types."""
    found: dict[str, dict[str, list[str]]] = {}
    types = json.loads((SCHEMAS / "providers" / f"{REGION}.json").read_text(encoding="utf-8"))
    for name, digest in sorted(types.items()):
        schema = json.loads((SCHEMAS / "resources" / f"{digest}.json").read_text(encoding="utf-8"))
        tag_property = _tag_property(schema)
        if tag_property is not None:
            _, service, resource = name.split("::", 2)
            found.setdefault(tag_property, {}).setdefault(service, []).append(resource)
    return dict(sorted(found.items()))


def _tag_property(schema: dict[str, Any]) -> str | None:
    """The property that takes tags, unless the schema says that the type takes none."""
    tagging = schema.get("tagging", {})
    if not tagging.get("taggable", schema.get("taggable", True)):
        return None
    path = tagging.get("tagProperty", UNNAMED)
    name = path.removeprefix("/properties/")
    writable = name in schema["properties"] and path not in schema.get("readOnlyProperties", [])
    return name if writable else None


def document() -> str:
    """The data file: one line a service, so that a change is a readable diff."""
    lines = ["{"]
    properties = taggable_types()
    for position, (tag_property, services) in enumerate(properties.items()):
        lines.append(f"{json.dumps(tag_property)}: {{")
        rows = [f"{json.dumps(service)}: {json.dumps(names)}" for service, names in services.items()]
        lines.extend(f"{row}," for row in rows[:-1])
        lines.append(rows[-1])
        lines.append("}" if position == len(properties) - 1 else "},")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    taggable.DATA.write_text(document(), encoding="utf-8")
