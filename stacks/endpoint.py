"""Where models answer that a function is too small for."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    Artifact,
    Canary,
    DataCapture,
    DataLake,
    InstanceVariant,
    Model,
    ModelEndpoint,
    Scaling,
    TrackInvocations,
    WorkingHours,
)
from settings.endpoint import Endpoint
from settings.model import Settings
from stacks import checks
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
        self.model = Model(
            self,
            "Model",
            image=endpoint.image,
            artifact=Artifact(zone=lake.models, key=endpoint.artifact),
            environment=endpoint.variables,
            vpc=None if network is None else network.network.vpc,
            subnets=None if network is None else network.network.jobs,
            security_groups=None if network is None else network.network.security_groups.jobs,
        )
        if network is None:
            checks.accept(
                self.model.model,
                "SM21",
                "The settings put the endpoint into no network. Its container has none at all: SageMaker "
                "brings the artifact.",
            )
        self.endpoint = ModelEndpoint(
            self,
            "Endpoint",
            variants=[
                InstanceVariant(
                    name=_VARIANT,
                    model=self.model,
                    instance_type=endpoint.instance_type,
                    instance_count=endpoint.instance_count,
                    scaling=_scaling(endpoint),
                )
            ],
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


def _scaling(endpoint: Endpoint) -> Scaling | None:
    if endpoint.max_instances is None or endpoint.peak_per_second is None:
        return None
    return Scaling(
        minimum=endpoint.instance_count,
        maximum=endpoint.max_instances,
        policies=[TrackInvocations.from_load_test(peak_per_second=endpoint.peak_per_second)],
    )
