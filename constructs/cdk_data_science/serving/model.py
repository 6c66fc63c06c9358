"""A model as endpoints serve it: its image, its artifact, its role, its network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._images import PrivateRegistry, check_image
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving._role import allow_image, allow_network, execution_role
from cdk_data_science.serving.artifact import Artifact, ModelPackage, check_source

_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_VARIABLES = 100
_LONGEST_VARIABLE = 1024


class IModel(Protocol):
    """What an endpoint needs of a model, whether it was built here or imported."""

    @property
    def model_name(self) -> str:
        """The model's name."""

    @property
    def role(self) -> iam.IRole | None:
        """Whose permissions its containers have; None if it is not known."""

    @property
    def in_vpc(self) -> bool | None:
        """Whether its containers are attached to a VPC; None if it is not known."""

    @property
    def isolated(self) -> bool | None:
        """Whether its containers have no network; None if it is not known."""

    @property
    def multi_model(self) -> bool | None:
        """Whether it loads many models from one folder; None if it is not known."""


class Model(Construct):
    """A SageMaker model: an image, an artifact from the lake, and a role that may read these two and no more.

    The role is the model's own. SageMaker alone can take it, for this account. Each endpoint that serves the
    model adds its log, and the folders that it captures data to. Another artifact or image makes another
    role: the old one goes when the update is over, so that the old fleet can read its artifact until then, to
    grow or to be rolled back to.

    The containers have no network of their own unless ``network_isolation=False``: SageMaker brings the
    artifact. CloudFormation names the model, so that any change can replace it.

    At rest it costs nothing.

    Example:
        ```python
        from cdk_data_science import Artifact, DataLake, Model

        lake = DataLake(self, "Lake")
        model = Model(
            self,
            "Reviews",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            artifact=Artifact(zone=lake.models, key="models/reviews/1/model.tar.gz"),
            environment={"SAGEMAKER_PROGRAM": "inference.py"},
        )
        ```

    Args:
        image: URI of the image, at most 255 characters: in ECR of the stack's own region, or in a private
            registry.
        artifact: The trained model; none where the image holds it.
        package: A version in the model registry, in place of ``image`` and ``artifact``.
        environment: Variables of the container: at most 100, each value at most 1024 characters.
        multi_model: Load models from the artifact's folder as requests name them (``TargetModel``).
        private_registry: The image is in a Docker registry that the VPC reaches. Default: it is in ECR.
        vpc: VPC that the containers are attached to. Default: a network of AWS.
        subnets: Default: private subnets with a way out, or else those without.
        security_groups: Default: a new one that lets nothing in.
        network_isolation: Give the containers no network, neither AWS nor others. Default: True.
        role: Execution role. Default: a new one for each artifact. A given one gets the permission for a new
            artifact in place of that for the old one, before the endpoint is updated: let it read the folder.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html
    """

    role: iam.IRole
    """Whose permissions the containers have."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        image: str | None = None,
        artifact: Artifact | None = None,
        package: ModelPackage | None = None,
        environment: Mapping[str, str] | None = None,
        multi_model: bool = False,
        private_registry: PrivateRegistry | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool = True,
        role: iam.IRole | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("Model", self)
        check_source(problems, image=image, artifact=artifact, package=package, multi_model=multi_model)
        _check_environment(problems, environment or {})
        if image is not None:
            check_image(
                image,
                problems,
                region=Stack.of(self).region,
                registry=private_registry,
                in_vpc=vpc is not None,
            )
        problems.check(
            vpc is not None or (subnets is None and security_groups is None),
            given="subnets or security_groups without vpc",
            allowed="both only in a VPC",
            write="vpc=vpc",
        )
        problems.raise_if_any()
        self.in_vpc = vpc is not None
        self.isolated = network_isolation
        self.multi_model = multi_model
        self.role = (
            role if role is not None else execution_role(self, f"Role{_digest(image, artifact, package)}")
        )
        self._allow(image, artifact, package, private_registry)
        self.model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=network_isolation,
            primary_container=_container(
                image, artifact, package, environment, multi_model, private_registry
            ),
            vpc_config=None if vpc is None else self._attach(vpc, subnets, security_groups),
        )
        # SageMaker reads artifact and image as soon as an endpoint starts: the permissions are there before.
        self.model.node.add_dependency(self.role)
        self.model_name = self.model.attr_model_name
        self.node.default_child = self.model

    @staticmethod
    def from_model_name(
        scope: Construct, id: str, model_name: str, *, role: iam.IRole | None = None
    ) -> IModel:
        """Use a model that exists.

        Args:
            model_name: Its name in this account and region.
            role: Its execution role, if endpoints shall extend it. Default: it has what it needs.
        """
        return _ImportedModel(scope, id, model_name, role)

    def _allow(
        self,
        image: str | None,
        artifact: Artifact | None,
        package: ModelPackage | None,
        registry: PrivateRegistry | None,
    ) -> None:
        read = artifact if package is None else package.artifact
        if read is not None:
            read.zone.grant_read(self.role, read.key)
        for each in (image,) if image is not None else (package.images if package is not None else ()):
            allow_image(self.role, each)
        if registry is not None and registry.credentials is not None:
            iam.Grant.add_to_principal(
                grantee=self.role,
                actions=["lambda:InvokeFunction"],
                resource_arns=[registry.credentials.function_arn],
            )

    def _attach(
        self,
        vpc: ec2.IVpc,
        selection: ec2.SubnetSelection | None,
        groups: Sequence[ec2.ISecurityGroup] | None,
    ) -> sagemaker.CfnModel.VpcConfigProperty:
        allow_network(self.role)
        if groups is None:
            groups = [
                ec2.SecurityGroup(
                    self, "SecurityGroup", vpc=vpc, description="Model containers; nothing is let in"
                )
            ]
        chosen = selection if selection is not None else ec2.SubnetSelection()
        subnets = vpc.select_subnets(
            availability_zones=chosen.availability_zones,
            one_per_az=chosen.one_per_az,
            subnet_filters=chosen.subnet_filters,
            subnet_group_name=chosen.subnet_group_name,
            subnets=chosen.subnets,
            subnet_type=chosen.subnet_type,
        )
        return sagemaker.CfnModel.VpcConfigProperty(
            subnets=subnets.subnet_ids, security_group_ids=[group.security_group_id for group in groups]
        )


class _ImportedModel(Construct):
    """A model that something else owns."""

    in_vpc = None
    isolated = None
    multi_model = None

    def __init__(self, scope: Construct, id: str, model_name: str, role: iam.IRole | None) -> None:
        super().__init__(scope, id)
        self.model_name = model_name
        self.role = role


def _digest(image: str | None, artifact: Artifact | None, package: ModelPackage | None) -> str:
    """What the role may read, in eight letters; what is known only at deployment is left out."""
    read = artifact if package is None else package.artifact
    parts = [
        image,
        None if package is None else package.arn,
        *(() if package is None else package.images),
        None if read is None else read.zone.name,
        None if read is None else read.key,
    ]
    said = "\n".join("" if part is None or is_token(part) else part for part in parts)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def _container(
    image: str | None,
    artifact: Artifact | None,
    package: ModelPackage | None,
    environment: Mapping[str, str] | None,
    multi_model: bool,
    registry: PrivateRegistry | None,
) -> sagemaker.CfnModel.ContainerDefinitionProperty:
    source = None
    if artifact is not None and artifact.folder and not multi_model:
        source = sagemaker.CfnModel.ModelDataSourceProperty(
            s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                compression_type="None", s3_data_type="S3Prefix", s3_uri=artifact.uri
            )
        )
    return sagemaker.CfnModel.ContainerDefinitionProperty(
        image=image,
        image_config=None if registry is None else _image_config(registry),
        model_package_name=None if package is None else package.arn,
        model_data_source=source,
        model_data_url=artifact.uri if artifact is not None and source is None else None,
        mode="MultiModel" if multi_model else None,
        environment=dict(environment) if environment else None,
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
