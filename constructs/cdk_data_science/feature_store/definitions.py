"""The lake's column types as Feature Store knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake import Column, Schema
from cdk_data_science.data_lake.column_types import ColumnType
from cdk_data_science.data_lake.schema import check_columns, columns_of

FeatureType = Literal["Integral", "Fractional", "String"]

RESERVED = ("is_deleted", "write_time", "api_invocation_time")
"""Columns that Feature Store adds to the offline store."""

_TYPES: dict[str, FeatureType] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "Integral"),
    **dict.fromkeys(("float", "double", "decimal"), "Fractional"),
    **dict.fromkeys(("string", "char", "varchar", "date", "timestamp"), "String"),
}
_INSTEAD = {
    "boolean": "int, with 0 and 1",
    "binary": "string, in base64",
    "array": "a column for each entry: CloudFormation knows no collections",
    "map": "a column for each key: CloudFormation knows no collections",
    "struct": "a column for each field",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_MOST = 2500


def features_of(
    problems: Problems, schema: Schema, *, record_id: str, event_time: str
) -> dict[str, FeatureType]:
    """The features of a schema with their types; records what Feature Store would refuse."""
    columns = columns_of(schema)
    types = check_columns(problems, columns, "feature")
    problems.check(
        len(columns) <= _MOST, given=f"{len(columns)} features", allowed=f"at most {_MOST}, in one group"
    )
    for column in columns:
        _check_name(problems, column)
    features = _converted(problems, types)
    _check_record_id(problems, record_id, columns, types)
    _check_event_time(problems, event_time, columns, types)
    return features


def _check_name(problems: Problems, column: Column) -> None:
    if is_token(column.name):
        return
    problems.check(
        _NAME.fullmatch(column.name) is not None and column.name not in RESERVED,
        given=f"feature {column.name!r}",
        allowed="1 to 64 lower-case letters, digits and underscores, no underscore first, and not "
        f"{', '.join(RESERVED)}, which Feature Store adds itself",
        write="feature 'rating_mean'",
    )
    problems.check(
        column.field_id is None and not column.required,
        given=f"feature {column.name!r} with field_id or required",
        allowed="neither: Feature Store numbers the columns of its table itself",
    )


def _converted(problems: Problems, types: Mapping[str, ColumnType]) -> dict[str, FeatureType]:
    found: dict[str, FeatureType] = {}
    for name, type_ in types.items():
        known = _TYPES.get(type_.base)
        problems.check(
            known is not None,
            given=f"feature {name!r} of type {type_.text!r}",
            allowed="whole numbers, fractions and texts",
            write=_INSTEAD.get(type_.base),
        )
        if known is not None:
            found[name] = known
    return found


def _check_record_id(
    problems: Problems, name: str, columns: Sequence[Column], types: Mapping[str, ColumnType]
) -> None:
    names = ", ".join(column.name for column in columns)
    problems.check(
        any(column.name == name for column in columns),
        given=f"record_id={name!r}",
        allowed=f"one of the features: {names}",
    )
    if name in types:
        problems.check(
            types[name].is_integer or types[name].is_text,
            given=f"record_id={name!r} of type {types[name].text!r}",
            allowed="a whole number or a text: it is looked up as it is written",
            write=f"{name!r}: 'string'",
        )


def _check_event_time(
    problems: Problems, name: str, columns: Sequence[Column], types: Mapping[str, ColumnType]
) -> None:
    names = ", ".join(column.name for column in columns)
    problems.check(
        any(column.name == name for column in columns),
        given=f"event_time={name!r}",
        allowed=f"one of the features: {names}",
    )
    if name in types:
        problems.check(
            types[name].base in ("string", "timestamp", "double", "decimal"),
            given=f"event_time={name!r} of type {types[name].text!r}",
            allowed="string or timestamp (ISO 8601 in UTC), or double (seconds since 1970, which a float "
            "cannot hold to the second)",
            write=f"{name!r}: 'timestamp'",
        )


def table_schema(features: Mapping[str, FeatureType]) -> dict[str, str]:
    """The columns of the offline store's table, in the words of the lake."""
    names = {"Integral": "bigint", "Fractional": "double", "String": "string"}
    own = {"write_time": "timestamp", "api_invocation_time": "timestamp", "is_deleted": "boolean"}
    return {**{name: names[type_] for name, type_ in features.items()}, **own}
