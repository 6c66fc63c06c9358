"""AsyncEndpoint: its queue, its topics, its instances, who may ask it."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_data_science import AsyncEndpoint, Canary, ConfigurationError, Scaling, TrackInvocations
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import Artifact, Backlog
from tests.compliance.test_cfn_lint import problems
from tests.constructs import nag, support
from tests.constructs.serving import endpoints

CONFIG = "AWS::SageMaker::EndpointConfig"
ENDPOINT = "AWS::SageMaker::Endpoint"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def build(
    stack: cdk.Stack, scope: Construct | None = None, id: str = "Endpoint", **changes: Any
) -> AsyncEndpoint:
    lake = endpoints.lake(stack)
    variant = changes.pop("variant", None) or endpoints.variant(stack, instance_count=1)
    values = {"variant": variant, "requests": lake.raw, "answers": lake.curated} | changes
    return AsyncEndpoint(scope if scope is not None else stack, id, **values)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN an endpoint with a topic for answers, and one that may ask it
    stack = support.stack()
    answered = sns.Topic(stack, "Answered", master_key=kms.Key(stack, "AnsweredKey"))
    endpoint = build(
        stack,
        successes=answered,
        concurrent_requests=4,
        backlog=Backlog(per_instance=3, maximum=5, cooldown=cdk.Duration.minutes(2)),
        waiting=cdk.Duration.minutes(20),
    )
    endpoint.grant_invoke(
        iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )
    return stack


def output(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = endpoints.properties(stack, CONFIG)["AsyncInferenceConfig"]["OutputConfig"]
    return found


def policy(stack: cdk.Stack, name: str) -> str:
    found = support.resources(stack, "AWS::IAM::Policy")
    (only,) = [each for key, each in found.items() if key.startswith(name)]
    return json.dumps(only["Properties"]["PolicyDocument"]["Statement"])


def test_successes_and_failures_go_to_their_own_topics(stack: cdk.Stack) -> None:
    topics = output(stack)["NotificationConfig"]
    assert topics["SuccessTopic"]["Ref"].startswith("Answered")
    assert topics["ErrorTopic"]["Ref"].startswith("EndpointAlertsTopic")


def test_answers_and_failures_lie_in_the_zone_under_its_key(stack: cdk.Stack) -> None:
    assert json.dumps(output(stack)["S3OutputPath"]).endswith('"/answers"]]}')
    assert json.dumps(output(stack)["S3FailurePath"]).endswith('"/failures"]]}')
    assert output(stack)["KmsKeyId"] == stack.resolve(endpoints.lake(stack).curated.key.key_arn)


def test_the_models_role_reads_requests_writes_answers_and_publishes(stack: cdk.Stack) -> None:
    allowed = policy(stack, "ModelRole")
    for each in ("/requests/*", "/answers/*", "/failures/*", "sns:Publish", "Answered"):
        assert each in allowed


def test_instances_are_bounded_by_the_backlog_and_may_be_none(stack: cdk.Stack) -> None:
    target = endpoints.properties(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 5)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"


def test_the_backlog_is_a_metric_of_the_endpoint_without_a_variant(stack: cdk.Stack) -> None:
    (config,) = [
        each["Properties"]["TargetTrackingScalingPolicyConfiguration"]
        for each in support.resources(stack, POLICY).values()
        if each["Properties"]["PolicyType"] == "TargetTrackingScaling"
    ]
    metric = config["CustomizedMetricSpecification"]
    assert metric["MetricName"] == "ApproximateBacklogSizePerInstance"
    name = endpoints.properties(stack, ENDPOINT)["EndpointName"]
    assert metric["Dimensions"] == [{"Name": "EndpointName", "Value": name}]
    assert (config["TargetValue"], config["ScaleOutCooldown"]) == (3, 120)


def test_the_first_request_starts_the_first_instance(stack: cdk.Stack) -> None:
    (alarm,) = [
        each["Properties"]
        for each in support.resources(stack, "AWS::CloudWatch::Alarm").values()
        if each["Properties"].get("MetricName") == "HasBacklogWithoutCapacity"
    ]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    (steps,) = [
        each["Properties"]["StepScalingPolicyConfiguration"]
        for each in support.resources(stack, POLICY).values()
        if each["Properties"]["PolicyType"] == "StepScaling"
    ]
    assert [step["ScalingAdjustment"] for step in steps["StepAdjustments"]] == [1]


def test_requests_that_wait_too_long_are_told_and_roll_nothing_back(stack: cdk.Stack) -> None:
    alarms = support.resources(stack, "AWS::CloudWatch::Alarm")
    ((own, waiting),) = [
        (key, each["Properties"])
        for key, each in alarms.items()
        if each["Properties"].get("MetricName") == "ApproximateAgeOfOldestRequest"
    ]
    assert waiting["Threshold"] == 1200
    deployment = endpoints.properties(stack, ENDPOINT)["DeploymentConfig"]
    watched = [each["AlarmName"]["Ref"] for each in deployment["AutoRollbackConfiguration"]["Alarms"]]
    assert len(watched) == 2 and own not in watched


def test_an_update_keeps_the_instances_that_the_backlog_asked_for(stack: cdk.Stack) -> None:
    assert endpoints.properties(stack, ENDPOINT)["RetainAllVariantProperties"] is True
    client = endpoints.properties(stack, CONFIG)["AsyncInferenceConfig"]["ClientConfig"]
    assert client == {"MaxConcurrentInvocationsPerInstance": 4}


def test_whoever_asks_puts_requests_and_calls_nothing_but_the_queue(stack: cdk.Stack) -> None:
    allowed = policy(stack, "CallerDefaultPolicy")
    assert "sagemaker:InvokeEndpointAsync" in allowed
    assert '"sagemaker:InvokeEndpoint"' not in allowed
    assert "ResponseStream" not in allowed  # an answer is an object
    assert "/requests/*" in allowed and "s3:GetObject" not in allowed


def test_the_dashboard_draws_the_queue() -> None:
    stack = workshop()
    endpoint = build(stack, Construct(stack, "Drawn"), variant=variant())
    rendered = json.dumps([stack.resolve(each.to_json()) for each in endpoint.dashboard_widgets()])
    for name in ("ApproximateBacklogSize", "ApproximateAgeOfOldestRequest", "ModelLatency", "CPUUtilization"):
        assert f'"{name}"' in rendered
    # AND nothing that is not published of asynchronous endpoints
    assert '"Invocations"' not in rendered and "OverheadLatency" not in rendered


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


def test_whoever_reads_answers_does_not_ask() -> None:
    stack = support.stack()
    reader = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    build(stack).grant_read_answers(reader)
    allowed = policy(stack, "ReaderDefaultPolicy")
    assert "/answers/*" in allowed and "/failures/*" in allowed
    assert "sagemaker:" not in allowed and "/requests/*" not in allowed


@functools.cache
def workshop() -> cdk.Stack:
    """Where endpoints are tried that are refused: nobody synthesizes it."""
    return support.stack()


def variant(**changes: Any) -> Any:
    return endpoints.variant(workshop(), **({"instance_count": 1} | changes))


SCALING = Scaling(minimum=1, maximum=2, policies=[TrackInvocations(per_minute=60)])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"backlog": Backlog(per_instance=0)}, "Backlog per_instance=0; allowed: more than 0"),
        ({"backlog": Backlog(minimum=3)}, "Backlog from 3 to 2"),
        ({"backlog": Backlog(maximum=0)}, "Backlog from 0 to 0"),
        (
            {"variant": lambda: variant(scaling=SCALING)},
            "no other metric to scale an asynchronous endpoint on",
        ),
        (
            {"variant": lambda: variant(instance_count=3)},
            "instance_count=3 with a backlog that scales from 0 to 2",
        ),
        ({"variant": lambda: variant(instance_type="ml.t2.medium")}, "types that do not burst"),
        ({"variant": lambda: variant(weight=0)}, "weight=0 of the only variant"),
        ({"concurrent_requests": 1001}, "concurrent_requests=1001; allowed: 1 to 1000"),
        ({"slow": cdk.Duration.minutes(61)}, "slow=3660 s; allowed: more than zero, at most an hour"),
        ({"answers_prefix": "/answers"}, "answers_prefix='/answers'"),
        (
            {"rollout": Canary(), "variant": lambda: variant(instance_count=2)},
            "rollout=Canary(…) with a backlog that scales to 0; allowed: AllAtOnce()",
        ),
    ],
)
def test_what_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    built = {name: value() if callable(value) else value for name, value in changes.items()}
    built.setdefault("variant", variant())
    with pytest.raises(ConfigurationError) as failure:
        build(stack, Construct(stack, f"Try{len(stack.node.children)}"), **built)
    assert expected in str(failure.value)


def test_one_topic_for_successes_and_failures_is_refused() -> None:
    stack = workshop()
    topic = sns.Topic(stack, "Both")
    with pytest.raises(ConfigurationError, match="the same topic for successes and failures"):
        build(stack, Construct(stack, "SameTopic"), successes=topic, failures=topic)


def test_a_multi_model_model_is_refused() -> None:
    stack = workshop()
    many = endpoints.model(
        stack, "Many", artifact=Artifact(zone=endpoints.lake(stack).models, key="many/"), multi_model=True
    )
    with pytest.raises(ConfigurationError, match="a call of InvokeEndpointAsync names none"):
        build(stack, Construct(stack, "ManyModels"), variant=variant(model=many))


def test_the_packs_and_our_rules_find_nothing_that_is_not_acknowledged() -> None:
    app = support.app({"@aws-cdk/core:strictCfnValidateErrors": False})
    stack = support.stack(app)
    build(stack)
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    of_the_endpoint = [each for each in nag.unacknowledged(app) if " at Test/Endpoint" in each]
    assert of_the_endpoint == []
