"""AlertTopic: encrypted, and open to alarms and rules of this account."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science._encryption import operations_key
from tests.constructs import machines, nag, support


def policy(stack: cdk.Stack) -> list[dict[str, Any]]:
    found = support.only(support.resources(stack, "AWS::SNS::TopicPolicy"))
    statements: list[dict[str, Any]] = found["Properties"]["PolicyDocument"]["Statement"]
    return statements


def key_statements(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    """The statements of the one key's policy, by the service that they let in."""
    key = support.only(support.resources(stack, "AWS::KMS::Key"))["Properties"]
    return {
        str(statement["Principal"]["Service"]): statement
        for statement in key["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    }


OF_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_alarms_of_this_account_may_publish_and_plain_http_may_not() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts")
    allowed, denied = sorted(policy(stack), key=lambda statement: statement["Effect"])
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == OF_THIS_ACCOUNT
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_alarms_of_this_account_may_use_the_key_of_the_topic() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts")
    key = support.only(support.resources(stack, "AWS::KMS::Key"))["Properties"]
    assert key["EnableKeyRotation"] is True
    assert key_statements(stack)["cloudwatch.amazonaws.com"]["Condition"] == OF_THIS_ACCOUNT


def test_a_given_key_is_extended_for_alarms_and_no_other_is_made() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts", key=kms.Key(stack, "Key"))
    assert set(key_statements(stack)) == {"cloudwatch.amazonaws.com"}


def test_a_rule_that_targets_the_topic_may_publish_without_the_conditions_that_eventbridge_lacks() -> None:
    # GIVEN a topic with a key that no queue uses
    stack = support.stack()
    alerts = AlertTopic(stack, "Alerts", key=kms.Key(stack, "Key"))
    # WHEN a rule targets it
    rule = events.Rule(stack, "Rule", event_pattern=events.EventPattern(source=["aws.glue"]))
    rule.add_target(targets.SnsTopic(alerts.topic))
    # THEN neither the topic nor its key asks for a source that EventBridge does not name
    (topic,) = (s for s in policy(stack) if s["Principal"] == {"Service": "events.amazonaws.com"})
    key = key_statements(stack)["events.amazonaws.com"]
    assert {"Condition"}.isdisjoint(topic) and {"Condition"}.isdisjoint(key)
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_rules_of_this_account_may_send_to_queues_of_an_operations_key() -> None:
    stack = support.stack()
    operations_key(stack, "Key", description="")
    assert key_statements(stack)["events.amazonaws.com"]["Condition"] == OF_THIS_ACCOUNT


def test_a_publisher_may_use_the_key_too() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Publisher", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    AlertTopic(stack, "Alerts").grant_publish(role)
    assert {"sns:Publish", "kms:Decrypt"} <= machines.actions(machines.statements(stack, "Publisher"))


def test_addresses_are_subscribed() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts", emails=["a@example.com"])
    subscription = support.only(support.resources(stack, "AWS::SNS::Subscription"))["Properties"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "a@example.com")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 problems"):
        AlertTopic(support.stack(), "Alerts", emails=["nobody"], display_name="x" * 101)


def test_no_rule_pack_finds_anything() -> None:
    app = support.app()
    AlertTopic(support.stack(app), "Alerts")
    assert nag.unacknowledged(app) == []


# A topic that is there already


TOPIC = f"arn:aws:sns:{support.REGION}:{support.ACCOUNT}:operations"
KEY = f"arn:aws:kms:{support.REGION}:{support.ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def existing(stack: cdk.Stack, arn: str = TOPIC) -> AlertTopic:
    topic = sns.Topic.from_topic_arn(stack, "Topic", arn)
    return AlertTopic.from_topic(stack, "Alerts", topic, key=kms.Key.from_key_arn(stack, "Key", KEY))


def test_alerts_go_to_a_topic_that_another_app_owns_and_none_is_made() -> None:
    stack = support.stack()
    alerts = existing(stack)
    metric = cloudwatch.Metric(namespace="Test", metric_name="Errors")
    alerts.notify(cloudwatch.Alarm(stack, "Alarm", metric=metric, threshold=1, evaluation_periods=1))
    alerts.grant_publish(iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))
    found = support.resources(stack)
    assert {each["Type"] for each in found.values()}.isdisjoint(
        {"AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::KMS::Key"}
    )
    (alarm,) = [each for each in found.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarm["Properties"]["AlarmActions"] == [TOPIC]


def test_a_topic_and_a_key_of_the_app_are_opened_to_alarms() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Key")
    AlertTopic.from_topic(stack, "Alerts", sns.Topic(stack, "Topic", master_key=key), key=key)
    (allowed,) = policy(stack)
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert set(key_statements(stack)) == {"cloudwatch.amazonaws.com"}


def test_a_fifo_topic_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a standard topic: alarms send to no other"):
        existing(support.stack(), f"{TOPIC}.fifo")


def test_a_topic_without_a_key_of_yours_is_refused() -> None:
    stack = support.stack()
    topic = sns.Topic.from_topic_arn(stack, "Topic", TOPIC)
    with pytest.raises(ConfigurationError, match="given key=None; allowed: a construct"):
        AlertTopic.from_topic(stack, "Alerts", topic, key=None)  # type: ignore[arg-type]


def test_a_topic_of_another_region_is_refused() -> None:
    there = TOPIC.replace(support.REGION, "us-west-2")
    with pytest.raises(ConfigurationError, match="given a topic in us-west-2; allowed: one in eu-west-1"):
        existing(support.stack(env=support.environment()), there)
    # AND where the stack has no region yet, nothing can be said.
    existing(support.stack(), there)
