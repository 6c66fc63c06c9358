"""Iceberg tables of stacks get what Glue makes for them beside the entry in the catalog: their metadata."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from local_aws import context

TYPE = "AWS::Glue::Table"
Props = dict[str, Any]
_FIRST_PARTITION_FIELD = 1000
_CATALOG_TYPES = {"long": "bigint", "timestamptz": "timestamp"}


def handlers(base: dict[str, Any]) -> dict[str, Any]:
    """ministack's own handlers of the type, completed."""

    def create(logical_id: str, props: Props, stack: str) -> Any:
        created = base["create"](logical_id, props, stack)
        if (table := _iceberg(props)) is not None:
            _point(props["DatabaseName"], created[0], table, _first(table))
        return created

    def update(physical_id: str, old: Props, new: Props, stack: str, *more: Any) -> Any:
        table = _iceberg(new)
        known = None if table is None else _metadata(old["DatabaseName"], physical_id)
        updated = base["update"](physical_id, old, new, stack, *more)
        if table is not None:
            _point(
                new["DatabaseName"],
                updated[0],
                table,
                _first(table) if known is None else _next(known, table),
            )
        return updated

    return base | {"create": create, "update": update}


def _iceberg(props: Props) -> Props | None:
    given: Props = props.get("OpenTableFormatInput", {}).get("IcebergInput", {})
    return given.get("IcebergTableInput")


def _first(table: Props) -> Props:
    """The metadata of a table without any data."""
    partition = _fields(table.get("PartitionSpec", {}).get("Fields", []))
    schema = _schema(table, 0)
    return {
        "format-version": 2,
        "table-uuid": str(uuid.uuid4()),
        "location": table["Location"],
        "last-sequence-number": 0,
        "last-updated-ms": int(time.time() * 1000),
        "last-column-id": max(field["id"] for field in schema["fields"]),
        "current-schema-id": 0,
        "schemas": [schema],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": partition}],
        "last-partition-id": max(
            (field["field-id"] for field in partition), default=_FIRST_PARTITION_FIELD - 1
        ),
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": table.get("Properties", {}),
        "snapshots": [],
        "refs": {},
    }


def _next(known: Props, table: Props) -> Props:
    """Other columns are another schema; snapshots keep the one that they were written with."""
    schema = _schema(table, max(each["schema-id"] for each in known["schemas"]) + 1)
    (current,) = [each for each in known["schemas"] if each["schema-id"] == known["current-schema-id"]]
    changed = known | {"properties": known.get("properties", {}) | table.get("Properties", {})}
    if current["fields"] != schema["fields"]:
        changed |= {
            "schemas": [*known["schemas"], schema],
            "current-schema-id": schema["schema-id"],
            "last-column-id": max(known["last-column-id"], *(field["id"] for field in schema["fields"])),
        }
    return changed | {"last-updated-ms": int(time.time() * 1000)}


def _schema(table: Props, number: int) -> Props:
    return {"type": "struct", "schema-id": number, "fields": _fields(table["Schema"]["Fields"])}


def _fields(given: list[Props]) -> list[Props]:
    """As Iceberg writes them: with small letters, hyphens between words, and numbers and truths as such."""
    names = {"SourceId": "source-id", "FieldId": "field-id"}
    return [
        {names.get(name, name.lower()): _value(name, value) for name, value in each.items()} for each in given
    ]


def _value(name: str, value: Any) -> Any:
    if name.endswith("Id"):
        return int(value)
    return str(value).lower() == "true" if name == "Required" else value


def _metadata(database: str, name: str) -> Props | None:
    table = context.client("glue").get_table(DatabaseName=database, Name=name)["Table"]
    location = table.get("Parameters", {}).get("metadata_location", "")
    if not location:
        return None
    bucket, _, key = location.removeprefix("s3://").partition("/")
    found: Props = json.loads(context.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return found


def _point(database: str, name: str, table: Props, metadata: Props) -> None:
    """Write the metadata, and let the catalog name them."""
    bucket, _, folder = table["Location"].removeprefix("s3://").partition("/")
    number = len(metadata["schemas"]) - 1
    key = f"{folder.rstrip('/')}/metadata/{number:05}-{uuid.uuid4()}.metadata.json"
    context.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(metadata).encode())
    (schema,) = [each for each in metadata["schemas"] if each["schema-id"] == metadata["current-schema-id"]]
    context.client("glue").update_table(
        DatabaseName=database,
        TableInput={
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"table_type": "ICEBERG", "metadata_location": f"s3://{bucket}/{key}"},
            "StorageDescriptor": {
                "Location": table["Location"],
                "Columns": [
                    {"Name": each["name"], "Type": _CATALOG_TYPES.get(each["type"], each["type"])}
                    for each in schema["fields"]
                ],
            },
        },
    )
