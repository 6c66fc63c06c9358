"""Graphs of an endpoint for a dashboard: only of what SageMaker publishes for its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch

_WIDTH = 12
Measure = Callable[[str], cloudwatch.Metric]
"""From the name of a variant."""


def lines(
    title: str, metrics: Sequence[cloudwatch.IMetric], *, unit: str | None = None
) -> cloudwatch.GraphWidget:
    """Draw some metrics."""
    return cloudwatch.GraphWidget(
        title=title,
        width=_WIDTH,
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(min=0, label=unit, show_units=unit is None),
    )


def graph(
    title: str, variants: Sequence[str], measures: Sequence[tuple[str, Measure]], *, unit: str | None = None
) -> cloudwatch.GraphWidget:
    """Draw each measure of each variant."""
    drawn = [
        measure(variant).with_(label=f"{variant}: {label}" if len(variants) > 1 else label)
        for variant in variants
        for label, measure in measures
    ]
    return lines(title, drawn, unit=unit)


def alarms(title: str, watched: Sequence[cloudwatch.IAlarm]) -> cloudwatch.AlarmStatusWidget:
    """Show the alarms."""
    return cloudwatch.AlarmStatusWidget(title=title, width=2 * _WIDTH, alarms=list(watched))
