"""A table of the lake: typed columns over a folder of a zone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_glue as glue
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake._partition_indexes import PartitionIndexes
from cdk_data_science.data_lake._table_input import hive_input, iceberg_input
from cdk_data_science.data_lake.column_types import ColumnType
from cdk_data_science.data_lake.formats import Csv, Iceberg, Json, Parquet, TableFormat
from cdk_data_science.data_lake.partitions import PartitionKey, check_partitions, projection_parameters
from cdk_data_science.data_lake.schema import Column, Schema, check_columns, columns_of
from cdk_data_science.data_lake.table_base import TableBase

if TYPE_CHECKING:
    from cdk_data_science.data_lake.zone_base import ZoneBase

_NAME = re.compile(r"[a-z][a-z0-9_]{0,254}")
_DESCRIPTION = 2048


class LakeTable(TableBase):
    """A table in the Glue database of a zone, over one folder of its bucket. Usually made by
    ``zone.add_table``.

    Types are checked against the grammar of Glue and Athena, partitions against what Athena can project.
    Adding a column changes the table in place. The name and the zone are the table's identity: changing them
    makes a new definition, and moves no object.

    An Iceberg table is declared to Glue by ``OpenTableFormatInput`` alone. Where columns are in
    ``TableInput`` too, the first update takes away what makes it an Iceberg table
    (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1919).

    **Costs at rest**: nothing; the catalog's first million objects are free.

    ```python
    from cdk_data_science.data_lake import DataLake, DateProjection, Json, LakeTable, PartitionKey

    lake = DataLake(self, "Lake")
    LakeTable(
        self,
        "Events",
        zone=lake.raw,
        name="events",
        schema={"user_id": "string", "clicked": "array<string>"},
        format=Json(),
        partition_keys=[PartitionKey(name="day", projection=DateProjection(start="2026-01-01"))],
    )
    ```

    Args:
        zone: The zone that holds its objects and whose database lists it.
        name: Lower-case letters, digits and underscores, a letter first; unique in the zone.
        schema: Names and types, or :class:`Column` where more is to be said; for CSV in the file's order.
        format: What the objects are. Default: Parquet.
        prefix: Folder of the objects, ending in ``/``, apart from the folders of the zone's other tables.
            Default: the name.
        partition_keys: Columns that are folders, outermost first. Iceberg has its own. Default: none.
        location_template: Folders of a projected partition, such as ``${day}/``, below the prefix. Default:
            ``day=${day}/``, as Hive names them.
        partition_indexes: Keys of up to three indexes in the catalog, by which partitions are found in large
            tables that are not projected. A small function of the stack makes them. Default: none.
        description: What the table holds, at most 2048 characters. Default: none.
        destroy: Delete the definition with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``; objects are the zone's matter. Default: as its zone.

    Raises:
        ConfigurationError: For a table that Glue, Athena or Lake Formation would refuse, all mistakes at
            once.

    Follows https://docs.aws.amazon.com/athena/latest/ug/creating-tables.html,
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html and
    https://docs.aws.amazon.com/glue/latest/dg/partition-indexes.html.
    """

    table: glue.CfnTable
    """The resource."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zone: ZoneBase,
        name: str,
        schema: Schema,
        format: TableFormat = Parquet(),  # noqa: B008 -- immutable
        prefix: str | None = None,
        partition_keys: Sequence[PartitionKey] = (),
        location_template: str | None = None,
        partition_indexes: Sequence[Sequence[str]] = (),
        description: str | None = None,
        destroy: bool | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.zone, self.name = zone, name
        self.prefix = f"{name}/" if prefix is None else prefix
        self.iceberg = isinstance(format, Iceberg)
        problems = Problems("LakeTable", self)
        problems.check_kind("format", format, (Csv, Iceberg, Json, Parquet), write="Parquet()")
        problems.raise_if_any()
        columns = columns_of(schema)
        keys = [Column(name=key.name, type=key.type, comment=key.comment) for key in partition_keys]
        _check_identity(problems, zone, name, self.prefix)
        problems.check(bool(columns), given="a schema without columns", allowed="one column or more")
        self._types = check_columns(problems, [*columns, *keys], "column")
        _check_format(problems, format, columns, keys, self._types)
        check_partitions(
            problems,
            partition_keys,
            self._types,
            location_template=location_template,
            indexes=partition_indexes,
        )
        problems.check(
            description is None or is_token(description) or len(description) <= _DESCRIPTION,
            given=f"a description of {len(description or '')} characters",
            allowed=f"at most {_DESCRIPTION}",
        )
        problems.raise_if_any()

        self.column_names = tuple(column.name for column in (*columns, *keys))
        self._partition_keys = [key.name for key in keys]
        template = None if location_template is None else zone.uri(f"{self.prefix}{location_template}")
        parameters = projection_parameters(partition_keys, template)
        if partition_indexes:
            parameters["partition_filtering.enabled"] = "true"
        self.table = glue.CfnTable(
            self,
            "Resource",
            catalog_id=Stack.of(zone).account,
            database_name=zone.database_name,
            name=name if isinstance(format, Iceberg) else None,
            open_table_format_input=iceberg_input(format, columns, self.location, description)
            if isinstance(format, Iceberg)
            else None,
            table_input=None
            if isinstance(format, Iceberg)
            else hive_input(format.storage(), name, columns, keys, self.location, parameters, description),
        )
        self.table.apply_removal_policy(
            removal_policy(self, destroy=zone.destroy if destroy is None else destroy)
        )
        self.made = (self.table,)
        if partition_indexes:
            PartitionIndexes(
                self, "Indexes", table=self.table, name=name, zone=zone, indexes=partition_indexes
            )
        self.node.default_child = self.table
        zone.tables[name] = self

    @staticmethod
    def from_schema(
        scope: Construct,
        id: str,
        *,
        zone: ZoneBase,
        name: str,
        schema: Schema,
        prefix: str | None = None,
        partition_keys: Sequence[PartitionKey] = (),
        iceberg: bool = False,
    ) -> TableBase:
        """A table that somebody else made, such as a crawler or another app, to grant on it.

        Args:
            zone: The zone that it is in, built or imported.
            name: Its name.
            schema: Its columns, as far as grants name them.
            prefix: The folder of its objects. Default: the name.
            partition_keys: Its partition keys, as far as grants name them. Default: none.
            iceberg: Whether it is an Iceberg table. Default: no.

        Raises:
            ConfigurationError: For names, types and folders that no table has.
        """
        made = _ImportedTable(scope, id, zone, name, columns_of(schema), prefix, partition_keys)
        made.iceberg = iceberg
        return made


class _ImportedTable(TableBase):
    """A table that somebody else made."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        zone: ZoneBase,
        name: str,
        columns: Sequence[Column],
        prefix: str | None,
        partition_keys: Sequence[PartitionKey],
    ) -> None:
        super().__init__(scope, id)
        self.zone, self.name = zone, name
        self.prefix = f"{name}/" if prefix is None else prefix
        keys = [Column(name=key.name, type=key.type) for key in partition_keys]
        problems = Problems("LakeTable.from_schema", self)
        _check_identity(problems, zone, name, self.prefix)
        self._types = check_columns(problems, [*columns, *keys], "column")
        problems.raise_if_any()
        self.column_names = tuple(column.name for column in (*columns, *keys))
        self._partition_keys = [key.name for key in keys]
        zone.tables[name] = self


def _check_identity(problems: Problems, zone: ZoneBase, name: str, prefix: str) -> None:
    """Record a name or a folder that another table of the zone has."""
    problems.check(
        is_token(name) or bool(_NAME.fullmatch(name)),
        given=f"name={name!r}",
        allowed="lower-case letters, digits and underscores, at most 255, a letter first",
        write='name="reviews"',
    )
    problems.check(
        is_token(prefix) or bool(FOLDER.fullmatch(prefix)),
        given=f"prefix={prefix!r}",
        allowed="a folder of the zone, of the characters that S3 recommends, ending in /",
        write='prefix="reviews/"',
    )
    problems.check(
        name not in zone.tables,
        given=f"a second table {name!r} in zone {zone.name!r}",
        allowed="each name once",
    )
    for other in zone.tables.values():
        problems.check(
            is_token(prefix) or not (prefix.startswith(other.prefix) or other.prefix.startswith(prefix)),
            given=f"prefix={prefix!r} beside table {other.name!r} at {other.prefix!r}",
            allowed="folders apart from each other: one table would read the other's objects",
        )


def _check_format(
    problems: Problems,
    format: TableFormat,
    columns: Sequence[Column],
    keys: Sequence[Column],
    types: Mapping[str, ColumnType],
) -> None:
    """Record what a format cannot hold."""
    own = {column.name: types[column.name] for column in columns if column.name in types}
    if isinstance(format, Iceberg):
        format.check(problems, columns, own)
        problems.check(
            not keys,
            given="partition_keys of an Iceberg table",
            allowed="partitions that Iceberg makes itself",
            write="Iceberg(partition_by=[IcebergPartition(column=…)])",
        )
        return
    format.check(problems, own)
    for column in columns:
        problems.check(
            column.field_id is None and not column.required,
            given=f"column {column.name!r} with field_id or required",
            allowed="both in Iceberg tables only",
        )
