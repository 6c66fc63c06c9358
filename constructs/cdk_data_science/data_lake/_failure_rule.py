"""Tells people of what failed, by the events that the services themselves send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science.monitoring.alerts import AlertTopic


def tell_of_failures(
    scope: Construct,
    alerts: AlertTopic,
    *,
    description: str,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[Any] | None = None,
    message: str,
) -> events.Rule:
    """Send a message for each event of a failure; one that cannot be sent is kept for two weeks.

    None of these services counts failures in a metric that is there without a run, so that an alarm would
    wait for data for ever; the event comes with the failure.
    """
    letters = sqs.Queue(
        scope,
        "Undelivered",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
    acknowledge(letters, ["AwsSolutions-SQS3"], "It is itself the dead-letter queue, of an event rule.")
    return events.Rule(
        scope,
        "Failures",
        description=description,
        event_pattern=events.EventPattern(
            source=[source],
            detail_type=[detail_type],
            detail=dict(detail),
            resources=None if resources is None else list(resources),
        ),
        targets=[
            targets.SnsTopic(
                alerts.topic,
                dead_letter_queue=letters,
                message=events.RuleTargetInput.from_text(message),
            )
        ],
    )
