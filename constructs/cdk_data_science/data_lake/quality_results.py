"""Where the outcome of every quality rule is kept: a table of the lake, metrics, and alarms."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import Problems
from cdk_data_science.data_lake.formats import Json
from cdk_data_science.data_lake.partitions import PartitionKey
from cdk_data_science.data_lake.projections import DateProjection
from cdk_data_science.data_lake.schema import Column
from cdk_data_science.data_lake.table import LakeTable
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.monitoring.alerts import AlertTopic

QUALITY_NAMESPACE = "DataScience/Quality"
"""Where the metrics are."""

_COLUMNS = (
    Column(name="run", type="string", comment="The evaluation run, or the run of the pipeline"),
    Column(name="ruleset", type="string", comment="What the metrics and alarms call it"),
    Column(name="source", type="string", comment="database.table, or the address of the object"),
    Column(name="evaluator", type="string", comment="glue, spark or function"),
    Column(name="evaluated_at", type="timestamp", comment="When, in UTC"),
    Column(name="rule", type="string", comment="The rule as it was written"),
    Column(name="outcome", type="string", comment="PASS, FAIL, or ERROR where Glue could not tell"),
    Column(name="observed", type="string", comment="What was seen"),
)
_FIRST_DAY = "2026-01-01"


class QualityResults(Construct):
    """Keeps the outcome of every rule of every evaluation: one row for each rule and run in a table of the
    lake, which Athena reads, and two metrics for each ruleset, ``RulesPassed`` and ``RulesFailed``.

    What Glue evaluates, by :class:`TableQuality` or by anybody in this account and region, comes here as an
    event; a function fetches the result. The gate of a pipeline writes its rows itself
    (``QualityGate(…, results=…)``). Events that cannot be handled lie in a dead-letter queue for 14 days,
    and an alarm tells of them.

    At rest it costs 1 USD a month for its key, another one for the key of a topic that is not given, and
    0.10 USD for its alarm.

    ```python
    from cdk_data_science import AlertTopic, DataLake, QualityResults, QualityRules

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    results = QualityResults(self, "Results", zone=lake.curated, alerts=AlertTopic(self, "Alerts"))
    reviews.add_quality_rules(
        QualityRules('Rules = [ IsUnique "review_id", ColumnValues "stars" in [1, 2, 3, 4, 5] ]'),
        results=results,
        schedule="cron(30 4 * * ? *)",
    )
    ```

    Args:
        zone: The zone that holds the table.
        name: Of the table, unique in the zone. Default: ``quality_results``.
        prefix: Folder of its objects, ending in ``/``. Default: the name.
        alerts: Topic of the alarms. Default: a new one.
        key: Encrypts logs and undelivered events; CloudWatch Logs and event rules have to be allowed to use
            it. Default: a new one.
        runtime: Python of the function. Default: 3.13.
        architecture: Its processor. Default: arm64.
        network: VPC that it is attached to. Default: none.

    Raises:
        ConfigurationError: For a name or folder that another table of the zone has.

    Follows https://docs.aws.amazon.com/glue/latest/dg/data-quality-alerts.html.
    """

    zone: ZoneBase
    """Where the rows are."""

    table: LakeTable
    """The table."""

    alerts: AlertTopic
    """Who is told."""

    key: kms.IKey
    """Encrypts logs and undelivered events."""

    function: PlatformFunction
    """Fetches what Glue found."""

    dead_letters: sqs.Queue
    """Events that could not be handled."""

    lost_results: cloudwatch.Alarm
    """Goes off when there are any."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zone: ZoneBase,
        name: str = "quality_results",
        prefix: str | None = None,
        alerts: AlertTopic | None = None,
        key: kms.IKey | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
        network: FunctionNetwork | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("QualityResults", self)
        problems.check_kind("zone", zone, ZoneBase, write='lake.zone("curated")')
        problems.raise_if_any()
        self.zone = zone
        self.table = LakeTable(
            self,
            "Table",
            zone=zone,
            name=name,
            schema=_COLUMNS,
            format=Json(),
            prefix=prefix,
            partition_keys=[PartitionKey(name="day", projection=DateProjection(start=_FIRST_DAY))],
            description="Outcomes of quality rules, one row for each rule and run",
        )
        self.key = (
            operations_key(self, "Key", description=f"Logs of {self.node.path}") if key is None else key
        )
        self.alerts = AlertTopic(self, "Alerts", key=self.key) if alerts is None else alerts
        self.dead_letters = letters(self, "DeadLetters", self.key)
        self.function = PlatformFunction(
            self,
            "Fetch",
            asset="pipeline",
            handler="quality_results.handler",
            description="Writes what Glue found by quality rules to the lake and to CloudWatch",
            log_key=self.key,
            runtime=lambda_.Runtime.PYTHON_3_13 if runtime is None else runtime,
            architecture=lambda_.Architecture.ARM_64 if architecture is None else architecture,
            memory_size=256,
            timeout=Duration.minutes(1),
            environment={
                "POWERTOOLS_SERVICE_NAME": "quality-results",
                "POWERTOOLS_METRICS_NAMESPACE": QUALITY_NAMESPACE,
                "RESULTS_BUCKET": zone.bucket.bucket_name,
                "RESULTS_PREFIX": self.table.prefix,
            },
            network=network,
            dead_letter_queue=self.dead_letters,
        )
        self.function.function.configure_async_invoke(max_event_age=Duration.hours(6), retry_attempts=2)
        self._allow()
        events.Rule(
            self,
            "Evaluated",
            description="Results of AWS Glue Data Quality",
            event_pattern=events.EventPattern(
                source=["aws.glue-dataquality"], detail_type=["Data Quality Evaluation Results Available"]
            ),
        ).add_target(
            targets.LambdaFunction(
                self.function.function,
                dead_letter_queue=self.dead_letters,
                max_event_age=Duration.hours(6),
                retry_attempts=8,
            )
        )
        self.lost_results = letters_alarm(
            self,
            self.dead_letters,
            "Results of quality rules were not written; their events lie in a queue",
            id="LostResults",
        )
        self.alerts.notify(self.lost_results)
        self.node.default_child = self.table.table

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal add rows, and read none."""
        return self.zone.grant_write(grantee, prefix=self.table.prefix)

    def grant_select(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal query the outcomes."""
        return self.table.grant_select(grantee)

    def metric_rules_failed(self, ruleset: str) -> cloudwatch.Metric:
        """Rules of a ruleset that did not hold, or that Glue could not evaluate."""
        return self._metric("RulesFailed", ruleset)

    def metric_rules_passed(self, ruleset: str) -> cloudwatch.Metric:
        """Rules of a ruleset that held."""
        return self._metric("RulesPassed", ruleset)

    def _metric(self, name: str, ruleset: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=QUALITY_NAMESPACE,
            metric_name=name,
            dimensions_map={"ruleset": ruleset},
            statistic="Sum",
            period=Duration.minutes(5),
        )

    def _allow(self) -> None:
        role = self.function.role
        self.grant_write(role)
        rulesets = Stack.of(self).format_arn(service="glue", resource="dataQualityRuleset", resource_name="*")
        role.add_to_policy(iam.PolicyStatement(actions=["glue:GetDataQualityResult"], resources=[rulesets]))
        acknowledge_wildcards(
            role,
            self,
            [rulesets],
            "Results of every ruleset of the account come here, also of those that are made later and by "
            "others. The wildcard stands for reading results alone.",
        )
