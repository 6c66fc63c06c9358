"""Which CloudFormation types carry tags, and in which property.

The data comes from CloudFormation's own schemas; ``tests/constructs/cost/generate_taggable_types.py`` writes
it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

DATA = Path(__file__).with_name("taggable_types.json")


@functools.cache
def tag_properties() -> Mapping[str, str]:
    """The tag property of each taggable type: ``{"AWS::S3::Bucket": "Tags", …}``."""
    document: dict[str, dict[str, list[str]]] = json.loads(DATA.read_text(encoding="utf-8"))
    return {
        f"AWS::{service}::{name}": tag_property
        for tag_property, services in document.items()
        for service, names in services.items()
        for name in names
    }
