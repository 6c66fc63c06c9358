"""How an endpoint is updated: strategies, waits, alarms, and what SageMaker's guardrails refuse."""

from __future__ import annotations

import functools
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_data_science import Canary, ConfigurationError, ModelEndpoint, Scaling, TrackInvocations
from cdk_data_science.serving import AllAtOnce, Linear, Rolling
from tests.constructs import support
from tests.constructs.serving import endpoints

ENDPOINT = "AWS::SageMaker::Endpoint"
MINUTES = cdk.Duration.minutes


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN an endpoint of each strategy in one stack
    stack = support.stack()
    more = cloudwatch.Alarm.from_alarm_arn(
        stack, "More", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:drift"
    )
    scaled = endpoints.variant(
        stack, scaling=Scaling(maximum=4, policies=[TrackInvocations(per_minute=1000)])
    )
    for name, changes in {
        "Plain": {},
        "Canary": {"rollout": Canary(percent=25, bake=MINUTES(15)), "termination_wait": MINUTES(1)},
        "Linear": {"rollout": Linear(percent=20, bake=MINUTES(2)), "rollout_timeout": MINUTES(60)},
        "Rolling": {"rollout": Rolling(percent=10, bake=MINUTES(3), rollback_percent=50)},
        "AllAtOnce": {"rollout": AllAtOnce(), "rollback_alarms": [more]},
        "Single": {"variants": [endpoints.variant(stack, instance_count=1)]},
        "Inferentia": {
            "variants": [
                endpoints.variant(
                    stack,
                    instance_type="ml.inf1.xlarge",
                    model=endpoints.model(stack, "Compiled", image=endpoints.INF1_IMAGE),
                )
            ]
        },
        "Scaled": {"variants": [scaled]},
    }.items():
        endpoints.endpoint(stack, name, **changes)
    return stack


def endpoint(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found = support.resources(stack, ENDPOINT)
    (only,) = [each["Properties"] for name, each in found.items() if name.startswith(f"{id}Endpoint")]
    return only  # type: ignore[no-any-return]


def blue_green(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found: dict[str, Any] = endpoint(stack, id)["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    return found


def test_by_default_ten_per_cent_go_first_for_ten_minutes_and_the_old_fleet_stays_for_five(
    stack: cdk.Stack,
) -> None:
    assert blue_green(stack, "Plain") == {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            "WaitIntervalInSeconds": 600,
        },
        "TerminationWaitInSeconds": 300,
    }


def test_a_canary_has_its_share_its_time_and_its_wait(stack: cdk.Stack) -> None:
    policy = blue_green(stack, "Canary")
    routing = policy["TrafficRoutingConfiguration"]
    assert (routing["CanarySize"]["Value"], routing["WaitIntervalInSeconds"]) == (25, 900)
    assert policy["TerminationWaitInSeconds"] == 60


def test_linear_steps_have_their_size_and_the_deployment_its_limit(stack: cdk.Stack) -> None:
    policy = blue_green(stack, "Linear")
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20},
        "WaitIntervalInSeconds": 120,
    }
    assert policy["MaximumExecutionTimeoutInSeconds"] == 3600


def test_rolling_has_no_second_fleet(stack: cdk.Stack) -> None:
    deployment = endpoint(stack, "Rolling")["DeploymentConfig"]
    assert deployment["RollingUpdatePolicy"] == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 180,
    }
    assert "BlueGreenUpdatePolicy" not in deployment


def test_all_at_once_still_rolls_back_and_by_given_alarms_too(stack: cdk.Stack) -> None:
    assert blue_green(stack, "AllAtOnce")["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    alarms = endpoint(stack, "AllAtOnce")["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert len(alarms) == 3
    assert {"AlarmName": "drift"} in alarms


def test_a_single_instance_is_replaced_at_once_by_default(stack: cdk.Stack) -> None:
    assert blue_green(stack, "Single")["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"


def test_inf1_gets_no_guardrails_that_sagemaker_would_leave_out(stack: cdk.Stack) -> None:
    assert "DeploymentConfig" not in endpoint(stack, "Inferentia")


def test_an_update_keeps_the_scaled_count_and_takes_the_templates_weights(stack: cdk.Stack) -> None:
    scaled = endpoint(stack, "Scaled")
    assert scaled["RetainAllVariantProperties"] is True
    assert scaled["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    # AND where nothing scales, the template's count holds
    assert "RetainAllVariantProperties" not in endpoint(stack, "Plain")


@functools.cache
def workshop() -> cdk.Stack:
    """Where endpoints are tried that are refused: nobody synthesizes it."""
    return support.stack()


def refused(change: dict[str, Any] | None = None, **changes: Any) -> str:
    stack = workshop()
    changes.setdefault("variants", [endpoints.variant(stack, **(change or {}))])
    with pytest.raises(ConfigurationError) as failure:
        ModelEndpoint(Construct(stack, f"Try{len(stack.node.children)}"), "Endpoint", **changes)
    return str(failure.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"rollout": Canary(percent=51)},
            "Canary percent=51 of an endpoint; allowed: a whole number, 1 to 50",
        ),
        ({"rollout": Canary(percent=0.5)}, "Canary percent=0.5 of an endpoint"),
        ({"rollout": Canary(bake=MINUTES(61))}, "Canary bake=3660 s of an endpoint; allowed: whole seconds"),
        (
            {"rollout": Linear(percent=5)},
            "Linear percent=5 of an endpoint; allowed: a whole number, 10 to 50",
        ),
        (
            {"rollout": Rolling(percent=4)},
            "Rolling percent=4 of an endpoint; allowed: a whole number, 5 to 50",
        ),
        ({"rollout": Rolling(rollback_percent=101)}, "rollback_percent=101"),
        ({"rollout": Rolling(), "termination_wait": MINUTES(1)}, "termination_wait with Rolling"),
        ({"termination_wait": MINUTES(61)}, "termination_wait=3660 s"),
        ({"rollout_timeout": MINUTES(9)}, "rollout_timeout=540 s; allowed: whole seconds, ten minutes"),
        (
            {"rollout": Canary(bake=MINUTES(30)), "rollout_timeout": MINUTES(35)},
            "rollout_timeout=2100 s with waits of 2100 s; allowed: more than all waits together",
        ),
        (
            {"rollout": Linear(percent=25, bake=MINUTES(10)), "rollout_timeout": MINUTES(30)},
            "with waits of 2100 s",
        ),
        ({"rollout": Rolling(percent=50), "rollout_timeout": MINUTES(10)}, "with waits of 600 s"),
    ],
)
def test_a_rollout_that_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert expected in refused(**changes)


@pytest.mark.parametrize("rollout", [Canary(), Linear(), Rolling()])
def test_steps_need_two_instances_at_all_times(rollout: Any) -> None:
    assert "with 1 instance of variant 'main'; allowed: 2 or more" in refused(
        {"instance_count": 1}, rollout=rollout
    )
    # AND an endpoint that was scaled in may have but one when it is updated
    scaling = Scaling(minimum=1, maximum=3, policies=[TrackInvocations(per_minute=60)])
    assert "with 1 instance of variant 'main'" in refused({"scaling": scaling}, rollout=rollout)


@pytest.mark.parametrize("rollout", [Canary(), Linear(), Rolling()])
def test_what_inf1_is_not_rolled_out_by_is_refused(rollout: Any) -> None:
    told = refused({"instance_type": "ml.inf1.xlarge"}, rollout=rollout)
    assert "allowed: AllAtOnce() alone: SageMaker leaves guardrails out on Inf1" in told


def test_several_variants_are_not_rolled() -> None:
    stack = workshop()
    both = [endpoints.variant(stack), endpoints.variant(stack, name="other")]
    assert "Rolling with 2 variants; allowed: one variant" in refused(variants=both, rollout=Rolling())


def test_sagemaker_watches_ten_alarms() -> None:
    stack = workshop()
    alarm = cloudwatch.Alarm.from_alarm_arn(
        Construct(stack, "Alarms"), "One", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:one"
    )
    assert "9 rollback_alarms; allowed: at most 8" in refused(rollback_alarms=[alarm] * 9)
    six = [endpoints.variant(stack, name=f"v{number}") for number in range(6)]
    assert "5 rollback_alarms; allowed: at most 4" in refused(variants=six, rollback_alarms=[alarm] * 5)


def test_of_six_variants_errors_roll_back() -> None:
    stack = support.stack()
    six = [endpoints.variant(stack, name=f"v{number}") for number in range(6)]
    endpoints.endpoint(stack, variants=six)
    deployment = endpoints.properties(stack, ENDPOINT)["DeploymentConfig"]
    watched = [each["AlarmName"]["Ref"] for each in deployment["AutoRollbackConfiguration"]["Alarms"]]
    assert len(watched) == 6
    assert all(each.startswith("EndpointServerErrors") for each in watched)
    # AND slow answers are told
    assert len(support.resources(stack, "AWS::CloudWatch::Alarm")) == 12
