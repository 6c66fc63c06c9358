"""The budget, its alerts, and who may publish them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Template

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.cost import (
    AcceleratorStop,
    AnomalyDetection,
    Commitment,
    CommitmentBudget,
    CostBudget,
    CostGuardrails,
    RequiredTags,
    SlackChannel,
    TeamsChannel,
)
from tests.constructs import nag, support


def guardrails(**options: Any) -> Template:
    stack = support.stack()
    CostGuardrails(stack, "Cost", **{"monthly_limit_usd": 500, **options})
    return support.synth(stack)


@pytest.fixture(scope="module")
def default() -> Template:
    return guardrails(alert_emails=["ml-platform@example.com"])


def budget(template: Template, id: str | None = None) -> dict[str, Any]:
    """The properties of the one budget, or of the one with this text in its logical id."""
    found = support.resources(template, "AWS::Budgets::Budget")
    chosen = {key: value for key, value in found.items() if id is None or id in key}
    properties: dict[str, Any] = support.only(chosen)["Properties"]
    return properties


def test_the_budget_is_a_monthly_cost_in_usd_for_the_whole_account(default: Template) -> None:
    assert budget(default)["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 500, "Unit": "USD"},
    }


def test_alerts_come_at_shares_of_what_is_spent_and_of_what_is_forecast(default: Template) -> None:
    alerts = budget(default)["NotificationsWithSubscribers"]
    assert [(a["Notification"]["NotificationType"], a["Notification"]["Threshold"]) for a in alerts] == [
        ("ACTUAL", 50),
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    ]
    topic = next(iter(support.resources(default, "AWS::SNS::Topic")))
    for alert in alerts:
        assert alert["Notification"]["ComparisonOperator"] == "GREATER_THAN"
        assert alert["Notification"]["ThresholdType"] == "PERCENTAGE"
        assert alert["Subscribers"] == [
            {"SubscriptionType": "SNS", "Address": {"Ref": topic}},
            {"SubscriptionType": "EMAIL", "Address": "ml-platform@example.com"},
        ]


def test_only_budgets_of_this_account_can_publish_to_the_topic(default: Template) -> None:
    policy = support.only(support.resources(default, "AWS::SNS::TopicPolicy"))
    allowed = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [(s["Principal"], s["Action"], s["Condition"]) for s in allowed] == [
        (
            {"Service": "budgets.amazonaws.com"},
            "sns:Publish",
            {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        )
    ]
    denied = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_topic_is_encrypted_under_a_key_that_budgets_may_use(default: Template) -> None:
    ((key_id, key),) = support.resources(default, "AWS::KMS::Key").items()
    topic = support.only(support.resources(default, "AWS::SNS::Topic"))
    assert topic["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert key["Properties"]["EnableKeyRotation"] is True
    root, publisher = key["Properties"]["KeyPolicy"]["Statement"]
    assert ":root" in str(root["Principal"])
    assert publisher["Principal"] == {"Service": "budgets.amazonaws.com"}
    assert publisher["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert publisher["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_the_budget_exists_only_after_the_topic_admits_it(default: Template) -> None:
    resource = support.only(support.resources(default, "AWS::Budgets::Budget"))
    policy = next(iter(support.resources(default, "AWS::SNS::TopicPolicy")))
    assert policy in resource["DependsOn"]


def test_one_tag_filters_the_budget() -> None:
    properties = budget(guardrails(tags={"application": ["reviews", "search"]}))["Budget"]
    assert properties["Metrics"] == ["UnblendedCost"]
    assert properties["FilterExpression"] == {
        "Tags": {"Key": "application", "Values": ["reviews", "search"], "MatchOptions": ["EQUALS"]}
    }


def test_several_tags_all_have_to_match() -> None:
    properties = budget(guardrails(tags={"application": ["reviews"], "environment": ["dev"]}))["Budget"]
    assert [part["Tags"]["Key"] for part in properties["FilterExpression"]["And"]] == [
        "application",
        "environment",
    ]


def test_a_topic_of_the_user_gets_the_permissions_and_no_other_topic_is_made() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Key")
    topic = sns.Topic(stack, "Alerts", master_key=key)
    made = CostGuardrails(stack, "Cost", monthly_limit_usd=1, topic=topic)
    template = support.synth(stack)
    assert made.topic is topic
    template.resource_count_is("AWS::SNS::Topic", 1)
    template.resource_count_is("AWS::KMS::Key", 1)
    assert "budgets.amazonaws.com" in str(support.resources(template, "AWS::SNS::TopicPolicy"))
    assert "budgets.amazonaws.com" in str(support.resources(template, "AWS::KMS::Key"))


def test_an_imported_topic_is_used_as_it_is() -> None:
    stack = support.stack()
    arn = "arn:aws:sns:eu-west-1:111122223333:alerts"
    CostGuardrails(stack, "Cost", monthly_limit_usd=1, topic=sns.Topic.from_topic_arn(stack, "Alerts", arn))
    template = support.synth(stack)
    assert {resource["Type"] for resource in support.resources(template).values()} == {"AWS::Budgets::Budget"}
    assert budget(template)["NotificationsWithSubscribers"][0]["Subscribers"][0]["Address"] == arn


def test_a_key_of_the_user_encrypts_the_topic() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Own")
    CostGuardrails(stack, "Cost", monthly_limit_usd=1, key=key)
    template = support.synth(stack)
    topic = support.only(support.resources(template, "AWS::SNS::Topic"))
    assert topic["Properties"]["KmsMasterKeyId"] == stack.resolve(key.key_arn)
    template.resource_count_is("AWS::KMS::Key", 1)


# Parts, commitments, chat ------------------------------------


@pytest.fixture(scope="module")
def full() -> Template:
    return guardrails(
        alert_emails=["ml@example.com"],
        budgets=[
            CostBudget(name="search-team", monthly_limit_usd=100, tags={"team": ["search"]}),
            CostBudget(
                name="sagemaker-of-ada",
                monthly_limit_usd=50,
                tags={"owner": ["ada"]},
                services=["Amazon SageMaker"],
                thresholds=(90,),
                forecast_thresholds=(),
            ),
        ],
        commitments=[
            CommitmentBudget(commitment=Commitment.SAVINGS_PLANS_COVERAGE, minimum_percent=70),
            CommitmentBudget(
                commitment=Commitment.RESERVATION_UTILIZATION, minimum_percent=80, service="Amazon Redshift"
            ),
        ],
        chat=SlackChannel(workspace_id="T0123ABCD", channel_id="C0123ABCD"),
    )


def test_a_part_of_the_costs_is_chosen_by_a_tag(full: Template) -> None:
    properties = budget(full, "Budgetsearchteam")["Budget"]
    assert properties["BudgetLimit"] == {"Amount": 100, "Unit": "USD"}
    assert properties["FilterExpression"] == {
        "Tags": {"Key": "team", "Values": ["search"], "MatchOptions": ["EQUALS"]}
    }


def test_a_part_of_the_costs_is_chosen_by_tag_and_service_together(full: Template) -> None:
    properties = budget(full, "Budgetsagemakerofada")
    assert properties["Budget"]["FilterExpression"]["And"] == [
        {"Tags": {"Key": "owner", "Values": ["ada"], "MatchOptions": ["EQUALS"]}},
        {"Dimensions": {"Key": "SERVICE", "Values": ["Amazon SageMaker"], "MatchOptions": ["EQUALS"]}},
    ]
    assert [a["Notification"]["Threshold"] for a in properties["NotificationsWithSubscribers"]] == [90]


def test_coverage_below_the_minimum_alerts(full: Template) -> None:
    properties = budget(full, "SavingsPlansCoverage")
    assert properties["Budget"] == {
        "BudgetType": "SAVINGS_PLANS_COVERAGE",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 100, "Unit": "PERCENTAGE"},
    }
    (alert,) = properties["NotificationsWithSubscribers"]
    assert alert["Notification"] == {
        "ComparisonOperator": "LESS_THAN",
        "NotificationType": "ACTUAL",
        "Threshold": 70,
        "ThresholdType": "PERCENTAGE",
    }
    assert [s["SubscriptionType"] for s in alert["Subscribers"]] == ["SNS", "EMAIL"]


def test_reservations_are_those_of_one_service(full: Template) -> None:
    properties = budget(full, "ReservationUtilizationAmazonRedshift")["Budget"]
    assert (properties["BudgetType"], properties["CostFilters"]) == (
        "RI_UTILIZATION",
        {"Service": ["Amazon Redshift"]},
    )


def test_the_chat_channel_shows_the_topic_and_may_do_nothing(full: Template) -> None:
    channel = support.only(support.resources(full, "AWS::Chatbot::SlackChannelConfiguration"))["Properties"]
    topic = next(iter(support.resources(full, "AWS::SNS::Topic")))
    assert channel["SnsTopicArns"] == [{"Ref": topic}]
    assert "CloudWatchReadOnlyAccess" in str(channel["GuardrailPolicies"])
    role = support.resources(full, "AWS::IAM::Role")[channel["IamRoleArn"]["Fn::GetAtt"][0]]["Properties"]
    assert {"Policies", "ManagedPolicyArns"} & set(role) == set()
    assert support.resources(full, "AWS::IAM::Policy") == {}


def test_teams_is_a_chat_too() -> None:
    uuid = "0f0e0d0c-1111-2222-3333-444455556666"
    template = guardrails(
        chat=TeamsChannel(team_id=uuid, tenant_id=uuid, channel_id="19%3aabc%40thread.tacv2")
    )
    support.only(support.resources(template, "AWS::Chatbot::MicrosoftTeamsChannelConfiguration"))


# Anomalies ----------------------------------------------------


def test_there_is_no_monitor_unless_asked_for(default: Template) -> None:
    default.resource_count_is("AWS::CE::AnomalyMonitor", 0)


def test_anomalies_of_all_services_reach_the_topic_at_once_and_people_daily() -> None:
    template = guardrails(alert_emails=["ml@example.com"], anomalies=AnomalyDetection(minimum_impact_usd=0))
    monitor = support.only(support.resources(template, "AWS::CE::AnomalyMonitor"))
    assert monitor["Properties"]["MonitorType"] == "DIMENSIONAL"
    assert monitor["Properties"]["MonitorDimension"] == "SERVICE"
    subscriptions = support.resources(template, "AWS::CE::AnomalySubscription").values()
    found = {s["Properties"]["Frequency"]: s["Properties"] for s in subscriptions}
    assert [s["Type"] for s in found["IMMEDIATE"]["Subscribers"]] == ["SNS"]
    assert found["DAILY"]["Subscribers"] == [{"Type": "EMAIL", "Address": "ml@example.com"}]
    for properties in found.values():
        assert json.loads(properties["ThresholdExpression"])["Dimensions"]["Values"] == ["0"]


def test_anomalies_by_tag_watch_the_values_of_that_tag() -> None:
    template = guardrails(tags={"application": ["reviews"]}, anomalies=AnomalyDetection())
    monitor = support.only(support.resources(template, "AWS::CE::AnomalyMonitor"))["Properties"]
    assert monitor["MonitorType"] == "CUSTOM"
    assert json.loads(monitor["MonitorSpecification"]) == {
        "Tags": {"Key": "application", "Values": ["reviews"]}
    }


def test_anomaly_detection_may_publish_and_encrypt_too() -> None:
    template = guardrails(anomalies=AnomalyDetection())
    for kind in ("AWS::SNS::TopicPolicy", "AWS::KMS::Key"):
        text = json.dumps(support.resources(template, kind))
        assert text.count("costalerts.amazonaws.com") == 1
        assert text.count('"aws:SourceAccount"') == 2


def commitment(kind: Commitment, minimum: float) -> CommitmentBudget:
    return CommitmentBudget(commitment=kind, minimum_percent=minimum)


# Wrong input --------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"monthly_limit_usd": 0}, "given monthly_limit_usd=0; allowed: a number of USD, more than 0"),
        ({"monthly_limit_usd": "500 EUR"}, "given monthly_limit_usd='500 EUR'; allowed: a number of USD"),
        ({"monthly_limit_usd": -5}, "given monthly_limit_usd=-5"),
        ({"alert_emails": ["nobody"]}, "given alert_emails: 'nobody'"),
        ({"alert_emails": ["a@b.c, d@e.f"]}, "given alert_emails: 'a@b.c, d@e.f'"),
        (
            {"alert_emails": "ml@example.com"},
            "allowed: a list of addresses; write: alert_emails=['ml@example.com']",
        ),
        (
            {"alert_emails": [f"{n}@example.com" for n in range(11)]},
            "given 11 addresses; allowed: at most 10",
        ),
        ({"alert_emails": ["a@b.co", "a@b.co"]}, "each address once; write: ['a@b.co']"),
        ({"alert_emails": [None]}, "given alert_emails: None"),
        ({"thresholds": (0,)}, "given thresholds: 0"),
        ({"thresholds": ("80",)}, "given thresholds: '80'"),
        ({"thresholds": (float("nan"),)}, "given thresholds: nan"),
        ({"thresholds": 80}, "given thresholds=80; allowed: a list; write: thresholds=(80,)"),
        ({"monthly_limit_usd": float("inf")}, "given monthly_limit_usd=inf"),
        ({"forecast_thresholds": (1001,)}, "given forecast_thresholds: 1001"),
        ({"thresholds": (80, 80)}, "each threshold once; write: (80,)"),
        ({"thresholds": (), "forecast_thresholds": ()}, "given 0 thresholds and 0 forecast thresholds"),
        ({"thresholds": tuple(range(1, 11))}, "given 10 thresholds and 1 forecast thresholds"),
        ({"tags": {"application": "reviews"}}, "given tags: application='reviews'; allowed: a list"),
        ({"tags": {"application": []}}, "given tags: application=[]"),
        ({"tags": {"application": [""]}}, "given tags: application=['']"),
        ({"tags": {"aws:createdBy": ["x"]}}, "given tag key 'aws:createdBy'"),
        ({"anomalies": AnomalyDetection(minimum_impact_usd=-1)}, "given minimum_impact_usd=-1"),
        (
            {"anomalies": AnomalyDetection(minimum_impact_usd="10 EUR")},  # type: ignore[arg-type]
            "given minimum_impact_usd='10 EUR'",
        ),
        (
            {"commitments": [CommitmentBudget(commitment="SP", minimum_percent=9)]},  # type: ignore[arg-type]
            "given commitment='SP'; allowed: a Commitment; write: commitment=Commitment.SAVINGS_PLANS",
        ),
        (
            {"budgets": [CostBudget(name="no name", monthly_limit_usd=1, services=["AWS Lambda"])]},
            "given budget name 'no name'",
        ),
        ({"budgets": [CostBudget(name="all", monthly_limit_usd=1)]}, "'all' without tags and services"),
        (
            {"budgets": [CostBudget(name="a", monthly_limit_usd=0, tags={"team": ["x"]}, thresholds=(0,))]},
            "2 problems",
        ),
        (
            {"budgets": [CostBudget(name="a", monthly_limit_usd=1, services=["AWS Lambda"])] * 2},
            "each name once",
        ),
        (
            {"budgets": [CostBudget(name="a", monthly_limit_usd=1, services="AWS Lambda")]},
            "write: services=['AWS Lambda']",
        ),
        ({"budgets": [CostBudget(name="a", monthly_limit_usd=1, services=[""])]}, "given services=['']"),
        (
            {
                "commitments": [
                    CommitmentBudget(
                        commitment=Commitment.SAVINGS_PLANS_UTILIZATION,
                        minimum_percent=9,
                        service="AWS Lambda",
                    )
                ]
            },
            "SAVINGS_PLANS_UTILIZATION of 'AWS Lambda'; allowed: Savings Plans as a whole",
        ),
        (
            {
                "commitments": [
                    CommitmentBudget(commitment=Commitment.RESERVATION_COVERAGE, minimum_percent=5)
                ]
            },
            "given RESERVATION_COVERAGE without a service",
        ),
        (
            {"commitments": [commitment(Commitment.SAVINGS_PLANS_COVERAGE, 101)]},
            "given minimum_percent=101",
        ),
        ({"chat": SlackChannel(workspace_id="us", channel_id="C1")}, "given workspace_id='us'"),
        (
            {"chat": TeamsChannel(team_id="x", tenant_id="y", channel_id="z")},
            "given tenant_id='y'; allowed: a UUID",
        ),
        (
            {"tags": {"a": ["1"], "b": ["2"]}, "anomalies": AnomalyDetection()},
            "anomaly detection by one tag key",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        guardrails(**options)
    assert expected in str(failure.value)


def test_a_topic_and_a_key_for_another_one_are_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="given topic and key"):
        CostGuardrails(
            stack, "Cost", monthly_limit_usd=1, topic=sns.Topic(stack, "Topic"), key=kms.Key(stack, "Key")
        )


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="CostGuardrails at Test/Cost: 3 problems"):
        guardrails(monthly_limit_usd=0, alert_emails=["nobody"], thresholds=(0,))


@pytest.mark.parametrize(
    ("region", "reason"),
    [("us-gov-west-1", "budgeted in, their standard account"), ("cn-north-1", "budgets count in CNY")],
)
def test_regions_without_budgets_in_usd_are_refused_with_the_reason(region: str, reason: str) -> None:
    stack = support.stack(env=support.environment(region=region))
    with pytest.raises(ConfigurationError, match=reason):
        CostGuardrails(stack, "Cost", monthly_limit_usd=1)


# Compliance ---------------------------------------------------


def test_guardrails_carry_required_tags_and_have_no_unacknowledged_finding() -> None:
    app = support.app()
    RequiredTags(app, {"owner": "ml@example.com"})
    CostGuardrails(support.stack(app), "Cost", monthly_limit_usd=500, anomalies=AnomalyDetection())
    assert nag.unacknowledged(app) == []


def test_the_topics_logical_id_is_locked(default: Template) -> None:
    assert "CostTopicCD377248" in support.resources(default), (
        "a new topic loses every subscription to the alerts"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tags": ["team"]}, 'tags={"team": ["search"]}'),
        ({"budgets": [{"name": "search"}]}, "budgets with {'name': 'search'}; allowed: a list of CostBudget"),
        ({"budgets": CostBudget(name="a", monthly_limit_usd=1)}, "budgets=[CostBudget(…)]"),
        ({"commitments": ["SAVINGS_PLANS"]}, "commitments=[CommitmentBudget(…)]"),
        ({"stop_accelerators": ["Scientist"]}, "stop_accelerators=AcceleratorStop(roles=[…])"),
        ({"stop_accelerators": AcceleratorStop(roles=["Scientist"])}, "iam.Role.from_role_name"),  # type: ignore[list-item]
        (
            {"stop_accelerators": AcceleratorStop(roles="Scientist")},
            "given roles='Scientist'; allowed: a list",
        ),  # type: ignore[arg-type]
        ({"anomalies": True}, "anomalies=AnomalyDetection()"),
        ({"chat": "#costs"}, "allowed: SlackChannel or TeamsChannel"),
        ({"topic": "arn:aws:sns:us-east-1:111122223333:costs"}, "sns.Topic.from_topic_arn"),
    ],
)
def test_what_is_of_another_kind_is_told_with_what_to_write(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        CostGuardrails(support.stack(), "Cost", **({"monthly_limit_usd": 500} | options))
    assert expected in str(failure.value)
