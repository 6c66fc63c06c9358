"""Images by name: built-in algorithms, frameworks and Spark, by version, region and accelerator.

The accounts that publish SageMaker's images differ by region and by image, and change with each version.
``sagemaker-core`` knows them; it is large, so it is an extra of this library and is loaded only here.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from aws_cdk import Stack
from constructs import Construct

from cdk_data_science._images import repository_arn
from cdk_data_science._validation import ConfigurationError, is_token
from cdk_data_science.hardware import facts

ALGORITHMS = (
    "blazingtext", "factorization-machines", "forecasting-deepar", "image-classification", "ipinsights",
    "kmeans", "knn", "lda", "linear-learner", "ntm", "object-detection", "object2vec", "pca",
    "randomcutforest", "semantic-segmentation", "seq2seq", "xgboost",
)  # fmt: skip
"""SageMaker's built-in algorithms that have an image of their own."""

Scope = Literal["training", "inference"]
_REGION_VARIABLE = "AWS_DEFAULT_REGION"


class Image:
    """URIs of SageMaker's own images in the region of a stack.

    Needs the extra: ``pip install 'cdk-data-science[sagemaker]'``. Nothing is asked of the network: what the
    installed version of ``sagemaker-core`` does not know is an error that says what it knows. Without the
    extra, give URIs as AWS's page lists them; every construct takes them.

    See https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
    """

    @staticmethod
    def algorithm(
        scope: Construct, name: str, version: str | None = None, *, region: str | None = None
    ) -> str:
        """A built-in algorithm, one of :data:`ALGORITHMS`.

        Args:
            scope: A construct in the stack whose region is meant.
            version: Needed for XGBoost alone, which has several.
            region: Region, where the stack's is known only at deployment.

        Raises:
            ConfigurationError: no such algorithm or version, or none in this region; or the extra is missing.
        """
        if name not in ALGORITHMS:
            raise ConfigurationError(f"Image: given algorithm {name!r}; allowed: {', '.join(ALGORITHMS)}")
        return _retrieve(scope, region, framework=name, version=version)

    @staticmethod
    def xgboost(scope: Construct, version: str, *, region: str | None = None) -> str:
        """XGBoost, as an algorithm and as a framework: ``"1.7-1"``.

        Raises:
            ConfigurationError: no such version, or none in this region; or the extra is missing.
        """
        return Image.algorithm(scope, "xgboost", version, region=region)

    @staticmethod
    def scikit_learn(scope: Construct, version: str, *, region: str | None = None) -> str:
        """scikit-learn for training, processing and inference: ``"1.2-1"``.

        Raises:
            ConfigurationError: no such version, or none in this region; or the extra is missing.
        """
        return _retrieve(scope, region, framework="sklearn", version=version)

    @staticmethod
    def spark(scope: Construct, version: str, *, region: str | None = None) -> str:
        """Spark for processing jobs: ``"3.3"``. Deequ's jar goes into :attr:`SparkSubmit.jars`.

        Raises:
            ConfigurationError: no such version, or none in this region; or the extra is missing.
        """
        return _retrieve(scope, region, framework="spark", version=version)

    @staticmethod
    def framework(
        scope: Construct,
        name: str,
        version: str,
        *,
        instance_type: str,
        use: Scope = "training",
        python: str | None = None,
        base: str | None = None,
        region: str | None = None,
    ) -> str:
        """A framework's image for an instance type: for its accelerator, or its Graviton processors.

        Args:
            scope: A construct in the stack whose region is meant.
            name: ``pytorch``, ``tensorflow``, ``huggingface``, ``mxnet`` …
            version: Of the framework: ``"2.3"``.
            instance_type: What the image is to run on.
            use: Whether it trains or predicts.
            python: Python's version where there are several: ``"py311"``.
            base: For Hugging Face, the framework below and its version: ``"pytorch2.1.0"``.
            region: Region, where the stack's is known only at deployment.

        Raises:
            ConfigurationError: no such framework or version, or none in this region or for this type; or the
                extra is missing.
        """
        known = None if is_token(instance_type) else _facts(instance_type)
        suffix = "_graviton" if use == "inference" and known is not None and known.arm64 else ""
        return _retrieve(
            scope,
            region,
            framework=name,
            version=version,
            instance_type=instance_type,
            image_scope=f"{use}{suffix}",
            py_version=python,
            base_framework_version=base,
        )

    @staticmethod
    def repository_arn(uri: str) -> str:
        """The ARN of the ECR repository that an image comes from, for the ``images`` of a :class:`JobRole`.

        Raises:
            ConfigurationError: the image is not in ECR.
        """
        found = repository_arn(uri)
        if found is None:
            raise ConfigurationError(f"Image: given {uri!r}; allowed: the URI of an image in ECR")
        return found


def _facts(instance_type: str) -> Any:
    try:
        return facts(instance_type)
    except ValueError as error:
        raise ConfigurationError(f"Image: {error}") from error


def _retrieve(scope: Construct, region: str | None, **options: str | None) -> str:
    where = region if region is not None else Stack.of(scope).region
    if is_token(where):
        raise ConfigurationError(
            f"Image for {options['framework']}: the region of the stack at {Stack.of(scope).node.path!r} is "
            'known only at deployment, and SageMaker\'s images differ by region; write: region="eu-west-1", '
            "or give the stack an environment"
        )
    uris = _image_uris(str(options["framework"]))
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return str(uris.retrieve(region=where, **given))
    except FileNotFoundError:
        message = "no framework or algorithm of that name"
    except (KeyError, TypeError, ValueError) as error:
        message = str(error)
    told = ", ".join(f"{name}={value!r}" for name, value in given.items())
    raise ConfigurationError(f"Image: given {told} in {where}; sagemaker-core says: {message}")


def _image_uris(framework: str) -> Any:
    try:
        with _some_region():
            return importlib.import_module("sagemaker.core.image_uris")
    except ImportError as error:
        raise ConfigurationError(
            f"Image for {framework}: the package sagemaker-core, which knows SageMaker's images, cannot be "
            f"imported ({error}); write: pip install 'cdk-data-science[sagemaker]', or give the image's URI "
            "instead of its name"
        ) from error


@contextmanager
def _some_region() -> Iterator[None]:
    """The package asks for a region when it is imported, and never again."""
    if os.environ.get(_REGION_VARIABLE):
        yield
        return
    os.environ[_REGION_VARIABLE] = "us-east-1"
    try:
        yield
    finally:
        del os.environ[_REGION_VARIABLE]
