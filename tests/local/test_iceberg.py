"""Iceberg tables and rules of tables on the local AWS: what is made there, and what it can and cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import DataLake, Iceberg, QueryWorkgroup, TableBucket, TableMaintenance, ZoneFolder
from cdk_data_science.data_lake import Column, SnapshotExport
from tests.local import assembly
from tests.local.conftest import LocalAws, unique

SCHEMA = [
    Column(name="review_id", type="string", field_id=1, required=True),
    Column(name="stars", type="int", field_id=2),
]


class Tables:
    """What was deployed."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str]) -> None:
        self.aws, self.outputs = aws, outputs


@pytest.fixture(scope="module")
def tables(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    stack = assembly.new_stack(tmp_path_factory.mktemp("tables"), "tables")
    lake = DataLake(stack, "Lake", zones=["raw", "curated"])
    reviews = lake.curated.add_table("reviews", schema=SCHEMA, format=Iceberg())
    TableMaintenance(stack, "Maintenance", table=reviews)
    export = SnapshotExport(
        stack,
        "Export",
        table=reviews,
        columns=["review_id", "stars"],
        order_by=["review_id"],
        to=ZoneFolder(zone=lake.raw, prefix="reviews/"),
        workgroup=QueryWorkgroup(stack, "Queries", name=unique("exports"), results=lake.raw),
    )
    bucket = TableBucket(stack, "Tables")
    clicks = bucket.add_namespace("shop").add_table("clicks", schema=SCHEMA)
    for name, value in {
        "TableBucketArn": bucket.bucket.attr_table_bucket_arn,
        "TableArn": clicks.arn,
        "ExportArn": export.state_machine.state_machine_arn,
    }.items():
        cdk.CfnOutput(stack, name, value=value)
    yield Tables(local_aws, assembly.deploy(local_aws, stack))
    assembly.destroy(local_aws, stack)


def test_a_managed_table_is_there_with_its_columns(tables: Tables) -> None:
    client = tables.aws.client("s3tables")
    (found,) = client.list_tables(tableBucketARN=tables.outputs["TableBucketArn"])["tables"]
    assert (found["name"], found["namespace"]) == ("clicks", ["shop"])
    assert found["tableARN"] == tables.outputs["TableArn"]


@pytest.mark.parametrize("given", [{"snapshot": "1; DROP TABLE reviews"}, {"snapshot": 1}, {"snapshot": ""}])
def test_what_is_no_snapshot_never_reaches_a_query(tables: Tables, given: dict[str, Any]) -> None:
    done = tables.aws.execute(tables.outputs["ExportArn"], given)
    assert (done["status"], done["error"]) == ("FAILED", "InvalidSnapshot")


def test_an_export_ends_by_saying_what_does_not_run_here(tables: Tables) -> None:
    done = tables.aws.execute(tables.outputs["ExportArn"], {"snapshot": "42"})
    assert done["status"] == "FAILED"
    assert "athena:startQueryExecution.sync does not run on the local AWS" in done["cause"]
