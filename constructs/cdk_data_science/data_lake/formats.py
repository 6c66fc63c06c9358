"""What the objects of a table are: Parquet, CSV, JSON, or Iceberg's own layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake.column_types import ColumnType
from cdk_data_science.data_lake.schema import Column

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
_QUOTED_TYPES = ("string", "boolean", "int", "bigint", "double", "date", "timestamp")
_TRANSFORM = re.compile(r"identity|year|month|day|hour|(bucket|truncate)\[[1-9][0-9]*\]")
_FIRST_PARTITION_FIELD = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """How Hive, and so Athena and Glue, reads the objects."""

    classification: str
    """Glue's word for the format."""

    input_format: str
    """Reads objects."""

    output_format: str
    """Writes them."""

    serde: str
    """Makes rows of what was read."""

    serde_parameters: Mapping[str, str] = field(default_factory=dict)
    """How it does that."""

    table_parameters: Mapping[str, str] = field(default_factory=dict)
    """What the whole table says about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parquet:
    """Columns by name, typed and compressed: what a table is best made of."""

    def check(self, problems: Problems, types: Mapping[str, ColumnType]) -> None:
        """Every type has a place in Parquet."""

    def storage(self) -> Storage:
        return Storage(
            classification="parquet",
            input_format=f"{_PARQUET}.MapredParquetInputFormat",
            output_format=f"{_PARQUET}.MapredParquetOutputFormat",
            serde=f"{_PARQUET}.serde.ParquetHiveSerDe",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Json:
    """One JSON object a line."""

    ignore_malformed: bool = False
    """Read a line that is no JSON as a row of nulls, in place of failing the query. Default: no."""

    def check(self, problems: Problems, types: Mapping[str, ColumnType]) -> None:
        """JSON has no bytes."""
        for name, type_ in types.items():
            problems.check(
                type_.base != "binary",
                given=f"JSON column {name!r} of type binary",
                allowed="string: JSON holds text",
            )

    def storage(self) -> Storage:
        return Storage(
            classification="json",
            input_format=_TEXT_INPUT,
            output_format=_TEXT_OUTPUT,
            serde="org.openx.data.jsonserde.JsonSerDe",
            serde_parameters={"ignore.malformed.json": "true"} if self.ignore_malformed else {},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Csv:
    """Lines of separated values, told apart by their position: the schema is in the order of the file."""

    separator: str = ","
    """One character. Default: a comma."""

    quote: str | None = '"'
    """One character around values that hold a separator. None reads quotes as part of the value, and then
    all primitive types are read. Default: the double quote."""

    escape: str = "\\"
    """One character before a quote within quotes. Default: the backslash."""

    header_lines: int = 1
    """Lines at the start of each object that hold no data, 0 or more. Default: 1."""

    def check(self, problems: Problems, types: Mapping[str, ColumnType]) -> None:
        for option in ("separator", "quote", "escape"):
            value = getattr(self, option)
            problems.check(
                value is None or len(value) == 1, given=f"CSV {option}={value!r}", allowed="one character"
            )
        problems.check(
            self.separator not in (self.quote, self.escape),
            given=f"CSV separator={self.separator!r}, quote={self.quote!r}, escape={self.escape!r}",
            allowed="a separator that is neither quote nor escape",
        )
        problems.check(
            self.header_lines >= 0, given=f"CSV header_lines={self.header_lines}", allowed="0 or more"
        )
        for name, type_ in types.items():
            problems.check(
                not type_.is_nested,
                given=f"CSV column {name!r} of type {type_.text}",
                allowed="primitive types",
            )
            problems.check(
                type_.is_nested or self.quote is None or type_.base in _QUOTED_TYPES,
                given=f"quoted CSV column {name!r} of type {type_.text}",
                allowed=", ".join(_QUOTED_TYPES),
                write="Csv(quote=None), or a type of these",
            )

    def storage(self) -> Storage:
        header = {"skip.header.line.count": str(self.header_lines)} if self.header_lines else {}
        if self.quote is None:
            return Storage(
                classification="csv",
                input_format=_TEXT_INPUT,
                output_format=_TEXT_OUTPUT,
                serde="org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                serde_parameters={"field.delim": self.separator, "serialization.format": self.separator},
                table_parameters=header,
            )
        return Storage(
            classification="csv",
            input_format=_TEXT_INPUT,
            output_format=_TEXT_OUTPUT,
            serde="org.apache.hadoop.hive.serde2.OpenCSVSerde",
            serde_parameters={
                "separatorChar": self.separator,
                "quoteChar": self.quote,
                "escapeChar": self.escape,
            },
            table_parameters=header,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class IcebergPartition:
    """How Iceberg splits a table by a column, without a column or folder of its own."""

    column: str
    """A column of the table."""

    transform: str = "identity"
    """``identity``, ``year``, ``month``, ``day``, ``hour``, ``bucket[16]`` or ``truncate[4]``. Default:
    ``identity``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Iceberg:
    """An Apache Iceberg table, format version 2: transactions, time travel, changes of the schema.

    All columns have a ``field_id``. Types are primitive: CloudFormation has no words for nested ones.
    """

    partition_by: Sequence[IcebergPartition] = ()
    """How the table is split. Default: not."""

    properties: Mapping[str, str] = field(default_factory=dict)
    """Iceberg's table properties, such as ``write.parquet.compression-codec``. Default: none."""

    def check(self, problems: Problems, columns: Sequence[Column], types: Mapping[str, ColumnType]) -> None:
        numbers = [column.field_id for column in columns]
        for column in columns:
            problems.check(
                column.field_id is not None and column.field_id >= 1,
                given=f"Iceberg column {column.name!r}, field_id={column.field_id}",
                allowed="a number of its own, 1 or more, by which Iceberg finds its data for ever",
                write=f"Column(name={column.name!r}, type={column.type!r}, field_id=…)",
            )
            type_ = types.get(column.name)
            problems.check(
                type_ is None or type_.iceberg is not None,
                given=f"Iceberg column {column.name!r} of type {column.type}",
                allowed="boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp",
            )
        given = [number for number in numbers if number is not None]
        problems.check(
            len(set(given)) == len(given),
            given=f"Iceberg field_ids {given}",
            allowed="each number for one column",
        )
        problems.check(
            not any("," not in type_.text for type_ in types.values() if type_.base == "decimal"),
            given="an Iceberg column of type decimal without its digits",
            allowed="both numbers",
            write="decimal(10,2)",
        )
        names = [column.name for column in columns]
        for partition in self.partition_by:
            problems.check(
                partition.column in names,
                given=f"Iceberg partition by {partition.column!r}",
                allowed=f"a column of the table: {', '.join(names)}",
            )
            problems.check(
                bool(_TRANSFORM.fullmatch(partition.transform)),
                given=f"Iceberg partition by {partition.transform!r}",
                allowed="identity, year, month, day, hour, bucket[n] or truncate[n]",
            )

    def fields(self, columns: Sequence[Column]) -> list[tuple[int, str, str, int]]:
        """Source id, transform, name and field id of each part of the partition specification."""
        numbers = {column.name: column.field_id or 0 for column in columns}
        return [
            (
                numbers[part.column],
                part.transform,
                part.column if part.transform == "identity" else f"{part.column}_{_word(part.transform)}",
                _FIRST_PARTITION_FIELD + index,
            )
            for index, part in enumerate(self.partition_by)
        ]


TableFormat = Parquet | Json | Csv | Iceberg


def _word(transform: str) -> str:
    return {"truncate": "trunc"}.get(name := transform.partition("[")[0], name)
