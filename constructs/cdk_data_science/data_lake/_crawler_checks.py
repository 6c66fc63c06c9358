"""What a crawler may be told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from aws_cdk import Stack
from constructs import Construct

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake.data_lake import DataLakeBase
from cdk_data_science.data_lake.zone import Zone
from cdk_data_science.data_lake.zone_base import ZoneBase

Recrawl = Literal["everything", "new_folders", "events"]
OnChange = Literal["update", "log"]
OnDelete = Literal["deprecate", "delete", "log"]

RECRAWL = {
    "everything": "CRAWL_EVERYTHING",
    "new_folders": "CRAWL_NEW_FOLDERS_ONLY",
    "events": "CRAWL_EVENT_MODE",
}
ON_CHANGE = {"update": "UPDATE_IN_DATABASE", "log": "LOG"}
ON_DELETE = {"deprecate": "DEPRECATE_IN_DATABASE", "delete": "DELETE_FROM_DATABASE", "log": "LOG"}
_TABLE_PREFIX = re.compile(r"[a-z0-9_]{0,128}")


def check_place(
    problems: Problems,
    lake: DataLakeBase[Any],
    zone: ZoneBase,
    prefixes: Sequence[str],
    table_prefix: str,
) -> None:
    """Record a place that is not the lake's, or not the crawler's to define tables in."""
    problems.check(
        any(zone is known for known in lake.zones.values()),
        given=f"zone {zone.name!r} at {zone.node.path}",
        allowed=f"a zone of {lake.node.path}: {', '.join(lake.zones)}",
    )
    problems.check_list("prefixes", prefixes)
    problems.raise_if_any()
    problems.check(bool(prefixes), given="no prefixes", allowed="one folder or more", write='["partner/"]')
    for prefix in prefixes:
        problems.check(
            is_token(prefix) or bool(FOLDER.fullmatch(prefix)),
            given=f"prefix {prefix!r}",
            allowed="a folder of the zone, of the characters that S3 recommends, ending in /",
            write='prefixes=["partner/"]',
        )
        for table in zone.tables.values():
            problems.check(
                is_token(prefix) or not (prefix.startswith(table.prefix) or table.prefix.startswith(prefix)),
                given=f"prefix {prefix!r} beside table {table.name!r} at {table.prefix!r}",
                allowed="folders without tables: a crawler would define them anew, each time differently",
            )
    problems.check(
        is_token(table_prefix)
        or (
            len(table_prefix) <= 128 and not set(table_prefix) - set("abcdefghijklmnopqrstuvwxyz0123456789_")
        ),
        given=f"table_prefix={table_prefix!r}",
        allowed="at most 128 lower-case letters, digits and underscores",
    )


def check_policies(
    problems: Problems,
    scope: Construct,
    zone: ZoneBase,
    recrawl: str,
    on_change: str,
    on_delete: str,
    prefixes: Sequence[str],
    sample_size: int | None,
) -> None:
    """Record policies that Glue refuses together."""
    for option, value, known in (
        ("recrawl", recrawl, RECRAWL),
        ("on_change", on_change, ON_CHANGE),
        ("on_delete", on_delete, ON_DELETE),
    ):
        problems.check(value in known, given=f"{option}={value!r}", allowed=", ".join(known))
    problems.check(
        recrawl != "new_folders" or (on_change, on_delete) == ("log", "log"),
        given=f'recrawl="new_folders", on_change="{on_change}", on_delete="{on_delete}"',
        allowed="new folders alone change no table: Glue refuses them together",
        write='on_change="log", on_delete="log"',
    )
    problems.check(
        sample_size is None or 1 <= sample_size <= 249,
        given=f"sample_size={sample_size}",
        allowed="1 to 249 files of each folder",
    )
    if recrawl != "events":
        return
    problems.check(
        len(prefixes) == 1 and sample_size is None,
        given=f"events of {len(prefixes)} folders, sample_size={sample_size}",
        allowed="one folder, and all of its files",
    )
    problems.check(
        isinstance(zone, Zone) and zone.owns_bucket and Stack.of(zone) is Stack.of(scope),
        given=f"events of zone {zone.name!r}, which is not of this stack",
        allowed="a zone that was made in the crawler's stack: its bucket names the queue",
        write='recrawl="new_folders"',
    )
    if isinstance(zone, Zone):
        for other in zone.queues:
            problems.check(
                not any(each.startswith(other) or other.startswith(each) for each in prefixes),
                given=f"events of {', '.join(prefixes)}, which a crawler of {other} has",
                allowed="folders apart from each other: S3 sends an event to one queue",
            )
