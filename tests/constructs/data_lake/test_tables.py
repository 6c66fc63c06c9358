"""Tables: what they become in the catalog, and what is refused."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import (
    Column,
    Csv,
    DataLake,
    DateProjection,
    EnumProjection,
    Iceberg,
    IcebergPartition,
    InjectedProjection,
    IntegerProjection,
    Json,
    LakeTable,
    Parquet,
    PartitionKey,
    Zone,
    ZoneAttributes,
)
from tests.constructs import nag, support

TYPE = "AWS::Glue::Table"


def zone(stack: cdk.Stack | None = None) -> Zone:
    return DataLake(stack or support.stack(), "Lake", zones=["raw"]).raw


def tables(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    return {key: found["Properties"] for key, found in support.resources(stack, TYPE).items()}


@pytest.fixture(scope="module")
def refusing() -> Zone:
    """A zone for tables that are refused, and so leave nothing in it."""
    return zone()


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    """One table of each format, and one of each projection, by name."""
    stack = support.stack()
    raw = zone(stack)
    raw.add_table("parquet", schema={"id": "string", "tags": "map<string, array<int>>"}, description="All")
    raw.add_table("json", schema={"id": "string"}, format=Json(ignore_malformed=True), prefix="in/json/")
    raw.add_table("csv", schema={"text": "string", "stars": "int"}, format=Csv(escape='"'))
    raw.add_table("plain", schema={"price": "decimal(10, 2)"}, format=Csv(quote=None, header_lines=0))
    raw.add_table(
        "projected",
        schema={"id": "string"},
        partition_keys=[
            PartitionKey(name="day", projection=DateProjection(start="2026-01-01", end="NOW+1DAY")),
            PartitionKey(
                name="hour", type="int", projection=IntegerProjection(minimum=0, maximum=23, digits=2)
            ),
            PartitionKey(name="source", projection=EnumProjection(values=["web", "app"])),
            PartitionKey(name="device", projection=InjectedProjection()),
        ],
        location_template="${day}/${hour}/${source}/${device}/",
    )
    raw.add_table(
        "iceberg",
        schema=[
            Column(name="id", type="bigint", field_id=1, required=True, comment="Key"),
            Column(name="price", type="decimal(10,2)", field_id=3),
            Column(name="at", type="timestamp", field_id=2),
        ],
        format=Iceberg(
            partition_by=[
                IcebergPartition(column="at", transform="day"),
                IcebergPartition(column="id", transform="bucket[16]"),
            ],
            properties={"write.parquet.compression-codec": "zstd"},
        ),
        description="Orders",
    )
    found = tables(stack).values()
    return {each.get("Name") or each["TableInput"]["Name"]: each for each in found}


def test_a_parquet_table_has_its_columns_and_its_folder(made: dict[str, Any]) -> None:
    table = made["parquet"]["TableInput"]
    storage = table["StorageDescriptor"]
    assert storage["Columns"] == [
        {"Name": "id", "Type": "string"},
        {"Name": "tags", "Type": "map<string,array<int>>"},
    ]
    assert storage["Location"]["Fn::Join"][1][-1] == "/parquet/"
    assert storage["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["classification"] == "parquet"
    assert table["Description"] == "All"
    assert table["PartitionKeys"] == []  # Athena fails without the list


def test_a_json_table_has_its_own_folder_and_skips_what_is_no_json(made: dict[str, Any]) -> None:
    storage = made["json"]["TableInput"]["StorageDescriptor"]
    assert storage["Location"]["Fn::Join"][1][-1] == "/in/json/"
    assert storage["SerdeInfo"]["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe"
    assert storage["SerdeInfo"]["Parameters"] == {"ignore.malformed.json": "true"}


def test_a_csv_table_is_read_with_quotes_and_without_its_header(made: dict[str, Any]) -> None:
    table = made["csv"]["TableInput"]
    serde = table["StorageDescriptor"]["SerdeInfo"]
    assert serde["SerializationLibrary"] == "org.apache.hadoop.hive.serde2.OpenCSVSerde"
    assert serde["Parameters"] == {"separatorChar": ",", "quoteChar": '"', "escapeChar": '"'}
    assert table["Parameters"]["skip.header.line.count"] == "1"


def test_a_csv_table_without_quotes_is_read_by_the_reader_that_knows_all_types(made: dict[str, Any]) -> None:
    table = made["plain"]["TableInput"]
    serde = table["StorageDescriptor"]["SerdeInfo"]
    assert serde["SerializationLibrary"].endswith("LazySimpleSerDe")
    assert serde["Parameters"]["field.delim"] == ","
    assert "skip.header.line.count" not in table["Parameters"]
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "price", "Type": "decimal(10,2)"}]


def test_projections_are_told_in_the_tables_parameters(made: dict[str, Any]) -> None:
    parameters = made["projected"]["TableInput"]["Parameters"]
    template = parameters.pop("storage.location.template")
    assert template["Fn::Join"][1][-1] == "/projected/${day}/${hour}/${source}/${device}/"
    assert {key: value for key, value in parameters.items() if key.startswith("projection.")} == {
        "projection.enabled": "true",
        "projection.day.type": "date",
        "projection.day.range": "2026-01-01,NOW+1DAY",
        "projection.day.format": "yyyy-MM-dd",
        "projection.day.interval": "1",
        "projection.day.interval.unit": "DAYS",
        "projection.hour.type": "integer",
        "projection.hour.range": "0,23",
        "projection.hour.interval": "1",
        "projection.hour.digits": "2",
        "projection.source.type": "enum",
        "projection.source.values": "web,app",
        "projection.device.type": "injected",
    }


def test_an_iceberg_table_has_nothing_in_hives_words(made: dict[str, Any]) -> None:
    """With columns in TableInput, the first update takes table_type=ICEBERG away."""
    table = made["iceberg"]
    assert "TableInput" not in table
    iceberg = table["OpenTableFormatInput"]["IcebergInput"]
    assert iceberg["MetadataOperation"] == "CREATE"
    assert iceberg["Version"] == "2"
    definition = iceberg["IcebergTableInput"]
    assert definition["Location"]["Fn::Join"][1][-1] == "/iceberg"
    assert definition["Schema"]["Fields"] == [
        {"Id": 1, "Name": "id", "Type": "long", "Required": True, "Doc": "Key"},
        {"Id": 3, "Name": "price", "Type": "decimal(10,2)", "Required": False},
        {"Id": 2, "Name": "at", "Type": "timestamp", "Required": False},
    ]
    assert definition["PartitionSpec"]["Fields"] == [
        {"SourceId": 2, "Transform": "day", "Name": "at_day", "FieldId": 1000},
        {"SourceId": 1, "Transform": "bucket[16]", "Name": "id_bucket", "FieldId": 1001},
    ]
    assert definition["Properties"] == {
        "comment": "Orders",
        "write.parquet.compression-codec": "zstd",
    }


# What may change ------------------------------------------------------------


def one_table(**options: Any) -> dict[str, dict[str, Any]]:
    stack = support.stack()
    zone(stack).add_table("reviews", **options)
    return support.resources(stack)


BEFORE: dict[str, Any] = {"schema": {"id": "string"}}
ICEBERG: dict[str, Any] = {"schema": [Column(name="id", type="string", field_id=1)], "format": Iceberg()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, {"schema": {"id": "string", "stars": "int"}}),
        (BEFORE, {"schema": {"id": "string"}, "description": "Reviews"}),
        (BEFORE, {"schema": {"id": "string"}, "format": Json()}),
        (BEFORE, {"schema": {"id": "string"}, "prefix": "elsewhere/"}),
        (ICEBERG, {**ICEBERG, "schema": [*ICEBERG["schema"], Column(name="at", type="date", field_id=2)]}),
    ],
    ids=["column", "description", "format", "prefix", "iceberg column"],
)
def test_a_change_of_the_schema_replaces_nothing(before: dict[str, Any], after: dict[str, Any]) -> None:
    # GIVEN what CloudFormation replaces a table for
    identity = ("CatalogId", "DatabaseName", "Name")
    old, new = one_table(**before), one_table(**after)
    # THEN no logical id has changed
    assert old.keys() == new.keys()
    # AND of all resources the table alone has, in place
    (changed,) = [key for key in old if old[key] != new[key]]
    assert old[changed]["Type"] == TYPE
    for name in identity:
        assert old[changed]["Properties"].get(name) == new[changed]["Properties"].get(name)
    assert [
        each["Properties"].get("TableInput", {}).get("Name") for each in (old[changed], new[changed])
    ] in (
        ["reviews", "reviews"],
        [None, None],
    )


def test_a_table_is_kept_with_its_database_and_goes_only_by_both_keys() -> None:
    def policy(context: dict[str, Any] | None, destroy: bool) -> Any:
        stack = support.stack(context=context)
        DataLake(stack, "Lake", zones=["raw"], destroy=destroy).raw.add_table("t", schema={"id": "string"})
        return support.only(support.resources(stack, TYPE))["DeletionPolicy"]

    both = {"cdk-data-science:destroyData": True}
    assert [policy(None, False), policy(None, True), policy(both, False), policy(both, True)] == [
        *["Retain"] * 3,
        "Delete",
    ]


# Partition indexes ------------------------------------------------------------


def test_partition_indexes_are_made_one_after_another_by_a_function_that_may_do_no_more() -> None:
    app = support.app()
    stack = support.stack(app)
    zone(stack).add_table(
        "clicks",
        schema={"id": "string"},
        partition_keys=[PartitionKey(name="day"), PartitionKey(name="page")],
        partition_indexes=[["day"], ["day", "page"]],
    )
    assert nag.unacknowledged(app) == []
    indexes = support.resources(stack, "Custom::GluePartitionIndex")
    first, second = indexes
    assert first in indexes[second]["DependsOn"]
    assert '"Keys\\":[\\"day\\",\\"page\\"]' in str(indexes[second]["Properties"]["Create"]).replace(
        "\\\\", "\\"
    ) or '"Keys":["day","page"]' in str(indexes[second]["Properties"]["Create"])
    (table,) = tables(stack).values()
    assert table["TableInput"]["Parameters"]["partition_filtering.enabled"] == "true"
    for key, policy in support.resources(stack, "AWS::IAM::Policy").items():
        if "clicksIndexes" in key:
            (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
            assert statement["Action"] == [
                "glue:CreatePartitionIndex",
                "glue:DeletePartitionIndex",
                "glue:GetTable",
            ]
            assert str(statement["Resource"]).count("clicks") == 1
    # AND Lake Formation lets the function alter this table
    permissions = support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
    assert ["ALTER"] in [each["Properties"]["Permissions"] for each in permissions]


# What is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "allowed"),
    [
        ("integer", "'int' in place of 'integer'"),
        ("long", "'bigint' in place of 'long'"),
        ("varchar", r"varchar with its length, such as varchar\(10\)"),
        ("varchar(70000)", "varchar of 1 to 65535 characters"),
        ("decimal(39,2)", "1 to 38 digits"),
        ("decimal(5,6)", "1 to 38 digits"),
        ("array<string", "'>' at its end"),
        ("array<array<>>", "no type called '>'"),
        ("map<array<int>,int>", "a map whose keys are of a primitive type"),
        ("struct<a:int,a:int>", "a struct with one field 'a' only"),
        ("struct<int>", "':' in place of '>'"),
        ("string string", "no type called 'stringstring'"),
        ("String", "lower-case letters, digits"),
        ("", "lower-case letters, digits"),
        ("int)", r"complete before '\)'"),
        ("json", "no type called 'json'"),
    ],
)
def test_what_is_no_type_of_athena_is_refused(refusing: Zone, type_: str, allowed: str) -> None:
    with pytest.raises(ConfigurationError, match=f"column 'a' of type .*{allowed}"):
        refusing.add_table("reviews", schema={"a": type_})


def test_what_is_a_type_of_athena_is_taken(refusing: Zone) -> None:
    types = (
        *("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date"),
        *("timestamp", "decimal", "decimal(38)", "decimal(38,38)", "char(255)", "varchar(65535)"),
        *("array<struct<a:int,b:map<string,array<double>>>>", "struct<_a: int , b1:decimal(10, 2)>"),
    )
    table = refusing.add_table("all_types", schema={f"c{index}": type_ for index, type_ in enumerate(types)})
    assert len(table.column_names) == len(types)


DAY = PartitionKey(name="day")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schema": {}}, "a schema without columns"),
        ({"schema": {"Stars": "int"}}, "column 'Stars'; allowed: lower-case"),
        ({"schema": {"1st": "int"}}, "column '1st'"),
        ({"partition_keys": [PartitionKey(name="id")]}, "column 'id' twice"),
        ({"prefix": "/reviews/"}, "prefix='/reviews/'; allowed: a folder"),
        ({"prefix": "reviews"}, "prefix='reviews'; allowed: a folder"),
        ({"description": "x" * 2049}, "a description of 2049 characters"),
        ({"schema": [Column(name="id", type="string", comment="x" * 256)]}, "a comment of 256 characters"),
        ({"schema": [Column(name="id", type="string", field_id=1)]}, "both in Iceberg tables only"),
        ({"partition_keys": [PartitionKey(name="day", type="array<int>")]}, "allowed: a primitive type"),
        ({"schema": {"a": "float"}, "format": Csv()}, "quoted CSV column 'a' of type float"),
        ({"schema": {"a": "array<int>"}, "format": Csv()}, "CSV column 'a' of type array<int>"),
        ({"schema": {"a": "binary"}, "format": Json()}, "JSON column 'a' of type binary"),
        ({"format": Csv(separator=";;")}, "CSV separator=';;'; allowed: one character"),
        ({"format": Csv(separator='"')}, "a separator that is neither quote nor escape"),
        ({"format": Csv(header_lines=-1)}, "CSV header_lines=-1"),
        ({"format": Iceberg()}, "Iceberg column 'id', field_id=None; allowed: a number of its own"),
        (
            {
                "schema": [Column(name=name, type="string", field_id=1) for name in "ab"],
                "format": Iceberg(),
            },
            r"Iceberg field_ids \[1, 1\]",
        ),
        (
            {"schema": [Column(name="a", type="array<int>", field_id=1)], "format": Iceberg()},
            "Iceberg column 'a' of type array<int>",
        ),
        (
            {"schema": [Column(name="a", type="decimal(10)", field_id=1)], "format": Iceberg()},
            "decimal without its digits",
        ),
        (
            {**ICEBERG, "partition_keys": [DAY]},
            "partition_keys of an Iceberg table",
        ),
        (
            {**ICEBERG, "format": Iceberg(partition_by=[IcebergPartition(column="day")])},
            "Iceberg partition by 'day'; allowed: a column of the table: id",
        ),
        (
            {
                **ICEBERG,
                "format": Iceberg(partition_by=[IcebergPartition(column="id", transform="bucket")]),
            },
            "Iceberg partition by 'bucket'",
        ),
    ],
)
def test_a_table_that_glue_or_athena_would_refuse_is_refused(
    refusing: Zone, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        refusing.add_table("reviews", **{"schema": {"id": "string"}, "format": Parquet(), **options})


def projected(projection: Any, type_: str = "string") -> dict[str, Any]:
    return {"partition_keys": [PartitionKey(name="day", type=type_, projection=projection)]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (projected(EnumProjection(values=[])), "no values"),
        (projected(EnumProjection(values=["a,b"])), "values without commas"),
        (projected(EnumProjection(values=[" a"])), "without spaces"),
        (projected(EnumProjection(values=["a", "a"])), "a value twice"),
        (projected(EnumProjection(values=["a"]), "double"), "of type double; allowed: a key of type text"),
        (projected(IntegerProjection(minimum=2, maximum=1)), "2 to 1; allowed: minimum up to maximum"),
        (projected(IntegerProjection(minimum=0, maximum=2**63)), "both of 64 bits"),
        (projected(IntegerProjection(minimum=0, maximum=1, interval=0)), "interval=0"),
        (projected(IntegerProjection(minimum=0, maximum=100, digits=2)), "write: digits=3"),
        (projected(IntegerProjection(minimum=-1, maximum=1, digits=2)), "no negative values"),
        (projected(IntegerProjection(minimum=0, maximum=1), "date"), "of type date; allowed: a key of type"),
        (projected(DateProjection(start="2026-13-01")), "'2026-13-01'; allowed: a date in the format"),
        (projected(DateProjection(start="2026-01-02", end="2026-01-01")), "start before end"),
        (projected(DateProjection(start="NOW-3DECADES")), "'NOW-3DECADES'"),
        (projected(DateProjection(start="NOW-3DAYS", format="dd-MM-yyyy")), "format='dd-MM-yyyy'"),
        (projected(DateProjection(start="NOW-3DAYS", unit="HOURS")), "names each partition several times"),
        (projected(DateProjection(start="NOW-3DAYS", interval=0)), "interval=0"),
        (
            projected(DateProjection(start="NOW-3DAYS"), "int"),
            "of type int; allowed: a key of type text, date",
        ),
        (projected(InjectedProjection(), "int"), "of type int; allowed: a key of type text"),
        (
            {"partition_keys": [DAY, PartitionKey(name="b", projection=EnumProjection(values=["x"]))]},
            "projections for b alone",
        ),
        ({"partition_keys": [DAY], "location_template": "${day}/"}, "without projections"),
        (
            {**projected(EnumProjection(values=["x"])), "location_template": "${hour}/"},
            r"each partition key once, as \$\{name\}",
        ),
        (
            {**projected(EnumProjection(values=["x"])), "location_template": "/${day}"},
            "folders below the table's prefix",
        ),
        (
            {**projected(EnumProjection(values=["x"])), "partition_indexes": [["day"]]},
            "partition indexes and projections",
        ),
        ({"partition_keys": [DAY], "partition_indexes": [["hour"]]}, r"partition index \['hour'\]"),
        ({"partition_keys": [DAY], "partition_indexes": [[]]}, r"partition index \[\]"),
        ({"partition_keys": [DAY], "partition_indexes": [["day"], ["day"]]}, "a partition index twice"),
        ({"partition_keys": [DAY], "partition_indexes": [["day"]] * 4}, "4 partition indexes"),
    ],
)
def test_partitions_that_contradict_themselves_are_refused(
    refusing: Zone, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        refusing.add_table("clicks", schema={"id": "string"}, **options)


def test_two_tables_have_names_and_folders_apart_from_each_other() -> None:
    raw = zone()
    raw.add_table("reviews", schema={"id": "string"})
    for options in ({"prefix": "other/"}, {}):
        with pytest.raises(ConfigurationError, match="a second table 'reviews' in zone 'raw'"):
            raw.add_table("reviews", schema={"id": "string"}, **options)
    for prefix in ("reviews/", "reviews/clean/"):
        with pytest.raises(ConfigurationError, match="one table would read the other's objects"):
            raw.add_table("clean", schema={"id": "string"}, prefix=prefix)
    raw.add_table("reviews_2", schema={"id": "string"})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="3 problems"):
        zone().add_table("Reviews", schema={"A": "integer"}, prefix="a/")


def test_a_table_can_be_in_a_zone_of_another_app() -> None:
    stack = support.stack()
    attributes = ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::lake-raw", database_name="lake_raw")
    table = LakeTable(
        stack, "T", zone=Zone.from_attributes(stack, "Raw", attributes), name="t", schema={"id": "string"}
    )
    assert table.location == "s3://lake-raw/t/"
    (found,) = tables(stack).values()
    assert found["DatabaseName"] == "lake_raw"


def test_tokens_pass_unvalidated() -> None:
    stack = support.stack()
    name = cdk.CfnParameter(stack, "Name").value_as_string
    table = zone(stack).add_table(name, schema={"id": name}, prefix=f"{name}/")
    assert table.table.ref
    assert len(tables(stack)) == 1
