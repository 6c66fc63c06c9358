"""A Spark job on Glue that runs, and ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake.etl._glue_job import GlueJob, TableFormatName
from cdk_data_science.data_lake.etl._places import Place
from cdk_data_science.data_lake.etl.connection import JobConnection
from cdk_data_science.data_lake.etl.script import Script
from cdk_data_science.data_lake.etl.workers import Workers
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

_TIMEOUT = Duration.hours(2)


class SparkJob(GlueJob):
    """A Spark job on Glue, whose role may read and write the places that are named and nothing else.

    All that it writes, its bookmarks and its logs are encrypted, the data with the key of the zone that it
    writes to. A run that fails or takes too long is told of. It is started by a schedule, by a step of a
    pipeline (:class:`~cdk_data_science.pipelines.SparkStep`), by a task of any state machine
    (:class:`SparkJobTask`), or by whoever has ``grant_start``.

    **Costs at rest**: 1 USD a month for a key of its own, if no ``log_key`` is given. A run costs 0.44 USD
    for each hour of a processing unit, 0.29 USD with ``flex`` (us-east-1, November 2026): the default of two
    workers costs at most 0.88 USD an hour.

    ```python
    from pathlib import Path

    from cdk_data_science import DataLake, ScriptObject, SparkJob, ZoneFolder

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    SparkJob(
        self,
        "Clean",
        script=ScriptObject(zone=lake.raw, key="jobs/clean.py"),
        reads=[ZoneFolder(zone=lake.raw, prefix="reviews/")],
        writes=[reviews],
        arguments={"--source": lake.raw.uri("reviews/"), "--table": reviews.name},
        bookmarks=True,
        schedule="cron(15 4 * * ? *)",
    )
    ```

    Args:
        script: A Python file of the app, or an object of a zone.
        reads: Zones, tables and folders that it reads.
        writes: Zones, tables and folders that it reads and writes, of one key.
        arguments: Of the script, by names with two hyphens in front. They can be read by whoever sees the
            job: no secrets. Default: none.
        workers: Their type and number. Default: two of ``G.1X``, scaled by the work there is.
        glue_version: ``4.0`` or newer. Default: ``5.0``.
        bookmarks: Go on behind what earlier runs have read. The script has to begin and commit its job.
            Default: no.
        flex: Use spare capacity, which is cheaper and may be late or taken away. Default: no.
        timeout: Whole minutes, at most 7 days. Default: 2 hours.
        retries: How often Glue starts a run again that failed, 0 to 10. Default: 0, since a script may have
            written half of its output.
        parallel_runs: Runs at the same time, 1 or more; one where there are bookmarks. Default: 1.
        libraries: Python files, zip files and wheels beside the script. Default: none.
        modules: Packages from PyPI with their versions, such as ``pandera==0.26.1``; a job in a VPC without
            internet cannot have them. Default: none.
        table_formats: ``iceberg``, ``delta`` and ``hudi`` libraries. Default: none.
        spark_conf: Settings of Spark. Default: none.
        connections: The VPC and the databases that it reaches. Default: none, AWS services alone.
        scratch: Folder for what drivers of databases and Spark put aside. Default: none.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``, 5 minutes apart or more.
            Default: none.
        timezone: Of the schedule, such as ``Europe/Berlin``. Default: UTC.
        metrics: Publish Glue's job and observability metrics, which CloudWatch bills as custom ones.
            Default: no.
        tell_of_failures: Send a message for each run that fails. Default: yes.
        alerts: Where to. Default: a new topic.
        log_key: Encrypts logs and alerts; it has to admit CloudWatch Logs. Default: a new one.
        description: At most 2048 characters. Default: none.

    Raises:
        ConfigurationError: For what Glue would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/glue/latest/dg/add-job.html and
    https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html.
    """

    timeout: Duration
    """When a run is ended."""

    retries: int
    """How often a run that failed is started again."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        script: Script,
        reads: Sequence[Place] = (),
        writes: Sequence[Place] = (),
        arguments: Mapping[str, str] | None = None,
        workers: Workers = Workers(),  # noqa: B008 -- immutable
        glue_version: str = "5.0",
        bookmarks: bool = False,
        flex: bool = False,
        timeout: Duration = _TIMEOUT,
        retries: int = 0,
        parallel_runs: int = 1,
        libraries: Sequence[Script] = (),
        modules: Sequence[str] = (),
        table_formats: Sequence[TableFormatName] = (),
        spark_conf: Mapping[str, str] | None = None,
        connections: Sequence[JobConnection] = (),
        scratch: ZoneFolder | None = None,
        schedule: str | None = None,
        timezone: str = "UTC",
        metrics: bool = False,
        tell_of_failures: bool = True,
        alerts: AlertTopic | None = None,
        log_key: kms.IKey | None = None,
        description: str | None = None,
    ) -> None:
        self.timeout, self.retries, self._schedule = timeout, retries, schedule
        self._timezone = timezone
        self._bookmarked_in_parallel = bookmarks and parallel_runs != 1
        option = "job-bookmark-enable" if bookmarks else "job-bookmark-disable"
        super().__init__(
            scope,
            id,
            kind="SparkJob",
            command="glueetl",
            script=script,
            reads=reads,
            writes=writes,
            arguments=arguments or {},
            own_arguments={"--job-bookmark-option": option},
            workers=workers,
            glue_version=glue_version,
            flex=flex,
            timeout=timeout,
            maintenance_window=None,
            retries=retries,
            parallel_runs=parallel_runs,
            libraries=libraries,
            modules=modules,
            table_formats=table_formats,
            spark_conf=spark_conf or {},
            connections=connections,
            scratch=scratch,
            metrics=metrics,
            tell_of_failures=tell_of_failures,
            alerts=alerts,
            log_key=log_key,
            description=description,
        )
        if schedule is not None:
            call_by_schedule(
                self,
                schedule=schedule,
                timezone=timezone,
                service="glue",
                call="startJobRun",
                input={"JobName": self.name},
                resource=self.arn,
                starts="Spark job",
            )

    def _check(self, problems: Problems) -> None:
        check_schedule(problems, self._schedule, self._timezone)
        problems.check(
            not self._bookmarked_in_parallel,
            given="bookmarks with several parallel_runs",
            allowed="one run at a time: a second one finds the bookmark of the first one changed and fails",
            write="parallel_runs=1",
        )
