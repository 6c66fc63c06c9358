"""The columns of a table, and what their names and types may be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.column_types import ColumnType, UnknownType, parse

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,254}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """Lower-case letters, digits and underscores, a letter or underscore first."""

    type: str
    """As Glue and Athena write it: ``string``, ``decimal(10,2)``, ``array<string>`` …"""

    comment: str | None = None
    """What it holds, at most 255 characters. Default: none."""

    field_id: int | None = None
    """Iceberg's number of the column, 1 or more. Iceberg finds a column's data by it: a column keeps its
    number for ever, and the number of a removed column is not used again. Iceberg tables need it, others
    have none."""

    required: bool = False
    """Iceberg only: every row has a value. Default: no."""


Schema = Mapping[str, str] | Sequence[Column]
"""Names and types, or columns where more is to be said."""


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """The columns of a schema, in its order."""
    if isinstance(schema, Mapping):
        return tuple(Column(name=name, type=type_) for name, type_ in schema.items())
    return tuple(schema)


def check_columns(problems: Problems, columns: Sequence[Column], what: str) -> dict[str, ColumnType]:
    """Record what cannot be a column; the types that were understood, by name."""
    types: dict[str, ColumnType] = {}
    seen: set[str] = set()
    for column in columns:
        given = f"{what} {column.name!r}"
        problems.check(
            is_token(column.name) or bool(_NAME.fullmatch(column.name)),
            given=given,
            allowed="lower-case letters, digits and underscores, at most 255, no digit first",
            write=f"{what} 'review_id'",
        )
        problems.check(column.name not in seen, given=f"{given} twice", allowed="each name once")
        problems.check(
            column.comment is None or is_token(column.comment) or len(column.comment) <= 255,
            given=f"{given}: a comment of {len(column.comment or '')} characters",
            allowed="at most 255",
        )
        seen.add(column.name)
        if is_token(column.type):
            continue
        try:
            types[column.name] = parse(column.type)
        except UnknownType as unknown:
            problems.check(False, given=f"{given} of type {column.type!r}", allowed=str(unknown))
    return types
