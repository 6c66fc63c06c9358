"""How large an instance a persona may work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse, facts, instance_types, similar_types
from cdk_data_science.security import Persona

SYSTEM = "system"
"""What Studio calls the place of apps that need no instance of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceLimit:
    """What the instances of a persona's apps may have at most.

    Larger types are hidden in Studio and denied by the persona's role. So are the few types that nothing is
    known of, unless they are named.
    """

    vcpus: int
    """Virtual processors, 1 or more."""
    memory_gib: float
    """Memory, 1 or more."""
    accelerators: int = 0
    """GPUs or Neuron devices, 0 or more. Default: 0."""
    also: tuple[str, ...] = ()
    """Types of Studio that are allowed whatever they have. Default: none."""

    def check(self, problems: Problems, persona: Persona) -> None:
        """Record what cannot work in this limit."""
        problems.check(
            self.vcpus >= 1 and self.memory_gib >= 1 and self.accelerators >= 0,
            given=f"limit of {persona}: vcpus={self.vcpus}, memory_gib={self.memory_gib}, "
            f"accelerators={self.accelerators}",
            allowed="1 or more virtual processors and GiB, 0 or more accelerators",
            write="InstanceLimit(vcpus=16, memory_gib=128, accelerators=1)",
        )
        for name in self.also:
            check_studio_type(problems, name, f"limit of {persona}: also")

    @property
    def allowed(self) -> list[str]:
        """The types of Studio within the limit, sorted."""
        return sorted(name for name in instance_types(InstanceUse.STUDIO) if self._holds(name))

    @property
    def hidden(self) -> list[str]:
        """The types of Studio beyond the limit, sorted."""
        return sorted(instance_types(InstanceUse.STUDIO) - {*self.allowed})

    def _holds(self, name: str) -> bool:
        if name in self.also:
            return True
        known = facts(name)
        if known is None:
            return False
        accelerators = 0 if known.accelerator is None else known.accelerator.count
        return (
            known.vcpus <= self.vcpus
            and known.memory_gib <= self.memory_gib
            and accelerators <= self.accelerators
        )


LIMITS: Mapping[Persona, InstanceLimit] = MappingProxyType(
    {
        Persona.DATA_SCIENTIST: InstanceLimit(vcpus=16, memory_gib=128, accelerators=1),
        Persona.ML_ENGINEER: InstanceLimit(vcpus=48, memory_gib=192, accelerators=4),
        Persona.APPROVER: InstanceLimit(vcpus=4, memory_gib=16),
    }
)
"""The limits of those who work in Studio, unless others are given. Larger work is a job's."""


def check_studio_type(problems: Problems, name: str, what: str) -> None:
    """Report a type that Studio does not offer."""
    if is_token(name) or name in instance_types(InstanceUse.STUDIO):
        return
    similar = similar_types(name, InstanceUse.STUDIO)
    problems.check(
        False,
        given=f"{what}={name!r}",
        allowed="an instance type that Studio offers",
        write=f'"{similar[0]}"' if similar else '"ml.t3.medium"',
    )
