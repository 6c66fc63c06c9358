"""What is in a table: a profile of its columns, made by DataBrew."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_databrew as databrew
from constructs import Construct

from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.data_lake.etl._databrew import DataBrewJob
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

_TIMEOUT = Duration.hours(1)


class DataProfile(DataBrewJob):
    """A profile of a table: for each column its type, missing and distinct values, distribution, outliers and
    correlations, as JSON in a folder of the lake.

    Its role selects from this table, writes this folder and its log, and nothing else.

    **Costs at rest**: 1 USD a month for the key of a topic that is not given. A run costs 0.48 USD for each
    hour of a node (us-east-1, November 2026).

    ```python
    from cdk_data_science import DataLake, DataProfile, ZoneFolder

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    DataProfile(
        self,
        "Profile",
        table=reviews,
        output=ZoneFolder(zone=lake.features, prefix="profiles/reviews/"),
        schedule="cron(0 5 ? * MON *)",
    )
    ```

    Args:
        table: What is profiled.
        output: Where profiles go, apart from tables.
        columns: Which columns. Default: all.
        rows: How many rows are looked at, 1 or more; None for all. Default: the first 20,000.
        entities: Personal data that is looked for in the columns, by DataBrew's names, such as ``EMAIL`` and
            ``USA_SSN``. Costs more time. Default: none.
        nodes: The most nodes that a run uses, 1 or more. Default: 5.
        timeout: Whole minutes. Default: 1 hour.
        retries: How often a run that failed is started again. Default: 0.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``. Default: none.
        timezone: Of the schedule. Default: UTC.
        alerts: Who is told of runs that failed. Default: a new topic.

    Raises:
        ConfigurationError: For columns that the table does not have, and what DataBrew would refuse.

    Follows https://docs.aws.amazon.com/databrew/latest/dg/jobs.profile.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: TableBase,
        output: ZoneFolder,
        columns: Sequence[str] = (),
        rows: int | None = 20_000,
        entities: Sequence[str] = (),
        nodes: int = 5,
        timeout: Duration = _TIMEOUT,
        retries: int = 0,
        schedule: str | None = None,
        timezone: str = "UTC",
        alerts: AlertTopic | None = None,
    ) -> None:
        problems = Problems(f"DataProfile {id!r}", scope)
        problems.check_list("columns", columns)
        problems.check_list("entities", entities)
        problems.check_kind("table", table, TableBase, write="lake.curated.add_table(…)")
        problems.check_kind(
            "output", output, ZoneFolder, write='ZoneFolder(zone=lake.features, prefix="profiles/")'
        )
        problems.raise_if_any()
        unknown = [name for name in columns if not is_token(name) and name not in table.column_names]
        problems.check(
            not unknown,
            given=f"columns with {', '.join(map(repr, unknown))}",
            allowed=f"columns of {table.name!r}: {', '.join(table.column_names)}",
        )
        problems.check(
            rows is None or is_whole(rows, 1), given=f"rows={rows!r}", allowed="1 or more, or None for all"
        )
        super().__init__(
            scope,
            id,
            kind="profile",
            table=table,
            output=output,
            nodes=nodes,
            timeout=timeout,
            retries=retries,
            schedule=schedule,
            timezone=timezone,
            problems=problems,
        )
        properties = databrew.CfnJob
        job = databrew.CfnJob(
            self,
            "Resource",
            type="PROFILE",
            output_location=properties.OutputLocationProperty(
                bucket=output.zone.bucket.bucket_name,
                bucket_owner=Stack.of(output.zone).account,
                key=output.prefix,
            ),
            job_sample=properties.JobSampleProperty(mode="FULL_DATASET")
            if rows is None
            else properties.JobSampleProperty(mode="CUSTOM_ROWS", size=rows),
            profile_configuration=properties.ProfileConfigurationProperty(
                profile_columns=[properties.ColumnSelectorProperty(name=name) for name in columns] or None,
                entity_detector_configuration=properties.EntityDetectorConfigurationProperty(
                    entity_types=list(entities)
                )
                if entities
                else None,
            )
            if columns or entities
            else None,
            **self._common(nodes=nodes, timeout=timeout, retries=retries),
        )
        self._run(job, schedule=schedule, timezone=timezone, alerts=alerts)
