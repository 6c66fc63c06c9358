"""Models of several containers, models of a hub under a licence, and what images run on."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError, Model
from cdk_data_science.serving import Artifact, Container, HubArtifact, ServerlessVariant
from cdk_data_science.serving._image_kinds import kind_of
from tests.constructs import support
from tests.constructs.serving import endpoints

MODEL = "AWS::SageMaker::Model"
OWN = "111122223333.dkr.ecr.us-east-1.amazonaws.com/ranker:3"
HUB = HubArtifact(
    bucket="jumpstart-cache-prod-us-east-1",
    key="meta-textgeneration/llama/artifacts/inference-prepack/v1.0.0/",
    accept_license=True,
    hub_content_arn="arn:aws:sagemaker:us-east-1:111122223333:hub-content/research/Model/llama/1.0.0",
)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a pipeline of containers, containers that are asked one by one, and a model of a hub
    stack = support.stack()
    zone = endpoints.lake(stack).models
    Model(
        stack,
        "Serial",
        containers=[
            Container(image=endpoints.IMAGE, artifact=Artifact(zone=zone, key="clean/1/model.tar.gz")),
            Container(image=OWN, environment={"TOP": "10"}),
        ],
    )
    chosen = Model(
        stack,
        "Direct",
        direct=True,
        containers=[
            Container(name="ranker", image=OWN, artifact=Artifact(zone=zone, key="ranker/1/")),
            Container(name="tagger", image=endpoints.IMAGE),
        ],
    )
    many = Artifact(zone=zone, key="many/")
    Model(stack, "Rare", image=OWN, artifact=many, multi_model=True, cache_models=False)
    Model(stack, "Hub", image=OWN, artifact=HUB)
    endpoints.endpoint(stack, variants=[endpoints.variant(stack, model=chosen)])
    return stack


def model(stack: cdk.Stack, id: str) -> dict[str, Any]:
    (only,) = [each for key, each in support.resources(stack, MODEL).items() if key.startswith(f"{id}Model")]
    found: dict[str, Any] = only["Properties"]
    return found


def policy(stack: cdk.Stack, start: str) -> str:
    found = support.resources(stack, "AWS::IAM::Policy")
    (only,) = [each for key, each in found.items() if key.startswith(start)]
    return json.dumps(only["Properties"]["PolicyDocument"]["Statement"])


def test_requests_go_through_the_containers_in_their_order(stack: cdk.Stack) -> None:
    serial = model(stack, "Serial")
    assert serial["InferenceExecutionConfig"] == {"Mode": "Serial"}
    assert "PrimaryContainer" not in serial
    assert [each["Image"] for each in serial["Containers"]] == [endpoints.IMAGE, OWN]
    assert serial["Containers"][1]["Environment"] == {"TOP": "10"}


def test_requests_name_a_container_where_they_are_direct(stack: cdk.Stack) -> None:
    direct = model(stack, "Direct")
    assert direct["InferenceExecutionConfig"] == {"Mode": "Direct"}
    assert [each["ContainerHostname"] for each in direct["Containers"]] == ["ranker", "tagger"]


def test_the_role_loads_every_container(stack: cdk.Stack) -> None:
    role = policy(stack, "DirectRole")
    assert "ranker/1/*" in role and "repository/ranker" in role
    assert endpoints.REPOSITORY in role


def test_models_that_are_asked_rarely_are_not_kept_in_memory(stack: cdk.Stack) -> None:
    assert model(stack, "Rare")["PrimaryContainer"]["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}


def test_the_licence_of_a_hubs_model_is_accepted_where_it_is_named(stack: cdk.Stack) -> None:
    source = model(stack, "Hub")["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["ModelAccessConfig"] == {"AcceptEula": True}
    assert source["HubAccessConfig"] == {"HubContentArn": HUB.hub_content_arn}
    assert (source["CompressionType"], source["S3DataType"]) == ("None", "S3Prefix")
    # AND its role reads that folder of the publisher's bucket and no other
    role = policy(stack, "HubRole")
    assert f"{HUB.bucket}/{HUB.key}*" in role
    assert f'"s3:prefix": "{HUB.key}*"' in role


@functools.cache
def workshop() -> cdk.Stack:
    """Where models are tried that are refused: nobody synthesizes it."""
    return support.stack()


TWO = [Container(image=OWN), Container(image=OWN)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"containers": [Container(image=OWN)]}, "given 1 containers; allowed: 2 to 15"),
        ({"containers": [Container(image=OWN)] * 16}, "given 16 containers"),
        ({"containers": TWO, "direct": True}, "containers without names and direct=True"),
        (
            {"containers": [Container(name="a", image=OWN), Container(image=OWN)]},
            "names for all containers or for none",
        ),
        (
            {"containers": [Container(name="a", image=OWN)] * 2},
            "several containers of the name 'a'",
        ),
        (
            {"containers": [Container(name="a_b", image=OWN), Container(name="b", image=OWN)]},
            "container name 'a_b'",
        ),
        ({"containers": TWO, "image": OWN}, "these on each of the containers"),
        ({"image": OWN, "direct": True}, "direct=True without containers"),
        ({"image": OWN, "cache_models": False}, "cache_models=False of a container"),
        (
            {"image": OWN, "artifact": HubArtifact(bucket="b", key="k/", accept_license=False)},
            "True once you have read the licence",
        ),
        ({"image": OWN, "artifact": HubArtifact(bucket="b", key="k")}, "artifact key 'k'"),
        (
            {"image": OWN, "artifact": HubArtifact(bucket="b", key="k/"), "multi_model": True},
            "a folder of archives in the lake",
        ),
    ],
)
def test_containers_that_make_no_model_are_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    with pytest.raises(ConfigurationError) as failure:
        Model(stack, f"Try{len(stack.node.children)}", **changes)
    assert expected in str(failure.value)


def test_several_containers_are_neither_serverless_nor_shadows() -> None:
    stack = support.stack()
    several = Model(stack, "Several", containers=TWO, network_isolation=False)
    with pytest.raises(ConfigurationError, match="a model of several containers for the serverless"):
        endpoints.endpoint(stack, "Serverless", variants=[ServerlessVariant(name="main", model=several)])
    with pytest.raises(ConfigurationError, match="shadow with the multi-container variant"):
        endpoints.endpoint(stack, "Shadow", shadow=endpoints.variant(stack, name="next", model=several))


DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
IMAGES = {
    f"{DLC}/pytorch-inference:2.6.0-gpu-py312-cu124-ubuntu22.04-sagemaker": "cuda",
    f"{DLC}/djl-inference:0.36.0-lmi18.0.0-cu128": "cuda",
    f"{DLC}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.4-gpu-py311-cu124-ubuntu22.04": "cuda",
    f"{DLC}/pytorch-inference-neuronx:2.7.0-neuronx-py310-sdk2.24.1-ubuntu22.04": "neuron",
    f"{DLC}/huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.28-neuronx-py310-ubuntu22.04": "neuron",
    f"{DLC}/djl-inference:0.30.0-neuronx-sdk2.20.1": "neuron",
    endpoints.INF1_IMAGE: "inf1",
    f"{DLC}/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker": "cpu",
    f"{DLC}/pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker": "cpu",
    endpoints.IMAGE: "cpu",
    # Nothing is known of one's own, whatever they are called
    "111122223333.dkr.ecr.us-east-1.amazonaws.com/reviews:gpu-3": None,
    f"{DLC}/pytorch-inference@sha256:0123": None,
}


@pytest.mark.parametrize(("image", "kind"), IMAGES.items())
def test_the_name_of_an_image_says_what_it_runs_on(image: str, kind: str | None) -> None:
    assert kind_of(image) == kind


@pytest.mark.parametrize(
    ("image", "instance_type", "expected"),
    [
        ("djl-inference:0.36.0-lmi18.0.0-cu128", "ml.m6i.large", "made for CUDA; allowed: types with NVIDIA"),
        ("djl-inference:0.36.0-lmi18.0.0-cu128", "ml.inf2.xlarge", "made for CUDA"),
        ("djl-inference:0.30.0-neuronx-sdk2.20.1", "ml.g5.xlarge", "made for Neuron; allowed: types of Inf2"),
        ("djl-inference:0.30.0-neuronx-sdk2.20.1", "ml.inf1.xlarge", "made for Neuron"),
        ("pytorch-inference-neuron:1.13.1-neuron-py310", "ml.inf2.xlarge", "compiled for Inf1"),
        ("pytorch-inference:2.6.0-cpu-py312", "ml.trn1.2xlarge", "made for processors"),
        ("pytorch-inference:2.6.0-cpu-py312", "ml.c7g.large", "an image for arm64"),
        ("pytorch-inference-graviton:2.4.0-cpu-py311", "ml.m6i.large", "an image for x86_64"),
    ],
)
def test_instances_that_a_model_was_not_made_for_are_refused(
    image: str, instance_type: str, expected: str
) -> None:
    stack = workshop()
    number = len(stack.node.children)
    made = Model(stack, f"Try{number}", image=f"{DLC}/{image}")
    with pytest.raises(ConfigurationError) as failure:
        endpoints.endpoint(
            stack,
            f"Endpoint{number}",
            variants=[endpoints.variant(stack, model=made, instance_type=instance_type)],
        )
    assert expected in str(failure.value)


def test_who_knows_better_says_what_an_image_runs_on() -> None:
    stack = support.stack()
    made = Model(stack, "Model", image=f"{DLC}/djl-inference:0.36.0-lmi18.0.0-cu128", made_for="cpu")
    endpoints.endpoint(stack, variants=[endpoints.variant(stack, model=made)])
    assert endpoints.properties(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
