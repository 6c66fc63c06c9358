"""What an export of a snapshot cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder


def check_snapshot_export(
    scope: Construct, table: TableBase, columns: Sequence[str], order_by: Sequence[str], to: ZoneFolder
) -> None:
    """Refuse tables without snapshots, columns that are not there, and folders where exports go lost."""
    problems = Problems("SnapshotExport", scope)
    problems.check_kind("table", table, TableBase, write="lake.curated.add_table(…)")
    problems.check_list("columns", columns)
    problems.check_list("order_by", order_by)
    problems.check_kind("to", to, ZoneFolder, write='ZoneFolder(zone=lake.raw, prefix="exports/")')
    problems.raise_if_any()
    problems.check(
        table.iceberg,
        given=f"table {table.name!r}, which is no Iceberg table",
        allowed="Iceberg tables: others have no snapshots",
        write="format=Iceberg()",
    )
    for option, names in (("columns", columns), ("order_by", order_by)):
        problems.check(bool(names), given=f"{option}=[]", allowed="one column or more")
        unknown = [name for name in names if name not in table.column_names]
        problems.check(
            not unknown,
            given=f"{option} with {', '.join(map(repr, unknown))}",
            allowed=f"columns of {table.name!r}: {', '.join(table.column_names)}",
        )
        problems.check(
            len(set(names)) == len(names), given=f"{option}={list(names)}", allowed="each column once"
        )
    for other in to.zone.tables.values():
        problems.check(
            not other.iceberg
            or not (to.prefix.startswith(other.prefix) or other.prefix.startswith(to.prefix)),
            given=f"the folder {to.prefix!r} with the files of table {other.name!r}",
            allowed="a folder apart from Iceberg tables: what removes their orphans would remove exports",
        )
    problems.raise_if_any()
