"""Every grant of what works on the lake: a call that goes through, and its neighbour that does not.

``Starter`` and its like are given one grant each; roles of the constructs themselves are below their names.
"""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_data_science import (
    AlertTopic,
    DatabaseConnection,
    DataLake,
    DataProfile,
    Iceberg,
    JobConnection,
    LakeCrawler,
    LakeFormation,
    QualityResults,
    QualityRules,
    QueryWorkgroup,
    ScriptObject,
    SnapshotExport,
    SparkJob,
    SparkWorkgroup,
    StreamingJob,
    TableBucket,
    TableMaintenance,
    TableQuality,
    ZoneFolder,
)
from cdk_data_science.data_lake import Column
from tests.constructs import support
from tests.constructs.security.simulator import Simulator

TLS = {"aws:SecureTransport": "true"}
ICEBERG = [Column(name="id", type="string", field_id=1)]


class Work:
    """One of each, and a role for each grant."""

    def __init__(self) -> None:
        self.stack = stack = support.stack(env=support.environment())
        self.lake = lake = DataLake(
            stack, "Lake", zones=["raw", "curated", "results"], lake_formation=LakeFormation(hybrid=False)
        )
        alerts = AlertTopic(stack, "Alerts")
        history = lake.curated.add_table("history", schema=ICEBERG, format=Iceberg())
        lake.curated.add_table("people", schema=ICEBERG, format=Iceberg())
        reviews = lake.raw.add_table("reviews", schema={"id": "string"})
        vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
        stream = kinesis.Stream(stack, "Clicks")
        script = ScriptObject(zone=lake.raw, key="jobs/job.py")
        shared: dict[str, Any] = {"script": script, "alerts": alerts, "log_key": alerts.key}
        workgroup = QueryWorkgroup(stack, "Queries", name="queries", results=lake.zone("results"))
        tables = TableBucket(stack, "Tables").add_namespace("shop")
        clicks, orders = (tables.add_table(name, schema=ICEBERG) for name in ("clicks", "orders"))
        results = QualityResults(stack, "Results", zone=lake.curated, alerts=alerts)
        made: dict[str, Any] = {
            "job": SparkJob(stack, "Job", **shared),
            "stream": StreamingJob(
                stack,
                "Stream",
                stream=stream,
                checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/"),
                **shared,
            ),
            "profile": DataProfile(
                stack,
                "Profile",
                table=reviews,
                output=ZoneFolder(zone=lake.curated, prefix="profiles/"),
                alerts=alerts,
            ),
            "network": JobConnection(stack, "Inside", vpc=vpc),
            "database": DatabaseConnection(
                stack,
                "Shop",
                url="jdbc:mysql://shop.internal:3306/shop",
                secret=secretsmanager.Secret(stack, "Secret"),
                vpc=vpc,
            ),
            "other secret": secretsmanager.Secret(stack, "OtherSecret"),
            "export": SnapshotExport(
                stack,
                "Export",
                table=history,
                columns=["id"],
                order_by=["id"],
                to=ZoneFolder(zone=lake.raw, prefix="exports/"),
                workgroup=workgroup,
                alerts=alerts,
                key=alerts.key,
            ),
            "notebooks": SparkWorkgroup(
                stack, "Notebooks", name="notebooks", results=ZoneFolder(zone=lake.raw, prefix="notebooks/")
            ),
            "quality": TableQuality(
                stack,
                "Quality",
                table=reviews,
                rules=QualityRules('Rules = [IsUnique "id"]'),
                results=results,
                name="reviews",
            ),
        }
        TableMaintenance(stack, "Maintenance", table=history)
        LakeCrawler(stack, "Crawler", lake=lake, zone="raw", prefixes=["found/"], log_key=alerts.key)
        grants = {
            "JobStarter": made["job"].grant_start,
            "StreamStarter": made["stream"].grant_start,
            "ProfileStarter": made["profile"].grant_start,
            "Exporter": made["export"].grant_start,
            "Evaluator": made["quality"].grant_evaluate,
            "Notebook": made["notebooks"].grant_use,
            "Analyst": workgroup.grant_query,
            "Insider": made["network"].grant_use,
            "Loader": made["database"].grant_use,
            "ResultWriter": results.grant_write,
            "ResultReader": results.grant_select,
            "ClickReader": clicks.grant_read,
            "ClickWriter": clicks.grant_read_write,
            "HistoryWriter": history.grant_write,
            "HistoryReader": history.grant_select,
        }
        for name, grant in grants.items():
            grant(iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal()))
        self.arns: dict[str, Any] = {
            "job": made["job"].arn,
            "stream job": made["stream"].arn,
            "profile": made["profile"].arn,
            "stream": stream.stream_arn,
            "export": made["export"].state_machine.state_machine_arn,
            "ruleset": made["quality"].ruleset_arn,
            "evaluator": made["quality"].role.role_arn,
            "notebooks": made["notebooks"].arn,
            "network": self.connection(made["network"].name),
            "database": self.connection(made["database"].name),
            "secret": made["database"].secret.secret_arn,
            "other secret": made["other secret"].secret_arn,
            "clicks": clicks.arn,
            "orders": orders.arn,
            "table bucket": tables.bucket.bucket.attr_table_bucket_arn,
            "raw": lake.raw.bucket.bucket_arn,
            "curated": lake.curated.bucket.bucket_arn,
            "results": lake.zone("results").bucket.bucket_arn,
            "lake key": lake.key.key_arn,
            "history": self.definition(lake.curated.database_name, "history"),
            "people": self.definition(lake.curated.database_name, "people"),
            "reviews": self.definition(lake.raw.database_name, "reviews"),
            "workgroup": self.of("athena", "workgroup", "queries"),
            "other": self.of("athena", "workgroup", "others"),
        }
        self.resources = support.resources(stack)

    def of(self, service: str, resource: str, name: str) -> str:
        return self.stack.format_arn(service=service, resource=resource, resource_name=name)

    def connection(self, name: str) -> str:
        return self.of("glue", "connection", name)

    def definition(self, database: str, table: str) -> str:
        return self.of("glue", "table", f"{database}/{table}")


@pytest.fixture(scope="module")
def work() -> Work:
    return Work()


CASES = [
    # who starts a job: this one, of its kind
    ("JobStarter", "glue:StartJobRun", "{job}", True),
    ("JobStarter", "glue:BatchStopJobRun", "{job}", True),
    ("JobStarter", "glue:StartJobRun", "{stream job}", False),
    ("JobStarter", "glue:UpdateJob", "{job}", False),
    ("StreamStarter", "glue:StartJobRun", "{stream job}", True),
    ("StreamStarter", "glue:StartJobRun", "{job}", False),
    ("ProfileStarter", "databrew:StartJobRun", "{profile}", True),
    ("ProfileStarter", "databrew:StartJobRun", "{profile}-2", False),
    ("ProfileStarter", "databrew:UpdateProfileJob", "{profile}", False),
    ("Exporter", "states:StartExecution", "{export}", True),
    ("Exporter", "states:StartExecution", "{export}-2", False),
    ("Exporter", "s3:GetObject", "{curated}/history/data/a.parquet", False),  # it starts, and reads nothing
    ("Evaluator", "glue:StartDataQualityRulesetEvaluationRun", "{ruleset}", True),
    ("Evaluator", "glue:StartDataQualityRulesetEvaluationRun", "{ruleset}-2", False),
    ("Evaluator", "glue:UpdateDataQualityRuleset", "{ruleset}", False),
    ("Evaluator", "iam:PassRole", "{evaluator}", True),
    ("Evaluator", "iam:PassRole", "{evaluator}-2", False),
    # the stream's job reads this stream and writes none
    ("StreamAccessRole", "kinesis:GetRecords", "{stream}", True),
    ("StreamAccessRole", "kinesis:PutRecord", "{stream}", False),
    ("StreamAccessRole", "kinesis:GetRecords", "{stream}-2", False),
    ("JobAccessRole", "kinesis:GetRecords", "{stream}", False),
    # connections
    ("Insider", "glue:GetConnection", "{network}", True),
    ("Insider", "glue:GetConnection", "{database}", False),
    ("Insider", "secretsmanager:GetSecretValue", "{secret}", False),
    ("Loader", "glue:GetConnection", "{database}", True),
    ("Loader", "glue:GetConnection", "{network}", False),
    ("Loader", "secretsmanager:GetSecretValue", "{secret}", True),
    ("Loader", "secretsmanager:GetSecretValue", "{other secret}", False),
    # people in workgroups
    ("Notebook", "athena:StartSession", "{notebooks}", True),
    ("Notebook", "athena:StartCalculationExecution", "{notebooks}/session", True),
    ("Notebook", "athena:StartSession", "{workgroup}", False),
    ("Notebook", "athena:UpdateWorkGroup", "{notebooks}", False),
    ("Notebook", "s3:GetObject", "{raw}/reviews/a", False),  # by calculations alone
    ("Analyst", "athena:StartQueryExecution", "{workgroup}", True),
    ("Analyst", "athena:StartQueryExecution", "{other}", False),
    ("Analyst", "athena:UpdateWorkGroup", "{workgroup}", False),
    ("Analyst", "s3:GetObject", "{results}/athena/queries/a.csv", True),
    ("Analyst", "s3:GetObject", "{results}/athena/others/a.csv", False),
    ("Analyst", "s3:GetObject", "{raw}/reviews/a", False),
    ("Analyst", "glue:GetTable", "{reviews}", False),
    # outcomes of quality rules
    ("ResultWriter", "s3:PutObject", "{curated}/quality_results/a.json", True),
    ("ResultWriter", "s3:GetObject", "{curated}/quality_results/a.json", False),
    ("ResultWriter", "s3:PutObject", "{curated}/history/a.json", False),
    ("ResultReader", "s3:GetObject", "{curated}/quality_results/a.json", True),
    ("ResultReader", "s3:PutObject", "{curated}/quality_results/a.json", False),
    ("ResultReader", "s3:GetObject", "{curated}/history/a.json", False),
    ("QualityRole", "s3:GetObject", "{raw}/reviews/a.parquet", True),
    ("QualityRole", "s3:PutObject", "{raw}/reviews/a.parquet", False),
    ("QualityRole", "s3:GetObject", "{raw}/exports/a.csv", False),
    ("QualityRole", "glue:PublishDataQuality", "{ruleset}", True),
    ("QualityRole", "glue:PublishDataQuality", "{ruleset}-2", False),
    ("QualityRole", "kms:Decrypt", "{lake key}", True),
    ("QualityRole", "kms:GenerateDataKey", "{lake key}", False),
    # S3 Tables
    ("ClickReader", "s3tables:GetTableData", "{clicks}", True),
    ("ClickReader", "s3tables:GetTableData", "{orders}", False),
    ("ClickReader", "s3tables:PutTableData", "{clicks}", False),
    ("ClickReader", "s3tables:GetTableBucket", "{table bucket}", True),
    ("ClickReader", "s3tables:DeleteTableBucket", "{table bucket}", False),
    ("ClickWriter", "s3tables:PutTableData", "{clicks}", True),
    ("ClickWriter", "s3tables:UpdateTableMetadataLocation", "{clicks}", True),
    ("ClickWriter", "s3tables:PutTableData", "{orders}", False),
    ("ClickWriter", "s3tables:DeleteTable", "{clicks}", False),
    # Iceberg tables of the lake
    ("HistoryReader", "s3:GetObject", "{curated}/history/data/a.parquet", True),
    ("HistoryReader", "s3:GetObject", "{curated}/people/data/a.parquet", False),
    ("HistoryReader", "glue:UpdateTable", "{history}", False),
    ("HistoryWriter", "glue:UpdateTable", "{history}", True),
    ("HistoryWriter", "glue:UpdateTable", "{people}", False),
    ("HistoryWriter", "glue:DeleteTable", "{history}", False),
    ("HistoryWriter", "s3:PutObject", "{curated}/history/data/a.parquet", True),
    ("HistoryWriter", "s3:PutObject", "{curated}/people/data/a.parquet", False),
    ("MaintenanceRole", "s3:DeleteObject", "{curated}/history/data/a.parquet", True),
    ("MaintenanceRole", "s3:DeleteObject", "{curated}/people/data/a.parquet", False),
    ("MaintenanceRole", "s3:DeleteObjectVersion", "{curated}/history/data/a.parquet", False),
    ("MaintenanceRole", "glue:UpdateTable", "{history}", True),
    ("MaintenanceRole", "glue:UpdateTable", "{people}", False),
    # the export
    ("ExportStateMachineRole", "athena:StartQueryExecution", "{workgroup}", True),
    ("ExportStateMachineRole", "athena:StartQueryExecution", "{other}", False),
    ("ExportStateMachineRole", "s3:GetObject", "{curated}/history/metadata/a.json", True),
    ("ExportStateMachineRole", "s3:GetObject", "{curated}/people/metadata/a.json", False),
    ("ExportStateMachineRole", "s3:PutObject", "{raw}/exports/table=history/snapshot=1/data.csv", True),
    ("ExportStateMachineRole", "s3:PutObject", "{raw}/exports/table=people/snapshot=1/data.csv", False),
    ("ExportStateMachineRole", "glue:GetTable", "{history}", True),
    ("ExportStateMachineRole", "glue:GetTable", "{people}", False),
    # crawlers
    ("CrawlerRole", "s3:GetObject", "{raw}/found/a", True),
    ("CrawlerRole", "s3:GetObject", "{raw}/reviews/a", False),
    ("CrawlerRole", "s3:PutObject", "{raw}/found/a", False),
    ("CrawlerRole", "glue:CreateTable", "{reviews}", True),
    ("CrawlerRole", "glue:CreateTable", "{history}", False),  # another zone's database
]


@pytest.mark.parametrize(("role", "action", "resource", "allowed"), CASES)
def test_a_call_goes_through_and_its_neighbour_does_not(
    work: Work, role: str, action: str, resource: str, allowed: bool
) -> None:
    simulator = Simulator(work.resources, role)
    name = resource[1:].partition("}")[0]
    arn = simulator.text(work.stack.resolve(work.arns[name])) + resource.partition("}")[2]
    assert simulator.allows(action, arn, when=TLS) is allowed


def test_every_role_here_has_a_call_that_is_denied() -> None:
    roles = {role for role, *_ in CASES}
    assert {role for role, *_, allowed in CASES if allowed} == roles - {"JobAccessRole"}
    assert {role for role, *_, allowed in CASES if not allowed} == roles
