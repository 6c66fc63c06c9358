"""How long a zone keeps what: folders with a life of their own, and what S3 leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, FolderExpiry, ZoneDefinition
from tests.constructs import support


def rules(definition: ZoneDefinition) -> dict[str, dict[str, Any]]:
    """The lifecycle rules of a zone's bucket by their ids."""
    stack = support.stack()
    DataLake(stack, "Lake", zones=[definition])
    buckets = support.resources(stack, "AWS::S3::Bucket")
    bucket = support.only({key: value for key, value in buckets.items() if "AccessLogs" not in key})
    return {
        rule["Id"]: rule for rule in bucket["Properties"].get("LifecycleConfiguration", {}).get("Rules", ())
    }


def refusal(definition: ZoneDefinition) -> str:
    with pytest.raises(ConfigurationError) as failure:
        DataLake(support.stack(), "Lake", zones=[definition])
    return str(failure.value)


def test_a_folder_may_expire_before_the_rest_of_its_zone() -> None:
    found = rules(
        ZoneDefinition(
            name="work",
            expire_folders=[
                FolderExpiry(prefix="runs/", expire_days=90, noncurrent_expire_days=7),
                FolderExpiry(prefix="tmp/small/", expire_days=1),
            ],
        )
    )
    assert found["Folder-runs/"] == {
        "Id": "Folder-runs/",
        "Status": "Enabled",
        "Prefix": "runs/",
        "ExpirationInDays": 90,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    }
    assert found["Folder-tmp/small/"] == {
        "Id": "Folder-tmp/small/",
        "Status": "Enabled",
        "Prefix": "tmp/small/",
        "ExpirationInDays": 1,
    }
    # Unfinished uploads and replaced versions below the folders are the zone's own rule's.
    assert "Prefix" not in found["Zone"]
    assert found["Zone"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert found["Zone"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}


def test_the_marks_of_deleted_objects_go_with_their_last_version() -> None:
    """With an age of expiry S3 removes them itself, and refuses to be told so in the same rule."""
    assert rules(ZoneDefinition(name="kept"))["Zone"]["ExpiredObjectDeleteMarker"] is True
    assert "ExpiredObjectDeleteMarker" not in rules(ZoneDefinition(name="short", expire_days=30))["Zone"]
    assert "ExpiredObjectDeleteMarker" not in rules(ZoneDefinition(name="once", versioned=False))["Zone"]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            ZoneDefinition(name="work", expire_folders=[FolderExpiry(prefix="/runs", expire_days=1)]),
            "expire_folders with '/runs'; allowed: a folder relative to the bucket",
        ),
        (
            ZoneDefinition(name="work", expire_folders=[FolderExpiry(prefix="runs/", expire_days=0)]),
            "runs/: expire_days=0; allowed: whole days, 1 or more",
        ),
        (
            ZoneDefinition(
                name="work",
                expire_folders=[FolderExpiry(prefix="runs/", expire_days=1, noncurrent_expire_days=0)],
            ),
            "runs/: noncurrent_expire_days=0",
        ),
        (
            ZoneDefinition(
                name="work", expire_days=30, expire_folders=[FolderExpiry(prefix="runs/", expire_days=30)]
            ),
            "runs/: expire_days=30; allowed: less than the zone's expire_days=30",
        ),
        (
            ZoneDefinition(
                name="work",
                noncurrent_expire_days=7,
                expire_folders=[FolderExpiry(prefix="runs/", expire_days=1, noncurrent_expire_days=8)],
            ),
            "runs/: noncurrent_expire_days=8; allowed: at most the zone's noncurrent_expire_days=7",
        ),
        (
            ZoneDefinition(
                name="work",
                expire_folders=[
                    FolderExpiry(prefix="runs/", expire_days=1),
                    FolderExpiry(prefix="runs/old/", expire_days=9),
                ],
            ),
            "expire_folders with 'runs/' and 'runs/old/'; allowed: folders apart from each other",
        ),
        (
            ZoneDefinition(
                name="work",
                versioned=False,
                expire_folders=[FolderExpiry(prefix="runs/", expire_days=1, noncurrent_expire_days=8)],
            ),
            "runs/: noncurrent_expire_days=8; allowed: versions only in a versioned zone",
        ),
    ],
)
def test_a_life_that_contradicts_itself_is_refused(definition: ZoneDefinition, expected: str) -> None:
    assert expected in refusal(definition)


@pytest.mark.parametrize("prefix", ["", "/", "/runs/", "runs", "run*/", "${aws:username}/"])
def test_a_folder_that_expires_is_a_folder(prefix: str) -> None:
    definition = ZoneDefinition(name="work", expire_folders=[FolderExpiry(prefix=prefix, expire_days=1)])
    assert "expire_folders" in refusal(definition)


@pytest.mark.parametrize("prefix", ["check points/", "check?points/", "a//b/", "ä/"])
def test_folders_have_one_pattern_everywhere(prefix: str) -> None:
    assert "unnamed_key_prefixes" in refusal(ZoneDefinition(name="work", unnamed_key_prefixes=[prefix]))
