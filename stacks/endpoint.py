"""Where models answer that a function is too small for."""

from __future__ import annotations

from datetime import UTC, datetime

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    Canary,
    DataCapture,
    DataLake,
    InstanceVariant,
    ModelEndpoint,
    Scaling,
    TrackInvocations,
    WorkingHours,
)
from cdk_data_science.serving import ShadowExperiment
from settings.endpoint import Endpoint, Shadow
from settings.hosting import HostedModel
from settings.model import Settings
from stacks import checks
from stacks.hosting import hosted_model
from stacks.network import NetworkStack
from stacks.serving import architecture, python_runtime

_VARIANT = "main"


class EndpointStack(cdk.Stack):
    """A SageMaker endpoint with its alarms, its scaling and, if asked for, its dashboard and its hours."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        endpoint: Endpoint,
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Endpoint: model, instances, scaling, alarms")
        self.model = hosted_model(self, "Model", endpoint, lake=lake, network=network)
        variant = InstanceVariant(
            name=_VARIANT,
            model=self.model,
            instance_type=endpoint.instance_type,
            instance_count=endpoint.instance_count,
            scaling=_scaling(endpoint),
        )
        self.endpoint = ModelEndpoint(
            self,
            "Endpoint",
            variants=[variant],
            rollout=Canary(percent=endpoint.canary_percent, bake=cdk.Duration.minutes(endpoint.bake_minutes))
            if endpoint.instance_count > 1
            else None,
            data_capture=DataCapture(zone=lake.curated, percent=endpoint.capture_percent)
            if endpoint.capture_percent
            else None,
            alerts=alerts,
            slow=cdk.Duration.millis(endpoint.slow_ms),
        )
        self._accept(endpoint)
        if endpoint.shadow is not None:
            self._follow(endpoint, endpoint.shadow, variant, lake=lake, network=network)
        if endpoint.dashboard:
            prices = {} if endpoint.hourly_usd is None else {_VARIANT: endpoint.hourly_usd}
            cloudwatch.Dashboard(
                self, "Dashboard", widgets=[self.endpoint.dashboard_widgets(hourly_usd=prices)]
            )
        if endpoint.working_hours is not None:
            hours = WorkingHours(
                self,
                "Hours",
                time_zone=endpoint.working_hours.time_zone,
                start=endpoint.working_hours.start,
                end=endpoint.working_hours.end,
                key=self.endpoint.key,
                alerts=alerts,
                runtime=python_runtime(settings),
                architecture=architecture(settings),
            )
            hours.add_endpoint(
                self.endpoint.endpoint,
                name=self.endpoint.endpoint_name,
                key=self.endpoint.key,
                scaling=endpoint.max_instances is not None,
            )
            cdk.CfnOutput(
                self,
                "HoldCommand",
                value=hours.hold_command,
                description="Keeps the endpoint on until the end of a day",
            )
        cdk.CfnOutput(
            self,
            "EndpointName",
            value=self.endpoint.endpoint_name,
            description="What callers of InvokeEndpoint name",
        )
        cdk.CfnOutput(
            self,
            "ModelRoleArn",
            value=self.model.role.role_arn,
            description="Role of the model's containers",
        )

    def _follow(
        self,
        endpoint: Endpoint,
        shadow: Shadow,
        production: InstanceVariant,
        *,
        lake: DataLake,
        network: NetworkStack | None,
    ) -> None:
        candidate = HostedModel(
            image=endpoint.image if shadow.image is None else shadow.image,
            artifact=shadow.artifact,
            variables={**endpoint.variables, **shadow.variables},
        )
        self.shadow = ShadowExperiment(
            self,
            "Shadow",
            endpoint=self.endpoint,
            production=production,
            candidate=InstanceVariant(
                name="shadow",
                model=hosted_model(self, "ShadowModel", candidate, lake=lake, network=network),
                instance_type=endpoint.instance_type
                if shadow.instance_type is None
                else shadow.instance_type,
                instance_count=shadow.instance_count,
            ),
            percent=shadow.percent,
            start=_utc(shadow.start),
            end=_utc(shadow.end),
            data_capture=DataCapture(zone=lake.curated, prefix="shadow/")
            if endpoint.capture_percent
            else None,
        )

    def _accept(self, endpoint: Endpoint) -> None:
        if not endpoint.capture_percent:
            checks.accept(
                self.endpoint.config, "SM28", "The settings keep no requests: capture_percent is 0."
            )
        if endpoint.instance_count < 2:
            checks.accept(
                self.endpoint.config,
                f"SM24[{_VARIANT}]",
                "The settings ask for one instance: while it is replaced, nobody answers.",
            )


def _utc(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _scaling(endpoint: Endpoint) -> Scaling | None:
    if endpoint.max_instances is None or endpoint.peak_per_second is None:
        return None
    return Scaling(
        minimum=endpoint.instance_count,
        maximum=endpoint.max_instances,
        policies=[TrackInvocations.from_load_test(peak_per_second=endpoint.peak_per_second)],
    )
