"""Quality rules on a table of the lake, evaluated by AWS Glue."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Names, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import (
    acknowledge,
    acknowledge_wildcards,
)
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake._service_role import service_role
from cdk_data_science.data_lake.quality_rules import QualityRules
from cdk_data_science.monitoring.alarms import alarm

if TYPE_CHECKING:
    from cdk_data_science.data_lake.quality_results import QualityResults
    from cdk_data_science.data_lake.table_base import TableBase

_NAMESPACE = "Glue Data Quality"
_LOG_FOLDER = "/aws-glue/data-quality"
_LONGEST_SILENCE_HOURS = 7 * 24
_MOST_WORKERS = 299
_LONGEST_MINUTES = 2880


class TableQuality(Construct):
    """A ruleset of AWS Glue Data Quality on one table, with the role that evaluates it and, if wanted, a
    schedule. Usually made by ``table.add_quality_rules``.

    All rule types of Glue are there, also those that a pipeline's gate does not evaluate. The role reads this
    table and no other, publishes the result of this ruleset, and writes its log. An alarm goes off when a
    rule fails, and, with ``expect_within``, when there was no result for so long: a run that cannot start has
    no result.

    **Costs at rest**: 0.10 USD a month for each alarm. A run costs 0.44 USD for each hour of a worker, one
    minute at least: about 0.04 USD with five workers (us-east-1, November 2026).

    ```python
    from aws_cdk import Duration
    from cdk_data_science import AlertTopic, DataLake, QualityResults, QualityRules, TableQuality

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    TableQuality(
        self,
        "Reviews",
        table=reviews,
        rules=QualityRules('Rules = [ IsUnique "review_id", Mean "stars" between 1 and 5 ]'),
        results=QualityResults(self, "Results", zone=lake.curated, alerts=AlertTopic(self, "Alerts")),
        schedule="cron(30 4 * * ? *)",
        expect_within=Duration.hours(26),
    )
    ```

    Args:
        table: The table.
        rules: What it has to meet.
        results: Where the outcomes go, and who is told.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``. Default: none, started by hand
            or by who :meth:`grant_evaluate` lets.
        timezone: Of the schedule, such as ``Europe/Berlin``. Default: UTC.
        name: Of the ruleset, at most 255 characters, unique in the account and region. Default: made from the
            construct's path.
        workers: G.1X workers of a scheduled run, 2 to 299. Default: 5.
        timeout: Of a scheduled run, in whole minutes, up to 2 days. Default: 2 hours.
        expect_within: Longest time without a result, 1 hour to 7 days, that needs a schedule. Default: not
            watched.

    Raises:
        ConfigurationError: For rules on columns that the table lacks, and for options that Glue would refuse,
            all mistakes at once.

    Follows https://docs.aws.amazon.com/glue/latest/dg/data-quality-gs-data-catalog.html and
    https://docs.aws.amazon.com/glue/latest/dg/data-quality-authorization.html.
    """

    ruleset: glue.CfnDataQualityRuleset
    """The resource."""

    ruleset_name: str
    """Its name, by which the results, the metrics and the alarm call it."""

    role: iam.Role
    """What evaluates it."""

    failed: cloudwatch.Alarm
    """Goes off when a rule fails."""

    silent: cloudwatch.Alarm | None
    """Goes off when there was no result for too long; None if that is not watched."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: TableBase,
        rules: QualityRules,
        results: QualityResults,
        schedule: str | None = None,
        timezone: str = "UTC",
        name: str | None = None,
        workers: int = 5,
        timeout: Duration | None = None,
        expect_within: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        timeout = Duration.hours(2) if timeout is None else timeout
        self.table, self.results = table, results
        self._check(rules, schedule, timezone, name, workers, timeout, expect_within)
        self.ruleset_name = (
            Names.unique_resource_name(self, max_length=255, separator="-") if name is None else name
        )
        self.ruleset = glue.CfnDataQualityRuleset(
            self,
            "Resource",
            name=self.ruleset_name,
            description=f"Quality of {table.name}",
            ruleset=rules.text,
            target_table=glue.CfnDataQualityRuleset.DataQualityTargetTableProperty(
                database_name=table.database_name, table_name=table.name
            ),
        )
        for made in table.made:
            if Stack.of(made) is Stack.of(self):
                self.ruleset.add_resource_dependency(made)
        self.node.default_child = self.ruleset
        self.ruleset_arn = Stack.of(self).format_arn(
            service="glue", resource="dataQualityRuleset", resource_name=self.ruleset_name
        )
        self._log_folder = f"{_LOG_FOLDER}/{self.ruleset_name}"
        self.role = self._role()
        self.failed = alarm(
            self,
            "Failed",
            results.metric_rules_failed(self.ruleset_name),
            description=f"Table {table.name} breaks its quality rules; table {results.table.name} says which",
        )
        results.alerts.notify(self.failed)
        if schedule is not None:
            self._start(schedule, timezone, workers, timeout)
        self.silent = None if expect_within is None else self._expect(expect_within)

    def grant_evaluate(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal start evaluations of this ruleset as its role, and read their results."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[
                "glue:StartDataQualityRulesetEvaluationRun",
                "glue:GetDataQualityRulesetEvaluationRun",
                "glue:GetDataQualityResult",
            ],
            resource_arns=[self.ruleset_arn],
        ).combine(self.role.grant_pass_role(grantee.grant_principal))

    def metric_rules_failed(self) -> cloudwatch.Metric:
        """Rules that did not hold, or that Glue could not evaluate."""
        return self.results.metric_rules_failed(self.ruleset_name)

    def metric_rules_passed(self) -> cloudwatch.Metric:
        """Rules that held."""
        return self.results.metric_rules_passed(self.ruleset_name)

    def _check(
        self,
        rules: QualityRules,
        schedule: str | None,
        timezone: str,
        name: str | None,
        workers: int,
        timeout: Duration,
        expect_within: Duration | None,
    ) -> None:
        problems = Problems("TableQuality", self)
        problems.check_kind("rules", rules, QualityRules, write="QualityRules('Rules = [ … ]')")
        problems.raise_if_any()
        unknown = [column for column in rules.columns if column not in self.table.column_names]
        problems.check(
            not unknown,
            given=f"rules on {', '.join(map(repr, unknown))}",
            allowed=f"columns of {self.table.name!r}: {', '.join(self.table.column_names)}",
        )
        check_schedule(problems, schedule, timezone)
        problems.check(
            name is None or is_token(name) or 0 < len(name) <= 255,
            given=f"a name of {len(name or '')} characters",
            allowed="1 to 255",
        )
        problems.check(
            2 <= workers <= _MOST_WORKERS, given=f"workers={workers}", allowed=f"2 to {_MOST_WORKERS}"
        )
        minutes = timeout.to_seconds(integral=False) / 60
        problems.check(
            minutes == int(minutes) and 1 <= minutes <= _LONGEST_MINUTES,
            given=f"timeout of {minutes:g} minutes",
            allowed=f"whole minutes, 1 to {_LONGEST_MINUTES}",
            write="timeout=Duration.hours(2)",
        )
        hours = 1.0 if expect_within is None else expect_within.to_seconds(integral=False) / 3600
        problems.check(
            hours == int(hours) and 1 <= hours <= _LONGEST_SILENCE_HOURS,
            given=f"expect_within of {hours:g} hours",
            allowed=f"whole hours, 1 to {_LONGEST_SILENCE_HOURS} (7 days)",
            write="expect_within=Duration.hours(26)",
        )
        problems.check(
            expect_within is None or schedule is not None,
            given="expect_within without a schedule",
            allowed="both, or no expect_within",
        )
        problems.raise_if_any()

    def _role(self) -> iam.Role:
        stack = Stack.of(self)
        role = service_role(self, "glue", f"Evaluates the quality rules of table {self.table.name}")
        self.table.grant_select(role)
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Ruleset",
                actions=[
                    "glue:GetDataQualityRuleset",
                    "glue:GetDataQualityRulesetEvaluationRun",
                    "glue:PublishDataQuality",
                ],
                resources=[self.ruleset_arn],
            )
        )
        # Glue loads its own libraries as this role.
        libraries = f"arn:{stack.partition}:s3:::aws-glue-ml-data-quality-assets-{stack.region}/*"
        role.add_to_policy(
            iam.PolicyStatement(sid="Libraries", actions=["s3:GetObject"], resources=[libraries])
        )
        acknowledge_wildcards(
            role,
            self,
            [libraries],
            "Programs of AWS Glue, public and for reading, in a bucket of AWS for this one purpose.",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Metrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": _NAMESPACE}},
            )
        )
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "cloudwatch:PutMetricData has no resource type in IAM; a condition binds it to the namespace of "
            "Glue Data Quality.",
        )
        for stream in ("error", "output"):
            group = logs.LogGroup(
                self,
                f"{stream.title()}Log",
                log_group_name=f"{self._log_folder}/{stream}",
                encryption_key=self.results.key,
                retention=logs.RetentionDays.ONE_YEAR,
                # A run after the stack is gone would find a group of this name, so it goes with the stack.
                removal_policy=RemovalPolicy.DESTROY,
            )
            group.grant(role, "logs:CreateLogStream", "logs:PutLogEvents")
        return role

    def _start(self, schedule: str, timezone: str, workers: int, timeout: Duration) -> None:
        call_by_schedule(
            self,
            schedule=schedule,
            timezone=timezone,
            service="glue",
            call="startDataQualityRulesetEvaluationRun",
            input={
                "DataSource": {
                    "GlueTable": {
                        "DatabaseName": self.table.database_name,
                        "TableName": self.table.name,
                        "CatalogId": Stack.of(self.table.zone).account,
                    }
                },
                "Role": self.role.role_arn,
                "RulesetNames": [self.ruleset_name],
                "NumberOfWorkers": workers,
                "Timeout": timeout.to_minutes(),
                "AdditionalRunOptions": {
                    "CloudWatchMetricsEnabled": True,
                    "CustomLogGroupPrefix": self._log_folder,
                },
            },
            resource=self.ruleset_arn,
            starts="evaluation of quality rules",
        )
        starter = cast("iam.Role", self.node.find_child("Starter"))
        self.role.grant_pass_role(starter)

    def _expect(self, within: Duration) -> cloudwatch.Alarm:
        hours = within.to_hours()
        made = cloudwatch.Alarm(
            self,
            "Silent",
            metric=self.metric_rules_passed().with_(statistic="SampleCount", period=Duration.hours(1)),
            threshold=1,
            evaluation_periods=hours,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            alarm_description=f"No result of the quality rules of {self.table.name} for {hours} hours",
        )
        self.results.alerts.notify(made)
        return made
