"""Where many models answer on the same instances."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake
from cdk_data_science.serving import (
    ComponentEndpoint,
    Compute,
    CopyScaling,
    InferenceComponent,
    ManagedInstances,
    TrackConcurrency,
)
from settings.shared_endpoint import SharedEndpoint, SharedModel
from stacks.hosting import attachment, hosted_model, id_of
from stacks.network import NetworkStack


class SharedEndpointStack(cdk.Stack):
    """A SageMaker endpoint of inference components, each of which scales by itself."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: SharedEndpoint,
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Shared endpoint: instances, models, copies")
        self._lake, self._network = lake, network
        self.endpoint = ComponentEndpoint(
            self,
            "Endpoint",
            instance_type=endpoint.instance_type,
            instances=ManagedInstances(
                minimum=endpoint.min_instances,
                maximum=endpoint.max_instances,
                first=max(endpoint.min_instances, 1),
            ),
            alerts=alerts,
            **attachment(network),
        )
        cdk.CfnOutput(
            self,
            "EndpointName",
            value=self.endpoint.endpoint_name,
            description="What callers of InvokeEndpoint name, beside the component",
        )
        for name, model in endpoint.models.items():
            cdk.CfnOutput(
                self,
                f"{id_of(name)}-Component",
                value=self._component(name, model).component_name,
                description=f"InferenceComponentName of the model {name!r}",
            )

    def _component(self, name: str, model: SharedModel) -> InferenceComponent:
        return self.endpoint.add_component(
            id_of(name),
            model=hosted_model(self, f"{id_of(name)}-Model", model, lake=self._lake, network=self._network),
            compute=Compute(memory_mb=model.memory_mb, cpus=model.cpus, accelerators=model.accelerators),
            copies=max(model.min_copies, 1),
            scaling=None
            if model.min_copies == model.max_copies
            else CopyScaling(
                minimum=model.min_copies,
                maximum=model.max_copies,
                policies=[TrackConcurrency(per_model=model.requests_per_copy)],
            ),
            slow=cdk.Duration.millis(model.slow_ms),
        )
