"""AlertTopic: encrypted, and open to alarms and rules of this account."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science import AlertTopic, ConfigurationError
from tests.constructs import machines, nag, support


def policy(stack: cdk.Stack) -> list[dict[str, Any]]:
    found = support.only(support.resources(stack, "AWS::SNS::TopicPolicy"))
    statements: list[dict[str, Any]] = found["Properties"]["PolicyDocument"]["Statement"]
    return statements


def test_alarms_and_rules_of_this_account_may_publish_and_plain_http_may_not() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts")
    allowed, denied = sorted(policy(stack), key=lambda statement: statement["Effect"])
    assert allowed["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_alarms_may_use_the_key_of_the_topic() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts")
    key = support.only(support.resources(stack, "AWS::KMS::Key"))["Properties"]
    assert key["EnableKeyRotation"] is True
    assert "cloudwatch.amazonaws.com" in json.dumps(key["KeyPolicy"])


def test_a_given_key_is_extended_and_no_other_is_made() -> None:
    stack = support.stack()
    AlertTopic(stack, "Alerts", key=kms.Key(stack, "Key"))
    key = support.only(support.resources(stack, "AWS::KMS::Key"))["Properties"]
    assert "AlarmsAndRulesOfThisAccount" in json.dumps(key["KeyPolicy"])


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
