"""A domain that something else owns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._retention import destruction_allowed
from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.security import PermissionBoundary
from cdk_data_science.studio._domain_base import StudioDomainBase
from cdk_data_science.studio._ending import StudioEnding
from cdk_data_science.studio._names import NamesInDomain, StudioIdentity
from cdk_data_science.studio._profile_defaults import ProfileDefaults

_DOMAIN_ID = re.compile(r"d-[a-z0-9](-*[a-z0-9]){0,60}")
_CONFIGURATION = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:studio-lifecycle-config/.+")

_OF_THE_OWNER = ("defaults", "domain", "url")


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainFunctions:
    """What the functions beside a domain are made with."""

    alerts: AlertTopic | None
    log_key: kms.IKey | None
    runtime: lambda_.Runtime | None
    architecture: lambda_.Architecture | None


class ImportedStudioDomain(StudioDomainBase):
    """A domain that something else owns. What teams need beside it is made when the first of them asks."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        domain_id: str,
        identity: StudioIdentity,
        key: kms.IKey | None,
        shared_role: iam.IRole | None,
        mlflow: IExperimentTracking | None,
        profiles: ProfileDefaults,
        functions: DomainFunctions,
        boundary: PermissionBoundary | None,
        destroy: bool,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("StudioDomain.from_domain_attributes", self)
        problems.check(
            is_token(domain_id) or bool(_DOMAIN_ID.fullmatch(domain_id)),
            given=f"domain_id={domain_id!r}",
            allowed="the id of a domain, which is neither its name nor its ARN",
            write='domain_id="d-abcdefghijkl", of aws sagemaker list-domains',
        )
        for arns in profiles.scripts.values():
            for arn in arns:
                problems.check(
                    is_token(arn) or bool(_CONFIGURATION.fullmatch(arn)),
                    given=f"scripts with {arn!r}",
                    allowed="ARNs of lifecycle configurations of Studio",
                    write="StudioLifecycleConfig(…).arn",
                )
        problems.raise_if_any()
        self._id, self._functions, self._boundary = domain_id, functions, boundary
        self.identity, self.key, self.shared_role, self.mlflow = identity, key, shared_role, mlflow
        self.profiles, self.names = profiles, NamesInDomain()
        self.destroy = destruction_allowed(self, destroy=destroy)
        self.largest_volume_gb = None
        self.end = None
        self.runtime = functions.runtime if functions.runtime is not None else lambda_.Runtime.PYTHON_3_13
        self.architecture = (
            functions.architecture if functions.architecture is not None else lambda_.Architecture.ARM_64
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name in _OF_THE_OWNER:
            raise AttributeError(
                f"{self.node.path}: given {name} of a domain that something else owns; allowed: what "
                "IStudioDomain has; its settings are changed where it was made"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def domain_id(self) -> str:
        """The domain's id."""
        return self._id

    @property
    def name(self) -> str:
        """The domain's id: its name is not known."""
        return self._id

    @cached_property
    def boundary(self) -> PermissionBoundary:
        """What bounds the teams' roles."""
        return self._boundary if self._boundary is not None else PermissionBoundary(self, "Boundary")

    @cached_property
    def log_key(self) -> kms.IKey:
        """What encrypts logs and dead letters."""
        given = self._functions.log_key
        return (
            given
            if given is not None
            else operations_key(self, "LogKey", description=f"Logs of Studio {self.node.path}")
        )

    @cached_property
    def ending(self) -> StudioEnding:
        """The function that ends a user's apps and spaces, and nothing else of the domain."""
        made = StudioEnding(
            self,
            "Ending",
            log_key=self.log_key,
            runtime=self.runtime,
            architecture=self.architecture,
            alerts=self._functions.alerts,
        )
        made.allow_users(self.domain_id)
        return made
