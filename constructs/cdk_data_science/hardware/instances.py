"""What an instance type is made of, as EC2 says."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from cdk_data_science.hardware.uses import InstanceUse, split, table

_GENERATION = re.compile(r"[a-z]+-?(\d+)")
_MIB = 1024
# Families that SageMaker lists and EC2's recorded answers lack, of which their pages say that they have NVMe
# disks: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/InstanceStorage.html
_LOCAL_STORAGE_WITHOUT_FACTS = frozenset({"dl1", "p6e-gb200"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Accelerator:
    """The accelerators of one instance, all of one kind."""

    name: str
    """As EC2 calls it: ``A10G``, ``Trainium2`` …"""
    maker: str
    count: int
    memory_gib: float
    """Memory of each."""

    @property
    def total_memory_gib(self) -> float:
        """Memory of all."""
        return self.count * self.memory_gib

    @property
    def cuda(self) -> bool:
        """Whether it runs CUDA programs."""
        return self.maker == "NVIDIA"

    @property
    def neuron(self) -> bool:
        """Whether it runs what the AWS Neuron compiler made: Inferentia and Trainium."""
        return self.maker == "AWS"


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceFacts:
    """One instance type."""

    name: str
    """``ml.<family>.<size>``."""
    family: str
    size: str
    uses: frozenset[InstanceUse]
    """The APIs of SageMaker that take it."""
    generation: int
    """The number in the family's name: 5 of ``m5d``."""
    current_generation: bool
    """Whether EC2 counts it among the current ones."""
    vcpus: int
    memory_gib: float
    processor: str
    """Its maker."""
    arm64: bool
    """Whether it has AWS Graviton processors, and so needs images for arm64."""
    burstable: bool
    """Whether it is throttled once its processor credits are used up."""
    local_storage_gb: int
    """Size of its own NVMe disks; 0 if it has none."""
    network_gbps: float
    """Bandwidth that it always has, over all network cards."""
    peak_network_gbps: float
    """Bandwidth that it has for a while."""
    efa_interfaces: int
    """Elastic Fabric Adapters that it can have; 0 if it does not support them."""
    accelerator: Accelerator | None

    @property
    def cuda(self) -> bool:
        """Whether it runs CUDA programs."""
        return self.accelerator is not None and self.accelerator.cuda

    @property
    def neuron(self) -> bool:
        """Whether it has Inferentia or Trainium devices."""
        return self.accelerator is not None and self.accelerator.neuron

    @property
    def accelerator_memory_gib(self) -> float:
        """Memory of all accelerators."""
        return 0 if self.accelerator is None else self.accelerator.total_memory_gib


def facts(instance_type: str) -> InstanceFacts | None:
    """Return what is known of a type; None for one that SageMaker lists and EC2 does not describe.

    ```python
    from cdk_data_science.hardware import facts

    g5 = facts("ml.g5.12xlarge")
    assert g5.cuda and g5.accelerator.count == 4 and g5.local_storage_gb == 3800
    ```

    Raises:
        ValueError: no API of SageMaker knows the type.
    """
    name, size = split(instance_type)
    each = table()["families"].get(name)
    if each is None or size not in each["sizes"]:
        raise ValueError(f"{instance_type!r} is no instance type that an API of SageMaker knows")
    return _facts(name, size)


def has_local_storage(instance_type: str) -> bool:
    """Whether jobs on this type keep their data on local NVMe disks, for which no volume key may be named.

    SageMaker uses the disks of every type that has some. Hardware encrypts them, and the API refuses a
    ``VolumeKmsKeyId``.

    Raises:
        ValueError: the text is not of the form ``ml.<family>.<size>``.
    """
    name, size = split(instance_type)
    if name in _LOCAL_STORAGE_WITHOUT_FACTS:
        return True
    known = table()["families"].get(name, {}).get("sizes", {}).get(size)
    return known is not None and _column(known, "local_storage_gb") > 0


@functools.cache
def known_types() -> tuple[InstanceFacts, ...]:
    """Return the facts of every type that has some."""
    found = (_facts(name, size) for name, each in table()["families"].items() for size in each["sizes"])
    return tuple(each for each in found if each is not None)


@functools.cache
def _facts(name: str, size: str) -> InstanceFacts | None:
    each = table()["families"][name]
    row = each["sizes"][size]
    if len(row) == 1:
        return None
    shared = each["family"]
    generation = _GENERATION.match(name)
    count = int(_column(row, "accelerators"))
    return InstanceFacts(
        name=f"ml.{name}.{size}",
        family=name,
        size=size,
        uses=frozenset(InstanceUse(table()["uses"][letter]) for letter in row[0]),
        generation=int(generation[1]) if generation is not None else 0,
        current_generation=shared["current_generation"],
        vcpus=int(_column(row, "vcpus")),
        memory_gib=_column(row, "memory_mib") / _MIB,
        processor=shared["processor"],
        arm64=shared["architecture"] == "arm64",
        burstable=shared["burstable"],
        local_storage_gb=int(_column(row, "local_storage_gb")),
        network_gbps=_column(row, "baseline_gbps"),
        peak_network_gbps=_column(row, "peak_gbps"),
        efa_interfaces=int(_column(row, "efa_interfaces")),
        accelerator=Accelerator(
            name=shared["accelerator"],
            maker=shared["maker"],
            count=count,
            memory_gib=_column(row, "accelerator_memory_mib") / _MIB,
        )
        if count
        else None,
    )


def _column(row: list[Any], name: str) -> float:
    position = table()["columns"].index(name)
    return row[position] if position < len(row) else 0
