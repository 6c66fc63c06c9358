"""AuditTrail: everything is recorded, nobody changes the record, and trying to is told."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from cdk_data_science import AlertTopic, ConfigurationError, DataLake
from cdk_data_science.security import CONFIG_RULES, AuditLock, AuditTrail, LockMode
from tests.constructs import nag, support


def build(app: cdk.App | None = None, **options: Any) -> cdk.Stack:
    stack = support.stack(app, env=support.environment())
    lake = DataLake(stack, "Lake", zones=["raw", "models"])
    AuditTrail(stack, "Audit", buckets=[zone.bucket for zone in lake.zones.values()], **options)
    return stack


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    return build()


def one(stack: cdk.Stack, kind: str, prefix: str = "Audit") -> dict[str, Any]:
    found = support.resources(stack, f"AWS::{kind}")
    return support.only({key: value for key, value in found.items() if key[:-8] == prefix})


def test_all_regions_are_recorded_and_the_files_are_validated(stack: cdk.Stack) -> None:
    trail = one(stack, "CloudTrail::Trail", "AuditTrail")["Properties"]
    assert trail["IsLogging"] is trail["IsMultiRegionTrail"] is trail["EnableLogFileValidation"] is True
    assert trail["IncludeGlobalServiceEvents"] is True
    assert trail["KMSKeyId"] == {"Fn::GetAtt": [_id(stack, "KMS::Key", "AuditKey"), "Arn"]}


def test_reads_and_writes_of_every_object_of_the_buckets_are_recorded(stack: cdk.Stack) -> None:
    selectors = one(stack, "CloudTrail::Trail", "AuditTrail")["Properties"]["AdvancedEventSelectors"]
    management, data = ({f["Field"]: f for f in each["FieldSelectors"]} for each in selectors)
    assert management["eventCategory"]["Equals"] == ["Management"]
    assert data["eventCategory"]["Equals"] == ["Data"]
    assert data["resources.type"]["Equals"] == ["AWS::S3::Object"]
    prefixes = json.dumps(data["resources.ARN"]["StartsWith"])
    assert "LakeRawBucket" in prefixes
    assert "LakeModelsBucket" in prefixes
    assert len(data["resources.ARN"]["StartsWith"]) == 2
    assert "readOnly" not in data


def test_management_events_can_be_left_to_another_trail() -> None:
    trail = one(build(management_events=False), "CloudTrail::Trail", "AuditTrail")
    (only,) = trail["Properties"]["AdvancedEventSelectors"]
    assert only["Name"] == "Objects of data and models"


def test_the_bucket_is_locked_for_a_year_and_retained(stack: cdk.Stack) -> None:
    bucket = one(stack, "S3::Bucket", "AuditBucket")
    assert bucket["DeletionPolicy"] == "Retain"
    assert bucket["Properties"]["ObjectLockEnabled"] is True
    rule = bucket["Properties"]["ObjectLockConfiguration"]["Rule"]
    assert rule == {"DefaultRetention": {"Days": 365, "Mode": "GOVERNANCE"}}


def test_the_lock_can_be_one_that_nobody_ends() -> None:
    bucket = one(build(lock=AuditLock(days=7, mode=LockMode.COMPLIANCE)), "S3::Bucket", "AuditBucket")
    rule = bucket["Properties"]["ObjectLockConfiguration"]["Rule"]
    assert rule == {"DefaultRetention": {"Days": 7, "Mode": "COMPLIANCE"}}


def test_only_trails_of_this_account_write_to_the_bucket_and_below_its_own_prefix(stack: cdk.Stack) -> None:
    policy = one(stack, "S3::BucketPolicy", "AuditBucketPolicy")["Properties"]["PolicyDocument"]
    allowed = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
    assert {s["Principal"]["Service"] for s in allowed} == {"cloudtrail.amazonaws.com"}
    for statement in allowed:
        source = json.dumps(statement["Condition"]["ArnLike"]["aws:SourceArn"])
        assert f":cloudtrail:{support.REGION}:{support.ACCOUNT}:trail/*" in source
    (write,) = [s for s in allowed if s["Action"] == "s3:PutObject"]
    assert f"/AWSLogs/{support.ACCOUNT}/*" in json.dumps(write["Resource"])
    assert write["Condition"]["StringEquals"] == {"s3:x-amz-acl": "bucket-owner-full-control"}


def test_the_key_is_for_trails_and_log_groups_of_this_account(stack: cdk.Stack) -> None:
    key = one(stack, "KMS::Key", "AuditKey")["Properties"]
    assert key["EnableKeyRotation"] is True
    services = [s for s in key["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    assert {json.dumps(s["Principal"]["Service"]).strip('"') for s in services} == {
        "cloudtrail.amazonaws.com",
        f"logs.{support.REGION}.amazonaws.com",
    }
    assert all(support.ACCOUNT in json.dumps(s["Condition"]) for s in services)


def test_the_trail_is_made_after_what_lets_it_be_written(stack: cdk.Stack) -> None:
    trail = one(stack, "CloudTrail::Trail", "AuditTrail")
    assert _id(stack, "S3::BucketPolicy", "AuditBucketPolicy") in trail["DependsOn"]
    assert [each for each in trail["DependsOn"] if each.startswith("AuditRoleDefaultPolicy")]


def test_events_can_be_searched_for_a_year(stack: cdk.Stack) -> None:
    group = one(stack, "Logs::LogGroup", "AuditEvents")["Properties"]
    assert group["RetentionInDays"] == 365
    assert "KmsKeyId" in group


def test_an_analyzer_tells_what_is_open_to_others(stack: cdk.Stack) -> None:
    assert one(stack, "AccessAnalyzer::Analyzer", "AuditAnalyzer")["Properties"]["Type"] == "ACCOUNT"
    assert support.resources(build(analyzer=False), "AWS::AccessAnalyzer::Analyzer") == {}


def test_stopping_or_changing_a_trail_is_told() -> None:
    app = support.app()
    home = support.stack(app, "Home", env=support.environment())
    stack = build(app, alerts=AlertTopic(home, "Alerts").topic, config_rules=True)
    rule = one(stack, "Events::Rule", "AuditTampering")["Properties"]
    assert rule["EventPattern"]["source"] == ["aws.cloudtrail"]
    names = set(rule["EventPattern"]["detail"]["eventName"])
    assert names == {"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"}
    (target,) = rule["Targets"]
    assert "DeadLetterConfig" in target
    rules = support.resources(stack, "AWS::Config::ConfigRule").values()
    assert {r["Properties"]["Source"]["SourceIdentifier"] for r in rules} == set(CONFIG_RULES)
    assert nag.unacknowledged(app) == []


def test_no_rule_pack_finds_anything_without_options() -> None:
    app = support.app()
    build(app)
    assert nag.unacknowledged(app) == []


def test_all_mistakes_are_told_at_once() -> None:
    stack = support.stack()
    bucket = s3.Bucket(stack, "B")
    with pytest.raises(ConfigurationError, match="3 problems") as failure:
        AuditTrail(stack, "Audit", buckets=[bucket] * 251, lock=AuditLock(days=0), expire_days=0)
    for part in ("250 or fewer", "1 to 36500", "later than the lock"):
        assert part in str(failure.value)
    with pytest.raises(ConfigurationError, match="records something"):
        AuditTrail(stack, "Empty", management_events=False)


def _id(stack: cdk.Stack, kind: str, prefix: str) -> str:
    found = support.resources(stack, f"AWS::{kind}")
    (key,) = [key for key in found if key[:-8] == prefix]
    return key
