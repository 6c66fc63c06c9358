"""What every domain can do, built here or imported: who may open it, and whose names are taken in it."""

from __future__ import annotations

from typing import Protocol

from aws_cdk import CustomResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science._validation import ConfigurationError
from cdk_data_science.security import PermissionBoundary
from cdk_data_science.security.duties import USER_TAG
from cdk_data_science.studio._ending import StudioEnding
from cdk_data_science.studio._names import NamesInDomain, StudioIdentity
from cdk_data_science.studio._profile_defaults import ProfileDefaults


class IStudioDomain(IConstruct, Protocol):
    """What teams, people and dashboards need of a domain, whether it was built here or imported."""

    @property
    def domain_id(self) -> str:
        """The domain's id."""

    @property
    def domain_arn(self) -> str:
        """The domain's ARN."""

    @property
    def name(self) -> str:
        """What it is called in descriptions: its name, or its id if that is all that is known."""

    @property
    def identity(self) -> StudioIdentity:
        """How people enter."""

    @property
    def key(self) -> kms.IKey | None:
        """What encrypts the volumes of spaces; None for a key of AWS."""

    @property
    def boundary(self) -> PermissionBoundary:
        """What bounds the roles of apps, unless a team has a boundary of its own."""

    @property
    def shared_role(self) -> iam.IRole | None:
        """The role of apps in shared spaces; None if there is none, or none is known."""

    @property
    def largest_volume_gb(self) -> int | None:
        """The largest volume that a space may have; None if it is not known."""

    @property
    def mlflow(self) -> IExperimentTracking | None:
        """Where those who train record their runs."""

    @property
    def profiles(self) -> ProfileDefaults:
        """What each profile has of the domain."""

    @property
    def names(self) -> NamesInDomain:
        """The names of teams, users and spaces that constructs of this app have."""

    @property
    def destroy(self) -> bool:
        """Whether files may be lost with the stack."""

    @property
    def ending(self) -> StudioEnding:
        """The function that ends apps and spaces before CloudFormation deletes a profile."""

    @property
    def end(self) -> CustomResource | None:
        """What ends the whole domain, as long as a profile is there; None for an imported one."""

    @property
    def log_key(self) -> kms.IKey:
        """What encrypts logs and dead letters of the functions."""

    @property
    def runtime(self) -> lambda_.Runtime:
        """Python of the functions."""

    @property
    def architecture(self) -> lambda_.Architecture:
        """Processor of the functions."""

    def grant_open(self, role: iam.IRole) -> iam.Grant:
        """Let a role open Studio, each person their own profile alone."""


class StudioDomainBase(Construct):
    """The grants that built and imported domains share."""

    identity: StudioIdentity
    """How people enter."""

    names: NamesInDomain
    """The names of teams, users and spaces that constructs of this app have."""

    @property
    def domain_id(self) -> str:
        """The domain's id."""
        raise NotImplementedError

    @property
    def domain_arn(self) -> str:
        """The domain's ARN."""
        return Stack.of(self).format_arn(service="sagemaker", resource="domain", resource_name=self.domain_id)

    def grant_open(self, role: iam.IRole) -> iam.Grant:
        """Let a role open Studio, each person their own profile alone: the one that the session's tag
        ``studio-user`` names. Trust policies of :class:`~cdk_data_science.security.Personas` let nobody give
        themselves another's tag.

        Raises:
            ConfigurationError: In a domain that is entered with IAM Identity Center.
        """
        if self.identity is StudioIdentity.IDENTITY_CENTER:
            raise ConfigurationError(
                f"{self.node.path}: given grant_open for a domain that is entered with IAM Identity Center; "
                "allowed: assignments of people and groups to the application there"
            )
        profile = f"{self.domain_id}/${{aws:PrincipalTag/{USER_TAG}}}"
        return iam.Grant.add_to_principal(
            grantee=role,
            actions=["sagemaker:CreatePresignedDomainUrl", "sagemaker:DescribeUserProfile"],
            resource_arns=[
                Stack.of(self).format_arn(service="sagemaker", resource="user-profile", resource_name=profile)
            ],
        )
