"""What somebody without a type checker writes: texts for lists, names for things, numbers for durations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science import (
    BucketCopy,
    ConfigurationError,
    DataLake,
    DataProfile,
    Iceberg,
    JobConnection,
    LakeCrawler,
    LakeTag,
    PartnerUpload,
    QualityResults,
    QueryWorkgroup,
    RecipeJob,
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


class Home:
    """A lake with two tables, and a scope for each mistake."""

    def __init__(self) -> None:
        self.stack = support.stack()
        self.lake = DataLake(self.stack, "Lake", zones=["raw", "curated"])
        self.raw: Any = self.lake.raw
        self.plain: Any = self.raw.add_table("plain", schema={"id": "string", "d": "string", "i": "string"})
        self.iceberg: Any = self.raw.add_table(
            "history", schema=[Column(name="id", type="string", field_id=1)], format=Iceberg()
        )
        self.folder: Any = ZoneFolder(zone=self.raw, prefix="out/")
        self.queries = QueryWorkgroup(self.stack, "Queries", name="queries")
        self.role = iam.Role(self.stack, "Role", assumed_by=iam.AccountRootPrincipal())
        self.count = 0

    @property
    def scope(self) -> Construct:
        """A new place in the tree."""
        self.count += 1
        return Construct(self.stack, f"Case{self.count}")

    def job(self, **options: Any) -> SparkJob:
        given: dict[str, Any] = {"script": ScriptObject(zone=self.raw, key="a.py"), **options}
        return SparkJob(self.scope, "Job", **given)

    def export(self, **options: Any) -> SnapshotExport:
        given: dict[str, Any] = {
            "table": self.iceberg,
            "columns": ["id"],
            "order_by": ["id"],
            "to": self.folder,
            "workgroup": self.queries,
            **options,
        }
        return SnapshotExport(self.scope, "Export", **given)


@pytest.fixture(scope="module")
def home() -> Home:
    return Home()


def anything(value: Any) -> Any:
    """Hide a mistake from our own type checker."""
    return value


Case = Callable[[Home], object]
LETTERS = "each letter of a text would be one of its items"

CASES: list[tuple[Case, str]] = [
    (lambda h: DataLake(h.scope, "Lake", zones="raw"), 'write: zones=["raw"]'),
    (lambda h: DataLake(h.scope, "Lake", zones=anything([{"name": "raw"}])), "a zone {'name': 'raw'}"),
    (lambda h: LakeTag(h.scope, "Tag", key="sensitivity", values="public"), 'write: values=["public"]'),
    (lambda h: h.plain.grant_select(h.role, columns="id"), 'write: columns=["id"]'),
    (lambda h: LakeCrawler(h.scope, "Crawler", lake=h.lake, zone="raw", prefixes="in/"), LETTERS),
    (lambda h: PartnerUpload(h.scope, "Partner", folder=h.folder, roles="arn:aws:iam::1:role/a"), LETTERS),
    (lambda h: ZoneFolder(zone=anything("raw"), prefix="a/"), 'write: zone=lake.zone("raw")'),
    (lambda h: h.raw.add_table("t", schema={"id": "string"}, format="parquet"), "write: format=Parquet()"),
    (lambda h: h.job(script="jobs/a.py"), 'write: script=ScriptFile(path="jobs/clean.py")'),
    (lambda h: h.job(workers=5), 'write: workers=Workers(type="G.1X", count=2)'),
    (lambda h: h.job(timeout=30), "write: timeout=Duration.hours(2)"),
    (lambda h: h.job(reads=h.raw), "given reads=Zone(…); allowed: a list"),
    (lambda h: h.job(reads="raw/in/"), "given reads='raw/in/'; allowed: a list"),
    (lambda h: h.job(writes=["raw/in/"]), "given a place of writes 'raw/in/'"),
    (lambda h: h.job(arguments={"--rows": 3}), "given argument '--rows' of 3; allowed: texts"),
    (lambda h: h.job(schedule="cron(0 3 * * ? *)", timezone="Europe/Berln"), "timezone='Europe/Berln'"),
    (lambda h: h.job(schedule=7), "given schedule=7"),
    (
        lambda h: StreamingJob(
            h.scope,
            "Stream",
            script=ScriptObject(zone=h.raw, key="a.py"),
            stream=anything("clicks"),
            checkpoints=h.folder,
        ),
        "given stream='clicks'; allowed: a stream",
    ),
    (lambda h: QualityResults(h.scope, "Results", zone=anything("raw")), 'write: zone=lake.zone("curated")'),
    (
        lambda h: TableQuality(
            h.scope, "Quality", table=h.plain, rules=anything("Rules = []"), results=anything(None)
        ),
        "write: rules=QualityRules(",
    ),
    (lambda h: TableMaintenance(h.scope, "M", table=h.iceberg, snapshot_days=anything(1.5)), "whole days"),
    (lambda h: DataProfile(h.scope, "P", table=anything("plain"), output=h.folder), "given table='plain'"),
    (lambda h: DataProfile(h.scope, "P", table=h.plain, output=h.folder, columns="id"), LETTERS),
    (
        lambda h: RecipeJob(
            h.scope, "R", table=h.plain, steps=anything([{"operation": "TRIM"}]), output=h.folder
        ),
        "given a step {'operation': 'TRIM'}; allowed: RecipeStep",
    ),
    (lambda h: h.export(columns="id"), 'write: columns=["id"]'),
    (lambda h: h.export(to=h.raw), "given to=Zone(…); allowed: ZoneFolder"),
    (
        lambda h: h.export(to=ZoneFolder(zone=h.raw, prefix="history/exports/")),
        "what removes their orphans would remove exports",
    ),
    (
        lambda h: SparkWorkgroup(h.scope, "W", name="explore", results=h.raw),
        "given results=Zone(…); allowed: ZoneFolder",
    ),
    (
        lambda h: BucketCopy(h.scope, "Copy", source=anything("shop-exports"), to=h.folder),
        's3.Bucket.from_bucket_name(self, "Source", "shop-exports")',
    ),
    (
        lambda h: BucketCopy(
            h.scope, "Copy", source=s3.Bucket.from_bucket_name(h.scope, "B", "shop-exports"), to=h.raw
        ),
        "given to=Zone(…); allowed: ZoneFolder",
    ),
    (
        lambda h: (
            TableBucket(h.scope, "Tables")
            .add_namespace("shop")
            .add_table("clicks", schema=anything({"id": "string"}))
        ),
        "given a column 'id'; allowed: Column",
    ),
    (
        lambda h: JobConnection(
            h.scope,
            "Inside",
            vpc=ec2.Vpc.from_vpc_attributes(
                h.scope,
                "Vpc",
                vpc_id="vpc-1",
                availability_zones=["eu-west-1a"],
                isolated_subnet_ids=["subnet-1"],
            ),
        ),
        "write: subnet=vpc.isolated_subnets[0]",
    ),
]


@pytest.mark.parametrize(("make", "said"), CASES)
def test_what_is_of_another_kind_is_told_with_what_to_write(home: Home, make: Case, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make(home)
    assert said in str(refused.value)
