"""Which instance types each API of SageMaker takes."""

from __future__ import annotations

import difflib
import functools
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("instances.json")


class InstanceUse(StrEnum):
    """Where an instance type is used: each API of SageMaker has its own list."""

    TRAINING = "training"
    TUNING = "tuning"
    PROCESSING = "processing"
    TRANSFORM = "transform"
    ENDPOINT = "endpoint"
    NOTEBOOK = "notebook"
    STUDIO = "studio"
    """Apps of Studio: JupyterLab, Code Editor and others."""
    CLUSTER = "cluster"
    """HyperPod clusters."""


def family(instance_type: str) -> str:
    """Return the family of a type: ``ml.g5.2xlarge`` is of family ``g5``.

    Raises:
        ValueError: the text is not of the form ``ml.<family>.<size>``.
    """
    return split(instance_type)[0]


def instance_types(use: InstanceUse) -> frozenset[str]:
    """Return every instance type that one API of SageMaker accepts."""
    return _by_use()[use]


def similar_types(instance_type: str, use: InstanceUse) -> list[str]:
    """Return up to five legal types that look most like the given text, to help with a typing mistake."""
    known = instance_types(use)
    close = difflib.get_close_matches(instance_type, sorted(known), n=5, cutoff=0.5)
    missed = f"ml.{instance_type}"  # as EC2 writes it
    return [missed, *(each for each in close if each != missed)][:5] if missed in known else close


def split(instance_type: str) -> tuple[str, str]:
    """Return the family and the size of a type.

    Raises:
        ValueError: the text is not of the form ``ml.<family>.<size>``.
    """
    parts = instance_type.split(".")
    if len(parts) != 3 or parts[0] != "ml" or not all(parts):
        raise ValueError(f"{instance_type!r} is not an ML instance type: write ml.<family>.<size>")
    return parts[1], parts[2]


@functools.cache
def table() -> dict[str, Any]:
    """Return what ``instances.json`` holds."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


@functools.cache
def _by_use() -> dict[InstanceUse, frozenset[str]]:
    found: dict[str, set[str]] = {letter: set() for letter in table()["uses"]}
    for name, each in table()["families"].items():
        for size, (letters, *_) in each["sizes"].items():
            for letter in letters:
                found[letter].add(f"ml.{name}.{size}")
    return {InstanceUse(use): frozenset(found[letter]) for letter, use in table()["uses"].items()}
