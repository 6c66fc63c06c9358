"""Where the predictions of batches go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.interfaces import aws_kinesisfirehose as firehose

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.serving.payloads import allow_put


@dataclass(frozen=True, slots=True)
class Predictions:
    """Where the predictions of batches go: one line of JSON for each record.

    Every line has the record's id, so that what was delivered twice can be told.
    """

    address: str
    allow: Callable[[iam.Role], None]

    @staticmethod
    def to_zone(zone: IZone, prefix: str = "predictions/") -> Predictions:
        """Into objects ``<prefix>day=2026-11-28/<hash>.jsonl``, one for each batch.

        A batch that is delivered again replaces its own object.
        """
        problems = Problems("Predictions.to_zone")
        problems.check(
            is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
            given=f"prefix={prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end",
            write='prefix="predictions/"',
        )
        problems.raise_if_any()
        return Predictions(zone.uri(prefix), lambda role: allow_put(role, zone, prefix))

    @staticmethod
    def to_queue(queue: sqs.IQueue) -> Predictions:
        """Into a queue, a message for each record."""

        def allow(role: iam.Role) -> None:
            iam.Grant.add_to_principal(
                grantee=role, actions=["sqs:SendMessage"], resource_arns=[queue.queue_arn]
            )
            if queue.encryption_master_key is not None:
                queue.encryption_master_key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")

        return Predictions(queue.queue_url, allow)

    @staticmethod
    def to_delivery_stream(stream: firehose.IDeliveryStreamRef) -> Predictions:
        """Into a Firehose stream, which collects the lines into larger objects or tables."""

        def allow(role: iam.Role) -> None:
            iam.Grant.add_to_principal(
                grantee=role,
                actions=["firehose:PutRecordBatch"],
                resource_arns=[stream.delivery_stream_ref.delivery_stream_arn],
            )

        return Predictions(f"firehose:{stream.delivery_stream_ref.delivery_stream_name}", allow)
