"""Rows from queues, streams and objects become records of a feature group."""

from __future__ import annotations

import json

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.feature_store.feature_group import FeatureGroup
from cdk_data_science.monitoring import AlertTopic

_TIMEOUT = Duration.minutes(15)
_TRIES = 5


class FeatureIngestion(Construct):
    """A function that writes rows into a feature group, from objects, queues and streams.

    A row is an object in JSON, or a line of a CSV with a header, with the group's features by name and no
    other. Each is checked against the group's types before it is sent. Rows of objects that are not
    understood go to the dead-letter queue one by one, with the object, the line and the reason, and the
    others are written; messages and stream records that are not understood end there after their tries. An
    alarm tells when something lies there.

    Writing a row again changes nothing in the online store, which keeps the record with the newest event
    time; the offline store holds it twice then, with the same identifier and event time, and other write
    times.

    Called by itself, with ``{"bucket", "key"}`` and optionally ``"version"``, the function writes one object
    and answers ``{"written": n, "rejected": m}``; it fails with ``NoRowWritten`` when every row was rejected.

    **Costs at rest**: the alarm (0.10 USD a month), and 1 USD a month for a key of its own if none is given.

    ```python
    from aws_cdk import aws_sqs as sqs
    from cdk_data_science import DataLake
    from cdk_data_science.feature_store import FeatureGroup, FeatureIngestion, OfflineStore, OnlineStore

    lake = DataLake(self, "Lake")
    products = FeatureGroup(
        self,
        "Products",
        schema={"product_id": "string", "updated": "timestamp", "rating_mean": "double"},
        record_id="product_id",
        event_time="updated",
        online=OnlineStore(),
        offline=OfflineStore(zone=lake.features),
    )
    ingestion = FeatureIngestion(self, "Ingestion", group=products)
    ingestion.add_objects(lake.curated, "products/")
    ingestion.add_queue(sqs.Queue(self, "Updates", visibility_timeout=ingestion.visibility_timeout))
    ```

    Args:
        group: The feature group, made in this app.
        alerts: Hears of the alarm. Default: nobody.
        key: Encrypts the function's log and the queues; it has to let CloudWatch Logs and EventBridge use it.
            Default: a new one.
        network: The VPC that the function is attached to; it calls Feature Store and S3. Default: none.
        reserved_concurrency: Upper bound of parallel executions, and so of writes at a time. Default: none.
        runtime: Python of the function. Default: 3.13.
        architecture: Its processor. Default: arm64.

    Follows https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-ingest-data.html
    """

    visibility_timeout = Duration.minutes(90)
    """What queues that are added need at least: six times the function's own timeout."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        group: FeatureGroup,
        alerts: AlertTopic | None = None,
        key: kms.IKey | None = None,
        network: FunctionNetwork | None = None,
        reserved_concurrency: int | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.group = group
        self.key = key if key is not None else operations_key(self, "Key", description="Feature ingestion")
        self.dead_letters = self._queue("DeadLetters")
        made = PlatformFunction(
            self,
            "Ingest",
            asset="features",
            handler="ingest.handler",
            description=f"Writes rows into the feature group {group.feature_group_name}",
            log_key=self.key,
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=1024,
            timeout=_TIMEOUT,
            environment={
                "FEATURE_GROUP": group.feature_group_name,
                "FEATURES": json.dumps(dict(group.features), separators=(",", ":")),
                "RECORD_ID": group.record_id,
                "EVENT_TIME": group.event_time,
                "REJECTED_QUEUE": self.dead_letters.queue_url,
            },
            network=network,
            reserved_concurrency=reserved_concurrency,
            dead_letter_queue=self.dead_letters,
        )
        self.function, self.role = made.function, made.role
        self.function.configure_async_invoke(max_event_age=Duration.hours(6), retry_attempts=2)
        group.grant_write(self.role)
        self.objects: sqs.Queue | None = None
        self.alarm: cloudwatch.Alarm = letters_alarm(
            self,
            self.dead_letters,
            f"Rows for {group.feature_group_name} were not written; they lie in the dead-letter "
            "queue with the reason",
            id="RejectedAlarm",
        )
        if alerts is not None:
            alerts.notify(self.alarm)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal have an object written, and wait for the answer."""
        return self.function.grant_invoke(grantee)

    def add_objects(self, zone: IZone, prefix: str, *, suffix: str = "") -> events.Rule:
        """Write the rows of each new object below a folder: ``.csv`` with a header, else JSON lines.

        The zone sends its events to EventBridge (``ZoneDefinition(events=True)``, the default).

        Args:
            zone: Where the objects are.
            prefix: A folder, ending in a slash.
            suffix: How keys end, such as ``.csv``. Default: any.

        Raises:
            ConfigurationError: the prefix is no folder.
        """
        problems = Problems("FeatureIngestion", self)
        problems.check(
            is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
            given=f"prefix={prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end",
            write='prefix="products/"',
        )
        problems.raise_if_any()
        if self.objects is None:
            self.objects = self._queue("Objects", retried=True)
            self._consume(self.objects, batch_size=1)
        zone.grant_read(self.role, prefix)
        rule = events.Rule(
            self,
            f"New{len([each for each in self.node.children if isinstance(each, events.Rule)])}",
            description=f"New objects {prefix}*{suffix} for {self.group.feature_group_name}",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [zone.bucket.bucket_name]},
                    "object": {"key": [{"wildcard": f"{prefix}*{suffix}"}]},
                },
            ),
        )
        rule.add_target(targets.SqsQueue(self.objects, dead_letter_queue=self.dead_letters, retry_attempts=8))
        return rule

    def add_queue(self, queue: sqs.IQueue, *, batch_size: int = 10) -> None:
        """Write the messages of a queue, one row in JSON each.

        A queue without a dead-letter queue of its own delivers what is not understood again until it expires:
        give it one. Its visibility timeout has to be :attr:`visibility_timeout` or longer.

        Args:
            batch_size: Messages of one call, 1 to 10,000; more than 10 wait up to 5 seconds for each other.
        """
        self._consume(queue, batch_size=batch_size)

    def add_stream(self, stream: kinesis.IStream, *, batch_size: int = 100) -> None:
        """Write the records of a stream, one row in JSON each, in the order of their shard.

        What cannot be written stops its shard for five tries; then its place in the stream goes to the
        dead-letter queue, and the shard goes on.

        Args:
            batch_size: Records of one call, 1 to 10,000.
        """
        self.function.add_event_source(
            sources.KinesisEventSource(
                stream,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=batch_size,
                bisect_batch_on_error=True,
                report_batch_item_failures=True,
                retry_attempts=_TRIES,
                on_failure=sources.SqsDlq(self.dead_letters),
            )
        )

    def _consume(self, queue: sqs.IQueue, *, batch_size: int) -> None:
        self.function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_batching_window=Duration.seconds(5) if batch_size > 10 else None,
                report_batch_item_failures=True,
            )
        )

    def _queue(self, id: str, *, retried: bool = False) -> sqs.Queue:
        return letters(
            self,
            id,
            self.key,
            visibility_timeout=self.visibility_timeout if retried else None,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=_TRIES)
            if retried
            else None,
        )
