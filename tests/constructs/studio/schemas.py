"""What CloudFormation's own schemas say of a type."""

from __future__ import annotations

import json
from importlib import resources


def create_only(type_name: str) -> set[str]:
    """The properties that an update cannot change, always or under conditions: it replaces the resource."""
    schemas = resources.files("cfnlint.data") / "schemas"
    index = json.loads((schemas / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    schema = json.loads((schemas / "resources" / f"{index[type_name]}.json").read_text(encoding="utf-8"))
    paths = [*schema["createOnlyProperties"], *schema.get("conditionalCreateOnlyProperties", ())]
    return {path.removeprefix("/properties/") for path in paths}
