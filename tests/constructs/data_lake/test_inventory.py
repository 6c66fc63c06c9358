"""Lists of a zone's objects, delivered beside its access logs."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, Zone, ZoneDefinition
from tests.compliance.cloudformation import schema
from tests.constructs import nag, support


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, Any]]:
    """A lake with a zone that is listed and one that is not."""
    stack = support.stack()
    DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", inventory="weekly"), "curated"])
    return support.resources(stack)


def found(resources: dict[str, dict[str, Any]], type: str, part: str) -> tuple[str, dict[str, Any]]:
    [(key, resource)] = [(k, r) for k, r in resources.items() if r["Type"] == type and part in k]
    return key, resource["Properties"]


def test_a_zone_is_listed_with_all_its_versions(listed: dict[str, dict[str, Any]]) -> None:
    logs, _ = found(listed, "AWS::S3::Bucket", "AccessLogs")
    _, raw = found(listed, "AWS::S3::Bucket", "LakeRaw")
    [inventory] = raw["InventoryConfigurations"]
    assert inventory["Destination"] == {
        "BucketArn": {"Fn::GetAtt": [logs, "Arn"]},
        "BucketAccountId": {"Ref": "AWS::AccountId"},
        "Format": "Parquet",
        "Prefix": "inventory/raw",
    }
    assert inventory["ScheduleFrequency"] == "Weekly"
    assert inventory["IncludedObjectVersions"] == "All"
    known = (schema("AWS::S3::Bucket") or {})["definitions"]["InventoryConfiguration"]["properties"]
    assert set(inventory["OptionalFields"]) <= set(known["OptionalFields"]["items"]["enum"])
    _, curated = found(listed, "AWS::S3::Bucket", "LakeCurated")
    assert "InventoryConfigurations" not in curated


def test_only_that_zone_may_be_listed_and_only_to_its_folder(listed: dict[str, dict[str, Any]]) -> None:
    logs, _ = found(listed, "AWS::S3::Bucket", "AccessLogs")
    raw, _ = found(listed, "AWS::S3::Bucket", "LakeRaw")
    _, policy = found(listed, "AWS::S3::BucketPolicy", "AccessLogs")
    [statement] = [
        s for s in policy["PolicyDocument"]["Statement"] if s["Principal"] == {"Service": "s3.amazonaws.com"}
    ]
    assert statement["Action"] == "s3:PutObject"
    assert statement["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [logs, "Arn"]}, "/inventory/raw/*"]]}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::GetAtt": [raw, "Arn"]}},
    }


def test_lists_in_another_stacks_bucket_make_no_cycle() -> None:
    app = support.app()
    home, away = support.stack(app, "Home"), support.stack(app, "Away")
    zone = ZoneDefinition(name="raw", inventory="daily", versioned=False)
    DataLake(home, "Lake", zones=[zone], access_logs=s3.Bucket(away, "Logs"))
    [inventory] = found(support.resources(home), "AWS::S3::Bucket", "LakeRaw")[1]["InventoryConfigurations"]
    assert inventory["IncludedObjectVersions"] == "Current"
    assert inventory["ScheduleFrequency"] == "Daily"
    assert away.dependencies == []


def test_a_listed_zone_has_no_unacknowledged_finding() -> None:
    app = support.app()
    DataLake(support.stack(app), "Lake", zones=[ZoneDefinition(name="raw", inventory="daily")])
    assert nag.unacknowledged(app) == []


def test_a_frequency_that_s3_does_not_have_is_refused() -> None:
    zone = ZoneDefinition(name="raw", inventory="hourly")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="inventory='hourly'; allowed: daily, weekly"):
        DataLake(support.stack(), "Lake", zones=[zone])


def test_a_zone_without_a_place_for_lists_is_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="without access_logs"):
        Zone(
            stack,
            "Zone",
            definition=ZoneDefinition(name="raw", inventory="daily"),
            key=kms.Key(stack, "Key"),
        )
