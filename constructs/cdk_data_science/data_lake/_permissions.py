"""Lake Formation permissions for a zone's database, one resource for each of them.

Several permissions in one resource, and several resources of one database that are created at the same
moment, fail in CloudFormation although the permission is granted
(https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1323 and 2500).
So each resource holds one permission, and those of a database wait for each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Annotations, CfnResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError, is_token

_CONTAINER = "LakeFormationGrants"

Resource = lakeformation.CfnPrincipalPermissions.ResourceProperty


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """A grantee as Lake Formation sees it, and where its permissions are written."""

    identifier: str
    """An ARN or an account."""

    construct: IConstruct | None
    """The role or user, if it is part of the app."""

    stack: Stack
    """Where its permissions go: its own stack, so that no consumer is written into the lake's template."""

    label: str
    """Its part of logical ids: the same for two imports of one role."""


@dataclass(slots=True)
class _Ledger:
    """The permissions on one database in one stack, in the order in which they are created."""

    scope: Construct
    granted: dict[str, CfnResource] = field(default_factory=dict)


class Catalog:
    """The Lake Formation side of one zone: its database, and what must exist before a permission on it.

    Args:
        zone: The zone, built or imported.
        zone_name: Its name, for logical ids.
        database_name: Its database.
        administered: Whether the deploying role is known to administer Lake Formation.
    """

    def __init__(
        self, zone: Construct, zone_name: str, database_name: str, *, administered: bool = True
    ) -> None:
        self._zone = zone
        self._stack = Stack.of(zone)
        self._label = f"{zone_name}{zone.node.addr[-8:]}"
        self._administered = administered
        self._prerequisites: list[CfnResource] = []
        self._ledgers: dict[Stack, _Ledger] = {}
        account = self._stack.account
        self._database = Resource(
            database=lakeformation.CfnPrincipalPermissions.DatabaseResourceProperty(
                catalog_id=account, name=database_name
            )
        )
        self._all_tables = Resource(
            table=lakeformation.CfnPrincipalPermissions.TableResourceProperty(
                catalog_id=account, database_name=database_name, table_wildcard={}
            )
        )

    def after(self, *resources: CfnResource) -> None:
        """Grant permissions only after these resources of the lake, where they share its stack."""
        self._prerequisites.extend(resources)

    def principal(self, grantee: iam.IGrantable) -> Principal | None:
        """The grantee as Lake Formation sees it; None for AWS services, which read S3 only."""
        identifier = _identifier(grantee.grant_principal)
        if identifier is None:
            return None
        construct = principal_construct(grantee)
        stack = self._stack if construct is None else Stack.of(construct)
        self._refuse_elsewhere(construct, stack)
        return Principal(
            identifier=identifier, construct=construct, stack=stack, label=_digest(stack.resolve(identifier))
        )

    def permit(self, principal: Principal, *, database: Sequence[str], tables: Sequence[str]) -> None:
        """Permissions on the database, and on all tables in it, each at most once for a principal."""
        self._tell_of_unknown_administrator()
        for permission in database:
            self._permission(principal, "Database", self._database, permission)
        for permission in tables:
            self._permission(principal, "Tables", self._all_tables, permission)

    def _permission(self, principal: Principal, kind: str, resource: Resource, permission: str) -> None:
        """Create one permission, unless it is there already."""
        stack = principal.stack
        if stack not in self._ledgers:
            self._ledgers[stack] = _Ledger(Construct(_child(stack, _CONTAINER), self._label))
        ledger = self._ledgers[stack]
        name = f"{principal.label}{kind}{permission.title().replace('_', '')}"
        if name in ledger.granted:
            return
        created = lakeformation.CfnPrincipalPermissions(
            ledger.scope,
            name,
            principal=lakeformation.CfnPrincipalPermissions.DataLakePrincipalProperty(
                data_lake_principal_identifier=principal.identifier
            ),
            resource=resource,
            permissions=[permission],
            permissions_with_grant_option=[],
        )
        if ledger.granted:
            created.add_resource_dependency(next(reversed(ledger.granted.values())))
        if stack is self._stack:
            for prerequisite in self._prerequisites:
                created.add_resource_dependency(prerequisite)
        ledger.granted[name] = created

    def _refuse_elsewhere(self, construct: IConstruct | None, stack: Stack) -> None:
        """A catalog is in one account and region, and so are its permissions."""
        if construct is None or stack is self._stack:
            return
        for what, here, there in (
            ("account", self._stack.account, stack.account),
            ("region", self._stack.region, stack.region),
        ):
            if here != there and not is_token(here) and not is_token(there):
                raise ConfigurationError(
                    f"{self._zone.node.path}: given a grantee in {what} {there} ({construct.node.path}); "
                    f"allowed: {what} {here}, where the lake's catalog is; write: "
                    "zone.grant_read(iam.Role.from_role_arn(lake_stack, …, role_arn))"
                )

    def _tell_of_unknown_administrator(self) -> None:
        """Say at synthesis what would otherwise be said by a failed deployment."""
        if not self._administered and not self._ledgers:
            Annotations.of(self._zone).add_info_v2(
                "cdk-data-science:lake-formation-administrator",
                "Lake Formation accepts permissions only from one of its administrators. Make the role that "
                "deploys these stacks one of them, by LakeFormation(administer=True) in one stack of the "
                "account or elsewhere, and acknowledge this; or leave access to IAM alone by "
                "lake_formation=None.",
            )


def let_get_credentials(principal: Principal) -> None:
    """Let a role or user ask Lake Formation for credentials.

    In a policy of its own, so that what is acknowledged here hides nothing in the principal's other policies.
    """
    if principal.construct is None:
        return
    container = _child(principal.stack, _CONTAINER)
    name = f"{principal.label}Credentials"
    if container.node.try_find_child(name) is not None:
        return
    policy = iam.Policy(
        container,
        name,
        statements=[iam.PolicyStatement(actions=["lakeformation:GetDataAccess"], resources=["*"])],
    )
    attachable: Any = principal.construct
    if hasattr(attachable, "role_arn"):
        policy.attach_to_role(attachable)
    else:
        policy.attach_to_user(attachable)
    acknowledge_inline_policy(policy)
    acknowledge(
        policy,
        ["AwsSolutions-IAM5[Resource::*]"],
        "lakeformation:GetDataAccess, the only action of this policy, has no resource type in IAM. It yields "
        "credentials only for tables on which Lake Formation has granted this principal a permission.",
    )


def principal_construct(grantee: iam.IGrantable) -> IConstruct | None:
    """The role or user behind a grantee, if it is part of the app."""
    principal: Any = grantee.grant_principal
    return principal if hasattr(principal, "node") else None


def _identifier(principal: Any) -> str | None:
    for attribute in ("role_arn", "user_arn", "account_id", "arn"):
        identifier = getattr(principal, attribute, None)
        if identifier is not None:
            return str(identifier)
    if hasattr(principal, "service"):
        return None
    raise ConfigurationError(
        f"Lake Formation: given a grantee of type {type(principal).__name__}; allowed: a role, a user, an "
        "account or an AWS service (IAM groups and wrapped principals are not known to Lake Formation); "
        "write: zone.grant_read(role), or DataLake(…, lake_formation=None)"
    )


def _child(scope: Construct, name: str) -> Construct:
    found: Any = scope.node.try_find_child(name)
    return found if found is not None else Construct(scope, name)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
