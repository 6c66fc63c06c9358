"""Iceberg tables on the local AWS: written by Apache's own library, queried by snapshot, exported by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pyarrow as pa
import pytest
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.manifest import ManifestContent, ManifestFile, write_manifest_list
from pyiceberg.table import Table

from cdk_data_science import DataLake, Iceberg, QueryWorkgroup, TableBucket, TableMaintenance, ZoneFolder
from cdk_data_science.data_lake import Column, SnapshotExport
from tests.local import assembly
from tests.local.conftest import REGION, LocalAws, eventually, unique

SCHEMA = [
    Column(name="review_id", type="string", field_id=1, required=True),
    Column(name="stars", type="int", field_id=2),
    Column(name="text", type="string", field_id=3),
]
ROWS = pa.schema(
    [pa.field("review_id", pa.string(), nullable=False), ("stars", pa.int32()), ("text", pa.string())]
)
FIRST = [("b", 4, "good, mostly"), ("a", 1, 'not "good"'), ("c", None, "")]
SECOND = [("d", 5, "très bon")]


class Tables:
    """What was deployed, with rows that were written in two commits."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str], workgroup: str, stack: str) -> None:
        self.aws, self.outputs, self.workgroup, self.stack = aws, outputs, workgroup, stack
        self.reviews = self.load()
        self.append(FIRST)
        self.first = self.snapshot()
        self.append(SECOND)
        self.second = self.snapshot()

    def load(self) -> Table:
        keys = {"access-key-id": "test", "secret-access-key": "test", "region": REGION}
        places = {f"{service}.endpoint": self.aws.endpoint for service in ("glue", "s3")}
        named = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in keys.items()}
        catalog = GlueCatalog("lake", **places, **named)
        return catalog.load_table((self.outputs["Database"], "reviews"))

    def append(self, rows: list[tuple[Any, ...]]) -> None:
        self.reviews.append(
            pa.Table.from_pylist([dict(zip(ROWS.names, row, strict=True)) for row in rows], schema=ROWS)
        )

    def snapshot(self) -> str:
        snapshot = self.reviews.current_snapshot()
        assert snapshot is not None
        return str(snapshot.snapshot_id)

    def export(self, given: dict[str, Any]) -> dict[str, Any]:
        """What an export put out."""
        done = self.aws.execute(self.outputs["ExportArn"], given)
        assert done["status"] == "SUCCEEDED", done
        output: dict[str, Any] = done["output"]
        return output

    def content(self, exported: dict[str, Any]) -> bytes:
        place = exported["data"]
        found = self.aws.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])
        assert found["Metadata"] == {"table": "reviews", "snapshot": exported["snapshot"]}
        content: bytes = found["Body"].read()
        return content

    def query(self, text: str) -> dict[str, Any]:
        """The end of a query."""
        athena = self.aws.client("athena")
        started = athena.start_query_execution(
            QueryString=text,
            WorkGroup=self.workgroup,
            QueryExecutionContext={"Database": self.outputs["Database"]},
        )["QueryExecutionId"]
        ended: dict[str, Any] = {}

        def over() -> bool:
            ended.update(athena.get_query_execution(QueryExecutionId=started)["QueryExecution"])
            return ended["Status"]["State"] not in ("QUEUED", "RUNNING")

        eventually(over, 60, "the end of the query")
        return ended

    def rows(self, text: str) -> list[list[str]]:
        ended = self.query(text)
        assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
        found = self.aws.client("athena").get_query_results(QueryExecutionId=ended["QueryExecutionId"])
        return [
            [value.get("VarCharValue", "") for value in row["Data"]] for row in found["ResultSet"]["Rows"][1:]
        ]


@pytest.fixture(scope="module")
def tables(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    stack = assembly.new_stack(tmp_path_factory.mktemp("tables"), "tables")
    workgroup = unique("exports")
    lake = DataLake(stack, "Lake", zones=["raw", "curated"])
    reviews = lake.curated.add_table("reviews", schema=SCHEMA, format=Iceberg())
    empty = lake.curated.add_table("empty", schema=SCHEMA, format=Iceberg())
    TableMaintenance(stack, "Maintenance", table=reviews)
    queries = QueryWorkgroup(stack, "Queries", name=workgroup, results=lake.raw)
    exports = {
        name: SnapshotExport(
            stack,
            name,
            table=table,
            columns=["review_id", "text", "stars"],
            order_by=["review_id"],
            to=ZoneFolder(zone=lake.raw, prefix="reviews/"),
            workgroup=queries,
        )
        for name, table in (("Export", reviews), ("ExportOfNothing", empty))
    }
    starter = iam.Role(stack, "Starter", assumed_by=iam.AccountRootPrincipal())
    exports["Export"].grant_start(starter)
    bucket = TableBucket(stack, "Tables")
    clicks = bucket.add_namespace("shop").add_table("clicks", schema=SCHEMA)
    for name, value in {
        "TableBucketArn": bucket.bucket.attr_table_bucket_arn,
        "TableArn": clicks.arn,
        "Database": lake.curated.database_name,
        "Curated": lake.curated.bucket.bucket_name,
        "StarterArn": starter.role_arn,
        **{f"{name}Arn": export.state_machine.state_machine_arn for name, export in exports.items()},
    }.items():
        cdk.CfnOutput(stack, name, value=value)
    outputs = assembly.deploy(local_aws, stack)
    yield Tables(local_aws, outputs, workgroup, stack.stack_name)
    assembly.destroy(local_aws, stack)


def test_a_managed_table_is_there_with_its_columns(tables: Tables) -> None:
    client = tables.aws.client("s3tables")
    (found,) = client.list_tables(tableBucketARN=tables.outputs["TableBucketArn"])["tables"]
    assert (found["name"], found["namespace"]) == ("clicks", ["shop"])
    assert found["tableARN"] == tables.outputs["TableArn"]


def test_a_table_of_the_lake_is_there_with_the_ids_of_its_columns(tables: Tables) -> None:
    fields = tables.load().schema().fields
    assert [(each.field_id, each.name, str(each.field_type), each.required) for each in fields] == [
        (1, "review_id", "string", True),
        (2, "stars", "int", False),
        (3, "text", "string", False),
    ]


def test_the_current_snapshot_is_exported_in_the_order_that_was_asked_for(tables: Tables) -> None:
    # WHEN the current snapshot is exported
    exported = tables.export({})
    # THEN it is the second commit, under a key that names it, with what the library wrote
    assert exported["snapshot"] == tables.second
    assert exported["data"]["key"] == f"reviews/table=reviews/snapshot={tables.second}/data.csv"
    rows = list(csv.reader(io.StringIO(tables.content(exported).decode())))
    written = sorted([*FIRST, *SECOND])
    assert rows == [
        ["review_id", "text", "stars"],
        *([review, text, "" if stars is None else str(stars)] for review, stars, text in written),
    ]


def test_an_older_snapshot_is_exported_again_with_the_same_bytes(tables: Tables) -> None:
    exported = tables.export({"snapshot": tables.first})
    content = tables.content(exported)
    assert exported["snapshot"] == tables.first
    assert [line.partition(b",")[0] for line in content.splitlines()[1:]] == [b'"a"', b'"b"', b'"c"']
    assert tables.content(tables.export({"snapshot": tables.first})) == content


def test_a_table_without_rows_has_nothing_to_export(tables: Tables) -> None:
    done = tables.aws.execute(tables.outputs["ExportOfNothingArn"], {})
    assert (done["status"], done["error"]) == ("FAILED", "EmptyTable")


def test_a_snapshot_that_is_not_there_ends_the_export_with_what_athena_said(tables: Tables) -> None:
    done = tables.aws.execute(tables.outputs["ExportArn"], {"snapshot": "42"})
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    assert "Iceberg snapshot ID does not exists: 42" in done["cause"]


@pytest.mark.parametrize("given", [{"snapshot": "1; DROP TABLE reviews"}, {"snapshot": 1}, {"snapshot": ""}])
def test_what_is_no_snapshot_never_reaches_a_query(tables: Tables, given: dict[str, Any]) -> None:
    done = tables.aws.execute(tables.outputs["ExportArn"], given)
    assert (done["status"], done["error"]) == ("FAILED", "InvalidSnapshot")


def test_who_may_start_an_export_starts_this_one_and_reads_nothing(tables: Tables) -> None:
    session = tables.aws.session_for_role(tables.outputs["StarterArn"])
    states = session.client("stepfunctions")
    states.start_execution(stateMachineArn=tables.outputs["ExportArn"], input="{}")
    calls = [
        lambda: states.start_execution(stateMachineArn=tables.outputs["ExportOfNothingArn"], input="{}"),
        lambda: session.client("s3").list_objects_v2(Bucket=tables.outputs["Curated"], Prefix="reviews/"),
        lambda: session.client("athena").start_query_execution(
            QueryString="SELECT 1", WorkGroup=tables.workgroup
        ),
    ]
    for call in calls:
        with pytest.raises(ClientError) as denied:
            call()
        assert "AccessDenied" in denied.value.response["Error"]["Code"]


def test_tables_are_joined_filtered_and_asked_for_their_snapshots(tables: Tables) -> None:
    assert tables.rows("SELECT count(*), sum(stars) FROM reviews") == [["4", "10"]]
    joined = (
        "SELECT new.review_id FROM reviews new "
        f"LEFT JOIN reviews FOR VERSION AS OF {tables.first} AS old ON new.review_id = old.review_id "
        "WHERE old.review_id IS NULL"
    )
    assert tables.rows(joined) == [["d"]]
    snapshots = tables.rows('SELECT snapshot_id, operation FROM "reviews$snapshots" ORDER BY committed_at')
    assert snapshots == [[tables.first, "append"], [tables.second, "append"]]
    assert tables.rows("SELECT count(*) FROM empty") == [["0"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM reviews FOR TIMESTAMP AS OF current_timestamp", "name a snapshot"),
        ('SELECT * FROM "reviews$files"', "$refs and $snapshots are"),
    ],
)
def test_what_does_not_run_here_is_told(tables: Tables, text: str, said: str) -> None:
    status = tables.query(text)["Status"]
    assert status["State"] == "FAILED"
    assert said in status["StateChangeReason"]


def test_rows_that_are_deleted_by_a_list_of_them_are_refused(tables: Tables) -> None:
    # GIVEN a snapshot with a manifest of deletes (the library writes none: the one of the rows, renamed)
    table = tables.load()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    listed = f"{table.location()}/metadata/deletes.avro"
    values = list(snapshot.manifests(table.io)[0]._data)
    values[3] = ManifestContent.DELETES
    with write_manifest_list(2, table.io.new_output(listed), 7, None, 9, "null") as writer:
        writer.add_manifests([ManifestFile(*values)])
    bucket, _, key = table.metadata_location.removeprefix("s3://").partition("/")
    s3 = tables.aws.client("s3")
    metadata = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    metadata["snapshots"].append(metadata["snapshots"][-1] | {"snapshot-id": 7, "manifest-list": listed})
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(metadata).encode())
    # THEN a query of it does not answer with rows that are gone
    status = tables.query("SELECT * FROM reviews FOR VERSION AS OF 7")["Status"]
    assert status["State"] == "FAILED"
    assert "merge on read" in status["StateChangeReason"]


def test_rows_that_went_and_columns_that_came_are_those_of_each_snapshot(tables: Tables) -> None:
    # GIVEN a row that is deleted and a column that is renamed, after the two commits
    table = tables.load()
    table.delete("review_id = 'a'")
    with table.update_schema() as change:
        change.rename_column("stars", "rating")
    # THEN the table has the new name and the fewer rows, and a snapshot what it had
    assert tables.rows("SELECT review_id, rating FROM reviews ORDER BY 1") == [
        ["b", "4"], ["c", ""], ["d", "5"],
    ]  # fmt: skip
    old = f"SELECT review_id, stars FROM reviews FOR VERSION AS OF {tables.first} ORDER BY 1"
    assert tables.rows(old) == [["a", "1"], ["b", "4"], ["c", ""]]


def test_an_update_adds_a_column_and_keeps_rows_and_snapshots(tables: Tables) -> None:
    # GIVEN the stack with one column more
    ((rows,),) = tables.rows("SELECT count(*) FROM reviews")
    client = tables.aws.client("cloudformation")
    template = client.get_template(StackName=tables.stack)["TemplateBody"]
    template = json.loads(template) if isinstance(template, str) else template
    (table,) = [
        each["Properties"]
        for key, each in template["Resources"].items()
        if each["Type"] == "AWS::Glue::Table" and "reviews" in key.lower()
    ]
    given = table["OpenTableFormatInput"]["IcebergInput"]["IcebergTableInput"]
    given["Schema"]["Fields"].append({"Id": 4, "Name": "language", "Type": "string", "Required": False})
    place = {"Bucket": tables.aws.bucket(), "Key": "changed.json"}
    tables.aws.client("s3").put_object(**place, Body=json.dumps(template).encode())
    url = f"https://s3.{REGION}.amazonaws.com/{place['Bucket']}/{place['Key']}"
    client.update_stack(StackName=tables.stack, TemplateURL=url, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert assembly.settled(client, tables.stack) == "UPDATE_COMPLETE"
    # THEN rows have it, without a value, and the first snapshot is what it was
    counted = "SELECT count(*), count(language) FROM reviews"
    assert tables.rows(counted) == [[rows, "0"]]
    assert tables.rows(f"SELECT count(*) FROM reviews FOR VERSION AS OF {tables.first}") == [["3"]]
    assert [field.name for field in tables.load().schema().fields][-1] == "language"
