"""What a job reads and writes, and what its role is granted for it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science._validation import Problems, is_list, shown
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder

Place = ZoneBase | TableBase | ZoneFolder
"""A whole zone, a table, or a folder of a zone."""


def zone_of(place: Place) -> ZoneBase:
    """The zone that a place is in."""
    return place if isinstance(place, ZoneBase) else place.zone


def grant_read(role: iam.IRole, places: Sequence[Place]) -> None:
    """Let a role read these places and nothing beside them."""
    for place in places:
        if isinstance(place, ZoneFolder):
            place.zone.grant_read(role, prefix=place.prefix)
        elif isinstance(place, TableBase):
            place.grant_select(role)
        else:
            place.grant_read(role)


def grant_write(role: iam.IRole, places: Sequence[Place]) -> None:
    """Let a role write these places. Spark looks at what is there before it writes, so reading is part."""
    for place in places:
        if isinstance(place, ZoneFolder):
            place.zone.grant_read_write(role, prefix=place.prefix)
        elif isinstance(place, TableBase):
            place.grant_write(role)
        else:
            place.grant_read_write(role)


def check_kinds(problems: Problems, **options: object) -> None:
    """Record what is no place, or no list of them."""
    for option, places in options.items():
        problems.check(
            is_list(places), given=f"{option}={shown(places)}", allowed="a list", write=f"{option}=[…]"
        )
        for place in places if is_list(places) else ():
            problems.check_kind(
                f"a place of {option}",
                place,
                (ZoneBase, TableBase, ZoneFolder),
                write='ZoneFolder(zone=lake.raw, prefix="reviews/")',
            )


def check_one_key(problems: Problems, places: Sequence[Place]) -> None:
    """Record outputs of several keys: a job encrypts all that it writes with one."""
    names: dict[str, str] = {}
    for place in places:
        zone = zone_of(place)
        names.setdefault("none" if zone.key is None else zone.key.key_arn, zone.name)
    problems.check(
        len(names) <= 1,
        given=f"outputs in zones of different keys: {', '.join(names.values())}",
        allowed="outputs of one key: a job has one security configuration, and zones refuse other keys",
        write="a job for each of them",
    )


def key_of(writes: Sequence[Place], reads: Sequence[Place]) -> kms.IKey | None:
    """What a job encrypts with: the key of where it writes, or reads if it writes nowhere."""
    for place in (*writes, *reads):
        return zone_of(place).key
    return None
