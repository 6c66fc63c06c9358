"""What can be changed of rules, Iceberg tables and table buckets replaces nothing that holds something."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from cdk_data_science import AlertTopic
from cdk_data_science.data_lake import (
    Column,
    DataLake,
    Iceberg,
    QualityResults,
    QualityRules,
    TableBucket,
    TableMaintenance,
)
from tests.compliance import cloudformation
from tests.constructs import support

SCHEMA = [Column(name="id", type="string", field_id=1), Column(name="stars", type="int", field_id=2)]
STATEFUL = {
    "AWS::Glue::DataQualityRuleset",
    "AWS::Glue::Table",
    "AWS::Glue::TableOptimizer",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3Tables::Namespace",
    "AWS::S3Tables::Table",
    "AWS::S3Tables::TableBucket",
}


def built(*, changed: bool) -> dict[str, dict[str, Any]]:
    """The same stack, with every option that may be changed as it is by default, or as something else."""
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["curated"])
    results = QualityResults(stack, "Results", zone=lake.curated, alerts=AlertTopic(stack, "Alerts"))
    table = lake.curated.add_table("reviews", schema=SCHEMA, format=Iceberg())
    table.add_quality_rules(
        QualityRules("Rules = [ RowCount > 2 ]" if changed else "Rules = [ RowCount > 1 ]"),
        results=results,
        schedule="cron(0 5 * * ? *)" if changed else "cron(0 4 * * ? *)",
        timezone="Europe/Berlin" if changed else "UTC",
        workers=9 if changed else 5,
        timeout=cdk.Duration.hours(3 if changed else 2),
        expect_within=cdk.Duration.hours(50 if changed else 26),
    )
    TableMaintenance(
        stack,
        "Maintenance",
        table=table,
        compaction="sort" if changed else "binpack",
        snapshot_days=30 if changed else 365,
        keep_snapshots=3 if changed else 10,
        orphan_days=9 if changed else 7,
    )
    days = 20 if changed else 10
    bucket = TableBucket(stack, "Tables", unreferenced_days=days // 2, noncurrent_days=days)
    bucket.add_namespace("shop").add_table(
        "clicks",
        schema=SCHEMA,
        snapshot_days=30 if changed else 365,
        keep_snapshots=3 if changed else 10,
        target_file_mb=128 if changed else 512,
    )
    return support.resources(stack)


def test_nothing_that_holds_something_is_replaced() -> None:
    before, after = built(changed=False), built(changed=True)
    assert before.keys() == after.keys()
    changed: dict[str, set[str]] = {}
    for logical_id, resource in before.items():
        old, new = resource.get("Properties", {}), after[logical_id].get("Properties", {})
        names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if names:
            changed.setdefault(resource["Type"], set()).update(names)
    # Each kind was changed, or this proves nothing.
    assert {
        "AWS::Glue::DataQualityRuleset",
        "AWS::Glue::TableOptimizer",
        "AWS::S3Tables::Table",
        "AWS::S3Tables::TableBucket",
        "AWS::Scheduler::Schedule",
    } <= changed.keys()
    replaced = {
        kind: sorted(names & cloudformation.create_only(kind))
        for kind, names in changed.items()
        if kind in STATEFUL and names & cloudformation.create_only(kind)
    }
    assert replaced == {}
