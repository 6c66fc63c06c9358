"""A message to the people of a pipeline, as a task."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science.monitoring import AlertTopic


def message_task(
    scope: Construct,
    id: str,
    *,
    alerts: AlertTopic,
    subject: str,
    lines: Sequence[str],
    comment: str | None = None,
) -> Task:
    """Make a task that sends one message to a topic. Each line is a JSONata expression without its signs.

    Only what SNS refused is sent again: a message that may have gone out is not, lest it come twice.
    """
    return Task(
        scope,
        id,
        comment=comment,
        integration="sns:publish",
        arguments={
            "TopicArn": alerts.topic.topic_arn,
            "Subject": subject,
            "Message": f"{{% $join([{', '.join(lines)}], '\\n') %}}",
        },
        timeout=Duration.minutes(1),
        statements=[
            iam.PolicyStatement(actions=["sns:Publish"], resources=[alerts.topic.topic_arn]),
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[alerts.key.key_arn]
            ),
        ],
        retry=[
            retry(
                ["SNS.ThrottledException", "SNS.KmsThrottlingException", "SNS.KMSThrottlingException"],
                attempts=4,
                interval=Duration.seconds(2),
            )
        ],
    )
