"""Whether the data are good: the rules of tables, and the outcome of every rule."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake, QualityResults, QualityRules, TableQuality
from settings.lake import Quality
from settings.model import Settings
from stacks.network import NetworkStack
from stacks.serving import architecture, python_runtime


class QualityStack(cdk.Stack):
    """The table of outcomes, and the rules that Glue evaluates on tables of the lake."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        quality: Quality,
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope, id, env=env, description="Quality: rules of tables, outcomes of rules, alarms on them"
        )
        self.results = QualityResults(
            self,
            "Results",
            zone=lake.zone(quality.zone),
            name=quality.table,
            alerts=alerts,
            key=alerts.key,
            runtime=python_runtime(settings),
            architecture=architecture(settings),
            network=None if network is None else network.functions,
        )
        self.tables = {
            name: TableQuality(
                self,
                f"Table-{name}",
                table=lake.zone(table.zone).tables[name],
                rules=QualityRules(table.rules),
                results=self.results,
                schedule=table.rules_schedule,
                expect_within=None
                if table.rules_late_hours is None
                else cdk.Duration.hours(table.rules_late_hours),
            )
            for name, table in settings.lake.tables.items()
            if table.rules is not None
        }
        cdk.CfnOutput(
            self,
            "QualityTable",
            value=f"{lake.zone(quality.zone).database_name}.{self.results.table.name}",
            description="Table with the outcome of every quality rule",
        )
