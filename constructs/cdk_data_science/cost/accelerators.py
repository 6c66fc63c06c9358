"""How many accelerators the instance types have, for policies that forbid the large ones."""

from __future__ import annotations

from collections.abc import Mapping

# GPUs, Trainium, Inferentia and Gaudi chips by family and size, as EC2's DescribeInstanceTypes counts them.
_ONE = {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1}
_ONE_TO_EIGHT = {**_ONE, "12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_G7 = {"2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 2, "24xlarge": 4, "48xlarge": 8}
_COUNTS: Mapping[str, Mapping[str, int]] = {
    "dl1": {"24xlarge": 8},
    "g4dn": {**_ONE, "12xlarge": 4, "metal": 8},
    "g5": _ONE_TO_EIGHT,
    "g6": _ONE_TO_EIGHT,
    "g6e": _ONE_TO_EIGHT,
    "g7": _G7,
    "g7e": _G7,
    "gr6": {"4xlarge": 1, "8xlarge": 1},
    "inf1": {"xlarge": 1, "2xlarge": 1, "6xlarge": 4, "24xlarge": 16},
    "inf2": {"xlarge": 1, "8xlarge": 1, "24xlarge": 6, "48xlarge": 12},
    "p2": {"xlarge": 1, "8xlarge": 8, "16xlarge": 16},
    "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "p5": {"4xlarge": 1, "48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "p6-b300": {"48xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
    "trn1": {"2xlarge": 1, "32xlarge": 16},
    "trn1n": {"32xlarge": 16},
    "trn2": {"3xlarge": 1, "48xlarge": 16},
}


def accelerators(instance_type: str) -> int:
    """The accelerators of a type, written as EC2 or as SageMaker names it; 0 for one that has none."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    return _COUNTS.get(family, {}).get(size, 0)


def patterns_above(allowed: int) -> list[str]:
    """Patterns that match exactly the types with more accelerators: ``p4d.*``, ``g5.48xlarge``."""
    found = []
    for family, sizes in _COUNTS.items():
        above = [size for size, count in sizes.items() if count > allowed]
        found += [f"{family}.*"] if len(above) == len(sizes) else [f"{family}.{size}" for size in above]
    return found
