"""Makes the library's facts about instance types: `python tools/instance_facts.py`.

Which types SageMaker's APIs take comes from botocore's service model. What a type is made of comes from EC2's
own answers to DescribeInstanceTypes: those that moto carries, or with `--live` those of the account and
region at hand (it needs `ec2:DescribeInstanceTypes`). Types that EC2 does not describe are listed without
facts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

TARGET = Path(__file__).parents[1] / "constructs" / "cdk_data_science" / "hardware" / "instances.json"
# One letter for each use, so that a row fits into a line; tuning takes the types of training.
ENUMS = {
    "t": ("training", "TrainingInstanceType"),
    "u": ("tuning", "TrainingInstanceType"),
    "p": ("processing", "ProcessingInstanceType"),
    "x": ("transform", "TransformInstanceType"),
    "e": ("endpoint", "ProductionVariantInstanceType"),
    "n": ("notebook", "InstanceType"),
    "s": ("studio", "AppInstanceType"),
    "c": ("cluster", "ClusterInstanceType"),
}
COLUMNS = (
    "uses",
    "vcpus",
    "memory_mib",
    "local_storage_gb",
    "baseline_gbps",
    "peak_gbps",
    "efa_interfaces",
    "accelerators",
    "accelerator_memory_mib",
)

# Where EC2's recorded answer is not what AWS documents of the device.
# https://awsdocs-neuron.readthedocs-hosted.com/en/latest/nki/arch/trainium2_arch.html: 96 GiB; EC2 says 512.
DEVICE_MEMORY_MIB = {"Trainium2": 96 * 1024}


def uses() -> dict[str, str]:
    """The letters of each SageMaker instance type's uses, by type."""
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    found: dict[str, str] = {}
    for letter, (_, enum) in ENUMS.items():
        for name in shapes[enum]["enum"]:
            if name.startswith("ml."):  # Studio has "system" besides
                found[name] = found.get(name, "") + letter
    return found


def recorded() -> dict[str, Any]:
    """EC2's answers that moto carries."""
    file = resources.files("moto.ec2.resources") / "instance_types.json.gz"
    answers: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return answers


def live() -> dict[str, Any]:
    """EC2's answers in the account and region at hand."""
    import boto3

    pages = boto3.client("ec2").get_paginator("describe_instance_types").paginate()
    return {each["InstanceType"]: each for page in pages for each in page["InstanceTypes"]}


def content(answers: Mapping[str, Any]) -> str:
    """The file's text: a line for each family and for each type, so that a difference is readable."""
    families: dict[str, dict[str, str]] = {}
    for name, letters in uses().items():
        _, family, size = name.split(".")
        families.setdefault(family, {})[size] = letters
    blocks = []
    for family, sizes in sorted(families.items()):
        described = {size: answers[f"{family}.{size}"] for size in sizes if f"{family}.{size}" in answers}
        facts = _family(next(iter(described.values()))) if described else {}
        rows = [
            f"   {json.dumps(size)}: {json.dumps(_row(sizes[size], described.get(size)))}"
            for size in sorted(sizes, key=lambda size: _order(described.get(size), size))
        ]
        block = f'  {json.dumps(family)}: {{"family": {json.dumps(facts)}, "sizes": {{\n' + ",\n".join(rows)
        blocks.append(block + "\n  }}")
    letters_of_uses = json.dumps({letter: use for letter, (use, _) in ENUMS.items()})
    return (
        f'{{\n "uses": {letters_of_uses},\n "columns": {json.dumps(list(COLUMNS))},\n "families": {{\n'
        + ",\n".join(blocks)
        + "\n }\n}\n"
    )


def _family(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What all sizes of a family share."""
    facts: dict[str, Any] = {
        "processor": answer["ProcessorInfo"].get("Manufacturer", "unknown"),
        "architecture": answer["ProcessorInfo"]["SupportedArchitectures"][-1],
        "current_generation": answer["CurrentGeneration"],
        "burstable": answer["BurstablePerformanceSupported"],
    }
    accelerator = _accelerator(answer)
    if accelerator is not None:
        facts |= {"accelerator": accelerator["Name"], "maker": accelerator.get("Manufacturer", "AWS")}
    return facts


def _accelerator(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The accelerator of a type; Neuron devices are listed twice by EC2, once as what they are."""
    for info, members in (("NeuronInfo", "NeuronDevices"), ("GpuInfo", "Gpus")):
        if info in answer:
            found: dict[str, Any] = answer[info][members][0]
            return found
    others = answer.get("InferenceAcceleratorInfo", {}).get("Accelerators", [])
    return others[0] if others else None


def _device_memory(accelerator: Mapping[str, Any]) -> int:
    told: int = accelerator.get("MemoryInfo", {}).get("SizeInMiB", 0)
    return DEVICE_MEMORY_MIB.get(accelerator["Name"], told)


def _row(letters: str, answer: Mapping[str, Any] | None) -> list[Any]:
    """What a size is made of, without the zeros at the end."""
    if answer is None:
        return [letters]
    network = answer["NetworkInfo"]
    accelerator = _accelerator(answer)
    row: list[Any] = [
        letters,
        answer["VCpuInfo"]["DefaultVCpus"],
        answer["MemoryInfo"]["SizeInMiB"],
        answer.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        _sum(network, "BaselineBandwidthInGbps"),
        _sum(network, "PeakBandwidthInGbps"),
        network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
        0 if accelerator is None else accelerator["Count"],
        0 if accelerator is None else _device_memory(accelerator),
    ]
    while row[-1] == 0:
        row.pop()
    return row


def _sum(network: Mapping[str, Any], member: str) -> float:
    total = round(sum(card.get(member, 0) for card in network.get("NetworkCards", [])), 3)
    return int(total) if total == int(total) else total


def _order(answer: Mapping[str, Any] | None, size: str) -> tuple[int, str]:
    return (0 if answer is None else answer["VCpuInfo"]["DefaultVCpus"], size)


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", action="store_true", help="ask EC2 instead of reading recorded answers")
    text = content(live() if parser.parse_args().live else recorded())
    changed = not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET}: {'written anew' if changed else 'as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
