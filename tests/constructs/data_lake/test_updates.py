"""Every option that may change changes what is there in place: nothing that holds data or is known by its
name is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from cdk_data_science import AlertTopic
from cdk_data_science.data_lake import (
    Archive,
    BucketCopy,
    CrawlerOutput,
    DatabaseConnection,
    DataLake,
    DataProfile,
    LakeCrawler,
    QueryWorkgroup,
    RecipeJob,
    RecipeStep,
    Replication,
    ScriptFile,
    SparkWorkgroup,
    StreamingJob,
    Workers,
    ZoneDefinition,
    ZoneFolder,
)
from tests.constructs import support

TRIM = RecipeStep(operation="TRIM", parameters={"sourceColumn": "id"})
Template = dict[str, dict[str, Any]]


def zone(stack: cdk.Stack, *, changed: bool) -> ZoneDefinition:
    if not changed:
        return ZoneDefinition(name="raw")
    key = kms.Key.from_key_arn(stack, "CopyKey", "arn:aws:kms:eu-central-1:111122223333:key/copy")
    bucket = s3.Bucket.from_bucket_name(stack, "Copies", "lake-copies")
    return ZoneDefinition(
        name="raw",
        intelligent_tiering_days=None,
        infrequent_access_days=40,
        archive=Archive(days=90, depth="flexible"),
        expire_days=500,
        noncurrent_expire_days=30,
        abort_upload_days=1,
        events=False,
        inventory="daily",
        replication=Replication(bucket=bucket, key=key),
    )


def made(*, changed: bool) -> Template:
    """One of each, with the defaults or with all that may change changed."""
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=[zone(stack, changed=changed), "curated"])
    alerts = AlertTopic(stack, "Alerts")
    reviews = lake.curated.add_table("reviews", schema={"id": "string"})
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    secrets = [secretsmanager.Secret(stack, name) for name in ("One", "Two")]
    clicks = [kinesis.Stream(stack, f"Clicks{number}") for number in (1, 2)]
    shared: dict[str, Any] = {"alerts": alerts}

    def options(**after: Any) -> dict[str, Any]:
        return after if changed else {}

    LakeCrawler(
        stack,
        "Crawler",
        lake=lake,
        zone="raw",
        log_key=alerts.key,
        **{"prefixes": ["in/"]}
        | options(
            prefixes=["in/", "more/"],
            table_prefix="in_",
            recrawl="new_folders",
            output=CrawlerOutput(combine_schemas=True),
            exclusions=["**/tmp/**"],
            sample_size=5,
        ),
    )
    StreamingJob(
        stack,
        "Stream",
        script=ScriptFile(path=Path(__file__)),
        stream=clicks[changed],
        checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/"),
        log_key=alerts.key,
        **shared
        | options(
            workers=Workers(type="G.1X", count=3),
            glue_version="5.1",
            maintenance_window="Mon:4",
            retries=3,
            arguments={"--table": "clicks"},
            writes=[ZoneFolder(zone=lake.raw, prefix="clicks/")],
        ),
    )
    DatabaseConnection(
        stack,
        "Shop",
        url=f"jdbc:postgresql://shop{int(changed)}:5432/shop",
        secret=secrets[changed],
        vpc=vpc,
        subnet=vpc.private_subnets[changed],
    )
    DataProfile(
        stack,
        "Profile",
        table=reviews,
        output=ZoneFolder(zone=lake.raw, prefix=f"profiles{int(changed)}/"),
        **shared | options(columns=["id"], rows=None, entities=["EMAIL"], nodes=1, retries=1),
    )
    RecipeJob(
        stack,
        "Recipe",
        table=reviews,
        steps=[TRIM],
        output=ZoneFolder(zone=lake.raw, prefix=f"clean{int(changed)}/"),
        **shared | options(format="csv", nodes=1, retries=1, timeout=cdk.Duration.hours(3)),
    )
    BucketCopy(
        stack,
        "Copy",
        source=s3.Bucket.from_bucket_name(stack, "Source", "shop-exports"),
        to=ZoneFolder(zone=lake.raw, prefix="copies/"),
        **shared | options(source_prefix="orders/", overwrite=False, exclude=["*.tmp"]),
    )
    QueryWorkgroup(
        stack,
        "Queries",
        name="queries",
        results=lake.raw,
        **shared | options(description="d", query_limit_bytes=20_000_000, results_prefix="results/"),
    )
    SparkWorkgroup(
        stack,
        "Notebooks",
        name="notebooks",
        results=ZoneFolder(zone=lake.raw, prefix=f"notebooks{int(changed)}/"),
        **options(description="d", reads=[reviews]),
    )
    return support.resources(stack)


def at(properties: Any, path: list[str]) -> Any:
    for part in path:
        properties = properties.get(part) if isinstance(properties, dict) else None
    return properties


def replaced(before: Template, after: Template) -> dict[str, str]:
    """Resources of both templates that CloudFormation would replace, with the property."""
    found = {}
    for key in before.keys() & after.keys():
        old, new = before[key]["Properties"], after[key]["Properties"]
        if old == new or "::" not in before[key]["Type"].removeprefix("Custom::"):
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(support.REGION, before[key]["Type"]).schema
        for name in schema.get("createOnlyProperties", ()):
            path = name.split("/")[2:]
            if at(old, path) != at(new, path):
                found[key] = ".".join(path)
    return found


@pytest.fixture(scope="module")
def templates() -> tuple[Template, Template]:
    return made(changed=False), made(changed=True)


def test_each_option_is_changed_in_place(templates: tuple[Template, Template]) -> None:
    before, after = templates
    types = {before[key]["Type"] for key in before.keys() & after.keys() if before[key] != after[key]}
    assert types >= {
        "AWS::Athena::WorkGroup",
        "AWS::DataBrew::Job",
        "AWS::DataSync::LocationS3",
        "AWS::DataSync::Task",
        "AWS::Glue::Connection",
        "AWS::Glue::Crawler",
        "AWS::Glue::Job",
        "AWS::S3::Bucket",
    }
    assert replaced(before, after) == {}


def test_nothing_goes_when_options_change(templates: tuple[Template, Template]) -> None:
    before, after = templates
    assert {before[key]["Type"] for key in before.keys() - after.keys()} == set()


def test_what_would_be_replaced_is_found() -> None:
    old: Template = {"W": {"Type": "AWS::Athena::WorkGroup", "Properties": {"Name": "a"}}}
    new: Template = {"W": {"Type": "AWS::Athena::WorkGroup", "Properties": {"Name": "b"}}}
    assert replaced(old, new) == {"W": "Name"}
    connection = {"Type": "AWS::Glue::Connection", "Properties": {"ConnectionInput": {"Name": "a"}}}
    other = {"Type": "AWS::Glue::Connection", "Properties": {"ConnectionInput": {"Name": "b"}}}
    assert replaced({"C": connection}, {"C": other}) == {"C": "ConnectionInput.Name"}
