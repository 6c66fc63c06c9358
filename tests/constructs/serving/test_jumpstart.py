"""Models of JumpStart: what the command notes of them, and what an app makes of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk_data_science import ConfigurationError, ModelEndpoint
from cdk_data_science.serving import JumpStartEntry, JumpStartModel
from cdk_data_science.serving.__main__ import main
from tests.constructs import support
from tests.constructs.serving import endpoints

PUBLIC = "https://jumpstart-cache-prod-us-west-2.s3.us-west-2.amazonaws.com"
TGI = (
    "763104351884.dkr.ecr.us-west-2.amazonaws.com/huggingface-pytorch-tgi-inference:2.1.1-tgi2.0.0-gpu-py310"
)
NEURON = "763104351884.dkr.ecr.us-west-2.amazonaws.com/djl-inference:0.30.0-neuronx-sdk2.20.1"
# As JumpStart describes a gated model, in its own words and shape
SPEC: dict[str, Any] = {
    "model_id": "meta-textgeneration-llama-2-7b",
    "version": "4.1.0",
    "gated_bucket": True,
    "hosting_artifact_key": "meta-textgeneration/llama-2-7b/artifacts/inference/v1.0.0/",
    "hosting_prepacked_artifact_key": "meta-textgeneration/llama-2-7b/artifacts/inference-prepack/v1.0.0/",
    "hosting_eula_key": "fmhMetadata/eula/llamaEula.txt",
    "inference_enable_network_isolation": True,
    "deploy_kwargs": {
        "model_data_download_timeout": 1200,
        "container_startup_health_check_timeout": 1200,
    },
    "default_inference_instance_type": "ml.g5.2xlarge",
    "supported_inference_instance_types": ["ml.g5.2xlarge", "ml.g5.12xlarge", "ml.inf2.24xlarge", "ml.p9.x"],
    "inference_environment_variables": [
        {"name": "SAGEMAKER_PROGRAM", "default": "inference.py", "type": "text"},
        {"name": "SM_NUM_GPUS", "default": 1, "type": "int"},
        {"name": "WITHOUT_DEFAULT", "type": "text"},
    ],
    "hosting_instance_type_variants": {
        "regional_aliases": {"us-west-2": {"tgi": TGI, "neuron": NEURON}},
        "variants": {
            "g5": {"regional_properties": {"image_uri": "$tgi"}},
            "ml.g5.12xlarge": {"properties": {"environment_variables": {"SM_NUM_GPUS": "4"}}},
            "inf2": {
                "regional_properties": {"image_uri": "$neuron"},
                "properties": {"prepacked_artifact_key": "meta-textgenerationneuron/llama-2-7b/v1.0.0/"},
            },
        },
    },
}
MANIFEST = [
    {"model_id": SPEC["model_id"], "version": version, "spec_key": f"specs/{version}.json"}
    for version in ("4.1.0", "10.0.0", "2.0.0")
]


def fetch(url: str) -> Any:
    if url == f"{PUBLIC}/models_manifest.json":
        return MANIFEST
    version = url.removeprefix(f"{PUBLIC}/specs/").removesuffix(".json")
    return SPEC | {"version": version}


def noted(
    capsys: pytest.CaptureFixture[str], *arguments: str, spec: dict[str, Any] | None = None
) -> dict[str, Any]:
    answers = fetch if spec is None else (lambda url: MANIFEST if url.endswith("manifest.json") else spec)
    assert main(["jumpstart", SPEC["model_id"], "--region", "us-west-2", *arguments], fetch=answers) == 0
    written: dict[str, Any] = json.loads(capsys.readouterr().out)
    return written


def test_the_newest_version_is_noted_with_what_each_instance_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = noted(capsys)
    assert (entry["version"], entry["region"]) == ("10.0.0", "us-west-2")
    assert entry["bucket"] == "jumpstart-private-cache-prod-us-west-2"
    assert entry["license"] == f"{PUBLIC}/fmhMetadata/eula/llamaEula.txt"
    assert (entry["startup_seconds"], entry["download_seconds"]) == (1200, 1200)
    # A type that the region has no image for is left out
    assert sorted(entry["instances"]) == ["ml.g5.12xlarge", "ml.g5.2xlarge", "ml.inf2.24xlarge"]
    small, large = entry["instances"]["ml.g5.2xlarge"], entry["instances"]["ml.g5.12xlarge"]
    assert small["image"] == large["image"] == TGI
    assert small["key"] == SPEC["hosting_prepacked_artifact_key"]
    assert small["environment"] == {"SAGEMAKER_PROGRAM": "inference.py", "SM_NUM_GPUS": "1"}
    assert large["environment"]["SM_NUM_GPUS"] == "4"
    neuron = entry["instances"]["ml.inf2.24xlarge"]
    assert (neuron["image"], neuron["key"]) == (NEURON, "meta-textgenerationneuron/llama-2-7b/v1.0.0/")


def test_a_version_may_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert noted(capsys, "--version", "2.0.0")["version"] == "2.0.0"


def test_the_best_of_several_configurations_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC | {
        "inference_config_rankings": {"overall": {"rankings": ["absent", "lmi", "tgi"]}},
        "inference_configs": {"tgi": {"component_names": []}, "lmi": {"component_names": ["lmi"]}},
        "inference_config_components": {
            "lmi": {"component_name": "lmi", "hosting_prepacked_artifact_key": "lmi/v1/"}
        },
    }
    assert noted(capsys, spec=spec)["instances"]["ml.g5.2xlarge"]["key"] == "lmi/v1/"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing", "--region", "us-west-2"], "JumpStart has no model 'nothing'"),
        (
            [SPEC["model_id"], "--region", "us-west-2", "--version", "3.0.0"],
            "has no version 3.0.0; there are 2.0.0, 4.1.0, 10.0.0",
        ),
    ],
)
def test_what_jumpstart_does_not_have_is_told(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["jumpstart", *arguments], fetch=fetch) == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hosting_instance_type_variants": {}}, "names no image and artifact for us-west-2"),
        ({"supported_inference_instance_types": ["local"]}, "names no instance types"),
    ],
)
def test_a_model_that_cannot_be_served_from_its_description_is_told(
    changes: dict[str, Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = lambda url: MANIFEST if url.endswith("manifest.json") else SPEC | changes  # noqa: E731
    assert main(["jumpstart", SPEC["model_id"], "--region", "us-west-2"], fetch=answers) == 1
    assert expected in capsys.readouterr().err


@pytest.fixture
def entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> JumpStartEntry:
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(noted(capsys)))
    return JumpStartEntry.read(file)


def test_what_was_noted_is_served_once_its_licence_is_accepted(entry: JumpStartEntry) -> None:
    stack = support.stack(env=support.environment(region="us-west-2"))
    chat = JumpStartModel(
        stack,
        "Chat",
        entry=entry,
        accept_license=True,
        instance_type="ml.g5.12xlarge",
        environment={"MAX_TOTAL_TOKENS": "2048"},
    )
    ModelEndpoint(stack, "Endpoint", variants=[chat.variant(name="main")])
    model = endpoints.properties(stack, "AWS::SageMaker::Model")
    source = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://{entry.bucket}/{SPEC['hosting_prepacked_artifact_key']}"
    assert source["ModelAccessConfig"] == {"AcceptEula": True}
    assert model["EnableNetworkIsolation"] is True
    assert model["PrimaryContainer"]["Environment"]["SM_NUM_GPUS"] == "4"
    assert model["PrimaryContainer"]["Environment"]["MAX_TOTAL_TOKENS"] == "2048"
    (variant,) = endpoints.properties(stack, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["InstanceType"] == "ml.g5.12xlarge"
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 1200


@pytest.mark.parametrize(
    ("region", "changes", "expected"),
    [
        ("us-west-2", {}, f"once you have read the licence at {PUBLIC}/fmhMetadata/eula/llamaEula.txt"),
        ("us-west-2", {"accept_license": False}, "accept_license=False"),
        ("eu-west-1", {"accept_license": True}, "an entry of us-west-2 in a stack of region eu-west-1"),
        (
            "us-west-2",
            {"accept_license": True, "instance_type": "ml.g6.xlarge"},
            "is offered on: ml.g5.12xlarge, ml.g5.2xlarge, ml.inf2.24xlarge",
        ),
    ],
)
def test_what_cannot_or_may_not_be_served_is_refused(
    entry: JumpStartEntry, region: str, changes: dict[str, Any], expected: str
) -> None:
    stack = support.stack(env=support.environment(region=region))
    with pytest.raises(ConfigurationError) as failure:
        JumpStartModel(stack, "Chat", entry=entry, **changes)
    assert expected in str(failure.value)


def test_nothing_is_accepted_of_a_model_without_a_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "open.json"
    file.write_text(json.dumps(noted(capsys) | {"license": None}))
    with pytest.raises(ConfigurationError, match="has no licence that would have to be accepted"):
        JumpStartModel(support.stack(), "Chat", entry=JumpStartEntry.read(file), accept_license=True)


@pytest.mark.parametrize("content", [None, "not json", '{"model_id": "x"}'])
def test_a_file_of_something_else_is_told_with_the_command(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "chat.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"python -m cdk_data_science\.serving jumpstart MODEL_ID"):
        JumpStartEntry.read(file)
