"""Queries of Iceberg tables: the newest snapshot, an older one by its id, and the tables ``$refs`` and
``$snapshots``.

A table is read as its metadata say: the snapshot names a list of manifests, these name files of Parquet, and
columns are found in them by their ids. Rows that were deleted without writing their files anew are not told
apart here, so that a table which has such deletes is refused.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

_VERSION = re.compile(r"\s+FOR\s+(?:SYSTEM_)?VERSION\s+AS\s+OF\s+(\d+)\b", re.IGNORECASE)
_TIME = re.compile(r"\s+FOR\s+(?:SYSTEM_)?TIME(?:STAMP)?\s+AS\s+OF\b", re.IGNORECASE)
_ALIAS = re.compile(r'\s*(?:AS\s+)?(?:"[^"]+"|([A-Za-z_]\w*))', re.IGNORECASE)
_CLAUSE = re.compile(
    "cross|except|fetch|for|full|group|having|inner|intersect|join|left|limit|natural|offset|on|order|right"
    "|tablesample|union|using|where|window",
    re.IGNORECASE,
)
_LIVE = (0, 1)  # of the states of an entry: existing, added; 2 is deleted
_TYPES = {
    "binary": "BLOB",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "double": "DOUBLE",
    "float": "FLOAT",
    "int": "INTEGER",
    "long": "BIGINT",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}


class NotReadable(Exception):
    """A query of an Iceberg table fails for this reason."""


@dataclass(frozen=True, slots=True)
class _Column:
    number: int
    name: str
    type: str


def install() -> None:
    from ministack.services import athena

    rewrite = athena._rewrite_data_paths

    async def rewrite_iceberg_too(query: str, database: str, catalog: str | None = None) -> Any:
        workdirs: list[str] = []
        rewritten = _rewritten(query, database, workdirs)
        text, buckets, more = await rewrite(rewritten, database, catalog)
        return text, buckets, [*more, *workdirs]

    athena._rewrite_data_paths = rewrite_iceberg_too


def _rewritten(query: str, database: str, workdirs: list[str]) -> str:
    """The query with each Iceberg table replaced by what DuckDB reads."""
    from ministack.services import athena, glue

    for reference in reversed(athena._table_references(query)):
        name, _, system = reference.table.partition("$")
        table = glue._tables.get(f"{reference.database or database or 'default'}/{name}")
        if table is None or not (table.get("Parameters") or {}).get("metadata_location"):
            continue
        end, snapshot = _travel(query, reference.end)
        metadata = _metadata(table)
        relation = _system(metadata, system) if system else _rows(metadata, snapshot, workdirs)
        alias = "" if _aliased(query[end:]) else f" AS {_quoted(name)}"
        query = query[: reference.start] + relation + alias + query[end:]
    return query


def _travel(query: str, end: int) -> tuple[int, int | None]:
    """Where a reference ends with its clause of time travel, and the snapshot that it names."""
    if _TIME.match(query, end):
        raise NotReadable("FOR TIMESTAMP AS OF does not run on the local AWS: name a snapshot")
    found = _VERSION.match(query, end)
    return (end, None) if found is None else (found.end(), int(found[1]))


def _aliased(rest: str) -> bool:
    found = _ALIAS.match(rest)
    return found is not None and not _CLAUSE.fullmatch(found[1] or "")


def _metadata(table: dict[str, Any]) -> dict[str, Any]:
    from ministack.services import glue

    location = table["Parameters"]["metadata_location"]
    found: dict[str, Any] | None = glue._iceberg_fetch_metadata(location)
    if found is None:
        raise NotReadable(f"ICEBERG_MISSING_METADATA: Metadata not found in metadata location {location}")
    return found


def _rows(metadata: dict[str, Any], wanted: int | None, workdirs: list[str]) -> str:
    snapshots = {each["snapshot-id"]: each for each in metadata.get("snapshots", [])}
    if wanted is not None and wanted not in snapshots:
        raise NotReadable(f"INVALID_ARGUMENTS: Iceberg snapshot ID does not exists: {wanted}")
    current = metadata.get("current-snapshot-id")
    snapshot = snapshots.get(current if wanted is None else wanted)
    schema = metadata["current-schema-id"]
    if snapshot is None:
        return _empty(_columns(metadata, schema))
    # An older snapshot is read with the columns that the table had then.
    columns = _columns(metadata, schema if wanted is None else snapshot.get("schema-id", schema))
    files = list(_files(snapshot["manifest-list"]))
    if not files:
        return _empty(columns)
    folder = tempfile.mkdtemp(prefix="local-aws-iceberg-")
    workdirs.append(folder)
    paths = [_copied(folder, number, uri) for number, uri in enumerate(files)]
    by_id = ", ".join(
        f"{each.number}: {{name: {_text(each.name)}, type: {_text(each.type)}, default_value: NULL}}"
        for each in columns
    )
    listed = ", ".join(_text(path) for path in paths)
    return f"(SELECT * FROM read_parquet([{listed}], schema = MAP {{{by_id}}}))"  # noqa: S608 -- quoted


def _files(manifest_list: str) -> Iterator[str]:
    """The data files of a snapshot."""
    for manifest in _records(manifest_list):
        for entry in _records(manifest["manifest_path"]):
            file = entry["data_file"]
            if entry["status"] not in _LIVE:
                continue
            if manifest.get("content", 0) != 0 or file.get("content", 0) != 0:
                raise NotReadable(
                    "The table has rows that were deleted without writing their files anew (merge on read), "
                    "which does not run on the local AWS"
                )
            if file["file_format"].upper() != "PARQUET":
                raise NotReadable(f"Files of {file['file_format']} are not read on the local AWS")
            yield file["file_path"]


def _records(uri: str) -> Iterator[dict[str, Any]]:
    import fastavro

    for record in fastavro.reader(io.BytesIO(_object(uri))):
        if isinstance(record, dict):
            yield record


def _object(uri: str) -> bytes:
    from ministack.services import s3

    place = urlparse(uri)
    content: bytes | None = s3._get_object_data(place.netloc, place.path.lstrip("/"))
    if content is None:
        raise NotReadable(f"ICEBERG_CANNOT_OPEN_SPLIT: {uri} is not there")
    return content


def _copied(folder: str, number: int, uri: str) -> str:
    path = Path(folder) / f"{number}.parquet"
    path.write_bytes(_object(uri))
    return str(path)


def _columns(metadata: dict[str, Any], schema_id: int) -> list[_Column]:
    (schema,) = [each for each in metadata["schemas"] if each["schema-id"] == schema_id]
    return [_Column(each["id"], each["name"], _type(each["name"], each["type"])) for each in schema["fields"]]


def _type(name: str, type: Any) -> str:
    if isinstance(type, str) and type.startswith("decimal("):
        return type.upper()
    if not isinstance(type, str) or type not in _TYPES:
        raise NotReadable(f"Column {name!r} of type {type} is not read on the local AWS")
    return _TYPES[type]


def _empty(columns: list[_Column]) -> str:
    listed = ", ".join(f"CAST(NULL AS {each.type}) AS {_quoted(each.name)}" for each in columns)
    return f"(SELECT {listed} WHERE FALSE)"


def _system(metadata: dict[str, Any], name: str) -> str:
    """A table that tells of the table itself, with the columns of Athena's that can be known here."""
    if name == "refs":
        columns = "name VARCHAR, type VARCHAR, snapshot_id BIGINT"
        rows: list[tuple[str, ...]] = [
            (_text(ref), _text(each["type"].upper()), str(each["snapshot-id"]))
            for ref, each in metadata.get("refs", {}).items()
        ]
    elif name == "snapshots":
        columns = "committed_at TIMESTAMP, snapshot_id BIGINT, parent_id BIGINT, operation VARCHAR"
        rows = [
            (
                f"epoch_ms({each['timestamp-ms']})",
                str(each["snapshot-id"]),
                str(each.get("parent-snapshot-id", "NULL")),
                _text(each.get("summary", {}).get("operation", "")),
            )
            for each in metadata.get("snapshots", [])
        ]
    else:
        raise NotReadable(f"The table ${name} is not there on the local AWS: $refs and $snapshots are")
    parts = [column.split(" ") for column in columns.split(", ")]
    nothing = "SELECT " + ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in parts)
    selects = [
        "SELECT " + ", ".join(f"CAST({value} AS {kind})" for value, (_, kind) in zip(row, parts, strict=True))
        for row in rows
    ]
    return "(" + " UNION ALL ".join([f"{nothing} WHERE FALSE", *selects]) + ")"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
