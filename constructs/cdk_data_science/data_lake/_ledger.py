"""Lake Formation permissions, one resource for each of them, that wait for each other.

Several permissions in one resource, and several resources of one database that are created at the same
moment, fail in CloudFormation although the permission is granted
(https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1323 and 2500).
So each resource holds one permission, and those of a database wait for each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct, IConstruct

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

    elsewhere: bool = False
    """Whether it is another account, whose own administrators hand the permission on."""


@dataclass(slots=True)
class _Page:
    """What was granted in one stack, in the order in which it is created."""

    scope: Construct
    granted: dict[str, CfnResource] = field(default_factory=dict)


class Ledger:
    """Each permission on one part of the lake, at most once for a principal.

    Args:
        owner: What the permissions are on.
        label: Its part of logical ids.
    """

    def __init__(self, owner: Construct, label: str) -> None:
        self._stack = Stack.of(owner)
        self._label = label
        self._prerequisites: list[CfnResource] = []
        self._pages: dict[Stack, _Page] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was granted yet."""
        return not self._pages

    def after(self, *resources: CfnResource) -> None:
        """Grant only after these resources of the owner, where permissions share its stack."""
        self._prerequisites.extend(resources)

    def scope_in(self, stack: Stack) -> Construct:
        """Where the permissions of one stack are."""
        return self._page(stack).scope

    def add(
        self,
        principal: Principal,
        kind: str,
        resource: Resource,
        permission: str,
        *,
        after: Iterable[CfnResource] = (),
    ) -> CfnResource:
        """Create one permission, unless it is there already.

        Args:
            kind: What it is on, for the logical id: the same for the same resource.
            after: What it is on, if that is made by this app.
        """
        page = self._page(principal.stack)
        name = f"{principal.label}{kind}{permission.title().replace('_', '')}"
        if name in page.granted:
            return page.granted[name]
        created = lakeformation.CfnPrincipalPermissions(
            page.scope,
            name,
            principal=lakeformation.CfnPrincipalPermissions.DataLakePrincipalProperty(
                data_lake_principal_identifier=principal.identifier
            ),
            resource=resource,
            permissions=[permission],
            permissions_with_grant_option=[permission] if principal.elsewhere else [],
        )
        if page.granted:
            created.add_resource_dependency(next(reversed(page.granted.values())))
        for made in after:
            created.add_resource_dependency(made)
        self.wait(created)
        page.granted[name] = created
        return created

    def wait(self, resource: CfnResource) -> None:
        """Create a resource only after what has to be there before."""
        if Stack.of(resource) is self._stack:
            for prerequisite in self._prerequisites:
                resource.add_resource_dependency(prerequisite)

    def _page(self, stack: Stack) -> _Page:
        if stack not in self._pages:
            self._pages[stack] = _Page(Construct(container(stack), self._label))
        return self._pages[stack]


def container(stack: Stack) -> Construct:
    """Where a stack's grants are."""
    found: Any = stack.node.try_find_child(_CONTAINER)
    return found if found is not None else Construct(stack, _CONTAINER)


def digest(value: Any) -> str:
    """Twelve characters that follow from a value alone."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
