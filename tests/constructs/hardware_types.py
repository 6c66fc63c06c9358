"""Makes `hardware_types.json` from botocore's service model: `python tests/constructs/hardware_types.py`."""

from __future__ import annotations

import json
from pathlib import Path

from botocore.loaders import Loader

TARGET = Path(__file__).parents[2] / "constructs" / "cdk_data_science" / "hardware_types.json"
ENUMS = {
    "training": "TrainingInstanceType",
    "processing": "ProcessingInstanceType",
    "transform": "TransformInstanceType",
    "endpoint": "ProductionVariantInstanceType",
    "notebook": "InstanceType",
}


def content() -> str:
    """The file's text: family by family, so that a difference is readable."""
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    facts: dict[str, dict[str, list[str]]] = {}
    for use, enum in ENUMS.items():
        families: dict[str, list[str]] = {}
        for instance_type in shapes[enum]["enum"]:
            _, family, size = instance_type.split(".")
            families.setdefault(family, []).append(size)
        facts[use] = {family: sorted(sizes) for family, sizes in sorted(families.items())}
    lines = [
        f'  "{use}": {{\n'
        + ",\n".join(f"    {json.dumps(family)}: {json.dumps(sizes)}" for family, sizes in families.items())
        + "\n  }"
        for use, families in facts.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(content(), encoding="utf-8")
