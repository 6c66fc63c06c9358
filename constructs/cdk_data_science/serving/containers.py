"""A model's containers: what each is made of, and what the model's role needs for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._images import PrivateRegistry, allow_pull, check_image
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving._limits import NAME
from cdk_data_science.serving.artifact import Artifact, HubArtifact, ModelPackage, check_source

_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_VARIABLES = 100
_LONGEST_VARIABLE = 1024
_FEWEST, _MOST = 2, 15

Property = sagemaker.CfnModel.ContainerDefinitionProperty


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container of a model."""

    name: str | None = None
    """What its log and metrics are told by, and what requests name (``TargetContainerHostname``) where each
    container is asked for itself: 1 to 63 letters, digits and hyphens. Of several, all have one or none."""
    image: str | None = None
    """URI of the image, as of :class:`Model`."""
    artifact: Artifact | HubArtifact | None = None
    """The trained model; none where the image holds it."""
    package: ModelPackage | None = None
    """A version in the model registry, in place of ``image`` and ``artifact``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables: at most 100, each value at most 1024 characters."""
    multi_model: bool = False
    """Load models from the artifact's folder as requests name them (``TargetModel``)."""
    cache_models: bool = True
    """Keep the loaded models of a multi-model container in memory. Off where there are many and each is asked
    rarely."""
    private_registry: PrivateRegistry | None = None
    """The image is in a Docker registry that the VPC reaches. Default: it is in ECR."""

    @property
    def reads(self) -> Artifact | HubArtifact | None:
        """What has to be read, as far as it is known."""
        return self.artifact if self.package is None else self.package.artifact

    def check(self, problems: Problems, scope: Construct, *, in_vpc: bool) -> None:
        """Report what SageMaker would refuse."""
        check_source(
            problems,
            image=self.image,
            artifact=self.artifact,
            package=self.package,
            multi_model=self.multi_model,
        )
        _check_environment(problems, self.environment)
        if self.image is not None:
            check_image(
                self.image,
                problems,
                region=Stack.of(scope).region,
                registry=self.private_registry,
                in_vpc=in_vpc,
            )
        problems.check(
            self.cache_models or self.multi_model,
            given="cache_models=False of a container that is not multi_model",
            allowed="it only where models are loaded as requests name them",
            write="multi_model=True",
        )
        problems.check(
            self.name is None or NAME.fullmatch(self.name) is not None,
            given=f"container name {self.name!r}",
            allowed="1 to 63 letters, digits and hyphens, with a letter or digit at both ends",
            write='name="ranker"',
        )

    def allow(self, role: iam.IRole) -> None:
        """Let a role load what the container is made of."""
        if self.reads is not None:
            self.reads.grant_read(role)
        images = () if self.package is None else self.package.images
        for each in (self.image,) if self.image is not None else images:
            allow_pull(role, each)
        if self.private_registry is not None and self.private_registry.credentials is not None:
            iam.Grant.add_to_principal(
                grantee=role,
                actions=["lambda:InvokeFunction"],
                resource_arns=[self.private_registry.credentials.function_arn],
            )

    def parts(self) -> list[str | None]:
        """What the role may read for it, as text."""
        read = self.reads
        return [
            self.image,
            None if self.package is None else self.package.arn,
            *(() if self.package is None else self.package.images),
            None if read is None else read.place,
            None if read is None else read.key,
        ]

    def render(self) -> Property:
        """Return the container as CloudFormation has it."""
        source = None
        if self.artifact is not None and not self.multi_model:
            source = self.artifact.source()
        registry = self.private_registry
        return Property(
            container_hostname=self.name,
            image=self.image,
            image_config=None if registry is None else _image_config(registry),
            model_package_name=None if self.package is None else self.package.arn,
            model_data_source=source,
            model_data_url=self.artifact.uri if self.artifact is not None and source is None else None,
            mode="MultiModel" if self.multi_model else None,
            multi_model_config=None
            if self.cache_models
            else sagemaker.CfnModel.MultiModelConfigProperty(model_cache_setting="Disabled"),
            environment=dict(self.environment) or None,
        )


def check_several(problems: Problems, containers: Sequence[Container], *, direct: bool) -> None:
    """Report containers that cannot be of one model."""
    names = [each.name for each in containers]
    problems.check(
        _FEWEST <= len(containers) <= _MOST,
        given=f"{len(containers)} containers",
        allowed=f"{_FEWEST} to {_MOST}; a single one is given by image and artifact",
        write="Model(…, image=…, artifact=…)",
    )
    problems.check(
        all(names) or (not any(names) and not direct),
        given="containers without names" + (" and direct=True" if direct else " beside others with names"),
        allowed="a name for each, by which requests choose it"
        if direct
        else "names for all containers or for none",
        write='Container(name="ranker", …)',
    )
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    problems.check(
        not twice,
        given=f"several containers of the name {', '.join(map(repr, twice))}",
        allowed="a name of its own for each",
    )


def _image_config(registry: PrivateRegistry) -> sagemaker.CfnModel.ImageConfigProperty:
    credentials = registry.credentials
    return sagemaker.CfnModel.ImageConfigProperty(
        repository_access_mode="Vpc",
        repository_auth_config=None
        if credentials is None
        else sagemaker.CfnModel.RepositoryAuthConfigProperty(
            repository_credentials_provider_arn=credentials.function_arn
        ),
    )


def _check_environment(problems: Problems, environment: Mapping[str, str]) -> None:
    problems.check(
        len(environment) <= _MOST_VARIABLES,
        given=f"environment of {len(environment)} variables",
        allowed=f"at most {_MOST_VARIABLES}",
    )
    for name, value in environment.items():
        problems.check(
            _VARIABLE.fullmatch(name) is not None and len(name) <= _LONGEST_VARIABLE,
            given=f"environment variable {name!r}",
            allowed="letters, digits and underscores, at most 1024, no digit first",
        )
        problems.check(
            is_token(value) or len(value) <= _LONGEST_VARIABLE,
            given=f"environment variable {name!r} of {len(value)} characters",
            allowed=f"at most {_LONGEST_VARIABLE}",
        )
