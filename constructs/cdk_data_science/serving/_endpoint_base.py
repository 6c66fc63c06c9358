"""What every endpoint can do, built here or imported: who may ask it, and what is measured of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import ConfigurationError, Problems, is_token

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"


class IModelEndpoint(Protocol):
    """What other constructs need of an endpoint, whether it was built here or imported."""

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name."""

    @property
    def endpoint_arn(self) -> str:
        """The endpoint's ARN."""

    def grant_invoke(
        self,
        grantee: iam.IGrantable,
        *,
        target_models: Sequence[str] | None = None,
    ) -> iam.Grant:
        """Let a principal ask for predictions."""


class EndpointBase(Construct):
    """The grants and metrics that all endpoints share."""

    endpoint_name: str
    """The endpoint's name."""

    endpoint_arn: str
    """The endpoint's ARN."""

    _variants: tuple[str, ...] = ()
    _metrics_name: str
    """The endpoint's name as metrics have it: not a reference to the endpoint, which itself refers to alarms
    on them."""
    _actions: tuple[str, ...] = ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream")

    def grant_invoke(
        self,
        grantee: iam.IGrantable,
        *,
        target_models: Sequence[str] | None = None,
    ) -> iam.Grant:
        """Let a principal ask for predictions.

        IAM can tell neither variants nor containers apart: its list of SageMaker's condition keys has none
        for them. Whoever may ask the endpoint may name any of them; what must be kept apart needs endpoints
        of its own.

        Args:
            grantee: A role, user, account or service.
            target_models: Of a multi-model endpoint, the models that it may name (``TargetModel``), with
                IAM's wildcards. Default: all.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoint-security.html
        """
        conditions = None
        if target_models is not None:
            conditions = {"StringLike": {"sagemaker:TargetModel": list(target_models)}}
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(self._actions),
            resource_arns=[self.endpoint_arn],
            conditions=conditions,
        )

    def metric(
        self,
        name: str,
        *,
        variant: str | None = None,
        container: str | None = None,
        statistic: str = "Sum",
        namespace: str = INVOCATIONS,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """A metric of one variant, or of one of its containers.

        Args:
            name: As SageMaker publishes it.
            variant: Which one. Default: the only one.
            container: Of a model of several containers, which one: ``ContainerLatency``, or the requests and
                errors of ``direct`` containers. Default: all together.
            statistic: Default: the sum.
            namespace: ``AWS/SageMaker`` of the requests, ``/aws/sagemaker/Endpoints`` of the instances.
            period: Default: one minute.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
        """
        dimensions = {"EndpointName": self._metrics_name, "VariantName": self._variant(variant)}
        if container is not None:
            dimensions["ContainerName"] = container
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=period if period is not None else Duration.minutes(1),
        )

    def metric_invocations(self, variant: str | None = None) -> cloudwatch.Metric:
        """Requests. Not published of an asynchronous endpoint."""
        return self.metric("Invocations", variant=variant)

    def metric_client_errors(self, variant: str | None = None) -> cloudwatch.Metric:
        """Requests that were answered 4xx."""
        return self.metric("Invocation4XXErrors", variant=variant)

    def metric_server_errors(self, variant: str | None = None) -> cloudwatch.Metric:
        """Requests that were answered 5xx."""
        return self.metric("Invocation5XXErrors", variant=variant)

    def metric_model_latency(
        self, variant: str | None = None, *, statistic: str = "p99"
    ) -> cloudwatch.Metric:
        """Time that the container took, in microseconds."""
        return self.metric("ModelLatency", variant=variant, statistic=statistic)

    def metric_overhead_latency(
        self, variant: str | None = None, *, statistic: str = "p99"
    ) -> cloudwatch.Metric:
        """Time that SageMaker added, in microseconds; cold starts of serverless variants are in it. Not
        published of an asynchronous endpoint."""
        return self.metric("OverheadLatency", variant=variant, statistic=statistic)

    def metric_cost_per_thousand(
        self, variant: str | None = None, *, hourly_usd: float
    ) -> cloudwatch.MathExpression:
        """USD for a thousand requests, of a variant on instances, minute by minute.

        SageMaker publishes the requests for each instance: what an instance costs in a minute, divided by
        them, is what a request cost, however many instances there were. It has no value while nobody asks.

        Args:
            variant: Which one. Default: the only one.
            hourly_usd: Price of one instance for an hour, more than 0.

        Raises:
            ConfigurationError: a price that cannot be.
        """
        problems = Problems("metric_cost_per_thousand", self)
        problems.check(
            is_token(hourly_usd) or 0 < hourly_usd < math.inf,
            given=f"hourly_usd={hourly_usd}",
            allowed="more than 0: the price of one instance for an hour",
        )
        problems.raise_if_any()
        return cloudwatch.MathExpression(
            expression=f"{1000 * hourly_usd / 60:.6g} / requests",
            using_metrics={"requests": self.metric("InvocationsPerInstance", variant=variant)},
            label="USD for a thousand requests",
            period=Duration.minutes(1),
        )

    def metric_cpu_utilization(self, variant: str | None = None) -> cloudwatch.Metric:
        """Per cent of the processors, added up: 400 for four that are busy. Instances only."""
        return self.metric("CPUUtilization", variant=variant, statistic="Average", namespace=INSTANCES)

    def metric_memory_utilization(self, variant: str | None = None) -> cloudwatch.Metric:
        """Per cent of the memory."""
        return self.metric("MemoryUtilization", variant=variant, statistic="Average", namespace=INSTANCES)

    def metric_gpu_utilization(self, variant: str | None = None) -> cloudwatch.Metric:
        """Per cent of the GPUs, added up. Instances with GPUs only."""
        return self.metric("GPUUtilization", variant=variant, statistic="Average", namespace=INSTANCES)

    def metric_gpu_memory_utilization(self, variant: str | None = None) -> cloudwatch.Metric:
        """Per cent of the GPUs' memory, added up. Instances with GPUs only."""
        return self.metric("GPUMemoryUtilization", variant=variant, statistic="Average", namespace=INSTANCES)

    def metric_disk_utilization(self, variant: str | None = None) -> cloudwatch.Metric:
        """Per cent of the volume. Instances only."""
        return self.metric("DiskUtilization", variant=variant, statistic="Average", namespace=INSTANCES)

    def _variant(self, name: str | None) -> str:
        if name is None and len(self._variants) == 1:
            return self._variants[0]
        known = ", ".join(map(repr, self._variants))
        if name is None:
            raise ConfigurationError(
                f"{self.node.path}: given a metric without its variant; allowed: one of "
                f"{known or 'its variants, by name'}; write: variant=…"
            )
        if self._variants and name not in self._variants and not is_token(name):
            raise ConfigurationError(f"{self.node.path}: given variant={name!r}; allowed: one of {known}")
        return name


def refuse_targets(what: str, scope: Construct, models: Sequence[str] | None) -> None:
    """Refuse bounds that the calls of an endpoint's kind do not heed."""
    problems = Problems(f"{what}.grant_invoke", scope)
    problems.check(
        models is None,
        given=f"target_models={models!r}",
        allowed="none: calls of this kind of endpoint name no models",
        write="target_models=None",
    )
    problems.raise_if_any()
