"""Alarms on things that should not happen."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct


def alarm(
    scope: Construct,
    id: str,
    metric: cloudwatch.IMetric,
    *,
    description: str,
    threshold: float = 1,
    periods: int = 1,
    below: bool = False,
) -> cloudwatch.Alarm:
    """Make an alarm that goes off when the metric reaches the threshold; no data is no trouble.

    Args:
        threshold: In the metric's unit.
        periods: How many of the metric's periods in a row have to reach it.
        below: Whether a metric reaches it from above, as free space does.
    """
    return cloudwatch.Alarm(
        scope,
        id,
        metric=metric,
        threshold=threshold,
        evaluation_periods=periods,
        comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD
        if below
        else cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        alarm_description=description,
    )
