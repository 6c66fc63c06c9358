"""Images by name, with a stand-in for the package that knows them: it is large, and an extra."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.training import Image
from tests.constructs import support

REGION = "eu-west-1"


class Uris(types.ModuleType):
    """Answers as `sagemaker.core.image_uris` does, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("sagemaker.core.image_uris")
        self.asked: dict[str, Any] = {}

    def retrieve(self, framework: str, region: str, **options: Any) -> str:
        self.asked = {"framework": framework, "region": region, **options}
        if framework == "nope":
            raise FileNotFoundError("nope.json")
        if options.get("version") == "99":
            raise ValueError("Unsupported version: 99. Supported version(s): 1.7-1")
        return f"141502667606.dkr.ecr.{region}.amazonaws.com/{framework}:{options.get('version', '1')}"


@pytest.fixture
def uris(monkeypatch: pytest.MonkeyPatch) -> Uris:
    made = Uris()
    for name in ("sagemaker", "sagemaker.core"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "sagemaker.core.image_uris", made)
    return made


def stack() -> Any:
    return support.stack(env=support.environment(region=REGION))


def test_an_algorithm_is_found_by_its_name_in_the_stacks_region(uris: Uris) -> None:
    assert Image.xgboost(stack(), "1.7-1") == "141502667606.dkr.ecr.eu-west-1.amazonaws.com/xgboost:1.7-1"
    assert Image.algorithm(stack(), "blazingtext").endswith("/blazingtext:1")
    assert uris.asked == {"framework": "blazingtext", "region": REGION}


@pytest.mark.parametrize(
    ("use", "instance_type", "scope"),
    [
        ("training", "ml.g5.xlarge", "training"),
        ("inference", "ml.m5.large", "inference"),
        ("inference", "ml.c7g.large", "inference_graviton"),
    ],
)
def test_a_framework_is_found_for_what_it_runs_on(
    uris: Uris, use: Any, instance_type: str, scope: str
) -> None:
    Image.framework(stack(), "pytorch", "2.3", instance_type=instance_type, use=use, python="py311")
    assert uris.asked == {
        "framework": "pytorch",
        "region": REGION,
        "version": "2.3",
        "instance_type": instance_type,
        "image_scope": scope,
        "py_version": "py311",
    }


def test_a_region_that_only_the_deployment_knows_has_to_be_said(uris: Uris) -> None:
    unknown = support.stack()
    with pytest.raises(ConfigurationError, match='region="eu-west-1"'):
        Image.scikit_learn(unknown, "1.2-1")
    assert Image.scikit_learn(unknown, "1.2-1", region="us-east-1").endswith("amazonaws.com/sklearn:1.2-1")


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda s: Image.algorithm(s, "prophet"), "allowed: blazingtext"),
        (lambda s: Image.xgboost(s, "99"), r"Supported version\(s\): 1.7-1"),
        (lambda s: Image.framework(s, "nope", "1", instance_type="ml.m5.large"), "no framework or algorithm"),
        (lambda s: Image.framework(s, "pytorch", "2.3", instance_type="ml.x.large"), "no instance type"),
    ],
)
def test_what_nobody_knows_is_told_with_what_is_known(uris: Uris, find: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        find(stack())


def test_without_the_extra_the_error_says_which_one_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sagemaker.core.image_uris", None)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'cdk-data-science\[sagemaker\]'"):
        Image.spark(stack(), "3.3")
    # The region that the package wants at its import is nobody else's affair.
    assert "AWS_DEFAULT_REGION" not in os.environ


def test_an_images_repository_is_what_a_role_is_let_pull() -> None:
    arn = Image.repository_arn("141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1")
    assert arn.endswith(":ecr:eu-west-1:141502667606:repository/sagemaker-xgboost")
    with pytest.raises(ConfigurationError, match="the URI of an image in ECR"):
        Image.repository_arn("docker.io/library/python:3")
