"""Where objects go with age, second copies of them, and buckets that are there already."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import (
    Archive,
    DataLake,
    LakeCrawler,
    ObjectLock,
    Replication,
    ZoneDefinition,
)
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

KEY = "arn:aws:kms:eu-central-1:111122223333:key/copy"


def elsewhere(stack: cdk.Stack) -> tuple[s3.IBucket, kms.IKey]:
    key = kms.Key.from_key_arn(stack, "CopyKey", KEY)
    return s3.Bucket.from_bucket_name(stack, "Copies", "lake-copies"), key


def buckets(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    found = support.resources(stack, "AWS::S3::Bucket")
    return {key: each["Properties"] for key, each in found.items() if "AccessLogs" not in key}


def transitions(definition: ZoneDefinition) -> list[tuple[str, int]]:
    stack = support.stack()
    DataLake(stack, "Lake", zones=[definition])
    (rule,) = support.only(buckets(stack))["LifecycleConfiguration"]["Rules"]
    return [(each["StorageClass"], each["TransitionInDays"]) for each in rule["Transitions"]]


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as failure:
        DataLake(support.stack(), "Lake", zones=[ZoneDefinition(name="raw", **options)])
    return str(failure.value)


def test_objects_go_to_infrequent_access_and_then_to_an_archive() -> None:
    definition = ZoneDefinition(
        name="raw",
        intelligent_tiering_days=None,
        infrequent_access_days=30,
        archive=Archive(days=90, depth="deep"),
        expire_days=400,
    )
    assert transitions(definition) == [("STANDARD_IA", 30), ("DEEP_ARCHIVE", 90)]


def test_an_archive_may_follow_intelligent_tiering() -> None:
    definition = ZoneDefinition(name="raw", archive=Archive(days=365))
    assert transitions(definition) == [("INTELLIGENT_TIERING", 0), ("GLACIER_IR", 365)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"infrequent_access_days": 30}, "write: intelligent_tiering_days=None"),
        ({"intelligent_tiering_days": None, "infrequent_access_days": 29}, "S3 moves nothing there earlier"),
        (
            {"intelligent_tiering_days": None, "infrequent_access_days": 30, "expire_days": 59},
            "30 days or more there",
        ),
        (
            {"intelligent_tiering_days": None, "infrequent_access_days": 60, "archive": Archive(days=30)},
            "an archive 30 days or more after infrequent access; write: Archive(days=90)",
        ),
        ({"archive": Archive(days=0)}, "an archive later than the tier before it"),
        ({"archive": Archive(days=-1)}, "whole days, 0 or more"),
        ({"archive": Archive(days=90), "expire_days": 100}, "write: expire_days=180"),
        ({"archive": Archive(days=90, depth="deep"), "expire_days": 200}, "write: expire_days=270"),
    ],
)
def test_a_life_that_contradicts_itself_is_told(options: dict[str, Any], said: str) -> None:
    assert said in refusal(**options)


@pytest.fixture(scope="module")
def replicated() -> cdk.Stack:
    stack = support.stack()
    bucket, key = elsewhere(stack)
    copies = Replication(bucket=bucket, key=key, within_minutes=15)
    DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", replication=copies)])
    return stack


def test_a_second_copy_is_encrypted_with_the_key_of_where_it_is(replicated: cdk.Stack) -> None:
    configuration = support.only(buckets(replicated))["ReplicationConfiguration"]
    (rule,) = configuration["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    target = rule["Destination"]
    assert target["EncryptionConfiguration"] == {"ReplicaKmsKeyID": KEY}
    assert target["StorageClass"] == "STANDARD_IA"
    assert target["ReplicationTime"] == {"Status": "Enabled", "Time": {"Minutes": 15}}


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:GetObjectVersionForReplication", "{raw}/reviews/a", True),
        ("s3:ReplicateObject", "arn:aws:s3:::lake-copies/reviews/a", True),
        ("s3:ReplicateObject", "arn:aws:s3:::other/reviews/a", False),
        ("s3:PutObject", "{raw}/reviews/a", False),
        ("kms:Decrypt", "{key}", True),
        ("kms:Encrypt", KEY, True),
        ("kms:Decrypt", KEY, False),
    ],
)
def test_s3_copies_from_here_to_there_and_reads_nothing_there(
    replicated: cdk.Stack, action: str, resource: str, allowed: bool
) -> None:
    role = Simulator(support.resources(replicated), "LakeRawBucketReplicationRole")
    places = {"raw": role.arn("LakeRawBucket"), "key": role.arn("LakeKey")}
    assert role.allows(action, resource.format(**places), when={}) is allowed


def test_replication_is_added_without_replacing_the_bucket() -> None:
    def made(replication: bool) -> dict[str, Any]:
        stack = support.stack()
        bucket, key = elsewhere(stack)
        copies = Replication(bucket=bucket, key=key) if replication else None
        DataLake(
            stack,
            "Lake",
            zones=[ZoneDefinition(name="raw", replication=copies, archive=Archive(days=200))],
        )
        return support.resources(stack)

    before, after = made(False), made(True)
    assert before.keys() <= after.keys()
    assert [after[key]["Type"] for key in before if before[key] != after[key]] == ["AWS::S3::Bucket"]
    (key,) = buckets_of(after)
    old, new = before[key]["Properties"], after[key]["Properties"]
    assert {name for name in new if old.get(name) != new[name]} == {"ReplicationConfiguration"}


def buckets_of(found: dict[str, Any]) -> list[str]:
    return [
        key for key, each in found.items() if each["Type"] == "AWS::S3::Bucket" and "AccessLogs" not in key
    ]


def test_a_copy_of_no_versions_is_refused() -> None:
    stack = support.stack()
    bucket, key = elsewhere(stack)
    zone = ZoneDefinition(name="raw", versioned=False, replication=Replication(bucket=bucket, key=key))
    with pytest.raises(ConfigurationError, match="write: versioned=True"):
        DataLake(stack, "Lake", zones=[zone])


def existing(stack: cdk.Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_attributes(
        stack,
        "Existing",
        bucket_arn="arn:aws:s3:::company-data",
        encryption_key=kms.Key.from_key_arn(stack, "Key", KEY),
    )


def test_a_bucket_that_is_there_becomes_a_zone_with_database_and_grants() -> None:
    # GIVEN a lake with a zone over a bucket that somebody made long ago
    stack = support.stack()
    zones = [ZoneDefinition(name="raw", bucket=existing(stack)), "curated"]
    lake = DataLake(stack, "Lake", zones=zones)
    reader = iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal())
    # WHEN a table in it is granted
    lake.raw.add_table("orders", schema={"id": "string"}).grant_select(reader)
    # THEN it has a database, a location of Lake Formation, and its own key in the grants
    assert [key for key in buckets(stack) if key.startswith("LakeRaw")] == []
    databases = support.resources(stack, "AWS::Glue::Database")
    (database,) = [each for key, each in databases.items() if key.startswith("LakeRaw")]
    assert database["Properties"]["DatabaseInput"]["LocationUri"] == "s3://company-data"
    locations = support.resources(stack, "AWS::LakeFormation::Resource").values()
    assert "company-data" in str([each["Properties"]["ResourceArn"] for each in locations])
    role = Simulator(support.resources(stack), "Reader")
    assert role.allows("kms:Decrypt", KEY, when={})
    assert role.allows("s3:GetObject", "arn:aws:s3:::company-data/orders/a", when={})
    assert not role.allows("s3:GetObject", "arn:aws:s3:::company-data/people/a", when={})


def test_what_a_bucket_of_others_does_is_no_option_here() -> None:
    stack = support.stack()
    zone = ZoneDefinition(
        name="raw", bucket=existing(stack), expire_days=30, object_lock=ObjectLock(days=1), events=False
    )
    with pytest.raises(ConfigurationError, match="bucket with object_lock, expire_days, events; allowed"):
        DataLake(stack, "Lake", zones=[zone])


def test_a_bucket_whose_key_is_not_known_is_refused() -> None:
    stack = support.stack()
    bucket = s3.Bucket.from_bucket_name(stack, "Existing", "company-data")
    with pytest.raises(ConfigurationError, match="bucket without a key that is known"):
        DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", bucket=bucket)])


def test_events_of_a_bucket_of_others_are_no_crawlers() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", bucket=existing(stack))])
    with pytest.raises(ConfigurationError, match="its bucket names the queue"):
        LakeCrawler(stack, "Crawler", lake=lake, zone="raw", prefixes=["in/"], recrawl="events")


def test_copies_and_buckets_of_others_leave_no_finding_open() -> None:
    app = support.app()
    stack = support.stack(app)
    bucket, key = elsewhere(stack)
    lake = DataLake(
        stack,
        "Lake",
        zones=[
            ZoneDefinition(name="raw", replication=Replication(bucket=bucket, key=key)),
            ZoneDefinition(name="old", bucket=existing(stack)),
        ],
        lake_formation=None,
    )
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    acknowledge_inline_policy(role)
    lake.zone("old").grant_read(role)
    assert nag.unacknowledged(app) == []
