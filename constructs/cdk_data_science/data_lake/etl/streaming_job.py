"""A Spark job on Glue that never ends: it writes a stream to the lake."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake._scheduled_call import call_by_schedule
from cdk_data_science.data_lake.etl._glue_job import GlueJob, TableFormatName
from cdk_data_science.data_lake.etl._places import Place
from cdk_data_science.data_lake.etl.connection import JobConnection
from cdk_data_science.data_lake.etl.script import Script
from cdk_data_science.data_lake.etl.workers import Workers
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.monitoring.alerts import AlertTopic

_READ_STREAM = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
_WINDOW = re.compile(r"(Sun|Mon|Tue|Wed|Thu|Fri|Sat):([01]?[0-9]|2[0-3])")
# Glue starts nothing while a run is there: it costs no more than a refused call.
_EVERY_FIVE_MINUTES = "cron(0/5 * * * ? *)"


class StreamingJob(GlueJob):
    """A Spark Structured Streaming job on Glue, which writes a Kinesis stream to places of the lake.

    It gets the stream's ARN as ``--stream`` and the folder of its checkpoints as ``--checkpoints``. Glue
    starts it anew once a week in its maintenance window; it goes on where the checkpoints say.

    **Costs at rest**: 1 USD a month for a key of its own, if no ``log_key`` is given, and 0.10 USD for an
    alarm on lag. While it runs, 0.44 USD for each hour of a processing unit (us-east-1, November 2026): the
    default of two small workers costs 0.22 USD an hour, 160 USD a month. Nothing starts it but
    ``keep_running`` and whoever has ``grant_start``.

    ```python
    from aws_cdk import aws_kinesis as kinesis
    from cdk_data_science import DataLake, ScriptObject, StreamingJob, ZoneFolder

    lake = DataLake(self, "Lake")
    clicks = kinesis.Stream(self, "Clicks")
    StreamingJob(
        self,
        "Collect",
        script=ScriptObject(zone=lake.raw, key="jobs/collect.py"),
        stream=clicks,
        checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/clicks/"),
        writes=[ZoneFolder(zone=lake.raw, prefix="clicks/")],
    )
    ```

    Args:
        script: A Python file of the app, or an object of a zone.
        stream: What it reads.
        checkpoints: Where it remembers how far it came; apart from its outputs.
        reads: Zones, tables and folders that it looks things up in. Default: none.
        writes: Zones, tables and folders that it writes, of the key of the checkpoints.
        arguments: Of the script, by names with two hyphens in front; no secrets. Default: none.
        workers: Their type and number. Default: two of ``G.025X``, scaled by the work there is.
        glue_version: ``4.0`` or newer. Default: ``5.0``.
        maintenance_window: Day and hour, in UTC, in which Glue may start it anew. Default: ``Sun:3``.
        keep_running: Start it, and start it again within 5 minutes when it ended. Default: no, since it
            costs by the hour.
        longest_lag: An alarm when records wait longer than this, for 5 minutes. The script has to set
            ``emitConsumerLagMetrics`` on its source. Default: none.
        retries: How often Glue starts a run again that failed, 0 to 10. Default: 1.
        libraries: Python files, zip files and wheels beside the script. Default: none.
        modules: Packages from PyPI with their versions. Default: none.
        table_formats: ``iceberg``, ``delta`` and ``hudi`` libraries. Default: none.
        spark_conf: Settings of Spark. Default: none.
        connections: The VPC and the databases that it reaches. Default: none, AWS services alone.
        metrics: Publish Glue's metrics; ``longest_lag`` needs them. Default: only for ``longest_lag``.
        tell_of_failures: Send a message for each run that fails. Default: yes.
        alerts: Where to. Default: a new topic.
        log_key: Encrypts logs and alerts; it has to admit CloudWatch Logs. Default: a new one.
        description: At most 2048 characters. Default: none.

    Raises:
        ConfigurationError: For what Glue would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/glue/latest/dg/add-job-streaming.html and
    https://docs.aws.amazon.com/glue/latest/dg/glue-streaming-maintenance.html.
    """

    alarm: cloudwatch.Alarm | None
    """Goes off when records wait too long; None without ``longest_lag``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        script: Script,
        stream: kinesis.IStream,
        checkpoints: ZoneFolder,
        reads: Sequence[Place] = (),
        writes: Sequence[Place] = (),
        arguments: Mapping[str, str] | None = None,
        workers: Workers = Workers(type="G.025X"),  # noqa: B008 -- immutable
        glue_version: str = "5.0",
        maintenance_window: str = "Sun:3",
        keep_running: bool = False,
        longest_lag: Duration | None = None,
        retries: int = 1,
        libraries: Sequence[Script] = (),
        modules: Sequence[str] = (),
        table_formats: Sequence[TableFormatName] = (),
        spark_conf: Mapping[str, str] | None = None,
        connections: Sequence[JobConnection] = (),
        metrics: bool = False,
        tell_of_failures: bool = True,
        alerts: AlertTopic | None = None,
        log_key: kms.IKey | None = None,
        description: str | None = None,
    ) -> None:
        given = Problems(f"StreamingJob {id!r}", scope)
        given.check(
            not isinstance(stream, str),
            given=f"stream={stream!r}",
            allowed="a stream",
            write='kinesis.Stream.from_stream_arn(self, "Clicks", "arn:aws:kinesis:…")',
        )
        given.check_kind(
            "checkpoints", checkpoints, ZoneFolder, write='ZoneFolder(zone=lake.raw, prefix="checkpoints/")'
        )
        given.raise_if_any()
        self._window, self._checkpoints, self._outputs = maintenance_window, checkpoints, writes
        self._own = {"--stream": stream.stream_arn, "--checkpoints": checkpoints.uri}
        self._given, self._lag, self._told = dict(arguments or {}), longest_lag, tell_of_failures
        super().__init__(
            scope,
            id,
            kind="StreamingJob",
            command="gluestreaming",
            script=script,
            reads=reads,
            writes=[checkpoints, *writes],
            arguments=self._given,
            own_arguments=self._own,
            workers=workers,
            glue_version=glue_version,
            flex=False,
            timeout=None,
            maintenance_window=maintenance_window,
            retries=retries,
            parallel_runs=1,
            libraries=libraries,
            modules=modules,
            table_formats=table_formats,
            spark_conf=spark_conf or {},
            connections=connections,
            scratch=None,
            metrics=metrics or longest_lag is not None,
            tell_of_failures=tell_of_failures,
            alerts=alerts,
            log_key=log_key,
            description=description,
        )
        iam.Grant.add_to_principal(
            grantee=self.role, actions=list(_READ_STREAM), resource_arns=[stream.stream_arn]
        )
        if stream.encryption_key is not None:
            stream.encryption_key.grant(self.role, "kms:Decrypt")
        self.alarm = None
        if longest_lag is not None and self.alerts is not None:
            self.alarm = alarm(
                self,
                "Lag",
                self.metric_lag(),
                description=f"Records wait too long for {self.node.path}",
                threshold=longest_lag.to_milliseconds(),
                periods=5,
            )
            self.alerts.notify(self.alarm)
        if keep_running:
            call_by_schedule(
                self,
                schedule=_EVERY_FIVE_MINUTES,
                timezone="UTC",
                service="glue",
                call="startJobRun",
                input={"JobName": self.name},
                resource=Stack.of(self).format_arn(service="glue", resource="job", resource_name=self.name),
                starts="streaming job",
                attempts=0,
            )

    def metric_lag(self) -> cloudwatch.Metric:
        """Milliseconds that the oldest record of a batch had waited. Needs ``metrics``, and
        ``emitConsumerLagMetrics`` on the script's source."""
        return self.metric("glue.driver.streaming.maxConsumerLagInMs", type="gauge", statistic="Maximum")

    def metric_records(self) -> cloudwatch.Metric:
        """Records that a minute's batches read. Needs ``metrics``."""
        return self.metric("glue.driver.streaming.numRecords", statistic="Sum")

    def _check(self, problems: Problems) -> None:
        problems.check(
            bool(_WINDOW.fullmatch(self._window)),
            given=f"maintenance_window={self._window!r}",
            allowed="a day and an hour in UTC, such as Sun:3",
            write='maintenance_window="Sun:3"',
        )
        for name in self._own:
            problems.check(
                name not in self._given,
                given=f"argument {name!r}",
                allowed="other names: the job sets this one",
                write="stream=… and checkpoints=…",
            )
        for place in self._outputs:
            if isinstance(place, ZoneFolder) and place.zone is self._checkpoints.zone:
                problems.check(
                    not place.prefix.startswith(self._checkpoints.prefix)
                    and not self._checkpoints.prefix.startswith(place.prefix),
                    given=f"checkpoints in {self._checkpoints.prefix!r} beside the output {place.prefix!r}",
                    allowed="folders apart: readers would take checkpoints for data",
                )
        problems.check(
            self._lag is None or self._told,
            given="longest_lag with tell_of_failures=False",
            allowed="an alarm that somebody hears of",
        )
