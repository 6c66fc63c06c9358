"""What a component takes of the instances that it shares, and how its copies follow its load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceFacts
from cdk_data_science.serving._limits import check_seconds
from cdk_data_science.serving.scaling import (
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
    check_cooldowns,
    check_utilized,
)
from cdk_data_science.serving.schedules import ScheduledCapacity, check_bounds

_LEAST_MEMORY_MB = 128
_LEAST_CPUS = 0.25

CopyPolicy = TrackInvocations | TrackConcurrency | TrackUtilization


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """What one copy of a component has to itself."""

    memory_mb: int
    """Memory that it gets at least, 128 MB or more. A copy is placed where that much is left."""
    max_memory_mb: int | None = None
    """Memory that it may grow to. Default: no limit but the instance's."""
    cpus: float | None = None
    """Processors, 0.25 or more. Default: they are shared."""
    accelerators: int | None = None
    """GPUs or Neuron devices, 1 or more. Default: none."""

    def check(self, problems: Problems, instance_type: str, known: InstanceFacts | None) -> None:
        """Report what no instance of the type has."""
        problems.check(
            is_token(self.memory_mb) or self.memory_mb >= _LEAST_MEMORY_MB,
            given=f"memory_mb={self.memory_mb} of a component",
            allowed=f"{_LEAST_MEMORY_MB} or more",
            write="memory_mb=2048",
        )
        problems.check(
            self.max_memory_mb is None
            or any(map(is_token, (self.memory_mb, self.max_memory_mb)))
            or self.max_memory_mb >= self.memory_mb,
            given=f"max_memory_mb={self.max_memory_mb} below memory_mb={self.memory_mb}",
            allowed="memory_mb or more",
            write="max_memory_mb=None",
        )
        problems.check(
            self.cpus is None or is_token(self.cpus) or self.cpus >= _LEAST_CPUS,
            given=f"cpus={self.cpus} of a component",
            allowed=f"{_LEAST_CPUS} or more",
            write="cpus=1",
        )
        problems.check(
            self.accelerators is None or is_token(self.accelerators) or self.accelerators >= 1,
            given=f"accelerators={self.accelerators} of a component",
            allowed="1 or more",
            write="accelerators=None",
        )
        if known is not None:
            self._check_fit(problems, instance_type, known)

    def _check_fit(self, problems: Problems, instance_type: str, known: InstanceFacts) -> None:
        devices = 0 if known.accelerator is None else known.accelerator.count
        for name, wanted, there in (
            ("memory_mb", self.memory_mb, known.memory_gib * 1024),
            ("max_memory_mb", self.max_memory_mb, known.memory_gib * 1024),
            ("cpus", self.cpus, known.vcpus),
            ("accelerators", self.accelerators, devices),
        ):
            problems.check(
                wanted is None or is_token(wanted) or wanted <= there,
                given=f"{name}={wanted} of a component on {instance_type}",
                allowed=f"at most the {there:g} of one instance: a copy is on one",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyScaling:
    """How the number of a component's copies follows its load; instances follow the copies by themselves.

    With a minimum of 0 there is no copy while nobody asks, and no instance either where the endpoint's
    :class:`ManagedInstances` begin at 0. The first request after a pause is refused and starts a copy, which
    takes minutes: its caller has to come again.
    """

    minimum: int = 1
    """The fewest, 0 or more."""
    maximum: int
    """The most, 1 or more."""
    policies: Sequence[CopyPolicy] = ()
    """Of several, the one that asks for most wins. What they say of an instance or a model holds for a
    copy; utilization is of what the copy has."""
    schedule: Sequence[ScheduledCapacity] = ()
    from_zero_cooldown: Duration | None = None
    """Pause after the first copy was asked for. Default: five minutes. Longer than it takes to start."""

    @property
    def lowest(self) -> int:
        """The fewest at any time."""
        return min([self.minimum, *(each.minimum for each in self.schedule if each.minimum is not None)])

    def check(self, problems: Problems, component: str, *, copies: int, known: InstanceFacts | None) -> None:
        """Report what Application Auto Scaling would refuse, and what would never scale."""
        where = f"of component {component!r}"
        check_bounds(problems, where, self.minimum, self.maximum, self.schedule, least=0)
        problems.check(
            is_token(self.maximum) or self.maximum >= 1,
            given=f"maximum={self.maximum} {where}",
            allowed="1 or more",
            write="maximum=2",
        )
        problems.check(
            any(map(is_token, (self.minimum, self.maximum, copies)))
            or self.minimum <= copies <= self.maximum,
            given=f"copies={copies} {where}, which scales from {self.minimum} to {self.maximum}",
            allowed="a first number between minimum and maximum",
            write=f"copies={max(self.minimum, 1)}",
        )
        problems.check(
            bool(self.policies or self.schedule),
            given=f"scaling {where} without policies and schedule",
            allowed="one policy or schedule at least: bounds alone change nothing",
            write="policies=[TrackConcurrency(per_model=…)]",
        )
        kinds = [each.of if isinstance(each, TrackUtilization) else type(each) for each in self.policies]
        problems.check(
            len(set(kinds)) == len(kinds),
            given=f"two policies {where} that track the same metric",
            allowed="each metric once",
        )
        for policy in self.policies:
            problems.check(
                isinstance(policy, CopyPolicy),
                given=f"{type(policy).__name__} {where}",
                allowed="TrackInvocations, TrackConcurrency or TrackUtilization: copies scale by no steps",
                write="policies=[TrackConcurrency(per_model=…)]",
            )
            if isinstance(policy, CopyPolicy):
                self._check_policy(problems, policy, where, known)
        check_seconds(
            problems,
            f"from_zero_cooldown {where}",
            self.from_zero_cooldown,
            0,
            86_400,
            allowed="0 s to one day",
        )

    @staticmethod
    def _check_policy(
        problems: Problems, policy: CopyPolicy, where: str, known: InstanceFacts | None
    ) -> None:
        check_cooldowns(problems, policy, where)
        if isinstance(policy, TrackUtilization):
            check_utilized(problems, policy, where)
            problems.check(
                is_token(policy.percent) or 0 < policy.percent <= 100,
                given=f"{policy.of} percent={policy.percent} {where}",
                allowed="more than 0, at most 100",
                write="percent=60",
            )
            problems.check(
                known is None or known.cuda or not policy.of.startswith("GPU"),
                given=f"{policy.of} utilization {where}",
                allowed="CPU or Memory: a type without GPUs publishes no metric of them",
                write='of="CPU"',
            )
            return
        value = policy.per_minute if isinstance(policy, TrackInvocations) else policy.per_model
        problems.check(
            is_token(value) or 0 < value < math.inf,
            given=f"{type(policy).__name__} of {value} {where}",
            allowed="more than 0",
        )
