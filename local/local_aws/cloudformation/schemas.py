"""The resource schemas of CloudFormation, which cfn-lint's package carries: one file a type, read when used.

Only the data is read: importing cfn-lint itself would cost a second and 100 MB.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_REGION = "us-east-1"


def of(resource_type: str) -> dict[str, Any] | None:
    """The schema of a type; None for custom resources and what CloudFormation does not know."""
    digest = _index().get(resource_type)
    return _read(digest) if digest is not None else None


@cache
def _folder() -> Path:
    spec = find_spec("cfnlint")  # finds it without importing it
    if spec is None or spec.origin is None:
        message = "cfn-lint, which carries the resource schemas, is not installed"
        raise RuntimeError(message)
    return Path(spec.origin).parent / "data" / "schemas"


@cache
def _index() -> dict[str, str]:
    index: dict[str, str] = json.loads((_folder() / "providers" / f"{_REGION}.json").read_text())
    return index


@cache
def _read(digest: str) -> dict[str, Any]:
    schema: dict[str, Any] = _without_descriptions(
        json.loads((_folder() / "resources" / f"{digest}.json").read_text())
    )
    return schema


def _without_descriptions(value: Any) -> Any:
    """Most of a schema is prose: what is kept in memory is the rest."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if not _is_prose(name, item)}
        return {name: _without_descriptions(item) for name, item in kept.items()}
    return [_without_descriptions(item) for item in value] if isinstance(value, list) else value


def _is_prose(name: str, item: Any) -> bool:
    return name in ("description", "title", "$comment", "examples") and not isinstance(item, dict)
