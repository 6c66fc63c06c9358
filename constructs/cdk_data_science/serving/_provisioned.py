"""Environments of a function's alias that are kept ready."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_

from cdk_data_science.serving.scaling import ConcurrencyScaling


def scale_alias(alias: lambda_.Alias, scaling: ConcurrencyScaling) -> None:
    """Let Application Auto Scaling provision an alias, by use and by the clock.

    The alias itself carries no number: an update of the stack would otherwise put that back in place of what
    the scaling has made of it, and CloudFormation shifts the traffic of such an alias itself, which a deploy
    step's canary would meet.
    """
    target = alias.add_auto_scaling(min_capacity=scaling.minimum, max_capacity=scaling.maximum)
    if scaling.utilization is not None:
        target.scale_on_utilization(utilization_target=scaling.utilization)
    for number, each in enumerate(scaling.schedule, 1):
        target.scale_on_schedule(
            f"Schedule{number}",
            schedule=each.schedule,
            min_capacity=each.minimum,
            max_capacity=each.maximum,
            time_zone=each.time_zone,
        )
