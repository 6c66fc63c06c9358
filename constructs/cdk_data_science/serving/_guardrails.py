"""SageMaker's deployment guardrails: what they take, and what they refuse.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html, with the exclusions on
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import family
from cdk_data_science.serving._limits import whole
from cdk_data_science.serving.rollout import AllAtOnce, Canary, Linear, Rolling, Rollout
from cdk_data_science.serving.variants import InstanceVariant, ServerlessVariant, Variant

MOST_ALARMS = 10
_LONGEST_WAIT = 3600
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = 600, 28_800
_TERMINATION_WAIT_SECONDS = 300
_PERCENT = {Canary: (1, 50), Linear: (10, 50), Rolling: (5, 50)}


def unguarded(variants: Sequence[Variant]) -> str | None:
    """Why SageMaker would leave the guardrails of an endpoint out; None if it heeds them."""
    if any(isinstance(each, ServerlessVariant) for each in variants):
        return "guardrails are for variants on instances, not for serverless ones"
    for each in variants:
        if isinstance(each, InstanceVariant) and not is_token(each.instance_type):
            try:
                inferentia = family(each.instance_type) == "inf1"
            except ValueError:
                continue
            if inferentia:
                return "SageMaker leaves guardrails out on Inf1 and shifts all traffic at once"
    return None


def default_rollout(variants: Sequence[Variant]) -> Rollout:
    """A canary where SageMaker makes one, else all at once."""
    if unguarded(variants) is None and all(_fewest(each) >= 2 for each in variants):
        return Canary()
    return AllAtOnce()


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrails:
    """How one endpoint is updated."""

    rollout: Rollout
    termination_wait: Duration | None = None
    """Time for which the old fleet is kept when all traffic is shifted."""
    timeout: Duration | None = None
    """Time that the whole deployment may take."""

    def check(self, problems: Problems, variants: Sequence[Variant]) -> None:
        """Report what SageMaker refuses, or would leave out without a word."""
        self.check_steps(problems)
        self._check_waits(problems)
        self._check_exclusions(problems, variants)

    def check_steps(self, problems: Problems) -> None:
        """Report steps that SageMaker refuses."""
        if isinstance(self.rollout, AllAtOnce):
            return
        least, most = _PERCENT[type(self.rollout)]
        name = type(self.rollout).__name__
        self._check_percent(problems, f"{name} percent", self.rollout.percent, least, most)
        if isinstance(self.rollout, Rolling) and self.rollout.rollback_percent is not None:
            self._check_percent(problems, "rollback_percent", self.rollout.rollback_percent, 5, 100)
        seconds = self.rollout.bake_seconds
        problems.check(
            is_token(seconds) or (0 <= seconds <= _LONGEST_WAIT and seconds == int(seconds)),
            given=f"{name} bake={seconds:g} s of an endpoint",
            allowed="whole seconds, 0 s to one hour",
            write="bake=Duration.minutes(10)",
        )

    @staticmethod
    def _check_percent(problems: Problems, name: str, percent: float, least: int, most: int) -> None:
        problems.check(
            is_token(percent) or (percent == int(percent) and least <= percent <= most),
            given=f"{name}={percent} of an endpoint",
            allowed=f"a whole number, {least} to {most}",
            write=f"percent={max(least, 10)}",
        )

    def _check_waits(self, problems: Problems) -> None:
        if self.termination_wait is not None:
            seconds = self.termination_wait.to_seconds(integral=False)
            problems.check(
                is_token(seconds) or (0 <= seconds <= _LONGEST_WAIT and seconds == int(seconds)),
                given=f"termination_wait={seconds:g} s",
                allowed="whole seconds, 0 s to one hour",
                write="termination_wait=Duration.minutes(5)",
            )
            problems.check(
                not isinstance(self.rollout, Rolling),
                given="termination_wait with Rolling",
                allowed="no wait: a rolling deployment has no old fleet to keep",
                write="termination_wait=None",
            )
        if self.timeout is None:
            return
        seconds = self.timeout.to_seconds(integral=False)
        problems.check(
            is_token(seconds)
            or (_SHORTEST_TIMEOUT <= seconds <= _LONGEST_TIMEOUT and seconds == int(seconds)),
            given=f"rollout_timeout={seconds:g} s",
            allowed="whole seconds, ten minutes to eight hours",
            write="rollout_timeout=Duration.hours(2)",
        )
        waits = self._waits()
        problems.check(
            is_token(seconds) or seconds > waits,
            given=f"rollout_timeout={seconds:g} s with waits of {waits:g} s",
            allowed="more than all waits together",
            write=f"rollout_timeout=Duration.minutes({math.ceil(waits / 60) + 60})",
        )

    def _waits(self) -> float:
        """The time that is waited in all; nothing, if it is not known."""
        bake = 0.0 if isinstance(self.rollout, AllAtOnce) else self.rollout.bake_seconds
        if is_token(bake) or is_token(self._termination_seconds()):
            return 0
        if isinstance(self.rollout, Rolling):
            return self._steps() * bake
        return self._termination_seconds() + self._steps() * bake

    def _steps(self) -> int:
        """After how many steps there is a wait, if instances could be divided at will."""
        if isinstance(self.rollout, Linear | Rolling) and self.rollout.percent > 0:
            batches = math.ceil(100 / self.rollout.percent)
            return batches if isinstance(self.rollout, Rolling) else batches - 1
        return 1

    def _termination_seconds(self) -> float:
        wait = self.termination_wait
        return _TERMINATION_WAIT_SECONDS if wait is None else whole(wait.to_seconds(integral=False))

    def _check_exclusions(self, problems: Problems, variants: Sequence[Variant]) -> None:
        why = unguarded(variants)
        name = type(self.rollout).__name__
        if why is not None:
            problems.check(
                isinstance(self.rollout, AllAtOnce)
                and self.termination_wait is None
                and self.timeout is None,
                given=f"{name} with termination_wait or rollout_timeout"
                if isinstance(self.rollout, AllAtOnce)
                else f"rollout={name}(…)",
                allowed=f"AllAtOnce() alone: {why}",
                write="rollout=AllAtOnce()",
            )
            return
        problems.check(
            not isinstance(self.rollout, Rolling) or len(variants) == 1,
            given=f"Rolling with {len(variants)} variants",
            allowed="one variant: SageMaker rolls no endpoint of several",
            write="rollout=Canary()",
        )
        if isinstance(self.rollout, AllAtOnce):
            return
        for each in variants:
            fewest = _fewest(each)
            problems.check(
                fewest >= 2,
                given=f"{name} with {fewest} instance of variant {each.name!r}",
                allowed="2 or more at all times: a step is an instance, and at most half of them",
                write="instance_count=2 (and scaling from 2), or rollout=AllAtOnce()",
            )

    def render(self, alarms: Sequence[cloudwatch.IAlarm]) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        """Return the configuration as CloudFormation has it."""
        timeout = None if self.timeout is None else whole(self.timeout.to_seconds(integral=False))
        rollback = sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
            alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
        )
        if isinstance(self.rollout, Rolling):
            back = self.rollout.rollback_percent
            return sagemaker.CfnEndpoint.DeploymentConfigProperty(
                auto_rollback_configuration=rollback,
                rolling_update_policy=sagemaker.CfnEndpoint.RollingUpdatePolicyProperty(
                    maximum_batch_size=_share(self.rollout.percent),
                    rollback_maximum_batch_size=None if back is None else _share(back),
                    wait_interval_in_seconds=whole(self.rollout.bake_seconds),
                    maximum_execution_timeout_in_seconds=timeout,
                ),
            )
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            auto_rollback_configuration=rollback,
            blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                traffic_routing_configuration=_routing(self.rollout),
                termination_wait_in_seconds=self._termination_seconds(),
                maximum_execution_timeout_in_seconds=timeout,
            ),
        )


def _routing(rollout: AllAtOnce | Canary | Linear) -> sagemaker.CfnEndpoint.TrafficRoutingConfigProperty:
    if isinstance(rollout, AllAtOnce):
        # The API asks for the wait, which has no meaning here.
        return sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type="ALL_AT_ONCE", wait_interval_in_seconds=0
        )
    canary = isinstance(rollout, Canary)
    return sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
        type="CANARY" if canary else "LINEAR",
        canary_size=_share(rollout.percent) if canary else None,
        linear_step_size=None if canary else _share(rollout.percent),
        wait_interval_in_seconds=whole(rollout.bake_seconds),
    )


def _share(percent: float) -> sagemaker.CfnEndpoint.CapacitySizeProperty:
    return sagemaker.CfnEndpoint.CapacitySizeProperty(type="CAPACITY_PERCENT", value=whole(percent))


def _fewest(variant: Variant) -> float:
    """The fewest instances that a variant may have when it is updated; many, if that is not known."""
    if not isinstance(variant, InstanceVariant):
        return math.inf
    return math.inf if is_token(variant.fewest) else variant.fewest
