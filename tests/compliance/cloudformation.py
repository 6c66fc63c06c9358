"""What CloudFormation's own schemas say about resource types."""

from __future__ import annotations

import functools
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

REGION = "us-east-1"


@functools.cache
def schema(type: str) -> dict[str, Any] | None:
    """The schema of a resource type; custom resources have none."""
    if type.startswith(("Custom::", "AWS::CDK::", "AWS::CloudFormation::CustomResource")):
        return None
    found: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, type).schema
    return found


def tag_property(type: str) -> str | None:
    """The property that holds a type's tags, or nothing if it can carry none."""
    content = schema(type)
    if content is None:
        return None
    tagging = content.get("tagging", {})
    if not tagging.get("taggable", content.get("taggable", False)):
        return None
    return str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")


def create_only(type: str) -> set[str]:
    """Properties that CloudFormation changes by making the resource anew, by the names of the outermost."""
    content = schema(type) or {}
    return {path.split("/")[2] for path in content.get("createOnlyProperties", ())}


def physical_names(type: str) -> set[str]:
    """Optional properties that name a resource for good: with one set, no update can replace the resource."""
    content = schema(type) or {}
    create_only = {path.removeprefix("/properties/") for path in content.get("createOnlyProperties", ())}
    kind = type.rpartition("::")[2]
    names = {"Name", f"{kind}Name", f"{kind}Identifier"}
    identifiers = {path.removeprefix("/properties/") for path in content.get("primaryIdentifier", ())}
    read_only = {path.removeprefix("/properties/") for path in content.get("readOnlyProperties", ())}
    # What has no other way to be named leaves no choice.
    unavoidable = read_only | set(content.get("required", ()))
    return (create_only & (names | {i for i in identifiers if i.endswith("Name")})) - unavoidable
