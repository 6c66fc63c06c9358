"""What scales an endpoint, registered again when the endpoint is back: the event of that, and the rights."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._encryption import allow_rules_into_queues
from cdk_data_science.cost._scheduled_function import ScheduledFunction


def restores_scaling(function: ScheduledFunction, id: str, endpoint_name: str) -> events.Rule:
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
    _allow_scaling(function.role)
    return rule


def _allow_scaling(role: iam.Role) -> None:
    """Let the function ask what is registered, and put what is missing.

    Before Application Auto Scaling registers anything, it tries with the caller's rights what scaling will
    do: it describes the endpoint and its configuration, changes capacities, and puts and deletes alarms, some
    of it without a name. It refuses who may not.

    See https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html
    and https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
    """
    stack = Stack.of(role)
    targets_arn = stack.format_arn(
        service="application-autoscaling", resource="scalable-target", resource_name="*"
    )
    alarms = stack.format_arn(
        service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    endpoints, configs = (
        stack.format_arn(service="sagemaker", resource=kind, resource_name="*")
        for kind in ("endpoint", "endpoint-config")
    )
    by_service = {"Bool": {"aws:ViaAWSService": "true"}}
    of_sagemaker = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    for actions, resources, conditions in (
        (
            [
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
            ["*"],
            None,
        ),
        (
            [
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
            ],
            [targets_arn],
            of_sagemaker,
        ),
        (
            ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"],
            [alarms],
            by_service,
        ),
        (
            [
                "sagemaker:DescribeEndpoint",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:UpdateEndpointWeightsAndCapacities",
            ],
            [endpoints, configs],
            by_service,
        ),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "Application Auto Scaling's Describe calls take no resource.",
    )
    acknowledge_wildcards(
        role,
        role,
        [targets_arn, alarms, endpoints, configs],
        "Application Auto Scaling chooses the identifiers of its targets; a condition keeps to those of "
        "SageMaker. It tries alarms and endpoints without a name before it registers a target; a condition "
        "holds that for services which call in the function's name, so that its code has none of it.",
    )
