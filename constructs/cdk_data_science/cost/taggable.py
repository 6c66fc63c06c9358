"""Which CloudFormation types carry tags, in which property, and in what shape.

The data comes from CloudFormation's own schemas; ``tests/constructs/cost/generate_taggable_types.py`` writes
it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DATA = Path(__file__).with_name("taggable_types.json")


class TagShape(StrEnum):
    """How a property holds tags."""

    LIST = "list"
    """``[{"Key": "owner", "Value": "me"}]``"""
    MAP = "map"
    """``{"owner": "me"}``"""
    SPECIFICATIONS = "specifications"
    """``[{"ResourceType": "fleet", "Tags": [{"Key": "owner", "Value": "me"}]}]``"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagProperty:
    """Where a type has its tags."""

    name: str
    shape: TagShape


@functools.cache
def tag_properties() -> Mapping[str, TagProperty]:
    """The tag property of each taggable type, by the type's name."""
    document: dict[str, dict[str, dict[str, list[str]]]] = json.loads(DATA.read_text(encoding="utf-8"))
    return {
        f"AWS::{service}::{name}": TagProperty(name=tag_property, shape=TagShape(shape))
        for shape, properties in document.items()
        for tag_property, services in properties.items()
        for service, names in services.items()
        for name in names
    }
