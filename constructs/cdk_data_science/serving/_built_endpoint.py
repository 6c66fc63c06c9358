"""What endpoints that are built here have in common: name, key, alarms, roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aws_cdk import Duration, Names
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.serving import _widgets
from cdk_data_science.serving._endpoint_base import EndpointBase
from cdk_data_science.serving._guardrails import MOST_ALARMS, Guardrails, unguarded
from cdk_data_science.serving._limits import NAME
from cdk_data_science.serving._role import allow_log
from cdk_data_science.serving.variants import InstanceVariant, ServerlessVariant

_AnyVariant = InstanceVariant | ServerlessVariant


class BuiltEndpoint(EndpointBase):
    """An endpoint of this app."""

    endpoint: sagemaker.CfnEndpoint
    """The endpoint itself."""

    config: sagemaker.CfnEndpointConfig
    """Its configuration, which every change makes anew."""

    key: kms.IKey
    """Encrypts the instances' volumes."""

    alerts: AlertTopic
    """Hears of the alarms."""

    alarms: list[cloudwatch.Alarm]
    """On errors and slow answers of each variant. They roll a deployment back."""

    _instances: tuple[str, ...] = ()
    """The variants on instances, which have processors to measure."""

    _gpus: tuple[str, ...] = ()
    """Those with GPUs."""

    @property
    def given_name(self) -> str:
        """The endpoint's name as text, where :attr:`endpoint_name` waits for the endpoint."""
        return self._metrics_name

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The names of the variants, shadows included."""
        return self._variants

    def admit(self, variant: InstanceVariant) -> None:
        """Let the containers of another variant write this endpoint's log, and dumps if it keeps some."""
        self._extend_roles([variant])

    def dashboard_widgets(self, *, hourly_usd: Mapping[str, float] | None = None) -> list[cloudwatch.IWidget]:
        """Graphs of requests, latency and saturation for a dashboard of yours, under the state of the alarms.

        ``cloudwatch.Dashboard(self, "Dashboard", widgets=[endpoint.dashboard_widgets()])``

        Args:
            hourly_usd: Price of one instance for an hour, by the names of variants on instances: draws what a
                thousand requests cost. Default: not drawn.

        Raises:
            ConfigurationError: a variant that there is not, or a price that cannot be.
        """
        found: list[cloudwatch.IWidget] = []
        if self.alarms:
            found.append(_widgets.alarms(self._metrics_name, self.alarms))
        found += self._traffic_widgets()
        if hourly_usd:
            costs = [
                self.metric_cost_per_thousand(name, hourly_usd=usd).with_(label=name)
                for name, usd in hourly_usd.items()
            ]
            found.append(_widgets.lines("A thousand requests", costs, unit="USD"))
        if self._instances:
            utilization = [
                ("CPU, added up", self.metric_cpu_utilization),
                ("memory", self.metric_memory_utilization),
            ]
            found.append(_widgets.graph("Instances", self._instances, utilization, unit="%"))
        if self._gpus:
            utilization = [
                ("GPU, added up", self.metric_gpu_utilization),
                ("GPU memory, added up", self.metric_gpu_memory_utilization),
            ]
            found.append(_widgets.graph("GPUs", self._gpus, utilization, unit="%"))
        return found

    def _traffic_widgets(self) -> list[cloudwatch.IWidget]:
        requests = [
            ("requests", self.metric_invocations),
            ("4xx", self.metric_client_errors),
            ("5xx", self.metric_server_errors),
        ]
        latency = [
            ("container, median", lambda name: self.metric_model_latency(name, statistic="p50")),
            ("container, p99", self.metric_model_latency),
            ("SageMaker, p99", self.metric_overhead_latency),
        ]
        return [
            _widgets.graph("Requests a minute", self._variants, requests),
            _widgets.graph("Latency", self._variants, latency, unit="microseconds"),
        ]

    def _name(self, name: str | None, variants: Sequence[_AnyVariant]) -> None:
        # In lower case, as SageMaker writes ARNs of endpoints.
        made = (
            name
            if name is not None
            else Names.unique_resource_name(self, max_length=63, separator="-").lower()
        )
        self._metrics_name = made
        self._variants = tuple(each.name for each in variants)
        on_instances = [each for each in variants if isinstance(each, InstanceVariant)]
        self._instances = tuple(each.name for each in on_instances)
        self._gpus = tuple(each.name for each in on_instances if each.facts is not None and each.facts.cuda)

    def _make_key_and_alerts(self, key: kms.IKey | None, alerts: AlertTopic | None) -> None:
        self.key = (
            key
            if key is not None
            else operations_key(self, "Key", description=f"Volumes and alerts of {self.node.path}")
        )
        self.alerts = alerts if alerts is not None else AlertTopic(self, "Alerts", key=self.key)

    @staticmethod
    def _roles(variants: Sequence[_AnyVariant]) -> Iterator[iam.IRole]:
        """The execution roles, as far as they are known, each once."""
        seen: list[iam.IRole] = []
        for each in variants:
            role = each.model.role
            if role is not None and not any(role is other for other in seen):
                seen.append(role)
                yield role

    def _extend_roles(self, variants: Sequence[_AnyVariant]) -> None:
        for role in self._roles(variants):
            allow_log(role, self._metrics_name)
        for each in variants:
            if (
                isinstance(each, InstanceVariant)
                and each.core_dumps is not None
                and each.model.role is not None
            ):
                each.core_dumps.grant(each.model.role)

    def _after_roles(self, config: sagemaker.CfnEndpointConfig, variants: Sequence[_AnyVariant]) -> None:
        """An endpoint starts only once its models' roles may do all that it takes."""
        for role in self._roles(variants):
            config.node.add_dependency(role)

    def _make_alarms(self, variants: Sequence[str], slow: Duration) -> list[cloudwatch.Alarm]:
        """One on errors and one on slow answers for each variant; returns those that roll back."""
        errors = [
            alarm(
                self,
                f"ServerErrors{name}",
                self.metric_server_errors(name),
                description=f"Variant {name} answered 5xx: its containers fail or are overloaded",
            )
            for name in variants
        ]
        slows = [
            alarm(
                self,
                f"Slow{name}",
                self.metric_model_latency(name),
                description=f"The slowest hundredth of the predictions of variant {name} takes too long",
                threshold=float(slow.to_milliseconds()) * 1000,
                periods=3,
            )
            for name in variants
        ]
        self.alarms = [*errors, *slows]
        self.alerts.notify(*self.alarms)
        return self.alarms[: _rolling_back(len(variants))]

    @staticmethod
    def _check_alarms(problems: Problems, variants: int, more: Sequence[cloudwatch.IAlarm]) -> None:
        most = MOST_ALARMS - _rolling_back(variants)
        problems.check(
            len(more) <= most,
            given=f"{len(more)} rollback_alarms",
            allowed=f"at most {most} beside the endpoint's own: SageMaker watches {MOST_ALARMS}",
            write="a composite alarm of several",
        )

    def _make_endpoint(
        self,
        config: sagemaker.CfnEndpointConfig,
        variants: Sequence[_AnyVariant],
        guardrails: Guardrails,
        alarms: Sequence[cloudwatch.IAlarm],
        *,
        keep_capacity: bool,
    ) -> None:
        why_not = unguarded(variants)
        self.endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_config_name=config.attr_endpoint_config_name,
            endpoint_name=self._metrics_name,
            deployment_config=None if why_not is not None else guardrails.render(alarms),
            # The count that autoscaling has chosen; the weights stay the template's.
            retain_all_variant_properties=True if keep_capacity else None,
            exclude_retained_variant_properties=[
                sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DesiredWeight")
            ]
            if keep_capacity
            else None,
        )
        self.endpoint_name = self.endpoint.attr_endpoint_name
        self.endpoint_arn = self.endpoint.ref
        self.node.default_child = self.endpoint
        if any(isinstance(each, ServerlessVariant) for each in variants):
            _acknowledge_serverless(config)
        if why_not is not None:
            acknowledge(
                self.endpoint,
                ["DataScience-SM35"],
                f"SageMaker watches no alarms during updates of this endpoint: {why_not}. The alarms tell "
                "the topic.",
            )


def check_name(problems: Problems, name: str | None, *, what: str = "endpoint_name") -> None:
    """Report a name that no endpoint can have."""
    problems.check(
        name is None or is_token(name) or NAME.fullmatch(name) is not None,
        given=f"{what}={name!r}",
        allowed="1 to 63 letters, digits and hyphens, with a letter or digit at both ends",
        write=f'{what}="reviews"',
    )


def _acknowledge_serverless(config: sagemaker.CfnEndpointConfig) -> None:
    acknowledge(
        config,
        [
            "NIST.800.53.R5-SageMakerEndpointConfigurationKMSKeyConfigured",
            "HIPAA.Security-SageMakerEndpointConfigurationKMSKeyConfigured",
            "PCI.DSS.321-SageMakerEndpointConfigurationKMSKeyConfigured",
        ],
        "The endpoint is serverless: there are no instances whose volumes the key would encrypt.",
    )


def _rolling_back(variants: int) -> int:
    """How many of the alarms roll back: those on errors first, and those on slow answers if all may."""
    return 2 * variants if 2 * variants <= MOST_ALARMS else variants
