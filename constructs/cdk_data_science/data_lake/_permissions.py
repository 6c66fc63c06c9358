"""The Lake Formation side of a zone: permissions on its database, its tables and parts of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Annotations, CfnResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError, is_token
from cdk_data_science.data_lake._ledger import Ledger, Principal, Resource, container, digest
from cdk_data_science.data_lake.lake_principal import LakePrincipal

_ACCOUNT = re.compile(r"[0-9]{12}")
_OF_ACCOUNT = re.compile(r"arn:[^:]+:iam::([0-9]{12}):")
_MAXIMUM_FILTERS = 100  # of one principal on one table


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Some columns of some rows of a table."""

    columns: tuple[str, ...] | None
    """The columns; None for all but ``excluded``."""

    excluded: tuple[str, ...]
    """Columns that are left out. A column that is added later is not among them."""

    rows: str | None
    """Which rows; None for all."""


class Catalog:
    """The Lake Formation side of one zone: its database, and what must exist before a permission on it.

    Args:
        zone: The zone, built or imported.
        zone_name: Its name, for logical ids.
        database_name: Its database.
        administered: Whether the deploying role is known to administer Lake Formation.
        governed: Whether Lake Formation alone decides there; None if it is not known.
    """

    def __init__(
        self,
        zone: Construct,
        zone_name: str,
        database_name: str,
        *,
        administered: bool = True,
        governed: bool | None = None,
    ) -> None:
        self.governed = governed
        self._zone = zone
        self._stack = Stack.of(zone)
        self._administered = administered
        self._ledger = Ledger(zone, f"{zone_name}{zone.node.addr[-8:]}")
        self._filters: dict[tuple[str, str, str], set[str]] = {}
        self._account = account = self._stack.account
        self._database_name = database_name
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
        self._ledger.after(*resources)

    def prepare(self, resource: CfnResource) -> None:
        """Create a resource of Lake Formation only after what a permission waits for."""
        self._ledger.wait(resource)

    def principal(self, grantee: iam.IGrantable) -> Principal | None:
        """The grantee as Lake Formation sees it; None for AWS services, which read S3 only."""
        identifier = _identifier(grantee.grant_principal)
        if identifier is None:
            return None
        construct = principal_construct(grantee)
        place = grantee.scope if isinstance(grantee, LakePrincipal) else construct
        stack = self._stack if place is None else Stack.of(place)
        self._refuse_elsewhere(place, stack)
        return Principal(
            identifier=identifier,
            construct=construct,
            stack=stack,
            label=digest(stack.resolve(identifier)),
            # In the other account, nobody could use what its administrators may not hand on.
            elsewhere=bool(_ACCOUNT.fullmatch(identifier)) and identifier != self._account,
        )

    def permit(self, principal: Principal, *, database: Sequence[str], tables: Sequence[str]) -> None:
        """Permissions on the database, and on all tables in it, each at most once for a principal."""
        self._tell_of_unknown_administrator()
        for permission in database:
            self._ledger.add(principal, "Database", self._database, permission)
        for permission in tables:
            self._ledger.add(principal, "Tables", self._all_tables, permission)

    def permit_table(
        self, principal: Principal, table: str, permissions: Sequence[str], *, after: Sequence[CfnResource]
    ) -> list[CfnResource]:
        """Permissions on one whole table."""
        self.permit(principal, database=("DESCRIBE",), tables=())
        resource = Resource(
            table=lakeformation.CfnPrincipalPermissions.TableResourceProperty(
                catalog_id=self._account, database_name=self._database_name, name=table
            )
        )
        kind = f"Table{self._digest(table)}"
        return [
            self._ledger.add(principal, kind, resource, permission, after=after) for permission in permissions
        ]

    def permit_location(self, principal: Principal, bucket_arn: str) -> None:
        """Let a principal make tables in the database, over objects of the zone."""
        self.permit(principal, database=("DESCRIBE", "CREATE_TABLE"), tables=())
        resource = Resource(
            data_location=lakeformation.CfnPrincipalPermissions.DataLocationResourceProperty(
                catalog_id=self._account, resource_arn=bucket_arn
            )
        )
        self._ledger.add(principal, "Location", resource, "DATA_LOCATION_ACCESS")

    def permit_cells(
        self, principal: Principal, table: str, cells: Cells, *, after: Sequence[CfnResource]
    ) -> None:
        """Let a principal select some columns of some rows, by a data cells filter.

        Also where no row is left out. Lake Formation adds a plain list of columns to those that the principal
        has on the table, so that taking a resource with an older list away would take columns of the newer
        one with it; and Glue jobs fail on plain lists. A filter has a name of its own: it follows from what
        is let through, so that a change makes a new one beside the old one.
        """
        self.permit(principal, database=("DESCRIBE",), tables=())
        # Two stacks may let the same cells through, each to its own principals.
        name = f"cells-{digest([principal.stack.stack_name, cells.columns, cells.excluded, cells.rows])}"
        mine = self._filters.setdefault((principal.stack.node.path, principal.label, table), set())
        mine.add(name)
        if len(mine) > _MAXIMUM_FILTERS:
            raise ConfigurationError(
                f"{self._zone.node.path}: given {len(mine)} filters for one principal on table {table!r}; "
                f"allowed: at most {_MAXIMUM_FILTERS}; write: one filter with OR between their rows"
            )
        made = self._filter(principal.stack, table, name, cells, after)
        resource = Resource(
            data_cells_filter=lakeformation.CfnPrincipalPermissions.DataCellsFilterResourceProperty(
                table_catalog_id=self._account,
                database_name=self._database_name,
                table_name=table,
                name=name,
            )
        )
        self._ledger.add(
            principal, f"Cells{self._digest([table, name])}", resource, "SELECT", after=(made, *after)
        )

    def _filter(
        self, stack: Stack, table: str, name: str, cells: Cells, after: Sequence[CfnResource]
    ) -> CfnResource:
        """The filter, made once in a stack for all its principals."""
        scope = self._ledger.scope_in(stack)
        child = f"Filter{self._digest([table, name])}"
        found: Any = scope.node.try_find_child(child)
        if found is not None:
            return found  # type: ignore[no-any-return]
        properties = lakeformation.CfnDataCellsFilter
        made = properties(
            scope,
            child,
            table_catalog_id=self._account,
            database_name=self._database_name,
            table_name=table,
            name=name,
            column_names=None if cells.columns is None else list(cells.columns),
            column_wildcard=properties.ColumnWildcardProperty(excluded_column_names=list(cells.excluded))
            if cells.columns is None
            else None,
            row_filter=properties.RowFilterProperty(all_rows_wildcard={})
            if cells.rows is None
            else properties.RowFilterProperty(filter_expression=cells.rows),
        )
        for resource in after:
            made.add_resource_dependency(resource)
        self._ledger.wait(made)
        return made

    def _digest(self, value: Any) -> str:
        return digest(self._stack.resolve(value))

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
        if not self._administered and self._ledger.is_empty:
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
    A principal of another account gets it from that account: a policy here would be attached by name, to
    whoever has the same name in this account.
    """
    if principal.construct is None or _is_foreign(principal):
        return
    scope = container(principal.stack)
    name = f"{principal.label}Credentials"
    if scope.node.try_find_child(name) is not None:
        return
    policy = iam.Policy(
        scope,
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


def _is_foreign(principal: Principal) -> bool:
    found = _OF_ACCOUNT.match(principal.identifier)
    here = principal.stack.account
    return found is not None and not is_token(here) and found[1] != here


def without_policies(grantee: iam.IGrantable) -> bool:
    """Whether Lake Formation alone knows the grantee: policies of IAM cannot name it."""
    return isinstance(grantee, LakePrincipal)


def lake_formation_alone(grantee: iam.IGrantable) -> iam.Grant:
    """What a grant of S3, KMS or Glue is for whom policies cannot name: nothing."""
    return iam.Grant.drop(grantee, "Lake Formation's permissions alone")


def principal_construct(grantee: iam.IGrantable) -> IConstruct | None:
    """The role or user behind a grantee, if it is part of the app."""
    if without_policies(grantee):
        return None
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
