"""Autoscaling of variants: dimensions, metrics and targets that SageMaker has."""

from __future__ import annotations

import functools
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_applicationautoscaling as appscaling
from constructs import Construct

from cdk_data_science import ConfigurationError, ModelEndpoint, Scaling, ServerlessVariant, TrackInvocations
from cdk_data_science.serving import (
    ConcurrencyScaling,
    ScheduledCapacity,
    Steps,
    TrackConcurrency,
    TrackUtilization,
)
from tests.constructs import support
from tests.constructs.serving import endpoints

TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"
STEPS = Steps(
    on="ModelLatency",
    steps=[
        appscaling.ScalingInterval(upper=100_000, change=-1),
        appscaling.ScalingInterval(lower=500_000, change=2),
    ],
)
NIGHT = ScheduledCapacity(schedule=appscaling.Schedule.cron(hour="20", minute="0"), minimum=2, maximum=2)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a variant with every policy, one on GPUs, and a serverless one
    stack = support.stack()
    every = Scaling(
        maximum=8,
        policies=[
            TrackInvocations.from_load_test(peak_per_second=40, safety_factor=0.6),
            TrackConcurrency(per_model=5, scale_in_cooldown=cdk.Duration.minutes(3)),
            TrackUtilization(of="CPU", percent=60),
            TrackUtilization(of="Memory", percent=70),
            STEPS,
        ],
        schedule=[NIGHT],
    )
    gpus = Scaling(maximum=4, policies=[TrackUtilization(of="GPU", percent=50)])
    endpoints.endpoint(
        stack,
        variants=[
            endpoints.variant(stack, instance_type="ml.m6i.2xlarge", scaling=every),
            endpoints.variant(stack, name="gpus", instance_type="ml.g5.12xlarge", scaling=gpus),
            endpoints.variant(stack, name="fixed"),
        ],
    )
    serverless = ServerlessVariant(
        name="main",
        model=endpoints.model(stack, "Open", network_isolation=False),
        provisioned_concurrency=2,
        scaling=ConcurrencyScaling(maximum=10, schedule=[NIGHT]),
    )
    endpoints.endpoint(stack, "Serverless", variants=[serverless])
    return stack


def target(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found = support.resources(stack, TARGET)
    (only,) = [each["Properties"] for name, each in found.items() if name.startswith(id)]
    return only  # type: ignore[no-any-return]


def tracked(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found = support.resources(stack, POLICY)
    (only,) = [each["Properties"] for name, each in found.items() if name.startswith(id)]
    config: dict[str, Any] = only["TargetTrackingScalingPolicyConfiguration"]
    return config


def test_a_target_is_a_variant_of_the_endpoint(stack: cdk.Stack) -> None:
    registered = target(stack, "EndpointScalingmain")
    assert registered["ServiceNamespace"] == "sagemaker"
    assert registered["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert (registered["MinCapacity"], registered["MaxCapacity"]) == (2, 8)
    (before, name, after) = registered["ResourceId"]["Fn::Join"][1]
    assert (before, after) == ("endpoint/", "/variant/main")
    assert name["Fn::GetAtt"][0].startswith("Endpoint")
    assert "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint" in str(registered["RoleARN"])


def test_only_variants_that_ask_for_it_are_scaled(stack: cdk.Stack) -> None:
    assert len(support.resources(stack, TARGET)) == 3


def test_invocations_follow_the_load_test(stack: cdk.Stack) -> None:
    config = tracked(stack, "EndpointScalingmainInvocations")
    metric = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert (metric, config["TargetValue"]) == ("SageMakerVariantInvocationsPerInstance", 1440)


def test_concurrency_is_tracked_in_high_resolution(stack: cdk.Stack) -> None:
    config = tracked(stack, "EndpointScalingmainConcurrency")
    metric = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    assert (config["TargetValue"], config["ScaleInCooldown"]) == (5, 180)


@pytest.mark.parametrize(
    ("id", "metric", "value"),
    [
        # eight processors, whose utilization SageMaker adds up
        ("EndpointScalingmainCPUUtilization", "CPUUtilization", 480),
        ("EndpointScalingmainMemoryUtilization", "MemoryUtilization", 70),
        # four GPUs
        ("EndpointScalinggpusGPUUtilization", "GPUUtilization", 200),
    ],
)
def test_utilization_is_of_all_processors_and_gpus(
    stack: cdk.Stack, id: str, metric: str, value: float
) -> None:
    config = tracked(stack, id)
    custom = config["CustomizedMetricSpecification"]
    assert (custom["Namespace"], custom["MetricName"]) == ("/aws/sagemaker/Endpoints", metric)
    assert [each["Name"] for each in custom["Dimensions"]] == ["EndpointName", "VariantName"]
    assert config["TargetValue"] == value


def test_steps_watch_a_metric_of_the_variant(stack: cdk.Stack) -> None:
    alarms = [
        each["Properties"]
        for name, each in support.resources(stack, "AWS::CloudWatch::Alarm").items()
        if "Steps" in name
    ]
    assert {each["Threshold"] for each in alarms} == {100_000, 500_000}
    for each in alarms:
        assert (each["Namespace"], each["MetricName"]) == ("AWS/SageMaker", "ModelLatency")
        assert {dimension["Name"] for dimension in each["Dimensions"]} == {"EndpointName", "VariantName"}


def test_bounds_change_by_the_clock(stack: cdk.Stack) -> None:
    (action,) = target(stack, "EndpointScalingmain")["ScheduledActions"]
    assert action["Schedule"] == "cron(0 20 * * ? *)"
    assert action["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 2}


def test_a_serverless_variant_scales_its_provisioned_concurrency(stack: cdk.Stack) -> None:
    registered = target(stack, "ServerlessScalingmain")
    assert registered["ScalableDimension"] == "sagemaker:variant:DesiredProvisionedConcurrency"
    config = tracked(stack, "ServerlessScalingmainUtilization")
    metric = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert (metric, config["TargetValue"]) == ("SageMakerVariantProvisionedConcurrencyUtilization", 0.7)


def test_every_predefined_metric_is_one_that_application_auto_scaling_knows(stack: cdk.Stack) -> None:
    from tests.compliance.cloudformation import schema

    definition = (schema(POLICY) or {})["definitions"]["PredefinedMetricSpecification"]
    known = set(definition["properties"]["PredefinedMetricType"]["enum"])
    configs = [
        each["Properties"].get("TargetTrackingScalingPolicyConfiguration", {})
        for each in support.resources(stack, POLICY).values()
    ]
    used = {
        config["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for config in configs
        if "PredefinedMetricSpecification" in config
    }
    assert len(used) == 3
    assert used <= known


@functools.cache
def workshop() -> cdk.Stack:
    """Where endpoints are tried that are refused: nobody synthesizes it."""
    return support.stack()


def refused(variant: Any) -> str:
    stack = workshop()
    with pytest.raises(ConfigurationError) as failure:
        ModelEndpoint(Construct(stack, f"Try{len(stack.node.children)}"), "Endpoint", variants=[variant])
    return str(failure.value)


TRACK = TrackInvocations(per_minute=60)


@pytest.mark.parametrize(
    ("scaling", "change", "expected"),
    [
        (Scaling(maximum=4, policies=[TRACK]), {"instance_type": "ml.t2.medium"}, "types that do not burst"),
        (
            Scaling(minimum=0, maximum=4, policies=[TRACK]),
            {},
            "minimum=0 of variant 'main'; allowed: 1 or more",
        ),
        (Scaling(minimum=3, maximum=2, policies=[TRACK]), {}, "minimum=3 and maximum=2"),
        (
            Scaling(minimum=3, maximum=4, policies=[TRACK]),
            {},
            "instance_count=2 of variant 'main', which scales",
        ),
        (
            Scaling(maximum=4, policies=[TRACK]),
            {"instance_count": 5},
            "a first count between minimum and maximum",
        ),
        (Scaling(maximum=4), {}, "without policies and schedule"),
        (
            Scaling(maximum=4, policies=[TRACK, TRACK]),
            {},
            "two policies of variant 'main' that track the same",
        ),
        (Scaling(maximum=4, policies=[TrackInvocations(per_minute=0)]), {}, "per_minute=0"),
        (Scaling(maximum=4, policies=[TrackConcurrency(per_model=-1)]), {}, "per_model=-1"),
        (Scaling(maximum=4, policies=[TrackUtilization(of="CPU", percent=240)]), {}, "CPU percent=240"),
        (Scaling(maximum=4, policies=[TrackUtilization(of="GPU", percent=50)]), {}, "a type without GPUs"),
        (
            Scaling(maximum=4, policies=[TrackUtilization(of="CPU", percent=50)]),
            {"instance_type": "ml.p2.xlarge"},
            "a type whose processors and GPUs are known",
        ),
        (Scaling(maximum=4, policies=[Steps(on="Invocations", steps=[])]), {}, "with 0 range; allowed: two"),
        (
            Scaling(maximum=4, schedule=[ScheduledCapacity(schedule=appscaling.Schedule.expression("x"))]),
            {},
            "a schedule of variant 'main' without bounds",
        ),
    ],
)
def test_scaling_that_would_be_refused_or_never_happen_is_refused(
    scaling: Scaling, change: dict[str, Any], expected: str
) -> None:
    assert expected in refused(endpoints.variant(workshop(), scaling=scaling, **change))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"scaling": ConcurrencyScaling(maximum=5)},
            "scaling of variant 'main' without provisioned_concurrency",
        ),
        (
            {"provisioned_concurrency": 2, "scaling": ConcurrencyScaling(maximum=30)},
            "up to 30; allowed: at most max_concurrency (20)",
        ),
        (
            {"provisioned_concurrency": 2, "scaling": ConcurrencyScaling(minimum=3, maximum=5)},
            "provisioned_concurrency=2 of variant 'main', which scales from 3 to 5",
        ),
        (
            {"provisioned_concurrency": 2, "scaling": ConcurrencyScaling(maximum=5, utilization=1)},
            "utilization=1 of variant 'main'; allowed: 0.1 to 0.9",
        ),
        (
            {"provisioned_concurrency": 2, "scaling": ConcurrencyScaling(maximum=5, utilization=None)},
            "without utilization and schedule",
        ),
    ],
)
def test_scaling_of_serverless_variants_that_cannot_be_is_refused(
    options: dict[str, Any], expected: str
) -> None:
    model = endpoints.model(workshop(), "Open", network_isolation=False)
    assert expected in refused(ServerlessVariant(name="main", model=model, **options))


@pytest.mark.parametrize(("peak", "factor"), [(0, 0.5), (40, 0), (40, 1.1)])
def test_a_load_test_that_cannot_be_is_refused(peak: float, factor: float) -> None:
    with pytest.raises(ConfigurationError):
        TrackInvocations.from_load_test(peak_per_second=peak, safety_factor=factor)
