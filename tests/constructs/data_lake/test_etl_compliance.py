"""Jobs, connections and their tasks leave no finding open: of four packs, and of ours."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk_data_science import AlertTopic
from cdk_data_science.data_lake import (
    BucketCopy,
    DatabaseConnection,
    DataLake,
    DataProfile,
    LakeFormation,
    PartnerUpload,
    RecipeJob,
    RecipeStep,
    ScriptFile,
    ScriptObject,
    SparkJob,
    StreamingJob,
    ZoneFolder,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.constructs import nag, support


def elsewhere(stack: cdk.Stack) -> tuple[ec2.IVpc, secretsmanager.ISecret, kinesis.IStream]:
    """What other people own: their findings are theirs."""
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-12345678",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-12345678"],
        private_subnet_route_table_ids=["rtb-12345678"],
    )
    secret = secretsmanager.Secret.from_secret_complete_arn(
        stack, "Secret", f"arn:aws:secretsmanager:{support.REGION}:{support.ACCOUNT}:secret:shop-AbCdEf"
    )
    stream = kinesis.Stream.from_stream_arn(
        stack, "Stream", f"arn:aws:kinesis:{support.REGION}:{support.ACCOUNT}:stream/clicks"
    )
    return vpc, secret, stream


def jobs(scope: Construct, lake: DataLake, *, alerts: AlertTopic | None) -> None:
    vpc, secret, stream = elsewhere(cdk.Stack.of(scope))
    table = lake.curated.tables["reviews"]
    database = DatabaseConnection(
        scope, "Shop", url="jdbc:postgresql://shop:5432/shop", secret=secret, vpc=vpc
    )
    SparkJob(
        scope,
        "Batch",
        script=ScriptFile(path=Path(__file__)),
        reads=[lake.raw],
        writes=[table],
        connections=[database],
        schedule="cron(0 4 * * ? *)",
        bookmarks=True,
        alerts=alerts,
    )
    profiles = ZoneFolder(zone=lake.raw, prefix="profiles/")
    DataProfile(scope, "Profile", table=table, output=profiles, schedule="cron(0 4 * * ? *)", alerts=alerts)
    trim = RecipeStep(operation="TRIM", parameters={"sourceColumn": "id"})
    cleaned = ZoneFolder(zone=lake.raw, prefix="cleaned/")
    RecipeJob(scope, "Recipe", table=table, steps=[trim], output=cleaned, alerts=alerts)
    BucketCopy(
        scope,
        "Copy",
        source=s3.Bucket.from_bucket_name(scope, "Source", "shop-exports"),
        to=ZoneFolder(zone=lake.raw, prefix="copies/"),
        schedule="cron(0 4 * * ? *)",
        alerts=alerts,
    )
    PartnerUpload(
        scope,
        "Vendor",
        folder=ZoneFolder(zone=lake.raw, prefix="vendor/"),
        account="444455556666",
        external_id="2f9c1d4e-8b7a-4c55-9d3e-61c0a7f0b821",
    )
    PartnerUpload(
        scope,
        "Partner",
        folder=ZoneFolder(zone=lake.raw, prefix="partner/"),
        roles=["arn:aws:iam::444455556666:role/exporter"],
    )
    StreamingJob(
        scope,
        "Stream job",
        script=ScriptObject(zone=lake.raw, key="jobs/stream.py"),
        stream=stream,
        checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/"),
        writes=[ZoneFolder(zone=lake.raw, prefix="clicks/")],
        keep_running=True,
        alerts=alerts,
    )


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_jobs_have_no_unacknowledged_finding(references: str) -> None:
    # GIVEN jobs beside the lake, and in another stack
    app = support.app({"@aws-cdk/core:defaultCrossStackReferences": references})
    cdk.Tags.of(app).add("owner", "data-platform")
    env = support.environment()
    home, away = support.stack(app, "Home", env=env), support.stack(app, "Away", env=env)
    lake = DataLake(
        home,
        "Lake",
        zones=["raw", "curated"],
        lake_formation=LakeFormation(hybrid=False, administer=True),
    )
    lake.curated.add_table("reviews", schema={"id": "string"})
    jobs(home, lake, alerts=None)
    jobs(away, lake, alerts=AlertTopic(away, "Alerts"))
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    # WHEN all rules run, THEN nothing is left to acknowledge
    found = nag.unacknowledged(app)
    assert not found, "\n".join(found)
