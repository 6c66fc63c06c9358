"""CloudFormation: every resource is checked against its schema before anything of the stack is created."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.assembly import settled
from tests.local.conftest import LocalAws, unique
from tests.local.test_resource_types import Stack, resource


@pytest.fixture
def stack(local_aws: LocalAws) -> Stack:
    return Stack(local_aws)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            resource("S3::Bucket", VersioningConfiguration={"Status": "On"}),
            "/Status: On is not a valid enum value. Supported values: [Enabled, Suspended]",
        ),
        (
            resource("S3::Bucket", BucketEncyption={}),
            "#: extraneous key [BucketEncyption] is not permitted: did you mean BucketEncryption?",
        ),
        (resource("SNS::Subscription", TopicArn="t"), "#: required key [Protocol] not found"),
        (
            resource("SQS::Queue", VisibilityTimeout="long"),
            "#/VisibilityTimeout: expected type: Integer, found: String",
        ),
        (
            resource("Lambda::Function", Code={}, Role="no-arn", MemorySize=64),
            "#/Role: 'no-arn' failed validation constraint for keyword [pattern]: ^arn",
        ),
        (
            resource("Lambda::Function", Code={}, Role="arn:aws:iam::000000000000:role/r", MemorySize=64),
            "#/MemorySize: 64 is not greater or equal to 128",
        ),
        (resource("SQS::Queue", Arn="mine"), "#: extraneous key [Arn] is not permitted: it is read-only"),
        (resource("KMS::Key", Tags={"a": "b"}), "#/Tags: expected type: Array, found: JSONObject"),
    ],
    ids=["enum", "unknown", "required", "type", "pattern", "range", "read-only", "array"],
)
def test_a_violation_is_told_by_resource_property_and_what_is_allowed(
    stack: Stack, wrong: dict[str, Any], message: str
) -> None:
    assert stack.attempt({"Wrong": wrong}) == "ROLLBACK_COMPLETE"
    assert "Properties validation failed for resource Wrong with message: [" in stack.reasons()
    assert message in stack.reasons()


def test_nothing_is_created_where_another_resource_is_wrong(stack: Stack) -> None:
    bucket = unique("early")
    resources = {
        "Bucket": resource("S3::Bucket", BucketName=bucket),
        "Queue": resource("SQS::Queue", DelaySeconds="often"),
    }
    assert stack.attempt(resources) == "ROLLBACK_COMPLETE"
    with pytest.raises(ClientError, match="404"):
        stack.aws.client("s3").head_bucket(Bucket=bucket)


def test_all_violations_are_told_at_once(stack: Stack) -> None:
    stack.attempt({"A": resource("SQS::Queue", Nope=1, DelaySeconds="x"), "B": resource("SNS::Topic", No=1)})
    for message in ("key [Nope]", "#/DelaySeconds: expected type", "resource B with message", "key [No]"):
        assert message in stack.reasons()


def test_a_wrong_update_leaves_the_stack_as_it_was(stack: Stack) -> None:
    stack.deploy({"Queue": resource("SQS::Queue", DelaySeconds=5)})
    url = stack.physical_id("Queue")
    wrong = resource("SQS::Queue", DelaySeconds=5, MaximumMessageSize="huge")
    assert stack.attempt({"Queue": wrong}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "#/MaximumMessageSize: expected type: Integer" in stack.reasons()
    assert stack.physical_id("Queue") == url


def test_numbers_and_booleans_may_be_text_and_values_of_other_resources_fit(stack: Stack) -> None:
    stack.deploy(
        {
            "Dead": resource("SQS::Queue"),
            "Queue": resource(
                "SQS::Queue",
                DelaySeconds="5",
                SqsManagedSseEnabled="true",
                RedrivePolicy={
                    "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                    "maxReceiveCount": 3,
                },
                QueueName={"Fn::Join": ["-", [unique("q"), {"Fn::GetAtt": ["Dead", "QueueName"]}]]},
            ),
        }
    )


def test_values_in_lists_and_nested_structures_are_checked(stack: Stack) -> None:
    rule = {"Id": "r", "Status": "Enabled", "Transitions": [{"StorageClass": "COLD", "TransitionInDay": 1}]}
    bucket = resource("S3::Bucket", LifecycleConfiguration={"Rules": [rule]})
    assert stack.attempt({"Bucket": bucket}) == "ROLLBACK_COMPLETE"
    path = "#/LifecycleConfiguration/Rules/0/Transitions/0"
    assert f"{path}/StorageClass: COLD is not a valid enum value" in stack.reasons()
    assert f"{path}: extraneous key [TransitionInDay] is not permitted: did you mean" in stack.reasons()


def test_a_condition_on_a_joined_list_sees_its_text(stack: Stack) -> None:
    joined = {"Fn::Join": ["", {"Ref": "Names"}]}
    template = {
        "Parameters": {"Names": {"Type": "CommaDelimitedList", "Default": ""}},
        "Conditions": {"Given": {"Fn::Not": [{"Fn::Equals": ["", joined]}]}},
        "Resources": {
            "Always": resource("SNS::Topic"),
            "Named": resource("SNS::Topic") | {"Condition": "Given"},
        },
    }
    client = stack.aws.client("cloudformation")
    client.create_stack(StackName=stack.name, TemplateBody=json.dumps(template))
    settled(client, stack.name)
    found = client.describe_stack_resources(StackName=stack.name)["StackResources"]
    assert [resource["LogicalResourceId"] for resource in found] == ["Always"]


def test_only_the_chosen_branch_of_a_condition_is_checked(stack: Stack) -> None:
    chosen = {"Fn::If": ["Never", {"Fn::GetAtt": ["Topic", "TopicName"]}, {"Ref": "AWS::NoValue"}]}
    template = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "Topic": resource("SNS::Topic", DisplayName=chosen),
            "Wrong": resource("SQS::Queue", Nope=1) | {"Condition": "Never"},
        },
    }
    client = stack.aws.client("cloudformation")
    client.create_stack(StackName=stack.name, TemplateBody=json.dumps(template))
    assert settled(client, stack.name) == "CREATE_COMPLETE"
