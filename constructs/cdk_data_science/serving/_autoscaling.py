"""Application Auto Scaling of endpoint variants, on dimensions and metrics that SageMaker has.

https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import is_token
from cdk_data_science.serving._role import COMPONENTS_NAMESPACE
from cdk_data_science.serving.copies import CopyScaling
from cdk_data_science.serving.scaling import (
    ConcurrencyScaling,
    Scaling,
    Steps,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from cdk_data_science.serving.schedules import ScheduledCapacity
from cdk_data_science.serving.variants import InstanceVariant

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED_CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
_STATISTICS = {
    "Invocations": "Sum",
    "InvocationsPerInstance": "Sum",
    "ModelLatency": "Average",
    "ConcurrentRequestsPerModel": "Maximum",
}

_COPY_CONCURRENCY = (
    appscaling.PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_CONCURRENT_REQUESTS_PER_COPY_HIGH_RESOLUTION
)

VariantMetric = Callable[[str, str, str], cloudwatch.Metric]
"""Namespace, name and statistic to a metric of the variant."""


def scalable_target(
    scope: Construct, id: str, *, resource_id: str, dimension: str, minimum: int, maximum: int
) -> appscaling.ScalableTarget:
    """Register a variant or a component with Application Auto Scaling, in its service-linked role."""
    role = iam.Role.from_role_arn(
        scope,
        f"{id}Role",
        Stack.of(scope).format_arn(
            service="iam",
            region="",
            resource="role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com",
            resource_name="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        ),
        mutable=False,
    )
    return appscaling.ScalableTarget(
        scope,
        id,
        service_namespace=appscaling.ServiceNamespace.SAGEMAKER,
        resource_id=resource_id,
        scalable_dimension=dimension,
        min_capacity=minimum,
        max_capacity=maximum,
        role=role,
    )


def variant_id(endpoint_name: str, variant: str) -> str:
    """What Application Auto Scaling calls a variant."""
    return f"endpoint/{endpoint_name}/variant/{variant}"


def scale_instances(
    target: appscaling.ScalableTarget, scaling: Scaling, variant: InstanceVariant, metric: VariantMetric
) -> None:
    """Attach a variant's policies and schedule to its target."""
    for number, policy in enumerate(scaling.policies, 1):
        if isinstance(policy, Steps):
            target.scale_on_metric(
                f"Steps{number}",
                metric=metric("AWS/SageMaker", policy.on, _STATISTICS[policy.on]),
                scaling_steps=list(policy.steps),
                adjustment_type=policy.adjustment,
                cooldown=policy.cooldown,
                evaluation_periods=policy.evaluation_periods,
            )
        else:
            _track(target, policy, variant, metric)
    schedule_capacity(target, scaling.schedule)


def _track(
    target: appscaling.ScalableTarget,
    policy: TrackInvocations | TrackConcurrency | TrackUtilization,
    variant: InstanceVariant,
    metric: VariantMetric,
) -> None:
    custom: cloudwatch.Metric | None = None
    predefined: appscaling.PredefinedMetric | None = None
    if isinstance(policy, TrackInvocations):
        name, value = "Invocations", policy.per_minute
        predefined = appscaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE
    elif isinstance(policy, TrackConcurrency):
        name, value = "Concurrency", policy.per_model
        predefined = (
            appscaling.PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION
        )
    else:
        name, value = f"{policy.of}Utilization", policy.percent * _multiple(policy, variant)
        custom = metric("/aws/sagemaker/Endpoints", f"{policy.of}Utilization", "Average")
    target.scale_to_track_metric(
        name,
        target_value=value,
        predefined_metric=predefined,
        custom_metric=custom,
        scale_in_cooldown=policy.scale_in_cooldown,
        scale_out_cooldown=policy.scale_out_cooldown,
    )


def _multiple(policy: TrackUtilization, variant: InstanceVariant) -> int:
    """SageMaker adds the percentages of processors, and of GPUs."""
    if policy.of == "Memory":
        return 1
    known = variant.facts
    assert known is not None  # the variant's check has asked for it
    if policy.of == "CPU":
        return known.vcpus
    return known.accelerator.count if known.accelerator is not None else 1


def scale_concurrency(target: appscaling.ScalableTarget, scaling: ConcurrencyScaling) -> None:
    """Attach the policy and schedule of a serverless variant's provisioned concurrency."""
    if scaling.utilization is not None:
        target.scale_to_track_metric(
            "Utilization",
            target_value=scaling.utilization,
            predefined_metric=appscaling.PredefinedMetric.SAGEMAKER_VARIANT_PROVISIONED_CONCURRENCY_UTILIZATION,
        )
    schedule_capacity(target, scaling.schedule)


def scale_on_backlog(
    target: appscaling.ScalableTarget,
    *,
    backlog_per_instance: float,
    metric: Callable[[str, str], cloudwatch.Metric],
    cooldown: Duration,
) -> None:
    """Follow the queue of an asynchronous endpoint; from zero with the first request in it.

    The backlog for each instance has no value while there is none, so that tracking it starts no first
    instance: a second metric says that there is work and nobody to do it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
    """
    target.scale_to_track_metric(
        "Backlog",
        target_value=backlog_per_instance,
        custom_metric=metric("ApproximateBacklogSizePerInstance", "Average"),
        scale_in_cooldown=cooldown,
        scale_out_cooldown=cooldown,
    )
    scale_from_zero(target, metric("HasBacklogWithoutCapacity", "Maximum"), cooldown)


def scale_from_zero(target: appscaling.ScalableTarget, metric: cloudwatch.Metric, cooldown: Duration) -> None:
    """Start the first one when the metric says that somebody asks and nobody is there."""
    target.scale_on_metric(
        "FromZero",
        metric=metric,
        scaling_steps=[
            appscaling.ScalingInterval(upper=1, change=0),
            appscaling.ScalingInterval(lower=1, change=1),
        ],
        adjustment_type=appscaling.AdjustmentType.CHANGE_IN_CAPACITY,
        cooldown=cooldown,
    )


def scale_copies(
    target: appscaling.ScalableTarget,
    scaling: CopyScaling,
    metric: Callable[[str, str, str], cloudwatch.Metric],
) -> None:
    """Attach the policies and schedule of a component's copies.

    A component without copies has no invocations for each copy: a policy of its own starts the first one, on
    the requests that found none.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
    """
    for policy in scaling.policies:
        custom: cloudwatch.Metric | None = None
        predefined: appscaling.PredefinedMetric | None = None
        if isinstance(policy, TrackInvocations):
            name, value = "Invocations", policy.per_minute
            predefined = appscaling.PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_INVOCATIONS_PER_COPY
        elif isinstance(policy, TrackConcurrency):
            name, value = "Concurrency", policy.per_model
            predefined = _COPY_CONCURRENCY
        else:
            name, value = f"{policy.of}Utilization", policy.percent
            custom = metric(COMPONENTS_NAMESPACE, f"{policy.of}UtilizationNormalized", "Average")
        target.scale_to_track_metric(
            name,
            target_value=value,
            predefined_metric=predefined,
            custom_metric=custom,
            scale_in_cooldown=policy.scale_in_cooldown,
            scale_out_cooldown=policy.scale_out_cooldown,
        )
    if not is_token(scaling.minimum) and scaling.lowest == 0:
        scale_from_zero(
            target,
            metric("AWS/SageMaker", "NoCapacityInvocationFailures", "Maximum"),
            scaling.from_zero_cooldown if scaling.from_zero_cooldown is not None else Duration.minutes(5),
        )
    schedule_capacity(target, scaling.schedule)


def schedule_capacity(target: appscaling.ScalableTarget, schedule: Sequence[ScheduledCapacity]) -> None:
    """Change a target's bounds by the clock."""
    for number, each in enumerate(schedule, 1):
        target.scale_on_schedule(
            f"Schedule{number}",
            schedule=each.schedule,
            min_capacity=each.minimum,
            max_capacity=each.maximum,
            time_zone=each.time_zone,
        )
