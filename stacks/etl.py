"""What makes tables of what arrives, and where people query them. Nothing here holds data of the lake."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    DatabaseConnection,
    DataLake,
    DataProfile,
    LakeCrawler,
    QueryWorkgroup,
    RecipeJob,
    ScriptFile,
    SnapshotExport,
    SparkJob,
    SparkWorkgroup,
    StreamingJob,
    Workers,
)
from settings.etl import Crawler, Etl, Export, Job, Notebooks
from settings.model import FOLDER, Settings
from stacks import databrew, places, sources
from stacks.network import NetworkStack

_GB = 1_000_000_000


class EtlStack(cdk.Stack):
    """Jobs, streams, databases, crawlers, copies, DataBrew and a workgroup, as far as the settings name
    them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        etl: Etl,
        lake: DataLake,
        network: NetworkStack | None,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope, id, env=env, description="ETL: jobs, streams, crawlers, copies, DataBrew, a workgroup"
        )
        self._lake, self._alerts = lake, alerts
        connections: dict[str, DatabaseConnection] = {}
        if network is not None:
            connections = {
                name: sources.connection(self, name, connection, network=network)
                for name, connection in etl.connections.items()
            }
        for name, job in etl.jobs.items():
            self._tell("Glue job", name, self._job(name, job, connections))
        for name, stream in etl.streams.items():
            made = sources.stream(self, name, stream, lake=lake, connections=connections, alerts=alerts)
            self._tell("streaming job", name, made)
        for name, crawler in etl.crawlers.items():
            self._crawler(name, crawler)
        for name, copy in etl.copies.items():
            sources.copy(self, name, copy, platform=settings.platform.name, lake=lake, alerts=alerts)
        for name, profile in etl.profiles.items():
            self._tell("profile", name, databrew.profile(self, name, profile, lake=lake, alerts=alerts))
        for name, recipe in etl.recipes.items():
            self._tell("recipe", name, databrew.recipe(self, name, recipe, lake=lake, alerts=alerts))
        for name, notebooks in etl.notebooks.items():
            self._notebooks(f"{settings.platform.name}-{name}", name, notebooks)
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
            for name, export in etl.exports.items():
                self._export(name, export, workgroup)
            cdk.CfnOutput(
                self, "WorkgroupName", value=workgroup.name, description="Where people query, with Athena"
            )

    def _notebooks(self, workgroup: str, name: str, notebooks: Notebooks) -> None:
        made = SparkWorkgroup(
            self,
            places.id_of("Notebooks", name),
            name=workgroup,
            description=f"Notebooks {name} of the settings",
            results=places.folder(self._lake, notebooks.results),
            reads=places.all_of(self._lake, notebooks.reads, f"etl.notebooks.{name}.reads"),
            writes=places.all_of(self._lake, notebooks.writes, f"etl.notebooks.{name}.writes"),
        )
        cdk.CfnOutput(
            self, f"{made.node.id}-Name", value=made.name, description=f"Workgroup of the notebooks {name!r}"
        )

    def _export(self, name: str, export: Export, workgroup: QueryWorkgroup) -> None:
        made = SnapshotExport(
            self,
            places.id_of("Export", name),
            table=places.table(self._lake, export.table, f"etl.exports.{name}.table"),
            columns=export.columns,
            order_by=export.order_by,
            to=places.folder(self._lake, export.to),
            workgroup=workgroup,
            alerts=self._alerts,
            key=self._alerts.key,
        )
        cdk.CfnOutput(
            self,
            f"{made.node.id}-Arn",
            value=made.state_machine.state_machine_arn,
            description=f"State machine of the export {name!r}: start it with {{}}, or a snapshot",
        )

    def _tell(self, kind: str, name: str, job: SparkJob | StreamingJob | DataProfile | RecipeJob) -> None:
        cdk.CfnOutput(self, f"{job.node.id}-Name", value=job.name, description=f"Name of the {kind} {name!r}")

    def _job(self, name: str, job: Job, connections: Mapping[str, DatabaseConnection]) -> SparkJob:
        return SparkJob(
            self,
            places.id_of("Job", name),
            script=ScriptFile(path=FOLDER.parent / job.script),
            reads=places.all_of(self._lake, job.reads, f"etl.jobs.{name}.reads"),
            writes=places.all_of(self._lake, job.writes, f"etl.jobs.{name}.writes"),
            arguments={f"--{argument}": value for argument, value in job.arguments.items()},
            workers=Workers(type=job.worker_type, count=job.workers),
            flex=job.flex,
            bookmarks=job.bookmarks,
            timeout=cdk.Duration.minutes(job.timeout_minutes),
            glue_version=job.glue_version,
            table_formats=job.table_formats,
            connections=sources.chosen(connections, job.connections),
            schedule=job.schedule,
            timezone=job.time_zone,
            alerts=self._alerts,
            # One key for the logs of all jobs and crawlers: that of the alerts admits CloudWatch Logs.
            log_key=self._alerts.key,
            description=f"Job {name} of the settings",
        )

    def _crawler(self, name: str, crawler: Crawler) -> None:
        zone = crawler.folders[0].partition("/")[0]
        LakeCrawler(
            self,
            places.id_of("Crawler", name),
            lake=self._lake,
            zone=zone,
            prefixes=[folder.partition("/")[2] for folder in crawler.folders],
            table_prefix=crawler.table_prefix,
            recrawl=crawler.recrawl,
            schedule=crawler.schedule,
            timezone=crawler.time_zone,
            log_key=self._alerts.key,
        )
