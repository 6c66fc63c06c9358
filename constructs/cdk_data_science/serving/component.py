"""One of several models that share the instances of an endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol

from aws_cdk import ArnFormat, Duration, Names, Stack
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.serving import _autoscaling
from cdk_data_science.serving._guardrails import MOST_ALARMS, Guardrails
from cdk_data_science.serving._limits import NAME, SHORTEST_TIMEOUT, check_timeout, seconds, whole
from cdk_data_science.serving._role import COMPONENTS_NAMESPACE
from cdk_data_science.serving.artifact import Artifact
from cdk_data_science.serving.copies import Compute, CopyScaling
from cdk_data_science.serving.rollout import Rolling

_OWN_ALARMS = 2

Component = sagemaker.CfnInferenceComponent


class Host(Protocol):
    """What a component needs of the endpoint that it is on."""

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name."""

    @property
    def endpoint_arn(self) -> str:
        """The endpoint's ARN."""

    @property
    def variant_name(self) -> str:
        """Its only variant."""

    @property
    def role(self) -> iam.IRole:
        """Whose permissions the containers have."""

    @property
    def alerts(self) -> AlertTopic:
        """Hears of the alarms."""


class InferenceComponent(Construct):
    """A model on the instances of a :class:`ComponentEndpoint`, beside others: copies of it, each with
    processors, memory and accelerators of its own.

    Made by :meth:`ComponentEndpoint.add_component`, which says what its arguments are. Builds the component,
    alarms on errors and slow answers, which roll an update back, and the scaling of its copies.

    The name is made from the construct's place and the endpoint's: another endpoint means another component,
    since CloudFormation cannot move one. A change of anything else updates it copy by copy, and begins with
    ``copies`` again; the scaling goes on from there.
    """

    component: sagemaker.CfnInferenceComponent
    """The component itself."""

    component_name: str
    """What callers name: ``InferenceComponentName``."""

    component_arn: str
    """Its ARN."""

    alarms: list[cloudwatch.Alarm]
    """On errors and slow answers. They roll an update back."""

    scalable_target: appscaling.ScalableTarget | None
    """What scales its copies, if it is scaled."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: Host,
        named: str,
        model_name: str,
        compute: Compute,
        copies: int,
        scaling: CopyScaling | None,
        placement: Literal["SPREAD", "BINPACK"] | None,
        download_timeout: Duration | None,
        startup_timeout: Duration | None,
        rollout: Rolling,
        rollback_alarms: Sequence[cloudwatch.IAlarm],
        name: str | None,
        slow: Duration,
    ) -> None:
        super().__init__(scope, id)
        self._endpoint = endpoint
        digest = _digest(named, endpoint.variant_name)
        self.component_name = name if name is not None else _made_name(self, digest)
        self.component_arn = Stack.of(self).format_arn(
            service="sagemaker",
            resource="inference-component",
            resource_name=self.component_name,
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        self.alarms = self._make_alarms(slow)
        endpoint.alerts.notify(*self.alarms)
        self.component = Component(
            self,
            f"Component{digest}",
            inference_component_name=self.component_name,
            endpoint_name=endpoint.endpoint_name,
            variant_name=endpoint.variant_name,
            runtime_config=Component.InferenceComponentRuntimeConfigProperty(copy_count=copies),
            specification=Component.InferenceComponentSpecificationProperty(
                model_name=model_name,
                compute_resource_requirements=Component.InferenceComponentComputeResourceRequirementsProperty(
                    min_memory_required_in_mb=compute.memory_mb,
                    max_memory_required_in_mb=compute.max_memory_mb,
                    number_of_cpu_cores_required=compute.cpus,
                    number_of_accelerator_devices_required=compute.accelerators,
                ),
                startup_parameters=None
                if download_timeout is None and startup_timeout is None
                else Component.InferenceComponentStartupParametersProperty(
                    model_data_download_timeout_in_seconds=seconds(download_timeout),
                    container_startup_health_check_timeout_in_seconds=seconds(startup_timeout),
                ),
                scheduling_config=None
                if placement is None
                else Component.InferenceComponentSchedulingConfigProperty(
                    placement_strategy=placement,
                    availability_zone_balance=Component.InferenceComponentAvailabilityZoneBalanceProperty(
                        enforcement_mode="PERMISSIVE"
                    ),
                ),
            ),
            deployment_config=self._deployment(rollout, rollback_alarms),
        )
        self.node.default_child = self.component
        self.scalable_target = None if scaling is None else self._scale(scaling)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal ask this component for predictions: it names the endpoint and the component."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
            resource_arns=[self._endpoint.endpoint_arn, self.component_arn],
        )

    def add_adapter(
        self, id: str, *, artifact: Artifact, name: str | None = None
    ) -> sagemaker.CfnInferenceComponent:
        """Add an adapter (LoRA) of the component's model, which takes the component's own compute.

        Callers name the adapter in place of the component.

        Args:
            artifact: A ``.tar.gz`` archive of the adapter, which the endpoint's role may then read.
            name: As of :meth:`ComponentEndpoint.add_component`.

        Raises:
            ConfigurationError: an artifact that is no archive, or a name that no component can have.
        """
        problems = Problems(f"{id} of InferenceComponent", self)
        artifact.check(problems)
        problems.check(
            not artifact.folder,
            given=f"artifact key {artifact.key!r} of an adapter",
            allowed="the key of a .tar.gz archive",
            write='key="adapters/french/1/adapter.tar.gz"',
        )
        check_component_name(problems, name)
        problems.raise_if_any()
        digest = _digest(self.component_name)
        artifact.zone.grant_read(self._endpoint.role, artifact.key)
        place = Construct(self, id)
        adapter = Component(
            place,
            f"Component{digest}",
            inference_component_name=name if name is not None else _made_name(place, digest),
            endpoint_name=self._endpoint.endpoint_name,
            specification=Component.InferenceComponentSpecificationProperty(
                base_inference_component_name=self.component_name,
                container=Component.InferenceComponentContainerSpecificationProperty(
                    artifact_url=artifact.uri
                ),
            ),
        )
        adapter.add_resource_dependency(self.component)
        adapter.node.add_dependency(self._endpoint.role)
        return adapter

    def metric(
        self,
        name: str,
        *,
        statistic: str = "Sum",
        namespace: str = "AWS/SageMaker",
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """A metric of this component.

        Args:
            name: As SageMaker publishes it.
            statistic: Default: the sum.
            namespace: ``AWS/SageMaker`` of requests, ``/aws/sagemaker/InferenceComponents`` of copies.
            period: Default: one minute.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
        """
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map={"InferenceComponentName": self.component_name},
            statistic=statistic,
            period=period if period is not None else Duration.minutes(1),
        )

    def metric_invocations(self) -> cloudwatch.Metric:
        """Requests."""
        return self.metric("Invocations")

    def metric_server_errors(self) -> cloudwatch.Metric:
        """Requests that were answered 5xx."""
        return self.metric("Invocation5XXErrors")

    def metric_without_capacity(self) -> cloudwatch.Metric:
        """Requests that found no copy."""
        return self.metric("NoCapacityInvocationFailures")

    def metric_model_latency(self, *, statistic: str = "p99") -> cloudwatch.Metric:
        """Time that the container took, in microseconds."""
        return self.metric("ModelLatency", statistic=statistic)

    def metric_overhead_latency(self, *, statistic: str = "p99") -> cloudwatch.Metric:
        """Time that SageMaker added, in microseconds."""
        return self.metric("OverheadLatency", statistic=statistic)

    def metric_utilization(self, of: Literal["CPU", "Memory", "GPU", "GPUMemory"]) -> cloudwatch.Metric:
        """Per cent of what the copies have to themselves."""
        return self.metric(f"{of}UtilizationNormalized", statistic="Average", namespace=COMPONENTS_NAMESPACE)

    def _make_alarms(self, slow: Duration) -> list[cloudwatch.Alarm]:
        return [
            alarm(
                self,
                "ServerErrors",
                self.metric_server_errors(),
                description=f"{self.node.path} answered 5xx: its containers fail or are overloaded",
            ),
            alarm(
                self,
                "Slow",
                self.metric_model_latency(),
                description=f"The slowest hundredth of the predictions of {self.node.path} takes too long",
                threshold=float(slow.to_milliseconds()) * 1000,
                periods=3,
            ),
        ]

    def _deployment(
        self, rollout: Rolling, more: Sequence[cloudwatch.IAlarm]
    ) -> sagemaker.CfnInferenceComponent.InferenceComponentDeploymentConfigProperty:
        back = rollout.rollback_percent
        return Component.InferenceComponentDeploymentConfigProperty(
            rolling_update_policy=Component.InferenceComponentRollingUpdatePolicyProperty(
                maximum_batch_size=_share(rollout.percent),
                rollback_maximum_batch_size=None if back is None else _share(back),
                wait_interval_in_seconds=whole(rollout.bake_seconds),
            ),
            auto_rollback_configuration=Component.AutoRollbackConfigurationProperty(
                alarms=[Component.AlarmProperty(alarm_name=each.alarm_name) for each in (*self.alarms, *more)]
            ),
        )

    def _scale(self, scaling: CopyScaling) -> appscaling.ScalableTarget:
        target = _autoscaling.scalable_target(
            self,
            "Scaling",
            resource_id=f"inference-component/{self.component_name}",
            dimension=_autoscaling.COPIES,
            minimum=scaling.minimum,
            maximum=scaling.maximum,
        )
        # The id is text: nothing else says that the component has to be there first.
        target.node.add_dependency(self.component)
        _autoscaling.scale_copies(
            target,
            scaling,
            lambda namespace, name, statistic: self.metric(name, statistic=statistic, namespace=namespace),
        )
        return target


def check_component(
    problems: Problems,
    *,
    copies: int,
    download_timeout: Duration | None,
    startup_timeout: Duration | None,
    rollout: Rolling,
    rollback_alarms: Sequence[cloudwatch.IAlarm],
    name: str | None,
) -> None:
    """Report what SageMaker would refuse of a component."""
    problems.check(
        is_token(copies) or copies >= 0,
        given=f"copies={copies}",
        allowed="0 or more",
        write="copies=1",
    )
    for what, value in (("download_timeout", download_timeout), ("startup_timeout", startup_timeout)):
        check_timeout(problems, what, value, SHORTEST_TIMEOUT)
    Guardrails(rollout=rollout).check_steps(problems)
    most = MOST_ALARMS - _OWN_ALARMS
    problems.check(
        len(rollback_alarms) <= most,
        given=f"{len(rollback_alarms)} rollback_alarms",
        allowed=f"at most {most} beside the component's own: SageMaker watches {MOST_ALARMS}",
        write="a composite alarm of several",
    )
    check_component_name(problems, name)


def check_component_name(problems: Problems, name: str | None) -> None:
    """Report a name that no component can have."""
    problems.check(
        name is None or is_token(name) or NAME.fullmatch(name) is not None,
        given=f"component name {name!r}",
        allowed="1 to 63 letters, digits and hyphens, with a letter or digit at both ends",
        write='name="reviews"',
    )


def _made_name(place: Construct, digest: str) -> str:
    made = Names.unique_resource_name(place, max_length=63 - len(digest) - 1, separator="-")
    return f"{made.lower()}-{digest.lower()}"


def _digest(*parts: str) -> str:
    """What cannot be changed of a component, in eight letters; what is known only at deployment is left
    out."""
    said = "\n".join("" if is_token(part) else part for part in parts)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def _share(percent: float) -> sagemaker.CfnInferenceComponent.InferenceComponentCapacitySizeProperty:
    return Component.InferenceComponentCapacitySizeProperty(type="CAPACITY_PERCENT", value=whole(percent))
