"""Versions that nobody deletes before their time."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, ObjectLock, ZoneDefinition
from tests.compliance.cloudformation import create_only
from tests.constructs import nag, support


def bucket(lock: ObjectLock | None) -> dict[str, Any]:
    """The properties of a zone's bucket."""
    stack = support.stack()
    DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", object_lock=lock)])
    buckets = support.resources(stack, "AWS::S3::Bucket")
    found = support.only({key: value for key, value in buckets.items() if "AccessLogs" not in key})
    properties: dict[str, Any] = found["Properties"]
    return properties


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_new_versions_are_locked_for_their_days(mode: Any) -> None:
    properties = bucket(ObjectLock(days=365, mode=mode))
    assert properties["ObjectLockEnabled"] is True
    assert properties["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Days": 365, "Mode": mode.upper()}},
    }
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}


def test_a_lock_that_is_added_later_replaces_nothing() -> None:
    before, after = bucket(None), bucket(ObjectLock(days=1))
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"ObjectLockEnabled", "ObjectLockConfiguration"}
    assert changed & create_only("AWS::S3::Bucket") == set()


def test_the_access_logs_are_not_locked() -> None:
    """S3 delivers no access logs to a bucket with a lock."""
    stack = support.stack()
    DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", object_lock=ObjectLock(days=1))])
    buckets = support.resources(stack, "AWS::S3::Bucket")
    (logs,) = (value for key, value in buckets.items() if "AccessLogs" in key)
    assert "ObjectLockEnabled" not in logs["Properties"]


def test_a_locked_zone_has_no_unacknowledged_finding() -> None:
    app = support.app()
    zone = ZoneDefinition(name="raw", object_lock=ObjectLock(days=1))
    DataLake(support.stack(app), "Lake", zones=[zone])
    assert nag.unacknowledged(app) == []


@pytest.mark.parametrize(
    ("definition", "destroy", "expected"),
    [
        (ZoneDefinition(name="raw", object_lock=ObjectLock(days=0)), False, "1 to 36500 whole days"),
        (ZoneDefinition(name="raw", object_lock=ObjectLock(days=36_501)), False, "1 to 36500 whole days"),
        (ZoneDefinition(name="raw", object_lock=ObjectLock(days=True)), False, "1 to 36500 whole days"),
        (
            ZoneDefinition(name="raw", object_lock=ObjectLock(days=1, mode="legal")),  # type: ignore[arg-type]
            False,
            "governance or compliance",
        ),
        (
            ZoneDefinition(name="raw", object_lock=ObjectLock(days=1), versioned=False),
            False,
            "S3 locks versions only",
        ),
        (ZoneDefinition(name="raw", object_lock=ObjectLock(days=1)), True, "a locked zone is kept"),
    ],
)
def test_a_lock_that_cannot_be_is_refused(definition: ZoneDefinition, destroy: bool, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        DataLake(support.stack(), "Lake", zones=[definition], destroy=destroy)
