"""ServerlessInference: the function, its alias, who may ask, what is watched."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from cdk_data_science import ConfigurationError, DataLake, FunctionNetwork, ServerlessInference
from tests.constructs import machines, nag, support


@pytest.fixture(scope="module")
def deployed() -> cdk.Stack:
    # GIVEN a function with everything by default, and a caller
    stack = support.stack()
    inference = ServerlessInference(stack, "Reviews", models=DataLake(stack, "Lake", zones=["models"]).models)
    inference.grant_invoke(
        iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )
    return stack


def function(stack: cdk.Stack) -> dict[str, Any]:
    found = support.resources(stack, "AWS::Lambda::Function")
    properties: dict[str, Any] = next(
        f["Properties"] for f in found.values() if f["Properties"]["Handler"] == "app.handler"
    )
    return properties


def test_the_function_is_python_on_arm(deployed: cdk.Stack) -> None:
    properties = function(deployed)
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]


def test_it_follows_the_pointer_and_names_no_model(deployed: cdk.Stack) -> None:
    variables = function(deployed)["Environment"]["Variables"]
    assert variables["MODEL_POINTER_KEY"] == "models/current.json"
    assert "MODEL_SHA256" not in variables
    assert variables["MAX_ROWS"] == "1000"


def test_the_alias_is_live_and_takes_no_routing_from_the_template(deployed: cdk.Stack) -> None:
    alias = support.only(support.resources(deployed, "AWS::Lambda::Alias"))["Properties"]
    assert alias["Name"] == "live"
    assert "RoutingConfig" not in alias


def test_a_version_is_kept_unless_the_deployment_that_made_it_fails(deployed: cdk.Stack) -> None:
    version = support.only(support.resources(deployed, "AWS::Lambda::Version"))
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_url_takes_signed_requests_to_the_alias(deployed: cdk.Stack) -> None:
    url = support.only(support.resources(deployed, "AWS::Lambda::Url"))["Properties"]
    assert (url["AuthType"], url["Qualifier"]) == ("AWS_IAM", "live")


def test_a_caller_may_ask_the_alias_and_nothing_else(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "Caller")
    assert machines.actions(found) == {"lambda:InvokeFunction", "lambda:InvokeFunctionUrl"}
    alias = next(iter(support.resources(deployed, "AWS::Lambda::Alias")))
    assert all(statement["Resource"] == {"Ref": alias} for statement in found)


def test_nobody_is_let_in_by_the_function_itself(deployed: cdk.Stack) -> None:
    assert support.resources(deployed, "AWS::Lambda::Permission") == {}


def test_it_reads_its_prefix_and_writes_nothing_there(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "ReviewsInferenceRole")
    (read,) = (s for s in found if "s3:GetObject" in machines.actions([s]))
    assert json.dumps(read["Resource"]).endswith('"/models/*"]]}')
    assert not {a for a in machines.actions(found) if a.startswith(("s3:Put", "s3:Delete"))}


def test_asynchronous_calls_that_fail_go_to_an_encrypted_queue_that_it_may_write(deployed: cdk.Stack) -> None:
    assert "DeadLetterConfig" in function(deployed)
    assert {"sqs:SendMessage", "kms:GenerateDataKey"} <= machines.actions(
        machines.statements(deployed, "ReviewsInferenceRole")
    )
    queue = support.only(support.resources(deployed, "AWS::SQS::Queue"))["Properties"]
    assert "KmsMasterKeyId" in queue
    config = support.only(support.resources(deployed, "AWS::Lambda::EventInvokeConfig"))["Properties"]
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (2, 3600)


def test_the_alarms_watch_the_alias_and_tell_the_topic(deployed: cdk.Stack) -> None:
    alarms = [a["Properties"] for a in support.resources(deployed, "AWS::CloudWatch::Alarm").values()]
    dimensions = {
        "Errors": {"FunctionName", "Resource"},
        "Throttles": {"FunctionName", "Resource"},
        "Duration": {"FunctionName", "Resource"},
        "ServerErrors": {"Service"},
        "ApproximateNumberOfMessagesVisible": {"QueueName"},
    }
    assert {a["MetricName"] for a in alarms} == set(dimensions)
    for alarm in alarms:
        assert {dimension["Name"] for dimension in alarm["Dimensions"]} == dimensions[alarm["MetricName"]]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"]


def test_the_metric_of_the_function_has_the_dimension_of_its_alarm(deployed: cdk.Stack) -> None:
    service = function(deployed)["Environment"]["Variables"]["SERVICE"]
    alarms = support.resources(deployed, "AWS::CloudWatch::Alarm").values()
    (own,) = (a["Properties"] for a in alarms if a["Properties"]["MetricName"] == "ServerErrors")
    assert own["Dimensions"] == [{"Name": "Service", "Value": service}]


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    ServerlessInference(stack, "Reviews", models=DataLake(stack, "Lake", zones=["models"]).models)
    assert nag.unacknowledged(app) == []


def test_it_can_be_attached_to_a_vpc_and_bounded() -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    ServerlessInference(
        stack,
        "Reviews",
        models=DataLake(stack, "Lake", zones=["models"]).models,
        network=FunctionNetwork(vpc=vpc),
        reserved_concurrency=5,
        architecture=lambda_.Architecture.X86_64,
    )
    properties = function(stack)
    assert len(properties["VpcConfig"]["SubnetIds"]) == 2
    assert properties["ReservedConcurrentExecutions"] == 5
    assert properties["Architectures"] == ["x86_64"]
    assert "ec2:CreateNetworkInterface" in machines.actions(
        machines.statements(stack, "ReviewsInferenceRole")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_size": 64}, "128 to 10240"),
        ({"timeout": cdk.Duration.minutes(16)}, "1 s to 900 s"),
        ({"max_rows": 0}, "1 to 100000"),
        ({"models_prefix": "models"}, "one at the end"),
        ({"reserved_concurrency": -1}, "or more"),
        ({"metrics_namespace": "AWS/Lambda"}, "not beginning with AWS/"),
        ({"slow": cdk.Duration.minutes(1)}, "at most timeout"),
    ],
)
def test_what_lambda_would_refuse_is_refused_at_construction(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["models"])
    with pytest.raises(ConfigurationError, match=message):
        ServerlessInference(stack, "Reviews", models=lake.models, **options)
