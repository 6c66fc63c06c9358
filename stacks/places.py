"""What the settings call a place of the lake, as the library has it."""

from __future__ import annotations

from collections.abc import Sequence

from cdk_data_science import ConfigurationError, DataLake, ZoneFolder
from cdk_data_science.data_lake import TableBase
from settings.places import squeezed


def folder(lake: DataLake, name: str) -> ZoneFolder:
    """``raw/reviews/``."""
    zone, _, prefix = name.partition("/")
    return ZoneFolder(zone=lake.zone(zone), prefix=prefix)


def table(lake: DataLake, name: str, key: str) -> TableBase:
    """``curated.reviews``, which the settings key ``key`` names.

    Raises:
        ConfigurationError: There is no such table in the settings.
    """
    zone, _, table = name.partition(".")
    tables = lake.zone(zone).tables
    if table not in tables:
        known = ", ".join(f"{zone}.{other}" for other in tables) or "none in this zone"
        raise ConfigurationError(
            f"{key}: given table {name!r}; allowed: tables of the settings: {known}; write: "
            f"[lake.tables.{table}] with its columns"
        )
    return tables[table]


def place(lake: DataLake, name: str, key: str) -> ZoneFolder | TableBase:
    """A folder or a table, which the settings key ``key`` names."""
    return folder(lake, name) if "/" in name else table(lake, name, key)


def all_of(lake: DataLake, names: Sequence[str], key: str) -> list[ZoneFolder | TableBase]:
    """All of these."""
    return [place(lake, name, key) for name in names]


def id_of(kind: str, name: str) -> str:
    """The id of what the settings call ``name``: ``JobCleanReviews``."""
    return f"{kind}{squeezed(name)}"
