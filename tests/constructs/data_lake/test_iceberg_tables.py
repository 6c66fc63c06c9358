"""Iceberg tables: what maintains them, those that S3 keeps itself, and data of one snapshot."""

from __future__ import annotations

import json
import re
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.data_lake import (
    Column,
    DataLake,
    Iceberg,
    IcebergPartition,
    LakeFormation,
    QueryWorkgroup,
    SnapshotExport,
    TableBucket,
    TableMaintenance,
    ZoneFolder,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.compliance import task_parameters
from tests.constructs import nag, support

SCHEMA = [
    Column(name="id", type="string", field_id=1, required=True),
    Column(name="at", type="timestamp", field_id=2),
    Column(name="price", type="decimal(10,2)", field_id=3),
]


class Home:
    """An Iceberg table of the lake with all that is there for it, and one in a table bucket."""

    def __init__(self, stack: cdk.Stack) -> None:
        self.lake = DataLake(
            stack,
            "Lake",
            zones=["raw", "curated", "results"],
            lake_formation=LakeFormation(hybrid=False, administer=True),
        )
        self.alerts = AlertTopic(stack, "Alerts")
        self.table = self.lake.curated.add_table("reviews", schema=SCHEMA, format=Iceberg())
        self.plain = self.lake.raw.add_table("plain", schema={"id": "string"})
        self.workgroup = QueryWorkgroup(
            stack, "Exports", name="exports", results=self.lake.zone("results"), alerts=self.alerts
        )
        self.maintenance = TableMaintenance(stack, "Maintenance", table=self.table, snapshot_days=730)
        self.export = SnapshotExport(stack, "Export", **self.export_options())
        self.bucket = TableBucket(stack, "Tables")
        self.managed = self.bucket.add_namespace("shop").add_table(
            "clicks",
            schema=SCHEMA,
            partition_by=[IcebergPartition(column="at", transform="day")],
            snapshot_days=30,
        )
        for name, grant in (("Reader", self.managed.grant_read), ("Writer", self.managed.grant_read_write)):
            role = iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal())
            acknowledge_inline_policy(role)
            grant(role)

    def export_options(self, **changed: Any) -> dict[str, Any]:
        return {
            "table": self.table,
            "columns": ["id", "price"],
            "order_by": ["id"],
            "to": ZoneFolder(zone=self.lake.raw, prefix="reviews/"),
            "workgroup": self.workgroup,
            "alerts": self.alerts,
        } | changed


@pytest.fixture(scope="module")
def home() -> Home:
    return Home(support.stack())


@pytest.fixture(scope="module")
def stack(home: Home) -> cdk.Stack:
    stack = cdk.Stack.of(home.lake)
    support.synth(stack)
    return stack


def allowed(stack: cdk.Stack, role: str) -> dict[str, str]:
    """Where each action of a role is allowed, as text."""
    found: dict[str, str] = {}
    for key, policy in support.resources(stack, "AWS::IAM::Policy").items():
        if not key.startswith(role):
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                found[action] = f"{found.get(action, '')} {json.dumps(statement['Resource'])}"
    return found


# Maintenance


def test_a_table_is_compacted_and_old_snapshots_and_orphans_go(stack: cdk.Stack) -> None:
    found = {
        each["Properties"]["Type"]: each["Properties"]
        for each in support.resources(stack, "AWS::Glue::TableOptimizer").values()
    }
    of = {kind: each["TableOptimizerConfiguration"] for kind, each in found.items()}
    assert of["compaction"]["CompactionConfiguration"] == {"IcebergConfiguration": {"Strategy": "binpack"}}
    assert of["retention"]["RetentionConfiguration"]["IcebergConfiguration"] == {
        "SnapshotRetentionPeriodInDays": 730,
        "NumberOfSnapshotsToRetain": 10,
        "CleanExpiredFiles": True,
    }
    assert of["orphan_file_deletion"]["OrphanFileDeletionConfiguration"]["IcebergConfiguration"] == {
        "OrphanFileRetentionPeriodInDays": 7
    }
    for each in found.values():
        assert each["TableName"] == "reviews"
        assert each["TableOptimizerConfiguration"]["Enabled"] is True


def test_an_optimizer_waits_for_its_table_and_for_what_its_role_may_do(stack: cdk.Stack) -> None:
    for each in support.resources(stack, "AWS::Glue::TableOptimizer").values():
        waited = " ".join(each["DependsOn"])
        assert "MaintenanceRoleDefaultPolicy" in waited
        assert re.search("LakeCuratedTables[Rr]eviews", waited)


def test_maintenance_works_on_this_table_alone(stack: cdk.Stack) -> None:
    found = allowed(stack, "MaintenanceRole")
    assert "/reviews/*" in found["s3:DeleteObject"]
    assert "LakeRaw" not in json.dumps(found)
    assert "/reviews" in found["glue:UpdateTable"]
    assert "*" not in found["glue:UpdateTable"]
    assert "log-group:/aws-glue/iceberg-retention/logs:*" in found["logs:PutLogEvents"]
    granted = [
        permission
        for each in support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
        if "MaintenanceRole" in json.dumps(each["Properties"]["Principal"])
        and each["Properties"]["Resource"].get("Table", {}).get("Name") == "reviews"
        for permission in each["Properties"]["Permissions"]
    ]
    assert sorted(granted) == ["ALTER", "DELETE", "INSERT", "SELECT"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compaction": "best"}, "compaction='best'; allowed: binpack, sort, z-order"),
        ({"snapshot_days": 0}, "snapshot_days=0; allowed: whole days, 1 to 36500, or None"),
        ({"keep_snapshots": 0}, "keep_snapshots=0"),
        ({"orphan_days": 0}, "orphan_days=0"),
        ({"compaction": None, "snapshot_days": None, "orphan_days": None}, "nothing to do"),
    ],
)  # fmt: skip
def test_maintenance_that_glue_would_refuse_is_refused(
    home: Home, options: dict[str, Any], message: str
) -> None:
    scope = cdk.Stack()
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        TableMaintenance(scope, "Maintenance", table=home.table, **options)


def test_a_table_that_is_not_iceberg_is_refused(home: Home) -> None:
    with pytest.raises(ConfigurationError, match="'plain', which is no Iceberg table"):
        TableMaintenance(cdk.Stack(), "Maintenance", table=home.plain)


def test_each_kind_of_maintenance_can_be_left_out() -> None:
    stack = support.stack()
    table = DataLake(stack, "Lake", zones=["raw"]).raw.add_table("t", schema=SCHEMA, format=Iceberg())
    made = TableMaintenance(stack, "M", table=table, compaction=None, orphan_days=None)
    assert list(made.optimizers) == ["retention"]


# S3 Tables


def test_a_table_bucket_is_encrypted_and_admits_s3s_maintenance_for_itself_alone(stack: cdk.Stack) -> None:
    bucket = support.only(support.resources(stack, "AWS::S3Tables::TableBucket"))
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert bucket["Properties"]["EncryptionConfiguration"]["SSEAlgorithm"] == "aws:kms"
    assert bucket["Properties"]["UnreferencedFileRemoval"] == {
        "Status": "Enabled", "UnreferencedDays": 3, "NoncurrentDays": 10,
    }  # fmt: skip
    name = bucket["Properties"]["TableBucketName"]
    assert re.fullmatch("[a-z0-9-]{3,63}", name)
    (key,) = [
        resource["Properties"]["KeyPolicy"]["Statement"]
        for logical_id, resource in support.resources(stack, "AWS::KMS::Key").items()
        if logical_id.startswith("TablesKey")
    ]
    (maintenance,) = [each for each in key if each.get("Sid") == "MaintenanceOfTables"]
    assert maintenance["Principal"] == {"Service": "maintenance.s3tables.amazonaws.com"}
    pattern = json.dumps(maintenance["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"])
    assert f":bucket/{name}/*" in pattern


def test_requests_without_tls_are_refused(stack: cdk.Stack) -> None:
    policy = support.only(support.resources(stack, "AWS::S3Tables::TableBucketPolicy"))
    (statement,) = policy["Properties"]["ResourcePolicy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3tables:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_managed_table_has_its_schema_partitions_and_snapshots(stack: cdk.Stack) -> None:
    table = support.only(support.resources(stack, "AWS::S3Tables::Table"))
    assert table["DeletionPolicy"] == "Retain"
    made = table["Properties"]
    assert (made["Namespace"], made["TableName"], made["OpenTableFormat"]) == ("shop", "clicks", "ICEBERG")
    assert made["IcebergMetadata"]["IcebergSchema"]["SchemaFieldList"] == [
        {"Id": 1, "Name": "id", "Type": "string", "Required": True},
        {"Id": 2, "Name": "at", "Type": "timestamp", "Required": False},
        {"Id": 3, "Name": "price", "Type": "decimal(10,2)", "Required": False},
    ]
    assert made["IcebergMetadata"]["IcebergPartitionSpec"]["Fields"] == [
        {"SourceId": 2, "Transform": "day", "Name": "at_day", "FieldId": 1000}
    ]
    assert made["SnapshotManagement"] == {
        "Status": "enabled", "MaxSnapshotAgeHours": 720, "MinSnapshotsToKeep": 10,
    }  # fmt: skip
    assert made["Compaction"] == {"Status": "enabled", "TargetFileSizeMB": 512}
    (namespace,) = support.resources(stack, "AWS::S3Tables::Namespace")
    assert namespace in table["DependsOn"]


def test_who_reads_a_managed_table_does_not_write_it_and_nobody_drops_it(stack: cdk.Stack) -> None:
    reader, writer = allowed(stack, "ReaderDefault"), allowed(stack, "WriterDefault")
    assert {"s3tables:GetTableData", "kms:Decrypt"} <= set(reader)
    assert not {"s3tables:PutTableData", "kms:GenerateDataKey"} & set(reader)
    assert {"s3tables:PutTableData", "s3tables:UpdateTableMetadataLocation"} <= set(writer)
    assert not [action for action in writer if "Delete" in action or "Rename" in action]
    for found in (reader, writer):
        assert "TableARN" in found["s3tables:GetTableData"]
        assert "TableBucketARN" in found["s3tables:GetTableBucket"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Tables"}, "name='Tables'"),
        ({"name": "aws-tables"}, "not beginning with xn--"),
        ({"unreferenced_days": 0}, "unreferenced_days=0"),
        ({"noncurrent_days": 0}, "noncurrent_days=0"),
    ],
)
def test_a_bucket_that_s3_would_refuse_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        TableBucket(cdk.Stack(), "Tables", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Clicks"}, "name='Clicks'"),
        ({"schema": []}, "a schema without columns"),
        ({"schema": [Column(name="id", type="string")]}, "field_id=None"),
        ({"schema": [Column(name="id", type="string", field_id=1, comment="key")]}, "'id' with a comment"),
        ({"schema": [Column(name="x", type="array<int>", field_id=1)]}, "array<int>"),
        ({"partition_by": [IcebergPartition(column="day")]}, "partition by 'day'"),
        ({"snapshot_days": 0}, "snapshot_days=0"),
        ({"keep_snapshots": 0}, "keep_snapshots=0"),
        ({"target_file_mb": 1024}, "target_file_mb=1024; allowed: 64 to 512"),
    ],
)
def test_a_managed_table_that_s3_would_refuse_is_refused(options: dict[str, Any], message: str) -> None:
    namespace = TableBucket(cdk.Stack(), "Tables").add_namespace("shop")
    given: dict[str, Any] = {"name": "clicks", "schema": SCHEMA} | options
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        namespace.add_table(given.pop("name"), **given)


def test_a_namespace_that_s3_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="namespace 'aws_shop'"):
        TableBucket(cdk.Stack(), "Tables").add_namespace("aws_shop")


# One snapshot


@pytest.fixture(scope="module")
def machine(stack: cdk.Stack) -> dict[str, Any]:
    template = support.document(stack)
    (found,) = task_parameters.definitions(template).values()
    return found


def test_the_snapshot_is_found_selected_and_copied_under_its_name(machine: dict[str, Any]) -> None:
    states = machine["States"]
    assert states["FindSnapshot"]["Arguments"]["QueryString"].endswith("\"reviews$refs\" WHERE name = 'main'")
    query = states["SelectVersion"]["Arguments"]["QueryString"]
    assert query.startswith('{% \'SELECT "id", "price" FROM "')
    assert query.endswith('"reviews" FOR VERSION AS OF \' & $snapshot & \' ORDER BY "id"\' %}')
    assert states["CopyResult"]["Arguments"]["Key"] == (
        "{% 'reviews/table=reviews/snapshot=' & $snapshot & '/data.csv' %}"
    )
    assert states["CopyResult"]["Arguments"]["Metadata"]["snapshot"] == "{% $snapshot %}"
    path = ["FindSnapshot"]
    while path[-1] in states and (following := states[path[-1]].get("Next")):
        path.append(following)
    assert path == ["FindSnapshot", "ReadSnapshot", "Is there a snapshot?"]
    assert states["SelectVersion"]["Next"] == "CopyResult"


def test_only_digits_become_part_of_a_query(machine: dict[str, Any]) -> None:
    first, second = machine["States"]["Which snapshot?"]["Choices"]
    assert first["Condition"] == "{% $not($exists($states.input.snapshot)) %}"
    assert "$type($states.input.snapshot) = 'string'" in second["Condition"]
    assert "/^[0-9]{1,19}$/" in second["Condition"]
    assert machine["States"]["Which snapshot?"]["Default"] == "InvalidSnapshot"


def test_the_tasks_are_such_as_aws_takes_and_each_failure_has_a_name(machine: dict[str, Any]) -> None:
    assert task_parameters.faults(machine) == []
    for _, task in task_parameters.tasks(machine):
        assert task["TimeoutSeconds"] > 0
        assert task["Retry"]
        assert task["Catch"][0]["Next"] == "Failed"


def test_the_export_reads_its_table_and_writes_its_folder_alone(stack: cdk.Stack) -> None:
    found = allowed(stack, "ExportStateMachineRole")
    assert "/reviews/table=reviews/*" in found["s3:PutObject"]
    assert "workgroup/exports" in found["athena:StartQueryExecution"]
    assert "LakeRaw" not in found["s3:GetObject"]
    assert "glue:UpdateTable" not in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["id", "stars"]}, "columns with 'stars'; allowed: columns of 'reviews': id, at, price"),
        ({"columns": []}, "columns=[]"),
        ({"columns": ["id", "id"]}, "each column once"),
        ({"order_by": []}, "order_by=[]"),
        ({"order_by": ["key"]}, "order_by with 'key'"),
    ],
)
def test_an_export_of_what_is_not_there_is_refused(home: Home, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        SnapshotExport(cdk.Stack(), "Export", **home.export_options(**options))


def test_a_table_without_snapshots_is_refused(home: Home) -> None:
    with pytest.raises(ConfigurationError, match="others have no snapshots"):
        SnapshotExport(
            cdk.Stack(), "Export", **home.export_options(table=home.plain, columns=["id"], order_by=["id"])
        )


def test_no_finding_is_left_open() -> None:
    app = support.app()
    Home(support.stack(app))
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    assert nag.unacknowledged(app) == []


def test_names_that_differ_by_an_underscore_are_told_apart() -> None:
    stack = support.stack()
    bucket = TableBucket(stack, "Tables", name="tables")
    names = ("a1b", "a1_b", "a_1b", "a__1b")
    for name in names:
        bucket.add_namespace(name).add_table(name, schema=[Column(name="id", type="string", field_id=1)])
    for kind, key in (("AWS::S3Tables::Namespace", "Namespace"), ("AWS::S3Tables::Table", "TableName")):
        found = support.resources(stack, kind).values()
        assert sorted(each["Properties"][key] for each in found) == sorted(names)
