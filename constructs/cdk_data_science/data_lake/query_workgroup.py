"""A place to query the lake's tables from, with Athena."""

from __future__ import annotations

from typing import Any, Literal

from aws_cdk import Duration, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import ConfigurationError, is_token
from cdk_data_science.data_lake import _bucket
from cdk_data_science.data_lake._permissions import principal_construct
from cdk_data_science.data_lake._workgroup_checks import check_query, check_workgroup
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.data_lake.zone_definition import ZoneDefinition
from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.monitoring.alerts import AlertTopic

_QUERY = (
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "athena:GetQueryExecution",
    "athena:BatchGetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetQueryResultsStream",
    "athena:GetQueryRuntimeStatistics",
    "athena:ListQueryExecutions",
    "athena:GetWorkGroup",
    "athena:GetNamedQuery",
    "athena:BatchGetNamedQuery",
    "athena:ListNamedQueries",
    "athena:GetPreparedStatement",
    "athena:BatchGetPreparedStatement",
    "athena:ListPreparedStatements",
)
_RESULTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_RESULTS_BUCKET = ("s3:GetBucketLocation", "s3:ListBucketMultipartUploads")
_RESULTS_KEY = ("kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey")

QueryState = Literal["SUCCEEDED", "FAILED", "CANCELED"]


class QueryWorkgroup(Construct):
    """An Athena workgroup, engine version 3, whose settings hold for every query.

    Results are encrypted with a KMS key, in a zone of the lake or in a bucket of the workgroup's own that
    forgets them. A query that scans too much is cancelled, and an alarm goes off when all of them together
    scan too much in an hour. Queries cannot make their readers pay (requester pays is off).

    Who may query is not who may read: ``grant_query`` lets a principal use the workgroup,
    ``table.grant_select`` lets it select.

    **Costs at rest**: 0.30 USD a month for the alarm, 1 USD for the key of a topic that is not given, and
    1 USD for the key of a bucket of its own. Queries cost 5 USD for each terabyte scanned.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science import AlertTopic, DataLake, QueryWorkgroup

    lake = DataLake(self, "Lake")
    workgroup = QueryWorkgroup(
        self,
        "Science",
        name="science",
        results=lake.features,
        query_limit_bytes=20_000_000_000,
        alerts=AlertTopic(self, "Alerts"),
    )
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    workgroup.add_named_query("Stars", "SELECT stars FROM reviews LIMIT 10", zone=lake.curated)
    scientist = iam.Role(self, "Scientist", assumed_by=iam.AccountRootPrincipal())
    workgroup.grant_query(scientist)
    reviews.grant_select(scientist)
    ```

    Args:
        name: Letters, digits, dots, hyphens and underscores, at most 128; unique in the account and region.
            CloudFormation gives no name to workgroups.
        description: What it is for, at most 1024 characters. Default: none.
        results: Zone for the results; it has to have a key. Default: a bucket of its own that deletes them
            after ``results_days``.
        results_prefix: Folder of the results, ending in ``/``. Default: ``athena/<name>/``.
        results_days: Days that a bucket of its own keeps results, 1 or more. Default: 30.
        access_logs: Receives the access logs of a bucket of its own. Default: a new bucket.
        query_limit_bytes: Bytes after which a query is cancelled, 10,000,000 or more. Default: 100 GB, which
            costs 0.50 USD.
        hourly_limit_bytes: Bytes scanned in an hour by all queries that set the alarm off. Default: ten times
            ``query_limit_bytes``.
        alerts: Topic of the alarm. Default: a new one.
        destroy: Delete a bucket of its own with the results. Works only together with the context key
            ``cdk-data-science:destroyData``. Default: False.

    Raises:
        ConfigurationError: For names, folders and limits that Athena would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/athena/latest/ug/workgroups-manage-queries-control-costs.html.
    """

    workgroup: athena.CfnWorkGroup
    """The resource."""

    name: str
    """The workgroup's name."""

    results_bucket: s3.IBucket
    """Where results go, below ``results_prefix``."""

    results_prefix: str
    """The folder of the results."""

    results_key: kms.IKey
    """What encrypts them."""

    alarm: cloudwatch.Alarm
    """Goes off when all queries together scan too much in an hour."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        description: str | None = None,
        results: ZoneBase | None = None,
        results_prefix: str | None = None,
        results_days: int = 30,
        access_logs: s3.IBucket | None = None,
        query_limit_bytes: int = 100_000_000_000,
        hourly_limit_bytes: int | None = None,
        alerts: AlertTopic | None = None,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.name = name
        self.results_prefix = f"athena/{name}/" if results_prefix is None else results_prefix
        hourly = 10 * query_limit_bytes if hourly_limit_bytes is None else hourly_limit_bytes
        check_workgroup(
            self,
            name=name,
            description=description,
            prefix=self.results_prefix,
            zone=results,
            days=results_days,
            query_limit=query_limit_bytes,
            hourly_limit=hourly,
        )
        self.results_bucket, self.results_key = self._results(results, results_days, access_logs, destroy)
        self.workgroup = athena.CfnWorkGroup(
            self,
            "Resource",
            name=name,
            description=description,
            state="ENABLED",
            recursive_delete_option=False,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                requester_pays_enabled=False,
                bytes_scanned_cutoff_per_query=query_limit_bytes,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=self.results_bucket.s3_url_for_object(self.results_prefix),
                    expected_bucket_owner=Stack.of(self if results is None else results).account,
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self.results_key.key_arn
                    ),
                ),
            ),
        )
        self.node.default_child = self.workgroup
        self.alarm = alarm(
            self,
            "ScanAlarm",
            self.metric_scanned_bytes(),
            description=f"Queries of workgroup {name} scanned {hourly:,} bytes or more in an hour",
            threshold=hourly,
        )
        (AlertTopic(self, "Alerts") if alerts is None else alerts).notify(self.alarm)

    def add_named_query(
        self, name: str, query: str, *, zone: ZoneBase, description: str | None = None
    ) -> athena.CfnNamedQuery:
        """Save a query for everybody in the workgroup.

        Args:
            name: At most 128 characters, unique in the workgroup.
            query: SQL, at most 262,144 characters.
            zone: The zone whose tables it names without their database.
            description: At most 1024 characters. Default: none.

        Raises:
            ConfigurationError: For what Athena would refuse.
        """
        check_query(self, name, query, description)
        made = athena.CfnNamedQuery(
            self._child(name),
            "Query",
            name=name,
            database=zone.database_name,
            query_string=query,
            work_group=self.name,
            description=description,
        )
        made.add_resource_dependency(self.workgroup)
        return made

    def add_prepared_statement(
        self, name: str, query: str, *, description: str | None = None
    ) -> athena.CfnPreparedStatement:
        """Save a query with places for values, ``?``, that ``EXECUTE name USING …`` fills in.

        Args:
            name: Letters, digits and ``_ @ :``, at most 256, unique in the workgroup.
            query: SQL, at most 262,144 characters.
            description: At most 1024 characters. Default: none.

        Raises:
            ConfigurationError: For what Athena would refuse.
        """
        check_query(self, name, query, description, prepared=True)
        made = athena.CfnPreparedStatement(
            self._child(name),
            "Statement",
            statement_name=name,
            query_statement=query,
            work_group=self.name,
            description=description,
        )
        made.add_resource_dependency(self.workgroup)
        return made

    def grant_query(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal run queries and saved queries here, and read and write results of this workgroup.

        Results of others in the same workgroup can be read too: people who may not see the same data get
        workgroups of their own.

        Args:
            grantee: A role, user or account.
        """
        stack = Stack.of(self)
        objects = self.results_bucket.arn_for_objects(f"{self.results_prefix}*")
        principal = principal_construct(grantee)
        if principal is not None:
            acknowledge_wildcards(
                principal,
                self.results_bucket,
                [objects],
                "Athena names each result by its query. The wildcard stands for the results of one "
                "workgroup, for named actions without wildcards.",
            )
        grants = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(_QUERY),
            resource_arns=[stack.format_arn(service="athena", resource="workgroup", resource_name=self.name)],
        )
        for actions, resource, conditions in (
            (_RESULTS, objects, None),
            (_RESULTS_BUCKET, self.results_bucket.bucket_arn, None),
            (
                ("s3:ListBucket",),
                self.results_bucket.bucket_arn,
                {"StringLike": {"s3:prefix": f"{self.results_prefix}*"}},
            ),
        ):
            more = iam.Grant.add_to_principal_or_resource(
                grantee=grantee,
                actions=list(actions),
                resource_arns=[resource],
                resource=self.results_bucket,
                conditions=conditions,
            )
            grants = grants.combine(more)
        return grants.combine(self.results_key.grant(grantee, *_RESULTS_KEY))

    def metric_processed_bytes(self, state: QueryState, *, query_type: str = "DML") -> cloudwatch.Metric:
        """Bytes that queries which ended in this state scanned, in an hour.

        Args:
            state: How they ended. A query that goes over its limit is cancelled.
            query_type: ``DML``, ``DDL`` or ``UTILITY``. Default: ``DML``, which is what scans data.
        """
        return cloudwatch.Metric(
            namespace="AWS/Athena",
            metric_name="ProcessedBytes",
            dimensions_map={"WorkGroup": self.name, "QueryState": state, "QueryType": query_type},
            statistic="Sum",
            period=Duration.hours(1),
        )

    def metric_scanned_bytes(self) -> cloudwatch.MathExpression:
        """Bytes that all queries scanned, in an hour, however they ended: all of them are billed."""
        return cloudwatch.MathExpression(
            expression="FILL(succeeded, 0) + FILL(failed, 0) + FILL(canceled, 0)",
            using_metrics={
                "succeeded": self.metric_processed_bytes("SUCCEEDED"),
                "failed": self.metric_processed_bytes("FAILED"),
                "canceled": self.metric_processed_bytes("CANCELED"),
            },
            label="Bytes scanned",
            period=Duration.hours(1),
        )

    def _results(
        self, zone: ZoneBase | None, days: int, access_logs: s3.IBucket | None, destroy: bool
    ) -> tuple[s3.IBucket, kms.IKey]:
        if zone is not None and zone.key is not None:
            return zone.bucket, zone.key
        policy = removal_policy(self, destroy=destroy)
        key = kms.Key(
            self,
            "Key",
            description=f"Query results of {self.node.path}",
            enable_key_rotation=True,
            removal_policy=policy,
        )
        bucket = _bucket.zone_bucket(
            self,
            definition=ZoneDefinition(
                name="query-results",
                intelligent_tiering_days=None,
                expire_days=days,
                noncurrent_expire_days=1,
                events=False,
            ),
            key=key,
            access_logs=_bucket.access_log_bucket(self, "AccessLogs", policy=policy)
            if access_logs is None
            else access_logs,
            policy=policy,
        )
        return bucket, key

    def _child(self, name: str) -> Construct:
        found: Any = self.node.try_find_child("Saved")
        saved = found if found is not None else Construct(self, "Saved")
        child = f"Query{len(saved.node.children)}" if is_token(name) else name
        if saved.node.try_find_child(child) is not None:
            raise ConfigurationError(
                f"{self.node.path}: given a second query {name!r}; allowed: each name once; write: another "
                "name"
            )
        return Construct(saved, child)
