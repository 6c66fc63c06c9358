"""Training data from one snapshot of an Iceberg table, so that a model can be rebuilt from the same rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration, Fn, Names
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science._encryption import operations_key
from cdk_data_science._tasks import Task, retry
from cdk_data_science.data_lake._snapshot_checks import check_snapshot_export
from cdk_data_science.data_lake.query_workgroup import QueryWorkgroup
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.monitoring.alerts import AlertTopic

_QUERY_TIMEOUT = Duration.minutes(31)  # Athena's own limit is 30
_TIMEOUT = Duration.hours(2)
_FAILURE = "{% $states.errorOutput.Cause %}"


class SnapshotExport(Construct):
    """Writes one snapshot of an Iceberg table to a folder as CSV, under a key that names the snapshot:
    ``<folder>table=<table>/snapshot=<id>/data.csv``.

    A state machine asks Athena for the table's current snapshot, or takes the one that its input names
    (``{"snapshot": "4358109269898191234"}``), selects the columns ``FOR VERSION AS OF`` it in a fixed order,
    and copies the result. Two exports of the same snapshot are the same bytes. Where the folder is that of a
    pipeline, the copy starts it, and the registry enters the table and the snapshot with the model
    (``data.table``, ``data.snapshot``): with them the data of any model can be had again as long as the
    table keeps the snapshot (:class:`TableMaintenance`, ``snapshot_days``).

    Athena returns what it selects as one CSV, and S3 copies objects of 5 GB at most: larger data is read by a
    Spark job, which takes the snapshot as an argument.

    **Costs at rest**: 0.10 USD a month for its alarm, and 1 USD for a key that is not given. A run costs the
    bytes that its two queries scan, 5 USD for each terabyte.

    ```python
    from cdk_data_science import AlertTopic, DataLake, Iceberg, QueryWorkgroup, ZoneFolder
    from cdk_data_science.data_lake import Column, SnapshotExport

    lake = DataLake(self, "Lake")
    alerts = AlertTopic(self, "Alerts")
    reviews = lake.curated.add_table(
        "reviews",
        schema=[
            Column(name="review_id", type="string", field_id=1),
            Column(name="text", type="string", field_id=2),
            Column(name="stars", type="int", field_id=3),
        ],
        format=Iceberg(),
    )
    SnapshotExport(
        self,
        "TrainingData",
        table=reviews,
        columns=["review_id", "text", "stars"],
        order_by=["review_id"],
        to=ZoneFolder(zone=lake.raw, prefix="reviews/"),
        workgroup=QueryWorkgroup(self, "Exports", name="exports", results=lake.features, alerts=alerts),
        alerts=alerts,
    )
    ```

    Args:
        table: An Iceberg table.
        columns: What is selected, in the order of the CSV.
        order_by: Columns that put the rows in one order and no other, such as those of the key.
        to: Where the CSV goes.
        workgroup: Runs the queries; its limit of bytes has to admit a scan of the columns.
        alerts: Topic of the alarm. Default: a new one.
        key: Encrypts the log and a new topic; CloudWatch Logs and alarms have to be allowed to use it.
            Default: a new one.

    Raises:
        ConfigurationError: For a table that is no Iceberg table and for columns that it lacks, all mistakes
            at once.

    Follows https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-time-travel-and-version-travel-queries.html
    and https://docs.aws.amazon.com/step-functions/latest/dg/connect-athena.html.
    """

    state_machine: sfn.StateMachine
    """The resource."""

    failed: cloudwatch.Alarm
    """Goes off when an export fails."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: TableBase,
        columns: Sequence[str],
        order_by: Sequence[str],
        to: ZoneFolder,
        workgroup: QueryWorkgroup,
        alerts: AlertTopic | None = None,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id)
        check_snapshot_export(self, table, columns, order_by, to)
        self._table, self._to, self._workgroup = table, to, workgroup
        if key is None:
            key = operations_key(self, "Key", description=f"Log of {self.node.path}")
        self._select = (
            f"{{% 'SELECT {_listed(columns)} FROM {self._qualified()} "  # noqa: S608 -- names that were checked
            "FOR VERSION AS OF ' & $snapshot & ' "
            f"ORDER BY {_listed(order_by)}' %}}"
        )
        self._scope = Construct(self, "States")
        self.state_machine = self._machine(key)
        self._allow()
        self.failed = alarm(
            self,
            "Failed",
            self.state_machine.metric_failed(statistic="Sum", period=Duration.minutes(5)),
            description=f"A snapshot of table {table.name} was not exported; the execution says why",
        )
        (AlertTopic(self, "Alerts", key=key) if alerts is None else alerts).notify(self.failed)
        self.node.default_child = self.state_machine.node.default_child

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal export the current snapshot with ``{}``, or another one with
        ``{"snapshot": "…"}``."""
        return self.state_machine.grant_start_execution(grantee)

    def _qualified(self, of: str = "") -> str:
        return f'"{self._table.database_name}"."{self._table.name}{of}"'

    def _machine(self, key: kms.IKey) -> sfn.StateMachine:
        name = Names.unique_resource_name(self, max_length=64, separator="-")
        return sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(self._states()),
            query_language=sfn.QueryLanguage.JSONATA,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    # Under this prefix CloudWatch Logs needs no entry in the account's resource policy.
                    log_group_name=Fn.join(
                        "-",
                        [f"/aws/vendedlogs/states/{name}", Fn.select(2, Fn.split("/", Aws.STACK_ID))],
                    ),
                    encryption_key=key,
                    retention=logs.RetentionDays.ONE_YEAR,
                ),
                include_execution_data=True,
                level=sfn.LogLevel.ERROR,
            ),
            timeout=_TIMEOUT,
        )

    def _states(self) -> sfn.IChainable:
        scope = self._scope
        failed = sfn.Fail.jsonata(scope, "Failed", error="{% $error %}", cause="{% $cause %}")
        empty = sfn.Fail.jsonata(
            scope, "EmptyTable", error="EmptyTable", cause=f"Table {self._table.name} has no snapshot yet"
        )
        refused = sfn.Fail.jsonata(
            scope,
            "InvalidSnapshot",
            error="InvalidSnapshot",
            cause='The input has to be {} or {"snapshot": "…"}, a text with the digits of a snapshot\'s id',
        )
        find = self._query(
            "FindSnapshot",
            # The branch that readers see, in place of the newest commit of any branch.
            f"SELECT CAST(snapshot_id AS varchar) FROM {self._qualified('$refs')} WHERE name = 'main'",  # noqa: S608
            assign={"query": "{% $states.result.QueryExecution.QueryExecutionId %}"},
        )
        read = Task(
            self._scope,
            "ReadSnapshot",
            integration="athena:getQueryResults",
            arguments={"QueryExecutionId": "{% $query %}", "MaxResults": 2},
            timeout=Duration.minutes(1),
            statements=[],
            retry=_athena_retries(),
            # The first row has the names of the columns.
            assign={
                "snapshot": "{% $exists($states.result.ResultSet.Rows[1]) ? "
                "$states.result.ResultSet.Rows[1].Data[0].VarCharValue : '' %}"
            },
        )
        select = self._query(
            "SelectVersion",
            self._select,
            assign={
                "csv": "{% $substringAfter($states.result.QueryExecution.ResultConfiguration.OutputLocation, "
                "'s3://') %}"
            },
        )
        copy = self._copy()
        done = sfn.Succeed.jsonata(
            scope,
            "Exported",
            outputs={
                "table": self._table.name,
                "snapshot": "{% $snapshot %}",
                "data": {"bucket": self._to.zone.bucket.bucket_name, "key": self._key()},
            },
        )
        for task in (find, read, select, copy):
            task.add_catch(
                failed,
                errors=["States.ALL"],
                assign={"error": "{% $states.errorOutput.Error %}", "cause": _FAILURE},
            )
        given = sfn.Pass.jsonata(scope, "GivenSnapshot", assign={"snapshot": "{% $states.input.snapshot %}"})
        find.next(read)
        read.next(
            sfn.Choice.jsonata(scope, "Is there a snapshot?")
            .when(sfn.Condition.jsonata("{% $snapshot = '' %}"), empty)
            .otherwise(select)
        )
        select.next(copy)
        copy.next(done)
        return (
            sfn.Choice.jsonata(scope, "Which snapshot?")
            .when(sfn.Condition.jsonata("{% $not($exists($states.input.snapshot)) %}"), find)
            # It becomes part of a query.
            .when(
                sfn.Condition.jsonata(
                    "{% $type($states.input.snapshot) = 'string' and "
                    "$contains($states.input.snapshot, /^[0-9]{1,19}$/) %}"
                ),
                given.next(select),
            )
            .otherwise(refused)
        )

    def _query(self, id: str, query: str, *, assign: Mapping[str, Any]) -> Task:
        """Run a query to its end. Started twice with one token, it runs once."""
        return Task(
            self._scope,
            id,
            integration="athena:startQueryExecution.sync",
            arguments={
                "QueryString": query,
                "WorkGroup": self._workgroup.name,
                "ClientRequestToken": f"{{% $hash($states.context.Execution.Id & '{id}', 'SHA-256') %}}",
            },
            timeout=_QUERY_TIMEOUT,
            statements=[],
            retry=_athena_retries(),
            assign=assign,
        )

    def _key(self) -> str:
        return f"{{% '{self._to.prefix}table={self._table.name}/snapshot=' & $snapshot & '/data.csv' %}}"

    def _copy(self) -> Task:
        return Task(
            self._scope,
            "CopyResult",
            integration="aws-sdk:s3:copyObject",
            arguments={
                "Bucket": self._to.zone.bucket.bucket_name,
                "Key": self._key(),
                "CopySource": "{% $csv %}",
                "MetadataDirective": "REPLACE",
                "ContentType": "text/csv",
                "Metadata": {"table": self._table.name, "snapshot": "{% $snapshot %}"},
            },
            timeout=Duration.minutes(15),
            statements=[],
            # The same object under the same key: writing it again changes nothing.
            retry=[
                retry(["S3.SdkClientException", "S3.S3Exception"], attempts=3, interval=Duration.seconds(2))
            ],
        )

    def _allow(self) -> None:
        role = self.state_machine.role
        acknowledge_inline_policy(role)
        self._workgroup.grant_query(role)
        self._table.grant_select(role)
        self._to.zone.grant_write(role, prefix=f"{self._to.prefix}table={self._table.name}/")
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "Log delivery, X-Ray and Lake Formation's credentials have no resource-level permissions.",
        )
        acknowledge(
            self.state_machine,
            ["AwsSolutions-SF1"],
            "Failures are what has to be kept beyond the 90 days for which Step Functions keeps the history "
            "of every execution.",
        )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{re.sub(chr(34), chr(34) * 2, column)}"' for column in columns)


def _athena_retries() -> list[dict[str, Any]]:
    return [
        retry(
            [
                "Athena.TooManyRequestsException",
                "Athena.InternalServerException",
                "Athena.ThrottlingException",
            ],
            attempts=5,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        )
    ]
