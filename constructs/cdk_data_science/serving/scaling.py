"""How a variant's capacity follows its load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as appscaling

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceFacts
from cdk_data_science.serving._limits import check_seconds
from cdk_data_science.serving.schedules import ScheduledCapacity, check_bounds

_LONGEST_COOLDOWN_SECONDS = 86_400

Utilized = Literal["CPU", "Memory", "GPU", "GPUMemory"]
StepMetric = Literal["Invocations", "InvocationsPerInstance", "ModelLatency", "ConcurrentRequestsPerModel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackInvocations:
    """Keep the requests a minute for each instance near a number.

    How many an instance bears can only be measured: :meth:`from_load_test`.
    """

    per_minute: float
    """Requests a minute for each instance."""
    scale_in_cooldown: Duration | None = None
    """Pause after instances were taken away. Default: Application Auto Scaling's five minutes."""
    scale_out_cooldown: Duration | None = None
    """Pause after instances were added. Default: Application Auto Scaling's five minutes."""

    @staticmethod
    def from_load_test(*, peak_per_second: float, safety_factor: float = 0.5) -> TrackInvocations:
        """Derive the number from what a load test of one instance found, as SageMaker advises.

        ```python
        from cdk_data_science import TrackInvocations

        # One instance answered 40 requests a second before its latency rose
        assert TrackInvocations.from_load_test(peak_per_second=40).per_minute == 1200
        ```

        Args:
            peak_per_second: The most that one instance answered without growing slower.
            safety_factor: Share of it that is aimed at, for the time that new instances take: more than 0, at
                most 1. SageMaker's guide begins with 0.5.

        Raises:
            ConfigurationError: a peak or a share that cannot be.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-loadtest.html
        """
        problems = Problems("TrackInvocations.from_load_test")
        problems.check(
            0 < peak_per_second < math.inf,
            given=f"peak_per_second={peak_per_second}",
            allowed="more than 0",
        )
        problems.check(
            0 < safety_factor <= 1,
            given=f"safety_factor={safety_factor}",
            allowed="more than 0, at most 1",
            write="safety_factor=0.5",
        )
        problems.raise_if_any()
        return TrackInvocations(per_minute=peak_per_second * safety_factor * 60)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackConcurrency:
    """Keep the requests that each model handles at once near a number.

    On a metric of ten seconds: it scales out sooner than invocations a minute do, and it counts the requests
    of long answers, too.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-policy.html
    """

    per_model: float
    """Requests at once."""
    scale_in_cooldown: Duration | None = None
    """Pause after instances were taken away. Default: Application Auto Scaling's five minutes."""
    scale_out_cooldown: Duration | None = None
    """Pause after instances were added. Default: Application Auto Scaling's five minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackUtilization:
    """Keep the utilization of the instances near a share.

    SageMaker adds up processors and GPUs: 60 per cent of four are 240. Give the share of all; it is
    multiplied.
    """

    of: Utilized
    percent: float
    """More than 0, at most 100, of all processors or GPUs of an instance."""
    scale_in_cooldown: Duration | None = None
    """Pause after instances were taken away. Default: Application Auto Scaling's five minutes."""
    scale_out_cooldown: Duration | None = None
    """Pause after instances were added. Default: Application Auto Scaling's five minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Add and take away instances by how far a metric of the variant is off."""

    on: StepMetric
    steps: Sequence[appscaling.ScalingInterval]
    """Two or more ranges of the metric, with the change of each."""
    adjustment: appscaling.AdjustmentType = appscaling.AdjustmentType.CHANGE_IN_CAPACITY
    cooldown: Duration | None = None
    """Default: none."""
    evaluation_periods: int = 1
    """Minutes in a row that the metric is in a range."""


Policy = TrackInvocations | TrackConcurrency | TrackUtilization | Steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """How the number of a variant's instances follows its load."""

    minimum: int = 2
    """The fewest, 1 or more. An asynchronous endpoint may have 0."""
    maximum: int
    """The most."""
    policies: Sequence[Policy] = ()
    """Of several, the one that asks for most wins."""
    schedule: Sequence[ScheduledCapacity] = ()

    @property
    def lowest(self) -> int:
        """The fewest at any time."""
        scheduled = [each.minimum for each in self.schedule if each.minimum is not None]
        return min([self.minimum, *scheduled])

    def check(
        self,
        problems: Problems,
        variant: str,
        *,
        count: int,
        instance_type: str,
        known: InstanceFacts | None,
        least: int = 1,
        backlog: bool = False,
    ) -> None:
        """Report what Application Auto Scaling would refuse, and what would never scale."""
        where = f"of variant {variant!r}"
        problems.check(
            known is None or not known.burstable,
            given=f"scaling with instance_type={instance_type!r}",
            allowed="types that do not burst: SageMaker scales no others",
            write='instance_type="ml.m6i.large"',
        )
        check_bounds(problems, where, self.minimum, self.maximum, self.schedule, least=least)
        problems.check(
            any(map(is_token, (self.minimum, self.maximum, count)))
            or max(self.minimum, 1) <= count <= self.maximum,
            given=f"instance_count={count} {where}, which scales from {self.minimum} to {self.maximum}",
            allowed="a first count between minimum and maximum",
            write=f"instance_count={self.minimum}",
        )
        problems.check(
            bool(self.policies or self.schedule or backlog),
            given=f"scaling {where} without policies and schedule",
            allowed="one policy or schedule at least: bounds alone change nothing",
            write="policies=[TrackInvocations(per_minute=…)]",
        )
        kinds = [each.of if isinstance(each, TrackUtilization) else type(each) for each in self.policies]
        tracked = [kind for kind in kinds if kind is not Steps]
        problems.check(
            len(set(tracked)) == len(tracked),
            given=f"two policies {where} that track the same metric",
            allowed="each metric once",
        )
        for policy in self.policies:
            problems.check(
                isinstance(policy, Policy),
                given=f"{type(policy).__name__} {where}",
                allowed="TrackInvocations, TrackConcurrency, TrackUtilization or Steps",
                write="policies=[TrackInvocations(per_minute=…)]",
            )
            if isinstance(policy, Policy):
                _check_policy(problems, policy, where, instance_type=instance_type, known=known)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcurrencyScaling:
    """How the provisioned concurrency of a serverless variant follows its use."""

    minimum: int = 1
    maximum: int
    """At most the variant's ``max_concurrency``."""
    utilization: float | None = 0.7
    """Share that is aimed at: 0.1 to 0.9. None: by schedule alone."""
    schedule: Sequence[ScheduledCapacity] = ()

    def check(
        self, problems: Problems, variant: str, *, provisioned: int | None, max_concurrency: int
    ) -> None:
        """Report what Application Auto Scaling would refuse."""
        where = f"of variant {variant!r}"
        problems.check(
            provisioned is not None,
            given=f"scaling {where} without provisioned_concurrency",
            allowed="only provisioned concurrency is scaled",
            write=f"provisioned_concurrency={self.minimum}",
        )
        check_bounds(problems, where, self.minimum, self.maximum, self.schedule, least=1)
        problems.check(
            any(map(is_token, (self.maximum, max_concurrency))) or self.maximum <= max_concurrency,
            given=f"scaling {where} up to {self.maximum}",
            allowed=f"at most max_concurrency ({max_concurrency})",
        )
        problems.check(
            provisioned is None
            or any(map(is_token, (provisioned, self.minimum, self.maximum)))
            or self.minimum <= provisioned <= self.maximum,
            given=f"provisioned_concurrency={provisioned} {where}, which scales from {self.minimum} to "
            f"{self.maximum}",
            allowed="a first number between minimum and maximum",
        )
        problems.check(
            self.utilization is None or is_token(self.utilization) or 0.1 <= self.utilization <= 0.9,
            given=f"utilization={self.utilization} {where}",
            allowed="0.1 to 0.9",
            write="utilization=0.7",
        )
        problems.check(
            self.utilization is not None or bool(self.schedule),
            given=f"scaling {where} without utilization and schedule",
            allowed="one of them at least",
            write="utilization=0.7",
        )


def check_cooldowns(problems: Problems, policy: object, where: str) -> None:
    """Report pauses that Application Auto Scaling cannot make."""
    for name in ("scale_in_cooldown", "scale_out_cooldown", "cooldown"):
        check_seconds(
            problems,
            f"{name} {where}",
            getattr(policy, name, None),
            0,
            _LONGEST_COOLDOWN_SECONDS,
            allowed="0 s to one day",
        )


def check_utilized(problems: Problems, policy: TrackUtilization, where: str) -> None:
    """Report what no metric is of."""
    problems.check(
        policy.of in get_args(Utilized),
        given=f"of={policy.of!r} {where}",
        allowed=", ".join(get_args(Utilized)),
        write='of="CPU"',
    )


def _check_policy(
    problems: Problems, policy: Policy, where: str, *, instance_type: str, known: InstanceFacts | None
) -> None:
    check_cooldowns(problems, policy, where)
    if isinstance(policy, TrackInvocations | TrackConcurrency):
        name, value = (
            ("per_minute", policy.per_minute)
            if isinstance(policy, TrackInvocations)
            else ("per_model", policy.per_model)
        )
        problems.check(
            is_token(value) or 0 < value < math.inf, given=f"{name}={value} {where}", allowed="more than 0"
        )
    elif isinstance(policy, TrackUtilization):
        check_utilized(problems, policy, where)
        problems.check(
            is_token(policy.percent) or 0 < policy.percent <= 100,
            given=f"{policy.of} percent={policy.percent} {where}",
            allowed="more than 0, at most 100: of all processors or GPUs together",
            write="percent=60",
        )
        problems.check(
            policy.of == "Memory" or known is not None,
            given=f"{policy.of} utilization {where} with instance_type={instance_type!r}",
            allowed="a type whose processors and GPUs are known: the metric adds them up",
            write="TrackInvocations(…)",
        )
        problems.check(
            known is None or known.cuda or not policy.of.startswith("GPU"),
            given=f"{policy.of} utilization with instance_type={instance_type!r}",
            allowed="CPU or Memory: a type without GPUs publishes no metric of them",
            write='of="CPU"',
        )
    else:
        problems.check(
            policy.on in get_args(StepMetric),
            given=f"on={policy.on!r} {where}",
            allowed=", ".join(get_args(StepMetric)),
            write='on="Invocations"',
        )
        problems.check(
            len(policy.steps) >= 2,
            given=f"Steps {where} with {len(policy.steps)} range",
            allowed="two ranges or more, of which one may change nothing",
        )
