"""Many models on the same instances, each with its own share of them, and no instances while nobody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceFacts, InstanceUse, facts, family, instance_types, similar_types
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.serving import _widgets
from cdk_data_science.serving._attachment import attach, check_attachment
from cdk_data_science.serving._built_endpoint import BuiltEndpoint, check_name
from cdk_data_science.serving._checks import check_slow
from cdk_data_science.serving._endpoint_base import refuse_targets
from cdk_data_science.serving._image_kinds import check_architecture, check_kind
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving._limits import SHORTEST_PROVISION, check_timeout, seconds
from cdk_data_science.serving._role import (
    COMPONENTS_NAMESPACE,
    METRICS_NAMESPACE,
    allow_log,
    execution_role,
)
from cdk_data_science.serving.component import InferenceComponent, check_component
from cdk_data_science.serving.copies import Compute, CopyScaling
from cdk_data_science.serving.model import Model
from cdk_data_science.serving.rollout import Rolling
from cdk_data_science.serving.variants import check_volume

# Of older generations, which SageMaker's own SDK refuses for components.
_WITHOUT_COMPONENTS = frozenset({"m5", "m5d", "c5", "c5d", "p2"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedInstances:
    """How many instances there are: as many as the copies of the components need."""

    minimum: int = 1
    """The fewest, 0 or more. With 0 there are none while no component has a copy."""
    maximum: int = 2
    """The most, 1 or more."""
    first: int = 1
    """To begin with, 1 or more: an endpoint is made with instances."""
    consolidate: bool = False
    """Move copies onto fewer instances, to release the others. Default: release what is empty."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        problems.check(
            is_token(self.minimum) or self.minimum >= 0,
            given=f"ManagedInstances minimum={self.minimum}",
            allowed="0 or more",
            write="minimum=0",
        )
        problems.check(
            any(map(is_token, (self.minimum, self.maximum, self.first)))
            or (max(self.minimum, 1) <= self.first <= self.maximum),
            given=f"ManagedInstances from {self.minimum} to {self.maximum}, first {self.first}",
            allowed="a maximum that is not below the minimum, and a first number between them, 1 or more",
            write=f"first={max(self.minimum, 1)}"
            if not is_token(self.minimum) and self.minimum <= self.maximum
            else "minimum=1, maximum=2, first=1",
        )

    def render(self) -> sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty:
        """Return it as CloudFormation has it."""
        return sagemaker.CfnEndpointConfig.ManagedInstanceScalingProperty(
            status="ENABLED",
            min_instance_count=self.minimum,
            max_instance_count=self.maximum,
            scale_in_policy=sagemaker.CfnEndpointConfig.ScaleInPolicyProperty(strategy="CONSOLIDATION")
            if self.consolidate
            else None,
        )


class ComponentEndpoint(BuiltEndpoint):
    """A SageMaker endpoint whose instances are shared by many models, each an :class:`InferenceComponent`.

    Each component says what one copy of its model takes; SageMaker places copies on instances, and starts and
    ends instances as copies need them. Copies scale for each component, to none if it may, and where
    ``instances`` begin at 0, so do the instances: the only kind of real-time endpoint that costs nothing for
    instances while nobody asks. The first request after a pause is refused, and starts them.

    Builds the configuration, the endpoint, and a role that all components share: it reads the artifacts and
    pulls the images of those that were added, and nothing else. The models that are added keep roles of their
    own, too, since ``CreateModel`` asks for one.

    SageMaker has no deployment guardrails for the instances of such an endpoint; what changes with a model is
    its component, and that is updated copy by copy and rolled back by its alarms.

    At rest it costs its instances, one if not said otherwise and none with a minimum of 0; 1 USD a month for
    a new key, and 0.20 USD for the alarms of each component, beside the two of each tracked target.

    Example:
        ```python
        from cdk_data_science import Artifact, DataLake, Model
        from cdk_data_science.serving import (
            ComponentEndpoint,
            Compute,
            CopyScaling,
            ManagedInstances,
            TrackConcurrency,
        )

        lake = DataLake(self, "Lake")
        shared = ComponentEndpoint(
            self,
            "Shared",
            instance_type="ml.g5.12xlarge",
            instances=ManagedInstances(minimum=0, maximum=4),
        )
        for name in ("chat", "summaries"):
            model = Model(
                self,
                name.title(),
                image="763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi18.0.0-cu128",
                artifact=Artifact(zone=lake.models, key=f"models/{name}/1/"),
            )
            shared.add_component(
                name.title(),
                model=model,
                compute=Compute(memory_mb=16 * 1024, accelerators=1),
                scaling=CopyScaling(
                    minimum=0, maximum=4, policies=[TrackConcurrency(per_model=8)]
                ),
            )
        ```

    Args:
        instance_type: A type of the endpoint API that SageMaker places components on: not M5, C5 or P2.
        instances: How many there are. Default: one or two.
        variant_name: Name of the only variant.
        routing: Which copy a request goes to. Default: the one with the fewest requests.
        volume_size_gb: As of :class:`InstanceVariant`.
        provision_timeout: For getting instances: five minutes to one hour. Default: SageMaker's.
        endpoint_name: As of :class:`ModelEndpoint`.
        vpc: VPC that the containers are attached to: the models have to be in one, too. Default: a network of
            AWS.
        subnets: Default: private subnets with a way out, or else those without.
        security_groups: Default: a new one that lets nothing in.
        network_isolation: Give the containers no network. The models have to agree. Default: True.
        key: Key of the volumes and of a new topic. Default: a new one.
        alerts: Topic of the alarms. Default: a new one.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html
    """

    role: iam.IRole
    """Whose permissions the containers of all components have."""

    components: list[InferenceComponent]
    """Those that were added."""

    variant_name: str
    """The only variant."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        instance_type: str,
        instances: ManagedInstances | None = None,
        variant_name: str = "shared",
        routing: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"] = "LEAST_OUTSTANDING_REQUESTS",
        volume_size_gb: int | None = None,
        provision_timeout: Duration | None = None,
        endpoint_name: str | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool = True,
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("ComponentEndpoint", self).one("instances", instances, ManagedInstances)
        kinds.one("alerts", alerts, AlertTopic).durations(provision_timeout=provision_timeout)
        kinds.raise_if_any()
        managed = instances if instances is not None else ManagedInstances()
        problems = Problems("ComponentEndpoint", self)
        check_type(problems, instance_type, volume_size_gb)
        managed.check(problems)
        check_attachment(problems, vpc, subnets, security_groups)
        check_timeout(problems, "provision_timeout", provision_timeout, SHORTEST_PROVISION)
        check_name(problems, endpoint_name)
        check_name(problems, variant_name, what="variant_name")
        problems.raise_if_any()
        self.instance_type, self.variant_name = instance_type, variant_name
        self.components, self._callers = [], list[iam.IGrantable]()
        self._in_vpc, self._isolated = vpc is not None, network_isolation
        self._managed = managed
        self._name(endpoint_name, [])
        self._variants = self._instances = (variant_name,)
        known = self.facts
        self._gpus = (variant_name,) if known is not None and known.cuda else ()
        self._make_key_and_alerts(key, alerts)
        self.alarms = []
        role = execution_role(self, "Role", namespaces=(METRICS_NAMESPACE, COMPONENTS_NAMESPACE))
        allow_log(role, self._metrics_name)
        self.role = role
        self.config = self._make_config(
            managed, routing, volume_size_gb, provision_timeout, vpc, subnets, security_groups
        )
        self.config.node.add_dependency(role)
        self._make_fleet()

    @property
    def facts(self) -> InstanceFacts | None:
        """What is known of the instance type; None for tokens and types without facts."""
        return None if is_token(self.instance_type) else facts(self.instance_type)

    def add_component(
        self,
        id: str,
        *,
        model: Model,
        compute: Compute,
        copies: int = 1,
        scaling: CopyScaling | None = None,
        placement: Literal["SPREAD", "BINPACK"] | None = None,
        download_timeout: Duration | None = None,
        startup_timeout: Duration | None = None,
        rollout: Rolling | None = None,
        rollback_alarms: Sequence[cloudwatch.IAlarm] = (),
        name: str | None = None,
        slow: Duration | None = None,
    ) -> InferenceComponent:
        """Put a model on the instances.

        Args:
            model: A model of one container. The endpoint's role may then load it.
            compute: What one copy has to itself.
            copies: To begin with, 0 or more.
            scaling: How their number follows the load. Default: it stays.
            placement: ``SPREAD`` copies over zones and instances, or ``BINPACK`` them on few. Default:
                SageMaker's.
            download_timeout: For loading the artifact: one minute to one hour. Default: SageMaker's.
            startup_timeout: For the container's first healthy answer: one minute to one hour. Default:
                SageMaker's.
            rollout: How many copies an update replaces at a time. Default: a quarter, with five minutes
                between.
            rollback_alarms: Alarms that roll an update back beside the component's own two; eight at most.
            name: What callers name. Default: made from the construct's place and the endpoint's.
            slow: 99th percentile of the containers' time that sets off the alarm: more than zero, at most
                60 s. Default: 30 s.

        Raises:
            ConfigurationError: values that SageMaker would refuse, all of them at once.
        """
        kinds = Kinds(f"{id} of ComponentEndpoint", self).one("model", model, Model)
        kinds.one("compute", compute, Compute).one("scaling", scaling, CopyScaling)
        kinds.one("rollout", rollout, Rolling).constructs("rollback_alarms", rollback_alarms)
        kinds.durations(download_timeout=download_timeout, startup_timeout=startup_timeout, slow=slow)
        kinds.raise_if_any()
        problems = Problems(f"{id} of ComponentEndpoint", self)
        problems.check(
            self.node.try_find_child(id) is None,
            given=f"another component {id!r}",
            allowed="each id once: it is the component's place, and a part of its name",
        )
        roll = rollout if rollout is not None else Rolling()
        compute.check(problems, self.instance_type, self.facts)
        if scaling is not None:
            scaling.check(problems, id, copies=copies, known=self.facts)
        check_component(
            problems,
            copies=copies,
            download_timeout=download_timeout,
            startup_timeout=startup_timeout,
            rollout=roll,
            rollback_alarms=rollback_alarms,
            name=name,
        )
        check_slow(problems, slow)
        check_kind(problems, model.made_for, self.facts, self.variant_name)
        check_architecture(problems, model.images, self.facts, self.variant_name)
        self._check_model(problems, model)
        problems.raise_if_any()
        model.grant_load(self.role)
        component = InferenceComponent(
            self,
            id,
            endpoint=self,
            named=self._metrics_name,
            model_name=model.model_name,
            compute=compute,
            copies=copies,
            scaling=scaling,
            placement=placement,
            download_timeout=download_timeout,
            startup_timeout=startup_timeout,
            rollout=roll,
            rollback_alarms=rollback_alarms,
            name=name,
            slow=slow if slow is not None else Duration.seconds(30),
        )
        allow_log(self.role, component.component_name, namespace=COMPONENTS_NAMESPACE)
        # Copies start only once the role may do all that it takes.
        component.component.node.add_dependency(self.role)
        self.components.append(component)
        self.alarms += component.alarms
        for caller in self._callers:
            component.grant_invoke(caller)
        return component

    def grant_invoke(
        self,
        grantee: iam.IGrantable,
        *,
        target_models: Sequence[str] | None = None,
    ) -> iam.Grant:
        """Let a principal ask every component, those too that are added later.

        For one of them: :meth:`InferenceComponent.grant_invoke`.

        Args:
            grantee: A role, user, account or service.
            target_models: Not for components: their calls name the component.

        Raises:
            ConfigurationError: models were given.
        """
        refuse_targets("ComponentEndpoint", self, target_models)
        granted = super().grant_invoke(grantee)
        for component in self.components:
            granted = granted.combine(component.grant_invoke(grantee))
        self._callers.append(grantee)
        return granted

    def _traffic_widgets(self) -> list[cloudwatch.IWidget]:
        """Of each component, beside the others."""

        def drawn(title: str, label: str, metrics: list[cloudwatch.Metric]) -> cloudwatch.IWidget:
            named = [
                metric.with_(label=component.node.id)
                for component, metric in zip(self.components, metrics, strict=True)
            ]
            return _widgets.lines(title, named, unit=label)

        components = self.components
        return [
            drawn("Requests a minute", "requests", [each.metric_invocations() for each in components]),
            drawn("Found no copy", "requests", [each.metric_without_capacity() for each in components]),
            drawn("5xx", "requests", [each.metric_server_errors() for each in components]),
            drawn("Container, p99", "microseconds", [each.metric_model_latency() for each in components]),
            drawn("SageMaker, p99", "microseconds", [each.metric_overhead_latency() for each in components]),
        ]

    def _make_config(
        self,
        managed: ManagedInstances,
        routing: str,
        volume_size_gb: int | None,
        provision_timeout: Duration | None,
        vpc: ec2.IVpc | None,
        subnets: ec2.SubnetSelection | None,
        security_groups: Sequence[ec2.ISecurityGroup] | None,
    ) -> sagemaker.CfnEndpointConfig:
        network = None
        if vpc is not None:
            ids, groups = attach(self, self.role, vpc, subnets, security_groups)
            network = sagemaker.CfnEndpointConfig.VpcConfigProperty(subnets=ids, security_group_ids=groups)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=self._isolated,
            vpc_config=network,
            kms_key_id=self.key.key_arn,
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=self.variant_name,
                    instance_type=self.instance_type,
                    initial_instance_count=managed.first,
                    volume_size_in_gb=volume_size_gb,
                    variant_instance_provision_timeout_in_seconds=seconds(provision_timeout),
                    managed_instance_scaling=managed.render(),
                    routing_config=sagemaker.CfnEndpointConfig.RoutingConfigProperty(
                        routing_strategy=routing
                    ),
                )
            ],
        )
        acknowledge(
            config,
            ["DataScience-SM28"],
            "The instances are shared: what is captured would be of all models together, and of whoever adds "
            "another one. A model whose data is to be watched has an endpoint of its own.",
        )
        if is_token(managed.minimum) or managed.minimum < 2:
            acknowledge(
                config,
                [f"DataScience-SM24[{self.variant_name}]"],
                "How many instances there are follows from the copies of the components, down to the minimum "
                "that was asked for: two copies that are spread are on two instances.",
            )
        return config

    def _make_fleet(self) -> None:
        self.endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_config_name=self.config.attr_endpoint_config_name,
            endpoint_name=self._metrics_name,
            # The number that the copies need by now.
            retain_all_variant_properties=True,
            exclude_retained_variant_properties=[
                sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DesiredWeight")
            ],
        )
        self.endpoint_name = self.endpoint.attr_endpoint_name
        self.endpoint_arn = self.endpoint.ref
        self.node.default_child = self.endpoint
        acknowledge(
            self.endpoint,
            ["DataScience-SM35"],
            "The endpoint has instances and no models. Each component has alarms of its own, which roll its "
            "updates back.",
        )

    def _check_model(self, problems: Problems, model: Model) -> None:
        problems.check(
            not model.several and not model.multi_model,
            given="a model of several containers or of many models",
            allowed="one container with one model: components are what makes many of them",
            write="shared.add_component(…) for each",
        )
        problems.check(
            model.isolated == self._isolated,
            given=f"a model with network_isolation={model.isolated} on an endpoint with {self._isolated}",
            allowed="the same for both",
            write=f"Model(…, network_isolation={self._isolated})",
        )
        problems.check(
            model.in_vpc == self._in_vpc,
            given="a model in a VPC on an endpoint without one"
            if model.in_vpc
            else "a model without a VPC on an endpoint in one",
            allowed="both in the VPC, or neither",
            write="vpc=vpc for both",
        )


def check_type(problems: Problems, instance_type: str, volume_size_gb: int | None) -> None:
    """Report instances that no component can be placed on."""
    if is_token(instance_type):
        return
    close = similar_types(instance_type, InstanceUse.ENDPOINT)
    there = instance_type in instance_types(InstanceUse.ENDPOINT)
    problems.check(
        there,
        given=f"instance_type={instance_type!r}",
        allowed="an instance type of endpoints" + (f", such as {', '.join(close)}" if close else ""),
        write=f'instance_type="{close[0] if close else "ml.g5.xlarge"}"',
    )
    if not there:
        return
    known = facts(instance_type)
    problems.check(
        family(instance_type) not in _WITHOUT_COMPONENTS and (known is None or not known.burstable),
        given=f"instance_type={instance_type!r} of a ComponentEndpoint",
        allowed="newer types that do not burst, such as M6i, C6i, G5 and Inf2",
        write='instance_type="ml.m6i.large"',
    )
    check_volume(problems, instance_type, volume_size_gb, where="of the endpoint")
