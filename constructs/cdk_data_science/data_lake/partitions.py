"""The keys that split a table into folders, and contradictions between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.column_types import ColumnType
from cdk_data_science.data_lake.projections import Projection

_MAXIMUM_INDEXES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionKey:
    """A column whose value is in the path of the objects, as in ``day=2026-11-24/``."""

    name: str
    """As a column's name."""

    type: str = "string"
    """A primitive type. Default: ``string``."""

    comment: str | None = None
    """What it holds. Default: none."""

    projection: Projection | None = None
    """How Athena works out its values. Default: the catalog keeps the partitions, added by a crawler, a job
    or ``ALTER TABLE``."""


def check_partitions(
    problems: Problems,
    keys: Sequence[PartitionKey],
    types: Mapping[str, ColumnType],
    *,
    location_template: str | None,
    indexes: Sequence[Sequence[str]],
) -> None:
    """Record partition keys, projections and indexes that contradict each other."""
    for key in keys:
        type_ = types.get(key.name)
        problems.check(
            type_ is None or not type_.is_nested,
            given=f"partition key {key.name!r} of type {key.type!r}",
            allowed="a primitive type",
        )
        if key.projection is not None:
            key.projection.check(problems, f"projection of {key.name!r}", type_)
    projected = [key.name for key in keys if key.projection is not None]
    problems.check(
        not projected or len(projected) == len(keys),
        given=f"projections for {', '.join(projected)} alone",
        allowed="projections for all partition keys, or for none",
    )
    _check_template(problems, keys, location_template, projected=bool(projected))
    _check_indexes(problems, keys, indexes, projected=bool(projected))


def projection_parameters(keys: Sequence[PartitionKey], location: str | None) -> dict[str, str]:
    """The table's parameters that tell Athena how to project, if it is to."""
    found: dict[str, str] = {}
    for key in keys:
        if key.projection is not None:
            found["projection.enabled"] = "true"
            parameters = key.projection.parameters()
            found |= {f"projection.{key.name}.{name}": value for name, value in parameters.items()}
    if found and location is not None:
        found["storage.location.template"] = location
    return found


def _check_template(
    problems: Problems, keys: Sequence[PartitionKey], template: str | None, *, projected: bool
) -> None:
    if template is None or is_token(template):
        return
    problems.check(
        projected,
        given=f"location_template={template!r} without projections",
        allowed="a template only where Athena projects the partitions",
    )
    named = re.findall(r"\$\{([^}]*)\}", template)
    problems.check(
        sorted(named) == sorted(key.name for key in keys),
        given=f"location_template={template!r}",
        allowed="each partition key once, as ${name}, and nothing else in ${}",
        write="/".join(f"${{{key.name}}}" for key in keys) + "/",
    )
    problems.check(
        not template.startswith("/") and template.endswith("/") and "://" not in template,
        given=f"location_template={template!r}",
        allowed="folders below the table's prefix, with a slash at their end and none at their start",
    )


def _check_indexes(
    problems: Problems, keys: Sequence[PartitionKey], indexes: Sequence[Sequence[str]], *, projected: bool
) -> None:
    problems.check(
        not (indexes and projected),
        given="partition indexes and projections",
        allowed="one of them: where Athena projects, it never asks the catalog for partitions",
    )
    problems.check(
        len(indexes) <= _MAXIMUM_INDEXES,
        given=f"{len(indexes)} partition indexes",
        allowed=f"at most {_MAXIMUM_INDEXES} for a table",
    )
    known = [key.name for key in keys]
    for index in indexes:
        problems.check(
            bool(index) and set(index) <= set(known) and len(set(index)) == len(index),
            given=f"partition index {list(index)}",
            allowed=f"partition keys of the table, each once: {', '.join(known) or 'it has none'}",
        )
    sets = [tuple(index) for index in indexes]
    problems.check(len(set(sets)) == len(sets), given="a partition index twice", allowed="each once")
