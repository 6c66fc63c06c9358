"""The queue by which a crawler learns what has changed in a zone."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science.data_lake.zone import Zone

_EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
# https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html
_CONSUME = (
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListDeadLetterSourceQueues",
    "sqs:ListQueueTags",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SetQueueAttributes",
)


class CrawlerEvents(Construct):
    """A queue with the events of one folder, sent by S3 itself: Glue reads S3's own form of events."""

    queue: sqs.Queue
    """What the crawler reads."""

    dead_letters: sqs.Queue
    """What it could not read."""

    def __init__(self, scope: Construct, id: str, *, zone: Zone, prefix: str) -> None:
        super().__init__(scope, id)
        self.dead_letters = self._queue("DeadLetters")
        self.queue = self._queue("Queue", sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=5))
        # Not the bucket's own ARN: its notifications need this policy before the bucket itself is there.
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventsOfThisAccount",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        _notify(zone, self.queue, prefix)

    def grant_consume(self, role: iam.Role) -> None:
        """Let the crawler work its queue off."""
        for queue in (self.queue, self.dead_letters):
            iam.Grant.add_to_principal(grantee=role, actions=list(_CONSUME), resource_arns=[queue.queue_arn])

    def _queue(self, id: str, dead_letter_queue: sqs.DeadLetterQueue | None = None) -> sqs.Queue:
        return sqs.Queue(
            self,
            id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            dead_letter_queue=dead_letter_queue,
        )


def _notify(zone: Zone, queue: sqs.Queue, prefix: str) -> None:
    """Beside EventBridge, on the resource itself: the L2's way replaces what is there by a function."""
    bucket = cast("s3.CfnBucket", zone.bucket.node.default_child)
    properties = s3.CfnBucket
    zone.queues[prefix] = queue.queue_arn
    bucket.notification_configuration = properties.NotificationConfigurationProperty(
        event_bridge_configuration=properties.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        if zone.events
        else None,
        queue_configurations=[
            properties.QueueConfigurationProperty(
                event=event,
                queue=arn,
                filter=properties.NotificationFilterProperty(
                    s3_key=properties.S3KeyFilterProperty(
                        rules=[properties.FilterRuleProperty(name="prefix", value=folder)]
                    )
                ),
            )
            for folder, arn in zone.queues.items()
            for event in _EVENTS
        ],
    )
    policy = queue.node.find_child("Policy").node.default_child
    bucket.add_resource_dependency(cast("sqs.CfnQueuePolicy", policy))
