"""What a model is made of: an archive or folder of the lake, or a version of the registry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone

_PACKAGE = re.compile(r"arn:[a-z-]+:sagemaker:[a-z0-9-]+:\d{12}:model-package/[a-zA-Z0-9-]{1,63}(/\d{1,9})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """What training made, in a zone of the lake."""

    zone: IZone
    key: str
    """Key of a ``.tar.gz`` archive; or a folder that ends in a slash, with the model's files as they are, or
    with many archives for a multi-model endpoint."""

    @property
    def uri(self) -> str:
        """The artifact's S3 URI."""
        return self.zone.uri(self.key)

    @property
    def folder(self) -> bool:
        """Whether it is a folder, not an archive."""
        return not is_token(self.key) and self.key.endswith("/")

    def check(self, problems: Problems) -> None:
        """Report a key that SageMaker cannot load."""
        problems.check(
            is_token(self.key) or FOLDER.fullmatch(self.key) is not None or self.key.endswith(".tar.gz"),
            given=f"artifact key {self.key!r}",
            allowed="the key of a .tar.gz archive, or a folder: no slash at the start, one at the end",
            write='key="models/model.tar.gz"',
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPackage:
    """A version in the model registry, which itself names its image and its artifact."""

    arn: str
    """ARN of the version."""
    artifact: Artifact | None = None
    """Where its artifact lies, for the role to read it. Default: nothing is granted."""
    images: Sequence[str] = ()
    """URIs of its images in ECR, for the role to pull them."""


def check_source(
    problems: Problems,
    *,
    image: str | None,
    artifact: Artifact | None,
    package: ModelPackage | None,
    multi_model: bool,
) -> None:
    """Report what no model can be made of."""
    problems.check(
        (image is None) != (package is None),
        given="neither image nor package" if image is None else "both image and package",
        allowed="exactly one of them",
        write='image="<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>"',
    )
    problems.check(
        package is None or (artifact is None and not multi_model),
        given="package with artifact or multi_model",
        allowed="a package alone: it names its artifact itself",
        write="package=ModelPackage(arn=…, artifact=…)",
    )
    if package is not None:
        problems.check(
            is_token(package.arn) or _PACKAGE.fullmatch(package.arn) is not None,
            given=f"package arn {package.arn!r}",
            allowed="the ARN of a model package",
            write='arn="arn:aws:sagemaker:us-east-1:111122223333:model-package/reviews/1"',
        )
    for each in (artifact, package.artifact if package is not None else None):
        if each is not None:
            each.check(problems)
    problems.check(
        not multi_model or (artifact is not None and artifact.folder),
        given="multi_model without a folder",
        allowed="an artifact that is a folder of archives",
        write='artifact=Artifact(zone=…, key="models/")',
    )
