"""The workgroup that queries the lake: its settings, its results, its limits, and who may use it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import AlertTopic
from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, QueryWorkgroup, Zone, ZoneAttributes
from tests.constructs import support

WORKGROUP = "AWS::Athena::WorkGroup"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """A workgroup whose results are in a zone, with saved queries, and a role that may query."""
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "results"])
    workgroup = QueryWorkgroup(
        stack,
        "Science",
        name="science",
        results=lake.zone("results"),
        query_limit_bytes=20_000_000_000,
        alerts=AlertTopic(stack, "Alerts"),
    )
    workgroup.add_named_query("All stars", "SELECT * FROM reviews", zone=lake.raw, description="Reviews")
    workgroup.add_prepared_statement("by_stars", "SELECT * FROM reviews WHERE stars = ?")
    workgroup.grant_query(iam.Role(stack, "Scientist", assumed_by=iam.AccountRootPrincipal()))
    return stack


def configuration(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = support.only(support.resources(stack, WORKGROUP))["Properties"]
    return found


def test_its_settings_hold_for_every_query(stack: cdk.Stack) -> None:
    found = configuration(stack)
    assert found["Name"] == "science"
    assert found["RecursiveDeleteOption"] is False
    settings = found["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["PublishCloudWatchMetricsEnabled"] is True
    assert settings["RequesterPaysEnabled"] is False
    assert settings["BytesScannedCutoffPerQuery"] == 20_000_000_000
    assert settings["EngineVersion"] == {"SelectedEngineVersion": "Athena engine version 3"}


def test_its_results_are_encrypted_with_the_zones_key_in_a_bucket_of_this_account(stack: cdk.Stack) -> None:
    results = configuration(stack)["WorkGroupConfiguration"]["ResultConfiguration"]
    assert results["OutputLocation"]["Fn::Join"][1][-1] == "/athena/science/"
    assert "LakeResultsBucket" in str(results["OutputLocation"])
    assert results["ExpectedBucketOwner"] == {"Ref": "AWS::AccountId"}
    assert results["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    assert "LakeKey" in str(results["EncryptionConfiguration"]["KmsKey"])
    assert not [key for key in support.resources(stack, "AWS::S3::Bucket") if key.startswith("Science")]


def test_its_alarm_adds_up_what_queries_scanned_however_they_ended(stack: cdk.Stack) -> None:
    """A metric of Athena has three dimensions: with fewer of them, an alarm would see no data."""
    alarm = support.only(support.resources(stack, "AWS::CloudWatch::Alarm"))["Properties"]
    assert alarm["Threshold"] == 200_000_000_000
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"]
    metrics = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    assert {each["Namespace"] for each in metrics} == {"AWS/Athena"}
    assert {each["MetricName"] for each in metrics} == {"ProcessedBytes"}
    dimensions = [{each["Name"]: each["Value"] for each in metric["Dimensions"]} for metric in metrics]
    assert [each.pop("QueryState") for each in dimensions] == ["SUCCEEDED", "FAILED", "CANCELED"]
    assert dimensions == [{"WorkGroup": "science", "QueryType": "DML"}] * 3
    periods = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert periods == {3600}


def test_saved_queries_are_the_workgroups_and_wait_for_it(stack: cdk.Stack) -> None:
    named = support.only(support.resources(stack, "AWS::Athena::NamedQuery"))
    prepared = support.only(support.resources(stack, "AWS::Athena::PreparedStatement"))
    assert named["Properties"] == {
        "Name": "All stars",
        "Database": {"Ref": next(iter(support.resources(stack, "AWS::Glue::Database")))},
        "Description": "Reviews",
        "QueryString": "SELECT * FROM reviews",
        "WorkGroup": "science",
    }
    assert prepared["Properties"] == {
        "StatementName": "by_stars",
        "QueryStatement": "SELECT * FROM reviews WHERE stars = ?",
        "WorkGroup": "science",
    }
    (workgroup,) = support.resources(stack, WORKGROUP)
    assert named["DependsOn"] == prepared["DependsOn"] == [workgroup]


def test_who_may_query_uses_this_workgroup_and_its_results_and_nothing_else(stack: cdk.Stack) -> None:
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for key, each in support.resources(stack, "AWS::IAM::Policy").items()
        if key.startswith("Scientist")
    ]
    found = {str(each["Resource"]): each for each in policy}
    for resource, statement in found.items():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        services = {action.partition(":")[0] for action in actions}
        assert len(services) == 1
        assert not [action for action in actions if "*" in action or "Delete" in action or "Create" in action]
        if services == {"athena"}:
            assert resource.endswith(":workgroup/science']]}")
        elif services == {"s3"} and "s3:GetObject" in actions:
            assert "/athena/science/*" in resource
        elif actions == ["s3:ListBucket"]:
            assert statement["Condition"] == {"StringLike": {"s3:prefix": "athena/science/*"}}
        else:
            assert services <= {"s3", "kms"}
    assert "LakeRaw" not in str(policy)
    assert "glue:" not in str(policy)
    assert "lakeformation:" not in str(policy)


def test_a_workgroup_of_its_own_has_a_bucket_that_forgets_and_is_kept() -> None:
    stack = support.stack()
    QueryWorkgroup(stack, "Science", name="science", results_days=7)
    buckets = support.resources(stack, "AWS::S3::Bucket")
    (results,) = [each for key, each in buckets.items() if "AccessLogs" not in key]
    (rule,) = results["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 7
    assert "LoggingConfiguration" in results["Properties"]
    assert results["DeletionPolicy"] == "Retain"
    encryption = results["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


@pytest.mark.parametrize(
    "change",
    [{"query_limit_bytes": 10_000_000}, {"description": "For all"}, {"results_prefix": "elsewhere/"}],
)
def test_a_change_of_its_settings_replaces_nothing(change: dict[str, Any]) -> None:
    def made(**options: Any) -> dict[str, Any]:
        stack = support.stack()
        lake = DataLake(stack, "Lake", zones=["raw"])
        QueryWorkgroup(stack, "Science", name="science", results=lake.raw, **options)
        return support.resources(stack)

    before, after = made(), made(**change)
    assert before.keys() == after.keys()
    changed = {before[key]["Type"] for key in before if before[key] != after[key]}
    assert WORKGROUP in changed
    assert changed <= {WORKGROUP, "AWS::CloudWatch::Alarm"}


@pytest.fixture(scope="module")
def refusing() -> tuple[cdk.Stack, Zone]:
    stack = support.stack()
    raw = DataLake(stack, "Lake", zones=["raw"]).raw
    raw.add_table("reviews", schema={"id": "string"})
    return stack, raw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "data science"}, "name='data science'"),
        ({"name": "primary"}, "every account has that workgroup already"),
        ({"description": "x" * 1025}, "a description of 1025 characters"),
        ({"results_prefix": "/athena/"}, "results_prefix='/athena/'"),
        ({"results_prefix": "reviews/results/"}, "the table would read results as its rows"),
        ({"results_days": 0}, "results_days=0"),
        ({"query_limit_bytes": 9_999_999}, "query_limit_bytes=9999999; allowed: 10000000 or more"),
        ({"query_limit_bytes": 10**9, "hourly_limit_bytes": 10**8}, "an hour for at least one query"),
    ],
)
def test_what_athena_would_refuse_is_refused(refusing: Any, options: Any, message: str) -> None:
    stack, raw = refusing
    scope = cdk.Stack(stack, f"Case{len(stack.node.children)}")
    with pytest.raises(ConfigurationError, match=message):
        QueryWorkgroup(scope, "Science", **{"name": "science", "results": raw, **options})


def test_results_in_a_zone_without_a_known_key_are_refused() -> None:
    stack = support.stack()
    zone = Zone.from_attributes(
        stack, "Raw", ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::lake", database_name="raw")
    )
    with pytest.raises(ConfigurationError, match="results in zone 'raw', whose key is not known"):
        QueryWorkgroup(stack, "Science", name="science", results=zone)


def test_saved_queries_that_athena_would_refuse_are_refused(refusing: Any) -> None:
    stack, raw = refusing
    workgroup = QueryWorkgroup(stack, "Saved", name="saved", results=raw)
    workgroup.add_prepared_statement("by_id", "SELECT 1")
    for call, message in (
        (lambda: workgroup.add_named_query("", "SELECT 1", zone=raw), "name=''"),
        (lambda: workgroup.add_named_query("a", " ", zone=raw), "a query of 1 characters"),
        (lambda: workgroup.add_named_query("b", "x" * 262_145, zone=raw), "a query of 262145 characters"),
        (lambda: workgroup.add_prepared_statement("by-stars", "SELECT 1"), "name='by-stars'"),
        (lambda: workgroup.add_prepared_statement("by_id", "SELECT 2"), "a second query 'by_id'"),
        (
            lambda: workgroup.add_prepared_statement("c1", "SELECT 1", description=""),
            "a description of 0 characters",
        ),
    ):
        with pytest.raises(ConfigurationError, match=message):
            call()
