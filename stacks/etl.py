"""What makes tables of what arrives, and where people query them. Nothing here holds data of the lake."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    BucketCopy,
    ConfigurationError,
    DataLake,
    LakeCrawler,
    QueryWorkgroup,
    ScriptFile,
    SparkJob,
    Workers,
    ZoneFolder,
)
from cdk_data_science.data_lake import TableBase
from settings.etl import Copy, Crawler, Etl, Job
from settings.model import FOLDER, Settings

_GB = 1_000_000_000


class EtlStack(cdk.Stack):
    """Jobs, crawlers, copies and a workgroup, as far as the settings name them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        etl: Etl,
        lake: DataLake,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="ETL: jobs, crawlers, copies, a workgroup")
        self._lake, self._alerts = lake, alerts
        for name, job in etl.jobs.items():
            made = self._job(name, job)
            cdk.CfnOutput(
                self, f"{made.node.id}Name", value=made.name, description=f"Name of the Glue job {name!r}"
            )
        for name, crawler in etl.crawlers.items():
            self._crawler(name, crawler)
        for name, copy in etl.copies.items():
            self._copy(name, copy)
        if etl.workgroup is not None:
            hourly = etl.workgroup.hourly_limit_gb
            workgroup = QueryWorkgroup(
                self,
                "Workgroup",
                name=settings.platform.name,
                description="Queries on the tables of the lake",
                results_days=etl.workgroup.results_days,
                query_limit_bytes=int(etl.workgroup.query_limit_gb * _GB),
                hourly_limit_bytes=None if hourly is None else int(hourly * _GB),
                alerts=alerts,
                destroy=settings.platform.destroy_data,
            )
            cdk.CfnOutput(
                self, "WorkgroupName", value=workgroup.name, description="Where people query, with Athena"
            )

    def _job(self, name: str, job: Job) -> SparkJob:
        return SparkJob(
            self,
            _id("Job", name),
            script=ScriptFile(path=FOLDER.parent / job.script),
            reads=self._places(job.reads),
            writes=self._places(job.writes),
            arguments={f"--{argument}": value for argument, value in job.arguments.items()},
            workers=Workers(type=job.worker_type, count=job.workers),
            flex=job.flex,
            bookmarks=job.bookmarks,
            timeout=cdk.Duration.minutes(job.timeout_minutes),
            glue_version=job.glue_version,
            table_formats=job.table_formats,
            schedule=job.schedule,
            timezone=job.time_zone,
            alerts=self._alerts,
            log_key=self._log_key(),
            description=f"Job {name} of the settings",
        )

    def _crawler(self, name: str, crawler: Crawler) -> None:
        zone = crawler.folders[0].partition("/")[0]
        LakeCrawler(
            self,
            _id("Crawler", name),
            lake=self._lake,
            zone=zone,
            prefixes=[folder.partition("/")[2] for folder in crawler.folders],
            table_prefix=crawler.table_prefix,
            recrawl=crawler.recrawl,
            schedule=crawler.schedule,
            timezone=crawler.time_zone,
            log_key=self._log_key(),
        )

    def _copy(self, name: str, copy: Copy) -> None:
        part = _id("Copy", name)
        key = None if copy.key_arn is None else kms.Key.from_key_arn(self, f"{part}Key", copy.key_arn)
        source = s3.Bucket.from_bucket_attributes(
            self, f"{part}Source", bucket_name=copy.bucket, encryption_key=key
        )
        BucketCopy(
            self,
            part,
            source=source,
            source_prefix=copy.prefix,
            to=self._folder(copy.to),
            schedule=copy.schedule,
            timezone=copy.time_zone,
            alerts=self._alerts,
        )

    def _places(self, names: Sequence[str]) -> list[ZoneFolder | TableBase]:
        return [self._folder(name) if "/" in name else self._table(name) for name in names]

    def _folder(self, name: str) -> ZoneFolder:
        zone, _, prefix = name.partition("/")
        return ZoneFolder(zone=self._lake.zone(zone), prefix=prefix)

    def _table(self, name: str) -> TableBase:
        zone, _, table = name.partition(".")
        tables = self._lake.zone(zone).tables
        if table not in tables:
            known = ", ".join(f"{zone}.{other}" for other in tables) or "none in this zone"
            raise ConfigurationError(
                f"etl.jobs: given table {name!r}; allowed: tables of the settings: {known}; write: "
                f"[lake.tables.{table}] with its columns, or a folder such as {zone!r}/…/"
            )
        return tables[table]

    def _log_key(self) -> kms.IKey:
        """One key for the logs of all jobs and crawlers: that of the alerts admits CloudWatch Logs."""
        return self._alerts.key


def _id(kind: str, name: str) -> str:
    return f"{kind}{''.join(part[:1].upper() + part[1:] for part in name.split('-'))}"
