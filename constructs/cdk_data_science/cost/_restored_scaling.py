"""What scales an endpoint, registered again when the endpoint is back: the event of that, and the rights."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._encryption import allow_rules_into_queues
from cdk_data_science.cost._scheduled_function import ScheduledFunction


def restores_scaling(
    function: ScheduledFunction, id: str, endpoint_name: str, endpoint_arn: str
) -> events.Rule:
    """Call the function whenever the endpoint's state changes, and let it register what scaled it.

    The states in these events are written otherwise than the API writes them: the function asks the API.
    """
    rule = events.Rule(
        function,
        id,
        description=f"States of the endpoint {endpoint_name}: what scaled it is registered again",
        event_pattern=events.EventPattern(
            source=["aws.sagemaker"],
            detail_type=["SageMaker Endpoint State Change"],
            detail={"EndpointName": [endpoint_name]},
        ),
    )
    rule.add_target(
        targets.LambdaFunction(
            function.function,
            event=events.RuleTargetInput.from_object({"switch": "scaling"}),
            dead_letter_queue=function.dead_letters,
            max_event_age=Duration.hours(1),
            retry_attempts=8,
        )
    )
    key = function.dead_letters.encryption_master_key
    if key is not None:
        # One that was given may know nothing of rules, whose dead letters would be lost without a word.
        allow_rules_into_queues(key)
    _allow_scaling(function.role, endpoint_name, endpoint_arn)
    return rule


def _allow_scaling(role: iam.Role, endpoint_name: str, endpoint_arn: str) -> None:
    """What AWS asks of who registers a variant.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
    """
    stack = Stack.of(role)
    targets_arn = stack.format_arn(
        service="application-autoscaling", resource="scalable-target", resource_name="*"
    )
    alarms = stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=f"TargetTracking-endpoint/{endpoint_name}/*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
            resources=["*"],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
            ],
            resources=[targets_arn],
            conditions={"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        )
    )
    configs = stack.format_arn(service="sagemaker", resource="endpoint-config", resource_name="*")
    for action, resource in (
        ("sagemaker:DescribeEndpointConfig", configs),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint_arn),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    # Application Auto Scaling makes the alarms of target tracking in the name of whoever puts the policy.
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            resources=[alarms],
        )
    )
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "Application Auto Scaling's Describe calls take no resource.",
    )
    acknowledge_wildcards(
        role,
        role,
        [targets_arn, alarms],
        "Application Auto Scaling chooses the identifiers of its targets; a condition keeps to those of "
        "SageMaker. The alarms are those that it makes for this one endpoint.",
    )
