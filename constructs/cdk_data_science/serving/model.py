"""A model as endpoints serve it: its image, its artifact, its role, its network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._images import PrivateRegistry
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving._attachment import attach, check_attachment
from cdk_data_science.serving._image_kinds import Kind, kind_of
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving._role import execution_role
from cdk_data_science.serving.artifact import Artifact, HubArtifact, ModelPackage
from cdk_data_science.serving.containers import Container, check_several


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

    @property
    def several(self) -> bool | None:
        """Whether it has several containers; None if it is not known."""

    @property
    def made_for(self) -> Kind | None:
        """What its image runs on; None if it is not known."""

    @property
    def images(self) -> list[str]:
        """URIs of its images, as far as they are known."""


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
        cache_models: Keep the loaded ones in memory. Off where there are many and each is asked rarely.
        containers: 2 to 15 containers on each instance, in place of a single one. Requests go through them in
            this order, each answer being the request of the next.
        direct: Requests name one container in place of that (``TargetContainerHostname``).
        made_for: What the image runs on: ``cpu``, ``cuda``, ``neuron`` (Inf2, Trn) or ``inf1``. A variant on
            other instances is refused. Default: what the name of an image of AWS says; nothing is known of
            others.
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
        artifact: Artifact | HubArtifact | None = None,
        package: ModelPackage | None = None,
        environment: Mapping[str, str] | None = None,
        multi_model: bool = False,
        cache_models: bool = True,
        containers: Sequence[Container] = (),
        direct: bool = False,
        made_for: Kind | None = None,
        private_registry: PrivateRegistry | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool = True,
        role: iam.IRole | None = None,
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("Model", self).one("artifact", artifact, Artifact, HubArtifact)
        kinds.one("package", package, ModelPackage).many("containers", containers, Container)
        kinds.raise_if_any()
        problems = Problems("Model", self)
        all_of_them = list(containers) or [
            Container(
                image=image,
                artifact=artifact,
                package=package,
                environment=environment or {},
                multi_model=multi_model,
                cache_models=cache_models,
                private_registry=private_registry,
            )
        ]
        if containers:
            _check_alone(
                problems, image, artifact, package, environment, multi_model, cache_models, private_registry
            )
            check_several(problems, all_of_them, direct=direct)
        problems.check(
            bool(containers) or not direct,
            given="direct=True without containers",
            allowed="it only where there are several containers to choose from",
            write="containers=[Container(name=…), …]",
        )
        for each in all_of_them:
            each.check(problems, self, in_vpc=vpc is not None)
        check_attachment(problems, vpc, subnets, security_groups)
        problems.raise_if_any()
        self.in_vpc = vpc is not None
        self.isolated = network_isolation
        self.multi_model = any(each.multi_model for each in all_of_them)
        self.several = len(all_of_them) > 1
        self.made_for = made_for if made_for is not None else _kind(all_of_them)
        self.images = [each.image for each in all_of_them if each.image is not None]
        self._containers = all_of_them
        self.role = role if role is not None else execution_role(self, f"Role{_digest(all_of_them)}")
        self.grant_load(self.role)
        rendered = [each.render() for each in all_of_them]
        self.model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=network_isolation,
            primary_container=None if self.several else rendered[0],
            containers=rendered if self.several else None,
            inference_execution_config=sagemaker.CfnModel.InferenceExecutionConfigProperty(
                mode="Direct" if direct else "Serial"
            )
            if self.several
            else None,
            vpc_config=self._attached(vpc, subnets, security_groups),
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

    def grant_load(self, role: iam.IRole) -> None:
        """Let another role load the model: its artifact and its image.

        Args:
            role: Such as that of an endpoint whose components share one.
        """
        for each in self._containers:
            each.allow(role)

    def _attached(
        self,
        vpc: ec2.IVpc | None,
        selection: ec2.SubnetSelection | None,
        groups: Sequence[ec2.ISecurityGroup] | None,
    ) -> sagemaker.CfnModel.VpcConfigProperty | None:
        if vpc is None:
            return None
        subnets, ids = attach(self, self.role, vpc, selection, groups)
        return sagemaker.CfnModel.VpcConfigProperty(subnets=subnets, security_group_ids=ids)


class _ImportedModel(Construct):
    """A model that something else owns."""

    in_vpc = None
    isolated = None
    multi_model = None
    several = None
    made_for = None
    images: ClassVar[list[str]] = []

    def __init__(self, scope: Construct, id: str, model_name: str, role: iam.IRole | None) -> None:
        super().__init__(scope, id)
        self.model_name = model_name
        self.role = role


def _digest(containers: Sequence[Container]) -> str:
    """What the role may read, in eight letters; what is known only at deployment is left out."""
    parts = [part for each in containers for part in each.parts()]
    said = "\n".join("" if part is None or is_token(part) else part for part in parts)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def _kind(containers: Sequence[Container]) -> Kind | None:
    """What the first container with a known image runs on, accelerators before processors."""
    found = [kind_of(each.image) for each in containers if each.image is not None]
    known = [each for each in found if each is not None]
    return next((each for each in known if each != "cpu"), known[0] if known else None)


def _check_alone(problems: Problems, *single: object) -> None:
    problems.check(
        single == (None, None, None, None, False, True, None),
        given="containers with image, artifact, package, environment, multi_model, cache_models or "
        "private_registry",
        allowed="these on each of the containers",
        write="containers=[Container(image=…, artifact=…), …]",
    )
