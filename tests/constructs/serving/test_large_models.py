"""HuggingFaceModel: what follows from the instance, and what does not fit it."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.serving import Artifact, Compiled, HuggingFaceModel, ModelEndpoint, NeuronCache
from tests.compliance.test_cfn_lint import problems
from tests.constructs import support
from tests.constructs.serving import endpoints

DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
LMI = f"{DLC}/djl-inference:0.36.0-lmi18.0.0-cu128"
LMI_NEURON = f"{DLC}/djl-inference:0.30.0-neuronx-sdk2.20.1"
TGI = f"{DLC}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.4-gpu-py311-cu124-ubuntu22.04"
TGI_NEURON = f"{DLC}/huggingface-pytorch-tgi-inference:2.1.2-optimum0.0.28-neuronx-py310-ubuntu22.04"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SEVEN_BILLION = 7.25e9


def chat(stack: cdk.Stack, id: str = "Chat", **changes: Any) -> HuggingFaceModel:
    given = {
        "model_id": "mistralai/Mistral-7B-Instruct-v0.3",
        "accept_license": True,
        "image": LMI,
        "instance_type": "ml.g5.12xlarge",
    } | changes
    if "artifact" not in given:
        given["artifact"] = Artifact(zone=endpoints.lake(stack).models, key="models/mistral/1/")
    return HuggingFaceModel(stack, id, **given)


def variables(stack: cdk.Stack, id: str = "Chat") -> dict[str, Any]:
    found = support.resources(stack, "AWS::SageMaker::Model")
    (only,) = [each for key, each in found.items() if key.startswith(f"{id}Model")]
    environment: dict[str, Any] = only["Properties"]["PrimaryContainer"]["Environment"]
    return environment


# Accelerators, and what a server on each is told of them
SPREADS = [
    ("ml.g4dn.12xlarge", LMI, None, {"OPTION_TENSOR_PARALLEL_DEGREE": "4"}),
    ("ml.g5.48xlarge", LMI, None, {"OPTION_TENSOR_PARALLEL_DEGREE": "8"}),
    ("ml.g6.12xlarge", TGI, None, {"SM_NUM_GPUS": "4", "MAX_TOTAL_TOKENS": "4096"}),
    ("ml.p4d.24xlarge", TGI, None, {"SM_NUM_GPUS": "8"}),
    ("ml.p5.48xlarge", LMI, None, {"OPTION_TENSOR_PARALLEL_DEGREE": "8", "OPTION_MAX_MODEL_LEN": "4096"}),
    (
        "ml.inf2.24xlarge",
        LMI_NEURON,
        Compiled(cores=12, batch_size=4, sequence_length=4096),
        {
            "OPTION_TENSOR_PARALLEL_DEGREE": "12",
            "OPTION_ENTRYPOINT": "djl_python.transformers_neuronx",
            "OPTION_N_POSITIONS": "4096",
            "OPTION_MAX_ROLLING_BATCH_SIZE": "4",
            "OPTION_MODEL_LOADING_TIMEOUT": "3600",
        },
    ),
    (
        "ml.trn1.32xlarge",
        TGI_NEURON,
        Compiled(cores=8, batch_size=1, sequence_length=2048, dtype="fp16"),
        {
            "HF_NUM_CORES": "8",
            "HF_AUTO_CAST_TYPE": "fp16",
            "MAX_TOTAL_TOKENS": "2048",
            "MAX_INPUT_TOKENS": "2047",
        },
    ),
]


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a model on accelerators of every kind, one from the Hub, and one that compiles into a cache
    stack = support.stack()
    for number, (instance_type, image, compiled, _) in enumerate(SPREADS):
        length = None if compiled is not None else 4096
        chat(
            stack,
            f"On{number}",
            instance_type=instance_type,
            image=image,
            compiled=compiled,
            max_length=length,
        )
    chat(stack, "Fetched", artifact=None, revision=COMMIT, environment={"OPTION_DTYPE": "fp16"})
    cached = chat(
        stack,
        "Cached",
        instance_type="ml.inf2.xlarge",
        image=LMI_NEURON,
        compiled=NeuronCache(zone=endpoints.lake(stack).models, sequence_length=2048),
        network_isolation=False,
    )
    ModelEndpoint(stack, "Endpoint", variants=[cached.variant(name="main")])
    return stack


@pytest.mark.parametrize(("number", "expected"), [(n, each[3]) for n, each in enumerate(SPREADS)])
def test_the_server_is_told_of_the_accelerators_that_there_are(
    stack: cdk.Stack, number: int, expected: dict[str, str]
) -> None:
    found = variables(stack, f"On{number}")
    assert {name: found.get(name) for name in expected} == expected
    assert found["HF_MODEL_ID"] == "/opt/ml/model"


def test_weights_in_the_lake_need_no_network_and_those_of_the_hub_are_of_one_commit(
    stack: cdk.Stack,
) -> None:
    models = support.resources(stack, "AWS::SageMaker::Model")
    isolated = {key: each["Properties"]["EnableNetworkIsolation"] for key, each in models.items()}
    assert {value for key, value in isolated.items() if key.startswith("On")} == {True}
    assert {value for key, value in isolated.items() if key.startswith("Fetched")} == {False}
    fetched = variables(stack, "Fetched")
    assert fetched["HF_MODEL_ID"] == "mistralai/Mistral-7B-Instruct-v0.3"
    assert fetched["OPTION_REVISION"] == COMMIT
    assert fetched["OPTION_TRUST_REMOTE_CODE"] == "false"
    assert fetched["OPTION_DTYPE"] == "fp16"


def test_what_was_compiled_is_kept_where_every_container_reads_and_writes_it(stack: cdk.Stack) -> None:
    cache = variables(stack, "Cached")["NEURON_COMPILE_CACHE_URL"]
    assert json.dumps(cache).endswith('"/neuron-cache"]]}')
    policies = support.resources(stack, "AWS::IAM::Policy")
    (cached,) = [each for key, each in policies.items() if key.startswith("CachedRole")]
    (other,) = [each for key, each in policies.items() if key.startswith("On0Role")]
    assert "neuron-cache/*" in json.dumps(cached) and "s3:PutObject" in json.dumps(cached)
    assert "neuron-cache" not in json.dumps(other) and "s3:PutObject" not in json.dumps(other)


def test_a_variant_waits_as_long_as_compiling_takes(stack: cdk.Stack) -> None:
    (variant,) = endpoints.properties(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["InstanceType"] == "ml.inf2.xlarge"
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 3600
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 1800


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


@functools.cache
def workshop() -> cdk.Stack:
    """Where models are tried that are refused: nobody synthesizes it."""
    return support.stack()


COMPILED = Compiled(cores=2, sequence_length=2048)
INF2 = {"instance_type": "ml.inf2.xlarge", "image": LMI_NEURON}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accept_license": False}, "read the licence at https://huggingface.co/mistralai/Mistral-7B"),
        ({"model_id": "mistral"}, "owner/name, as the Hub has it"),
        ({"instance_type": "ml.m6i.large"}, "the servers run on nothing else"),
        ({"instance_type": "ml.inf1.xlarge"}, "the servers run on nothing else"),
        ({"instance_type": "ml.g5.12"}, "such as ml.g5.12xlarge"),
        ({"artifact": None}, "a commit of the Hub, 40 hexadecimal digits"),
        ({"artifact": None, "revision": "main"}, "revision='main' without artifact"),
        ({"artifact": None, "revision": COMMIT, "network_isolation": True}, "weights in the lake"),
        ({"revision": COMMIT}, "revision with artifact"),
        (
            {"artifact": lambda stack: Artifact(zone=endpoints.lake(stack).models, key="m/model.tar.gz")},
            "an artifact that is an archive",
        ),
        ({"image": f"{DLC}/pytorch-inference:2.6.0-gpu-py312"}, "an image of LMI or TGI"),
        ({"tensor_parallel": 3}, "a divisor of its 4 GPUs; write: tensor_parallel=4"),
        ({"tensor_parallel": 8}, "tensor_parallel=8 on ml.g5.12xlarge"),
        ({"parameters": 70e9}, "a model of 156 GiB"),
        ({"parameters": SEVEN_BILLION * 4, "tensor_parallel": 1}, "at most the 22 GiB"),
        ({"max_length": 1}, "max_length=1"),
        ({"compiled": COMPILED}, "nothing is compiled for GPUs"),
        ({"startup_timeout": cdk.Duration.hours(2)}, "startup_timeout=7200 s"),
        (INF2, "ml.inf2.xlarge without compiled"),
        (INF2 | {"image": LMI, "compiled": COMPILED}, "compiled with an image made for cuda"),
        (INF2 | {"compiled": Compiled(cores=4, sequence_length=2048)}, "a divisor of its 2 NeuronCores"),
        (INF2 | {"compiled": Compiled(cores=0, sequence_length=2048)}, "Compiled cores=0"),
        (
            INF2 | {"compiled": Compiled(cores=2, sequence_length=2048, dtype="int8")},
            "Compiled dtype='int8'",
        ),
        (INF2 | {"compiled": COMPILED, "tensor_parallel": 1}, "what it was compiled for"),
        (INF2 | {"compiled": COMPILED, "max_length": 100}, "max_length=100 with compiled"),
        (
            INF2
            | {"compiled": lambda stack: NeuronCache(zone=endpoints.lake(stack).models, sequence_length=8)},
            "NeuronCache with network_isolation=True",
        ),
        (
            INF2
            | {
                "network_isolation": False,
                "compiled": lambda stack: NeuronCache(
                    zone=endpoints.lake(stack).models, sequence_length=0, prefix="/cache"
                ),
            },
            "NeuronCache prefix='/cache'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    given = {name: value(stack) if callable(value) else value for name, value in changes.items()}
    with pytest.raises(ConfigurationError) as failure:
        chat(stack, f"Try{len(stack.node.children)}", **given)
    assert expected in str(failure.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="3 problems"):
        chat(workshop(), "All", model_id="x", accept_license=False, tensor_parallel=3)
