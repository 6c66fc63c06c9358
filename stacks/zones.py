"""The zones of the lake by the settings: the default ones, each with the life that its table gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science import Archive, FolderExpiry, ObjectLock, Replication, ZoneDefinition
from cdk_data_science.data_lake import DEFAULT_ZONES
from settings.lake import Lake
from settings.zones import Zone

RECOVERABLE_DAYS = 7
"""Expired copies can be had back this long; what they were made of is kept."""
_DAYS = ("intelligent_tiering_days", "infrequent_access_days", "expire_days", "noncurrent_expire_days")


def definitions(scope: Construct, lake: Lake) -> Iterator[ZoneDefinition]:
    """The default zones; what can be made again may expire."""
    again = {
        "features": (("runs/", "runs-train/"), lake.runs_expire_days),
        "models": (("checkpoints/",), lake.checkpoints_expire_days),
    }
    lives = {str(name): zone for name, zone in lake.zones.items()}
    for zone in DEFAULT_ZONES:
        given = lives.get(zone.name)
        prefixes, days = again.get(zone.name, ((), None))
        folders = [
            FolderExpiry(prefix=prefix, expire_days=days, noncurrent_expire_days=RECOVERABLE_DAYS)
            for prefix in prefixes
            if days is not None
        ]
        if given is not None:
            folders += [
                FolderExpiry(prefix=prefix, expire_days=age) for prefix, age in given.expire_folders.items()
            ]
        options = {} if given is None else _options(scope, zone.name, given)
        yield dataclasses.replace(zone, expire_folders=folders, **options)


def _options(scope: Construct, name: str, zone: Zone) -> dict[str, Any]:
    """What the settings give; the rest is as in the library."""
    days = {option: getattr(zone, option) for option in _DAYS if getattr(zone, option) is not None}
    options: dict[str, Any] = {option: None if value == "never" else value for option, value in days.items()}
    if zone.infrequent_access_days is not None and zone.intelligent_tiering_days is None:
        options["intelligent_tiering_days"] = None  # one is in place of the other
    if zone.archive_days is not None:
        options["archive"] = Archive(days=zone.archive_days, depth=zone.archive_depth)
    if zone.inventory is not None:
        options["inventory"] = zone.inventory
    if zone.lock_days is not None:
        options["object_lock"] = ObjectLock(days=zone.lock_days, mode=zone.lock_mode)
    if zone.copy_bucket is not None and zone.copy_key_arn is not None:
        title = name.title()
        options["replication"] = Replication(
            bucket=s3.Bucket.from_bucket_name(scope, f"{title}Copies", zone.copy_bucket),
            key=kms.Key.from_key_arn(scope, f"{title}CopiesKey", zone.copy_key_arn),
        )
    return options
