"""What a model is made of: an archive or folder of the lake, or a version of the registry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science._acknowledgements import acknowledge_wildcards
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

    @property
    def place(self) -> str:
        """The zone's name."""
        return self.zone.name

    def grant_read(self, role: iam.IRole) -> None:
        """Let a role read it."""
        self.zone.grant_read(role, self.key)

    def source(self) -> sagemaker.CfnModel.ModelDataSourceProperty | None:
        """What SageMaker loads it from; None for an archive, which is named by its URL."""
        if not self.folder:
            return None
        return sagemaker.CfnModel.ModelDataSourceProperty(
            s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                compression_type="None", s3_data_type="S3Prefix", s3_uri=self.uri
            )
        )

    def check(self, problems: Problems) -> None:
        """Report a key that SageMaker cannot load."""
        problems.check(
            is_token(self.key) or FOLDER.fullmatch(self.key) is not None or self.key.endswith(".tar.gz"),
            given=f"artifact key {self.key!r}",
            allowed="the key of a .tar.gz archive, or a folder: no slash at the start, one at the end",
            write='key="models/model.tar.gz"',
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class HubArtifact:
    """What a hub of models offers, in a bucket of its publisher; often under a licence of its own.

    See https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html
    """

    bucket: str
    """Name of the bucket, such as ``jumpstart-cache-prod-eu-west-1``."""
    key: str
    """A folder that ends in a slash, or a ``.tar.gz`` archive."""
    accept_license: bool | None = None
    """True: you have read the model's licence and accept it. SageMaker serves no gated model without it.
    Default: the model has none that would have to be accepted."""
    hub_content_arn: str | None = None
    """The model's ARN in a private hub, where it is reached through one."""

    @property
    def uri(self) -> str:
        """The artifact's S3 URI."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def place(self) -> str:
        """The bucket's name."""
        return self.bucket

    @property
    def folder(self) -> bool:
        """Whether it is a folder, not an archive."""
        return not is_token(self.key) and self.key.endswith("/")

    def grant_read(self, role: iam.IRole) -> None:
        """Let a role read it; the publisher's bucket policy lets everybody."""
        bucket = f"arn:{Aws.PARTITION}:s3:::{self.bucket}"
        objects = f"{bucket}/{self.key}{'*' if self.folder else ''}"
        iam.Grant.add_to_principal(grantee=role, actions=["s3:GetObject"], resource_arns=[objects])
        iam.Grant.add_to_principal(
            grantee=role,
            actions=["s3:ListBucket"],
            resource_arns=[bucket],
            conditions={"StringLike": {"s3:prefix": f"{self.key}*" if self.folder else self.key}},
        )
        if self.folder:
            acknowledge_wildcards(
                role, role, [objects], "The files of one model in the bucket of its publisher."
            )

    def source(self) -> sagemaker.CfnModel.ModelDataSourceProperty:
        """What SageMaker loads it from."""
        hub = self.hub_content_arn
        return sagemaker.CfnModel.ModelDataSourceProperty(
            s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                compression_type="None" if self.folder else "Gzip",
                s3_data_type="S3Prefix" if self.folder else "S3Object",
                s3_uri=self.uri,
                model_access_config=None
                if self.accept_license is None
                else sagemaker.CfnModel.ModelAccessConfigProperty(accept_eula=self.accept_license),
                hub_access_config=None
                if hub is None
                else sagemaker.CfnModel.HubAccessConfigProperty(hub_content_arn=hub),
            )
        )

    def check(self, problems: Problems) -> None:
        """Report what SageMaker cannot load, or may not."""
        problems.check(
            is_token(self.key) or FOLDER.fullmatch(self.key) is not None or self.key.endswith(".tar.gz"),
            given=f"artifact key {self.key!r}",
            allowed="the key of a .tar.gz archive, or a folder: no slash at the start, one at the end",
            write='key="meta-textgeneration/…/artifacts/inference-prepack/v1.0.0/"',
        )
        problems.check(
            self.accept_license is not False,
            given="accept_license=False",
            allowed="True once you have read the licence and accept it: SageMaker does not serve the model "
            "without; None for a model without one",
            write="accept_license=True",
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
    artifact: Artifact | HubArtifact | None,
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
        not multi_model or (isinstance(artifact, Artifact) and artifact.folder),
        given="multi_model without a folder",
        allowed="an artifact that is a folder of archives in the lake",
        write='artifact=Artifact(zone=…, key="models/")',
    )
