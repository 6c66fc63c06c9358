"""Types that fulfil wishes, the best of them, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.hardware.instances import InstanceFacts, known_types
from cdk_data_science.hardware.uses import InstanceUse

Prefer = Literal["cost", "speed"]
_ALTERNATIVES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """A choice and its reasons, in sentences for a person."""

    instance_type: str
    instance_count: int
    use: InstanceUse
    """The API to use it with."""
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...]
    """The best type of each other family that would do as well."""

    def __str__(self) -> str:
        """The choice, each reason on a line of its own."""
        return "\n  - ".join([f"{self.instance_count} x {self.instance_type}", *self.reasons])


class Wish:
    """What a type has to be, and what is said about it."""

    def __init__(self, what: str, use: InstanceUse, prefer: Prefer, *, arm64: bool) -> None:
        self._what = what
        self._use = use
        self._prefer = prefer
        self._problems = Problems(what)
        self._needs: dict[str, Callable[[InstanceFacts], bool]] = {}
        if not arm64:
            self._needs["runs images for x86"] = lambda each: not each.arm64

    def check(self, condition: bool, *, given: str, allowed: str) -> None:
        self._problems.check(condition, given=given, allowed=allowed)

    def check_kind(self, *, cuda: bool, neuron: bool, needed: float, parameters: float) -> None:
        self.check(not (cuda and neuron), given="cuda and neuron", allowed="one of them: no type has both")
        self.check(needed >= 0 and parameters >= 0, given="a size below 0", allowed="0 or more")

    def check_positive(self, **values: float | None) -> None:
        for name, value in values.items():
            self.check(value is None or value > 0, given=f"{name}={value}", allowed="more than 0")

    def raise_if_any(self) -> None:
        self._problems.raise_if_any()

    def need(self, what: str, test: Callable[[InstanceFacts], bool]) -> None:
        self._needs[what] = test

    def need_memory(self, memory_gib: float) -> None:
        if memory_gib:
            self.need(f"has {memory_gib:.3g} GiB of memory", lambda each: each.memory_gib >= memory_gib)

    def candidates(self, *, accelerator_memory_gib: float = 0) -> list[InstanceFacts]:
        """Return the types that do, the best first."""
        found = [
            each
            for each in known_types()
            if self._use in each.uses
            and each.accelerator_memory_gib >= accelerator_memory_gib
            and all(test(each) for test in self._needs.values())
        ]
        return sorted(found, key=_most if self._prefer == "speed" else _least)

    def recommend(
        self,
        chosen: Sequence[InstanceFacts],
        count: int,
        reasons: Sequence[str],
        *,
        accelerator_memory_gib: float,
    ) -> Recommendation:
        best = chosen[0]
        how = "the most powerful" if self._prefer == "speed" else "the smallest"
        needs = [*self._needs]
        if accelerator_memory_gib:
            needs.append(f"has {accelerator_memory_gib:,.1f} GiB on its accelerators")
        return Recommendation(
            instance_type=best.name,
            instance_count=count,
            use=self._use,
            reasons=(
                *reasons,
                f"{how} of {len(chosen)} types for {self._use}, each of which {', '.join(needs)}",
                _described(best),
            ),
            alternatives=tuple(_of_other_families(chosen))[:_ALTERNATIVES],
        )

    def nothing(self, needed: float, instances: int) -> ConfigurationError:
        largest = max(self.candidates(), key=lambda each: each.accelerator_memory_gib, default=None)
        most = (
            "none has the rest"
            if largest is None
            else f"the largest is {largest.name} with {largest.accelerator_memory_gib:,.0f} GiB"
        )
        return ConfigurationError(
            f"{self._what}: no instance type for {self._use} {', '.join(self._needs)}, with {needed:,.0f} "
            f"GiB on the accelerators of {instances} instance{'s' if instances > 1 else ''}; {most}; write: "
            "more instances, fewer bytes per parameter, or a smaller model"
        )


def _of_other_families(chosen: Sequence[InstanceFacts]) -> Iterator[str]:
    seen = {chosen[0].family}
    for each in chosen:
        if each.family not in seen:
            seen.add(each.family)
            yield each.name


def _least(each: InstanceFacts) -> tuple[object, ...]:
    devices = 0 if each.accelerator is None else each.accelerator.count
    return (
        devices,
        each.accelerator_memory_gib,
        each.burstable,
        each.vcpus,
        each.memory_gib,
        -each.generation,
        each.local_storage_gb,
        each.name,
    )


def _most(each: InstanceFacts) -> tuple[object, ...]:
    return (
        -each.accelerator_memory_gib,
        -each.network_gbps,
        -each.vcpus,
        -each.memory_gib,
        -each.generation,
        each.name,
    )


def _described(each: InstanceFacts) -> str:
    accelerator = (
        ""
        if each.accelerator is None
        else f", {each.accelerator.count} x {each.accelerator.name} of {each.accelerator.memory_gib:,.0f} GiB"
    )
    disks = f", {each.local_storage_gb:,} GB on NVMe" if each.local_storage_gb else ""
    efa = ", EFA" if each.efa_interfaces else ""
    return (
        f"{each.name}: {each.vcpus} vCPUs, {each.memory_gib:,.0f} GiB{accelerator}{disks}, "
        f"{each.network_gbps:g} Gbit/s{efa}"
    )
