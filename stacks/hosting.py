"""A model of the settings for SageMaker's hosting, in the network if the settings put it there."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from cdk_data_science import Artifact, DataLake, Model
from settings.hosting import HostedModel
from stacks import checks
from stacks.network import NetworkStack


def hosted_model(
    scope: Construct, id: str, model: HostedModel, *, lake: DataLake, network: NetworkStack | None
) -> Model:
    """The model, with a role that reads its artifact alone."""
    made = Model(
        scope,
        id,
        image=model.image,
        artifact=Artifact(zone=lake.models, key=model.artifact),
        environment=model.variables,
        **attachment(network),
    )
    if network is None:
        checks.accept(
            made.model,
            "SM21",
            "The settings put the endpoints into no network. The container has none at all: SageMaker "
            "brings the artifact.",
        )
    return made


def attachment(network: NetworkStack | None) -> dict[str, Any]:
    """Where containers run."""
    if network is None:
        return {}
    return {
        "vpc": network.network.vpc,
        "subnets": network.network.jobs,
        "security_groups": network.network.security_groups.jobs,
    }


def id_of(name: str) -> str:
    """The construct's id of a name in the settings."""
    return "".join(part.capitalize() for part in name.split("-"))
