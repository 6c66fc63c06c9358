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
from typing import Any

from aws_cdk import Annotations, CfnResource, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError, is_token
from constructs import Construct, IConstruct

_CONTAINER = "LakeFormationGrants"

Resource = lakeformation.CfnPrincipalPermissions.ResourceProperty


class Catalog:
    """The Lake Formation side of one zone: its database, and what must exist before a permission on it."""

    def __init__(
        self, zone: Construct, zone_name: str, database_name: str, *, administered: bool = True
    ) -> None:
        """

        Args:
            administered: Whether the deploying role is known to administer Lake Formation.
        """
        self._zone = zone
        self._label = zone_name
        self._database_name = database_name
        self._prerequisites: list[CfnResource] = []
        self._administered = administered

    def after(self, *resources: CfnResource) -> None:
        """Grant permissions only after these resources, where they share a stack."""
        self._prerequisites.extend(resources)

    def grant(self, grantee: iam.IGrantable, *, database: Sequence[str], tables: Sequence[str]) -> None:
        """Grant permissions on the database, and on all tables in it, each at most once for a principal."""
        identifier = principal_identifier(grantee)
        if identifier is None:
            return  # an AWS service reads S3 only; it is no principal of the catalog
        stack = self._stack_for(grantee)
        self._tell_of_unknown_administrator()
        catalog_id = Stack.of(self._zone).account
        on_database = Resource(
            database=lakeformation.CfnPrincipalPermissions.DatabaseResourceProperty(
                catalog_id=catalog_id, name=self._database_name
            )
        )
        on_all_tables = Resource(
            table=lakeformation.CfnPrincipalPermissions.TableResourceProperty(
                catalog_id=catalog_id, database_name=self._database_name, table_wildcard={}
            )
        )
        for permission in database:
            self._permission(stack, identifier, "Database", on_database, permission)
        for permission in tables:
            self._permission(stack, identifier, "Tables", on_all_tables, permission)

    def grant_credentials(self, principal: IConstruct) -> iam.Grant:
        """Let a role or user ask Lake Formation for credentials.

        In a policy of its own, so that what is acknowledged here hides nothing in the principal's other
        policies.
        """
        stack = Stack.of(principal)
        container = _child(stack, _CONTAINER)
        name = f"{_digest(stack.resolve(_arn(principal)))}Credentials"
        policy: Any = container.node.try_find_child(name)
        if policy is None:
            policy = iam.Policy(container, name)
            attach = policy.attach_to_role if hasattr(principal, "role_arn") else policy.attach_to_user
            attach(principal)
            acknowledge_inline_policy(policy)
            acknowledge(
                policy,
                ["AwsSolutions-IAM5[Resource::*]"],
                "lakeformation:GetDataAccess, the only action of this policy, has no resource type in IAM. "
                "It yields credentials only for tables on which Lake Formation has granted this principal a "
                "permission.",
            )
        return iam.Grant.add_to_principal(
            grantee=policy, actions=["lakeformation:GetDataAccess"], resource_arns=["*"]
        )

    def _tell_of_unknown_administrator(self) -> None:
        """Say at synthesis what would otherwise be said by a failed deployment."""
        if not self._administered:
            Annotations.of(self._zone).add_info_v2(
                "cdk-data-science:lake-formation-administrator",
                "Lake Formation accepts permissions only from one of its administrators. Make the role that "
                "deploys these stacks one of them, by LakeFormation(administer=True) in one stack of the "
                "account or elsewhere, and acknowledge this; or leave access to IAM alone by "
                "lake_formation=None.",
            )

    def _permission(
        self, stack: Stack, principal: str, kind: str, resource: Resource, permission: str
    ) -> None:
        """Create one permission in the grantee's stack, unless it is there already."""
        container = _container(stack, f"{self._label}{Names.node_unique_id(self._zone.node)[-8:]}")
        name = f"{_digest(stack.resolve(principal))}{kind}{permission.title().replace('_', '')}"
        if container.node.try_find_child(name) is not None:
            return
        previous = container.node.children[-1] if container.node.children else None
        created = lakeformation.CfnPrincipalPermissions(
            container,
            name,
            principal=lakeformation.CfnPrincipalPermissions.DataLakePrincipalProperty(
                data_lake_principal_identifier=principal
            ),
            resource=resource,
            permissions=[permission],
            permissions_with_grant_option=[],
        )
        if previous is not None:
            created.node.add_dependency(previous)
        for prerequisite in self._prerequisites:
            if Stack.of(prerequisite) == stack:
                created.add_resource_dependency(prerequisite)

    def _stack_for(self, grantee: iam.IGrantable) -> Stack:
        """The grantee's own stack, so that no consumer is written into the lake's template."""
        lake = Stack.of(self._zone)
        consumer = principal_construct(grantee)
        if consumer is None:
            return lake
        stack = Stack.of(consumer)
        for what, here, there in (
            ("account", lake.account, stack.account),
            ("region", lake.region, stack.region),
        ):
            if here != there and not is_token(here) and not is_token(there):
                raise ConfigurationError(
                    f"{self._zone.node.path}: given a grantee in {what} {there} ({consumer.node.path}); "
                    f"allowed: {what} {here}, where the lake's catalog is; write: "
                    f"zone.grant_read(iam.Role.from_role_arn(lake_stack, …, role_arn))"
                )
        return stack


def principal_identifier(grantee: iam.IGrantable) -> str | None:
    """What Lake Formation calls the grantee: an ARN or an account; None for AWS services."""
    principal: Any = grantee.grant_principal
    identifier = _arn(principal)
    if identifier is not None:
        return identifier
    if hasattr(principal, "service_name") or hasattr(principal, "service"):
        return None
    raise ConfigurationError(
        f"Lake Formation: given a grantee of type {type(principal).__name__}; allowed: a role, a user, an "
        "account or an AWS service (IAM groups and wrapped principals are not known to Lake Formation); "
        "write: zone.grant_read(role), or DataLake(…, lake_formation=None)"
    )


def _arn(principal: Any) -> str | None:
    for attribute in ("role_arn", "user_arn", "account_id", "arn"):
        identifier = getattr(principal, attribute, None)
        if identifier is not None:
            return str(identifier)
    return None


def principal_construct(grantee: iam.IGrantable) -> IConstruct | None:
    """The role or user behind a grantee, if it is part of the app."""
    principal: Any = grantee.grant_principal
    return principal if hasattr(principal, "node") else None


def _container(stack: Stack, label: str) -> Construct:
    """The stack's grants on one database."""
    return _child(_child(stack, _CONTAINER), label)


def _child(scope: Construct, name: str) -> Construct:
    found: Any = scope.node.try_find_child(name)
    return found if found is not None else Construct(scope, name)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
