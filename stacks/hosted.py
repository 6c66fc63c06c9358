"""The stacks of what SageMaker hosts, and of what devices get: none is there unless its table is."""

from __future__ import annotations

import aws_cdk as cdk

from cdk_data_science import AlertTopic, DataLake
from settings.model import Settings
from stacks.async_endpoint import AsyncEndpointStack
from stacks.batch import BatchStack
from stacks.edge import EdgeStack
from stacks.endpoint import EndpointStack
from stacks.network import NetworkStack
from stacks.shared_endpoint import SharedEndpointStack


def hosted_stacks(
    app: cdk.App,
    settings: Settings,
    *,
    lake: DataLake,
    alerts: AlertTopic | None,
    network: NetworkStack | None,
    env: cdk.Environment,
) -> list[cdk.Stack]:
    """The stacks that the settings have tables for.

    Args:
        alerts: Hears of the alarms; there is one wherever something has alarms.
        network: What containers run in, if the settings put them there.
    """
    name = settings.platform.name
    stacks: list[cdk.Stack] = []
    if settings.edge:
        stacks.append(EdgeStack(app, f"{name}-edge", edge=settings.edge, lake=lake, env=env))
    if alerts is None:
        return stacks
    if settings.endpoint is not None:
        stacks.append(
            EndpointStack(
                app,
                f"{name}-endpoint",
                settings=settings,
                endpoint=settings.endpoint,
                lake=lake,
                alerts=alerts,
                network=network,
                env=env,
            )
        )
    if settings.async_endpoint is not None:
        stacks.append(
            AsyncEndpointStack(
                app,
                f"{name}-async",
                endpoint=settings.async_endpoint,
                lake=lake,
                alerts=alerts,
                network=network,
                env=env,
            )
        )
    if settings.shared_endpoint is not None:
        stacks.append(
            SharedEndpointStack(
                app,
                f"{name}-shared",
                endpoint=settings.shared_endpoint,
                lake=lake,
                alerts=alerts,
                network=network,
                env=env,
            )
        )
    if settings.batch_transform:
        stacks.append(
            BatchStack(
                app,
                f"{name}-batch",
                batch=settings.batch_transform,
                lake=lake,
                alerts=alerts,
                network=network,
                env=env,
            )
        )
    return stacks
