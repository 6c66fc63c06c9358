"""What tests of endpoints build with."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from cdk_data_science import DataLake, InstanceVariant, Model, ModelEndpoint
from cdk_data_science.serving import Artifact
from tests.constructs import support

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
INF1_IMAGE = (
    "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-neuron:1.13.1-neuron-py310-sdk2.20.2"
)
REPOSITORY = ":ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"


def lake(stack: cdk.Stack) -> DataLake:
    found: Any = stack.node.try_find_child("Lake")
    return found if found is not None else DataLake(stack, "Lake", zones=["raw", "curated", "models"])


def model(stack: cdk.Stack, id: str = "Model", **changes: Any) -> Model:
    """A model with an artifact of the lake, the same for the same id."""
    found: Any = stack.node.try_find_child(id)
    if found is not None:
        return found
    if "artifact" not in changes:
        changes["artifact"] = Artifact(zone=lake(stack).models, key="models/1/model.tar.gz")
    return Model(stack, id, **({"image": IMAGE} | changes))


def variant(stack: cdk.Stack, **changes: Any) -> InstanceVariant:
    values = {"name": "main", "instance_type": "ml.m6i.large"} | changes
    if "model" not in values:
        values["model"] = model(stack)
    return InstanceVariant(**values)


def endpoint(stack: cdk.Stack, id: str = "Endpoint", **changes: Any) -> ModelEndpoint:
    if "variants" not in changes:
        changes["variants"] = [variant(stack)]
    return ModelEndpoint(stack, id, **changes)


def properties(stack: cdk.Stack, type: str) -> dict[str, Any]:
    """Properties of the only resource of a type."""
    found: dict[str, Any] = support.only(support.resources(stack, type))["Properties"]
    return found
