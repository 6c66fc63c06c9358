"""Queues for what could not be done, and their alarms."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science.monitoring import alarm

KEPT = Duration.days(14)
"""How long a message is kept: as long as SQS can."""


def letters(
    scope: Construct,
    id: str,
    key: kms.IKey,
    *,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    """A queue for what could not be done, or for what is tried again before that."""
    return sqs.Queue(
        scope,
        id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=KEPT,
        visibility_timeout=visibility_timeout,
        dead_letter_queue=dead_letter_queue,
    )


def letters_alarm(
    scope: Construct, queue: sqs.IQueue, description: str, *, id: str = "DeadLettersWaiting"
) -> cloudwatch.Alarm:
    """Tell of what lies in such a queue."""
    waiting = queue.metric_approximate_number_of_messages_visible(
        statistic="Maximum", period=Duration.minutes(5)
    )
    return alarm(scope, id, waiting, description=description)
