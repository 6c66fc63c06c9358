"""Crawlers: where they look, when, what they may change, and what Glue would refuse."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import CrawlerOutput, DataLake, LakeCrawler, LakeFormation, ZoneAttributes
from cdk_data_science.data_lake.glue_cron import NotCron, check_cron
from tests.constructs import nag, support

CRAWLER, SCHEDULE = "AWS::Glue::Crawler", "AWS::Scheduler::Schedule"


def lake_of(stack: cdk.Stack) -> DataLake:
    return DataLake(stack, "Lake", zones=["raw", "curated"], lake_formation=LakeFormation(hybrid=False))


def crawler(stack: cdk.Stack, **options: Any) -> LakeCrawler:
    given = {"lake": lake_of(stack), "zone": "raw", "prefixes": ["partner/"], **options}
    return LakeCrawler(stack, "Crawler", **given)


def scheduled(stack: cdk.Stack) -> LakeCrawler:
    return crawler(
        stack,
        prefixes=["partner/", "shop/"],
        table_prefix="partner_",
        schedule="cron(15 4 * * ? *)",
        timezone="Europe/Berlin",
        exclusions=["**/_tmp/**"],
        sample_size=10,
    )


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    scheduled(stack)
    return stack


@pytest.fixture(scope="module")
def by_events() -> cdk.Stack:
    stack = support.stack()
    crawler(stack, recrawl="events")
    return stack


def properties(stack: cdk.Stack, type: str = CRAWLER) -> dict[str, Any]:
    found: dict[str, Any] = support.only(support.resources(stack, type))["Properties"]
    return found


def statements(stack: cdk.Stack, role: str = "CrawlerRole") -> list[dict[str, Any]]:
    return [
        statement
        for policy in support.resources(stack, "AWS::IAM::Policy").values()
        if str(policy["Properties"]["Roles"][0]["Ref"]).startswith(role)
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def actions(stack: cdk.Stack) -> set[str]:
    return {
        action
        for each in statements(stack)
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }


def test_a_crawler_looks_at_its_folders_and_writes_to_its_zones_database(stack: cdk.Stack) -> None:
    found = properties(stack)
    targets = found["Targets"]["S3Targets"]
    assert [each["Path"]["Fn::Join"][1][-1] for each in targets] == ["/partner/", "/shop/"]
    assert all(each["Exclusions"] == ["**/_tmp/**"] and each["SampleSize"] == 10 for each in targets)
    assert found["DatabaseName"]["Ref"].startswith("LakeRawDatabase")
    assert found["TablePrefix"] == "partner_"
    assert "Name" not in found
    assert found["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVERYTHING"}
    assert found["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    }
    assert json.loads(found["Configuration"]) == {
        "Version": 1.0,
        "CrawlerOutput": {
            "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
            "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
        },
    }


def test_its_log_is_encrypted(stack: cdk.Stack) -> None:
    configuration = properties(stack, "AWS::Glue::SecurityConfiguration")
    encryption = configuration["EncryptionConfiguration"]["CloudWatchEncryption"]
    assert encryption["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert encryption["KmsKeyArn"]["Fn::GetAtt"][0].startswith("CrawlerKey")
    assert "CrawlerSecurity" in str(properties(stack)["CrawlerSecurityConfiguration"])


def test_its_role_reads_its_folders_and_writes_definitions_of_its_database_alone(stack: cdk.Stack) -> None:
    found = actions(stack)
    assert not [action for action in found if "*" in action]
    assert not {"glue:DeleteTable", "s3:PutObject", "s3:DeleteObject", "sqs:ReceiveMessage"} & found
    assert {"glue:CreateTable", "glue:UpdateTable", "s3:GetObject", "kms:Decrypt"} <= found
    for each in statements(stack):
        assert "LakeCurated" not in str(each["Resource"])
        if "s3:GetObject" in each["Action"]:
            assert "/partner/*" in str(each["Resource"]) or "/shop/*" in str(each["Resource"])
        if each["Resource"] == "*":
            assert each["Action"] == "glue:GetSecurityConfiguration"


def test_lake_formation_lets_it_make_tables_at_its_zone_and_nothing_more(stack: cdk.Stack) -> None:
    permissions = [
        (next(iter(each["Properties"]["Resource"])), each["Properties"]["Permissions"])
        for each in support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
    ]
    assert permissions == [
        ("Database", ["DESCRIBE"]),
        ("Database", ["CREATE_TABLE"]),
        ("DataLocation", ["DATA_LOCATION_ACCESS"]),
    ]


def test_its_schedule_starts_this_crawler_and_no_other(stack: cdk.Stack) -> None:
    schedule = properties(stack, SCHEDULE)
    (name,) = support.resources(stack, CRAWLER)
    assert schedule["ScheduleExpression"] == "cron(15 4 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert str(schedule["Target"]["Arn"]).endswith(":scheduler:::aws-sdk:glue:startCrawler']]}")
    assert {"Ref": name} in schedule["Target"]["Input"]["Fn::Join"][1]
    (statement,) = statements(stack, "CrawlerStarter")
    assert statement["Action"] == "glue:StartCrawler"
    assert statement["Resource"]["Fn::Join"][1][-1] == {"Ref": name}


def test_a_schedule_is_changed_in_place_and_taken_away_without_the_crawler() -> None:
    def made(schedule: str | None) -> dict[str, Any]:
        stack = support.stack()
        crawler(stack, schedule=schedule)
        return support.resources(stack)

    daily, hourly, never = made("cron(0 4 * * ? *)"), made("cron(0 * * * ? *)"), made(None)
    assert daily.keys() == hourly.keys()
    assert [daily[key]["Type"] for key in daily if daily[key] != hourly[key]] == [SCHEDULE]
    assert {daily[key]["Type"] for key in daily.keys() - never.keys()} == {
        SCHEDULE,
        "AWS::IAM::Role",
        "AWS::IAM::Policy",
    }
    assert all(daily[key] == never[key] for key in never)


def test_a_crawler_of_new_folders_changes_no_table() -> None:
    stack = support.stack()
    crawler(stack, recrawl="new_folders", output=CrawlerOutput(combine_schemas=True, table_level=3))
    found = properties(stack)
    assert found["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}
    assert found["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    assert json.loads(found["Configuration"])["Grouping"] == {
        "TableGroupingPolicy": "CombineCompatibleSchemas",
        "TableLevelConfiguration": 3,
    }


def test_a_crawler_that_deletes_tables_may_do_so() -> None:
    stack = support.stack()
    crawler(stack, on_delete="delete")
    assert "glue:DeleteTable" in actions(stack)


def test_events_of_its_folder_go_from_s3_to_its_queue_beside_eventbridge(by_events: cdk.Stack) -> None:
    queues = support.resources(by_events, "AWS::SQS::Queue")
    (queue,) = [key for key, each in queues.items() if "RedrivePolicy" in each["Properties"]]
    target = properties(by_events)["Targets"]["S3Targets"][0]
    assert target["EventQueueArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert target["DlqEventQueueArn"] == queues[queue]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]
    assert properties(by_events)["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVENT_MODE"}
    buckets = support.resources(by_events, "AWS::S3::Bucket")
    (raw,) = [each for key, each in buckets.items() if key.startswith("LakeRaw")]
    notifications = raw["Properties"]["NotificationConfiguration"]
    assert notifications["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}
    assert [
        (each["Event"], each["Queue"], each["Filter"]["S3Key"]["Rules"][0]["Value"])
        for each in notifications["QueueConfigurations"]
    ] == [
        ("s3:ObjectCreated:*", {"Fn::GetAtt": [queue, "Arn"]}, "partner/"),
        ("s3:ObjectRemoved:*", {"Fn::GetAtt": [queue, "Arn"]}, "partner/"),
    ]
    # S3 tries the queue when the bucket is made: its policy has to be there, and may not name the bucket
    (policy,) = [name for name in raw["DependsOn"] if name.startswith("CrawlerEventsQueuePolicy")]
    document = support.resources(by_events, "AWS::SQS::QueuePolicy")[policy]
    assert "LakeRawBucket" not in str(document)
    assert "aws:SourceAccount" in str(document)


def test_only_the_crawlers_role_works_its_queue_off(by_events: cdk.Stack) -> None:
    assert {"sqs:ReceiveMessage", "sqs:DeleteMessage"} <= actions(by_events)
    assert "sqs:SendMessage" not in actions(by_events)


def test_a_crawler_has_no_unacknowledged_finding() -> None:
    app = support.app()  # one that nothing has synthesized yet
    scheduled(support.stack(app))
    crawler(support.stack(app, "Events"), recrawl="events", on_delete="delete")
    assert nag.unacknowledged(app) == []


# What is refused ------------------------------------------------------------


@pytest.fixture(scope="module")
def refusing() -> tuple[cdk.Stack, DataLake]:
    stack = support.stack()
    lake = lake_of(stack)
    lake.raw.add_table("reviews", schema={"id": "string"})
    LakeCrawler(stack, "First", lake=lake, zone=lake.raw, prefixes=["first/"], recrawl="events")
    return stack, lake


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zone": "models"}, "given zone 'models'; allowed: 'raw', 'curated'"),
        ({"prefixes": []}, "no prefixes"),
        ({"prefixes": ["/partner/"]}, "prefix '/partner/'"),
        ({"prefixes": ["reviews/2026/"]}, "prefix 'reviews/2026/' beside table 'reviews'"),
        ({"table_prefix": "Partner-"}, "table_prefix='Partner-'"),
        (
            {"recrawl": "new_folders", "on_change": "update"},
            'recrawl="new_folders", on_change="update".*Glue refuses them together',
        ),
        ({"recrawl": "new_folders", "on_delete": "deprecate"}, 'on_delete="deprecate"'),
        ({"recrawl": "sometimes"}, "recrawl='sometimes'; allowed: everything"),
        ({"sample_size": 250}, "sample_size=250"),
        ({"recrawl": "events", "prefixes": ["a/", "b/"]}, "events of 2 folders"),
        ({"recrawl": "events", "sample_size": 5}, "sample_size=5; allowed: one folder, and all of its"),
        ({"recrawl": "events", "prefixes": ["first/second/"]}, "S3 sends an event to one queue"),
        ({"schedule": "rate(1 day)"}, r"schedule='rate\(1 day\)'; allowed: cron\(Minutes"),
    ],
)
def test_what_glue_would_refuse_is_refused(refusing: Any, options: Any, message: str) -> None:
    stack, lake = refusing
    given = {"lake": lake, "zone": "raw", "prefixes": ["partner/"], **options}
    with pytest.raises(ConfigurationError, match=message):
        LakeCrawler(cdk.Stack(stack, f"Case{len(stack.node.children)}"), "Crawler", **given)


def test_a_zone_outside_the_lake_is_refused(refusing: Any) -> None:
    stack, lake = refusing
    other = DataLake(stack, "Other", zones=["raw"])
    with pytest.raises(ConfigurationError, match="at Test/Other/Raw; allowed: a zone of Test/Lake"):
        LakeCrawler(stack, "Outside", lake=lake, zone=other.raw, prefixes=["partner/"])


def test_events_of_a_zone_of_another_app_are_refused(refusing: Any) -> None:
    stack, _ = refusing
    attributes = ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::lake", database_name="raw")
    imported = DataLake.from_zones(stack, "Imported", zones=[attributes])
    with pytest.raises(ConfigurationError, match="which is not of this stack"):
        LakeCrawler(stack, "Far", lake=imported, zone="raw", prefixes=["partner/"], recrawl="events")
    LakeCrawler(stack, "Near", lake=imported, zone="raw", prefixes=["partner/"])


@pytest.mark.parametrize(
    "schedule",
    [
        *("cron(0 4 * * ? *)", "cron(0/15 8-18 ? * MON-FRI *)", "cron(*/5 * * * ? *)", "cron(30 2 L * ? *)"),
        *("cron(30 2 3W * ? *)", "cron(30 2 LW * ? *)", "cron(30 2 ? JAN,JUL 6L 2026-2030)"),
        *("cron(0,30 0 1,15 * ? *)", "cron(5-55/10 * ? * * *)"),
    ],
)
def test_what_is_in_glues_grammar_is_taken(schedule: str) -> None:
    check_cron(schedule)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("0 4 * * *", r"cron\(Minutes"),
        ("cron(0 4 * * ?)", "six fields, the last one the year; these are 5"),
        ("cron(0 4 * * * *)", r"a \? for the day of the month or"),
        ("cron(0 4 ? * ? *)", "and not for both"),
        ("cron(60 4 * * ? *)", "minutes of 0 to 59"),
        ("cron(0 24 * * ? *)", "hours of 0 to 23"),
        ("cron(0 4 0 * ? *)", "a day of the month of 1 to 31"),
        ("cron(0 4 * 13 ? *)", "a month of 1 to 12 or JAN to DEC"),
        ("cron(0 4 ? * 0 *)", "a day of the week of 1 to 7 or SUN to SAT"),
        ("cron(0 4 ? * 2#1 *)", "not '2#1'"),
        ("cron(0 4 ? * mon *)", "not 'mon'"),
        ("cron(0 4 ? * FRI-MON *)", "not 'FRI-MON'"),
        ("cron(0 4 * * ? 1969)", "a year of 1970 to 2199"),
        ("cron(? 4 * * ? *)", "minutes of 0 to 59"),
        ("cron(0 4 5L * ? *)", "not '5L'"),
        ("cron(0 4 32W * ? *)", "not '32W'"),
        ("cron(0 4 1,? * ? *)", r"not '\?'"),
        ("cron(0/0 4 * * ? *)", "not '0/0'"),
        ("cron(* * * * ? *)", "at least 5 minutes"),
        ("cron(0/4 * * * ? *)", "at least 5 minutes"),
        ("cron(0,3 * * * ? *)", "at least 5 minutes"),
        ("cron(2,58 * * * ? *)", "at least 5 minutes"),
    ],
)
def test_what_is_not_in_glues_grammar_is_refused(schedule: str, message: str) -> None:
    with pytest.raises(NotCron, match=message):
        check_cron(schedule)
