"""Facts about SageMaker's instance types that every domain asks.

The lists of legal types come from ``hardware_types.json``, which one command makes from the service models of
botocore: ``python tests/constructs/hardware_types.py``. A test compares the two, so that a new type is
noticed.
"""

from __future__ import annotations

import difflib
import functools
import json
from enum import StrEnum
from pathlib import Path

_TYPES_FILE = Path(__file__).with_name("hardware_types.json")

# SageMaker keeps a job's data on these families' own NVMe disks. Those are encrypted by hardware, and the API
# refuses a `VolumeKmsKeyId` for them. Inf1 and Inf2 have no such disks.
_LOCAL_STORAGE_FAMILIES = frozenset(
    {
        *("c5d", "c6gd", "c6id", "m5d", "m6gd", "m6id", "r5d", "r6gd", "r6id", "r7gd", "i3en"),
        *("g4dn", "g5", "g6", "g6e", "g7", "g7e", "gr6"),
        *("p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "p6e-gb200"),
        *("dl1", "trn1", "trn1n", "trn2"),
    }
)


class InstanceUse(StrEnum):
    """Where an instance type is used: each API of SageMaker has its own list."""

    TRAINING = "training"
    PROCESSING = "processing"
    TRANSFORM = "transform"
    ENDPOINT = "endpoint"
    NOTEBOOK = "notebook"


def family(instance_type: str) -> str:
    """Return the family of a type: ``ml.g5.2xlarge`` is of family ``g5``.

    Raises:
        ValueError: the text is not of the form ``ml.<family>.<size>``.
    """
    parts = instance_type.split(".")
    if len(parts) != 3 or parts[0] != "ml" or not all(parts):
        raise ValueError(f"{instance_type!r} is not an ML instance type: write ml.<family>.<size>")
    return parts[1]


def has_local_storage(instance_type: str) -> bool:
    """Whether jobs on this type keep their data on local NVMe disks, for which no volume key may be named.

    Raises:
        ValueError: the text is not of the form ``ml.<family>.<size>``.
    """
    return family(instance_type) in _LOCAL_STORAGE_FAMILIES


def instance_types(use: InstanceUse) -> frozenset[str]:
    """Return every instance type that one API of SageMaker accepts."""
    return _instance_types()[use]


def similar_types(instance_type: str, use: InstanceUse) -> list[str]:
    """Return up to five legal types that look most like the given text, to help with a typing mistake."""
    return difflib.get_close_matches(instance_type, sorted(instance_types(use)), n=5, cutoff=0.5)


@functools.cache
def _instance_types() -> dict[InstanceUse, frozenset[str]]:
    facts: dict[str, dict[str, list[str]]] = json.loads(_TYPES_FILE.read_text(encoding="utf-8"))
    return {
        InstanceUse(use): frozenset(
            f"ml.{family}.{size}" for family, sizes in families.items() for size in sizes
        )
        for use, families in facts.items()
    }
