"""Where large requests wait for their answers."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, AsyncEndpoint, DataLake, InstanceVariant
from cdk_data_science.serving import Backlog
from settings.async_endpoint import AsyncEndpoint as Asked
from stacks.hosting import hosted_model
from stacks.network import NetworkStack

REQUESTS, ANSWERS, FAILURES = "async/requests/", "async/answers/", "async/failures/"
_VARIANT = "main"


class AsyncEndpointStack(cdk.Stack):
    """A SageMaker endpoint with a queue, whose instances come and go with what waits in it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: Asked,
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Asynchronous endpoint: model, queue, instances")
        self.endpoint = AsyncEndpoint(
            self,
            "Endpoint",
            variant=InstanceVariant(
                name=_VARIANT,
                model=hosted_model(self, "Model", endpoint, lake=lake, network=network),
                instance_type=endpoint.instance_type,
                instance_count=max(endpoint.min_instances, 1),
            ),
            requests=lake.raw,
            requests_prefix=REQUESTS,
            answers=lake.curated,
            answers_prefix=ANSWERS,
            failures_prefix=FAILURES,
            concurrent_requests=endpoint.concurrent_requests,
            backlog=Backlog(
                per_instance=endpoint.waiting_per_instance,
                minimum=endpoint.min_instances,
                maximum=endpoint.max_instances,
            ),
            alerts=alerts,
            slow=cdk.Duration.seconds(endpoint.slow_minutes * 60),
            waiting=cdk.Duration.seconds(endpoint.waiting_minutes * 60),
        )
        outputs = {
            "EndpointName": (self.endpoint.endpoint_name, "What callers of InvokeEndpointAsync name"),
            "Requests": (lake.raw.uri(REQUESTS), "Where the objects lie that requests name"),
            "Answers": (lake.curated.uri(ANSWERS), "Where answers are written"),
        }
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)
