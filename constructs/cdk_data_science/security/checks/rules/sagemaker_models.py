"""SageMaker models: what their containers reach, and which image they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import but, enabled, example, present
from cdk_data_science.security.checks.intrinsics import UNKNOWN, is_unknown
from cdk_data_science.security.checks.rule import Problem, Rule, Severity, control, guide
from cdk_data_science.security.checks.templates import Resource

MODEL = "AWS::SageMaker::Model"
CONFIG = "AWS::SageMaker::EndpointConfig"
_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/model"
_CONTAINERS = ("PrimaryContainer", "Containers[*]")
_VARIANTS = ("ProductionVariants[*]", "ShadowProductionVariants[*]")
_HUB_VARIABLE = "HF_MODEL_ID"
"""Servers that are told the name of a model in Hugging Face's hub download it when they start."""

COMPLIANT = example(
    MODEL,
    ExecutionRoleArn="arn:aws:iam::111122223333:role/serving",
    EnableNetworkIsolation=True,
    PrimaryContainer={"Image": f"{_IMAGE}:1.4.2", "ModelDataUrl": "s3://models/1/model.tar.gz"},
    VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
)


def variants(config: Resource) -> list[tuple[str, dict[str, Any]]]:
    """Path and content of the production variants that the template tells."""
    found = config.each("ProductionVariants[*]")
    return [(path, variant) for path, variant in found if isinstance(variant, dict)]


def _on_instances(model: Resource) -> bool:
    """Not where serverless variants serve it alone: SageMaker has neither isolation nor VPCs for them."""
    templates = model.templates
    names = [name for name in (model.ref, model.get("ModelName")) if name is not None]
    serving = [
        variant
        for config in templates.resources(CONFIG)
        for path in _VARIANTS
        for _, variant in config.each(path)
        if isinstance(variant, dict)
        and (templates.target(variant.get("ModelName")) == model or variant.get("ModelName") in names)
    ]
    return not serving or not all("ServerlessConfig" in variant for variant in serving)


def _isolated(model: Resource) -> Iterator[Problem]:
    for problem in enabled("EnableNetworkIsolation", when=_on_instances)(model):
        said = "The model's container downloads its model when it starts, and can reach the network"
        yield Problem(
            at=problem.at, uncertain=problem.uncertain, said=said if any(_from_a_hub(model)) else ""
        )


def _from_a_hub(model: Resource) -> Iterator[bool]:
    """For each container, whether nothing is brought to it and it is told to fetch a model."""
    for path in _CONTAINERS:
        for _, container in model.each(path):
            if isinstance(container, dict):
                told = container.get("Environment")
                brought = "ModelDataUrl" in container or "ModelDataSource" in container
                yield isinstance(told, dict) and not brought and _HUB_VARIABLE in told


def _pinned(model: Resource) -> Iterator[Problem]:
    for path in _CONTAINERS:
        for where, image in model.each(f"{path}.Image"):
            if image is UNKNOWN:
                yield Problem(at=where, uncertain=True)
            elif isinstance(image, str):
                tag = image.rpartition("/")[2].partition(":")[2]
                if tag in ("", "latest") and not is_unknown(image.rpartition("/")[2]):
                    yield Problem(at=where)


RULES = (
    Rule(
        id="DataScience-SM20",
        title="A model's container has no network of its own",
        fails="The model's container can reach the network",
        why="Code that came with a model or its packages could send requests' data elsewhere.",
        fix="Set EnableNetworkIsolation to true; SageMaker still brings what ModelDataUrl or ModelDataSource "
        "names to the container",
        severity=Severity.WARNING,
        follows=(control("SageMaker.5"),),
        types=(MODEL,),
        check=_isolated,
        compliant=COMPLIANT,
        noncompliant=but(COMPLIANT, EnableNetworkIsolation=False),
    ),
    Rule(
        id="DataScience-SM21",
        title="A model is served in your VPC",
        fails="The model is served in a network of AWS",
        why="Reading artifacts from S3 then goes past your endpoints and their policies.",
        fix="Set VpcConfig on the model",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/host-vpc"),),
        types=(MODEL,),
        check=present("VpcConfig.Subnets", when=_on_instances),
        compliant=COMPLIANT,
        noncompliant=but(COMPLIANT, VpcConfig=None),
    ),
    Rule(
        id="DataScience-SM22",
        title="A model names one version of its image",
        fails="The model's image has no tag, or the tag latest",
        why="The endpoint serves whatever was pushed last when an instance starts: instances can differ.",
        fix="Name a tag that is never moved, or a digest (repository@sha256:…)",
        severity=Severity.WARNING,
        follows=(control("ECR.2"), guide("AmazonECR/latest/userguide/docker-pull-ecr-image")),
        types=(MODEL,),
        check=_pinned,
        compliant=COMPLIANT,
        noncompliant=but(COMPLIANT, PrimaryContainer__Image=f"{_IMAGE}:latest"),
    ),
)
