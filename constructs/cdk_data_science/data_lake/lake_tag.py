"""LF-tags: permissions by what data is, in place of where it is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake._ledger import Ledger, Resource, digest
from cdk_data_science.data_lake._permissions import let_get_credentials
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_base import ZoneBase

# What Lake Formation stores: it turns upper case into lower case, and what was written would never match.
_KEY = re.compile(r"[a-z0-9_.:/=+\-@% ]{1,128}")
_VALUE = re.compile(r"[a-z0-9_.:*/=+\-@% ]{1,256}")
_MAXIMUM_VALUES = 1000

_Association = lakeformation.CfnTagAssociation


class LakeTag(Construct):
    """A tag of Lake Formation with its set of values, put on databases, tables and columns, and granted.

    A table has the value of its database and a column that of its table, unless it has one of its own. Who is
    granted a value may select everything that has it, also what gets it later.

    **Costs at rest**: nothing.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.data_lake import DataLake, LakeFormation, LakeTag

    lake = DataLake(self, "Lake", lake_formation=LakeFormation(hybrid=False))
    orders = lake.curated.add_table("orders", schema={"order_id": "string", "email": "string"})
    analyst = iam.Role(self, "Analyst", assumed_by=iam.AccountRootPrincipal())

    sensitivity = LakeTag(self, "Sensitivity", key="sensitivity", values=["public", "internal", "personal"])
    sensitivity.assign("internal", lake.curated)
    sensitivity.assign_columns("personal", orders, ["email"])
    sensitivity.grant_select(analyst, ["public", "internal"], zones=[lake.curated])  # all but the address
    ```

    Args:
        key: Lower-case letters, digits, spaces and ``_ . : / = + - @ %``, at most 128; one of its name in an
            account and region.
        values: What it may be, up to 1000, of the same characters and ``*``, at most 256.

    Raises:
        ConfigurationError: For keys and values that Lake Formation would refuse or store differently.

    Follows https://docs.aws.amazon.com/lake-formation/latest/dg/tag-based-access-control.html.
    """

    key: str
    """The tag's key."""

    values: tuple[str, ...]
    """What it may be."""

    tag: lakeformation.CfnTag | None
    """The resource; None for a tag that somebody else made."""

    def __init__(self, scope: Construct, id: str, *, key: str, values: Sequence[str]) -> None:
        super().__init__(scope, id)
        self._define(key, values)
        self.tag = lakeformation.CfnTag(
            self, "Resource", catalog_id=Stack.of(self).account, tag_key=key, tag_values=list(values)
        )
        self.node.default_child = self.tag

    @staticmethod
    def from_values(scope: Construct, id: str, *, key: str, values: Sequence[str]) -> LakeTag:
        """A tag that somebody else made, to assign and to grant it.

        Args:
            key: Its key.
            values: Its values, as far as this app uses them.

        Raises:
            ConfigurationError: For keys and values that no tag has.
        """
        return _ImportedTag(scope, id, key, values)

    def assign(self, value: str, *resources: ZoneBase | TableBase) -> None:
        """Put a value on the databases of zones, and so on all their tables, or on single tables.

        Raises:
            ConfigurationError: For a value that the tag does not have, for a second value on one resource,
                and for a zone without Lake Formation.
        """
        self._check("assign", [value], resources)
        for resource in resources:
            if isinstance(resource, TableBase):
                on = _Association.ResourceProperty(
                    table=_Association.TableResourceProperty(
                        catalog_id=Stack.of(resource.zone).account,
                        database_name=resource.database_name,
                        name=resource.name,
                    )
                )
                self._put(value, on, resource.zone, resource.name, None, resource.made)
            else:
                on = _Association.ResourceProperty(
                    database=_Association.DatabaseResourceProperty(
                        catalog_id=Stack.of(resource).account, name=resource.database_name
                    )
                )
                self._put(value, on, resource, None, None, ())

    def assign_columns(self, value: str, table: TableBase, columns: Sequence[str]) -> None:
        """Put a value on columns of a table, in place of the one that they have from it.

        Raises:
            ConfigurationError: As for :meth:`assign`, and for columns that the table does not have.
        """
        self._check("assign_columns", [value], [table], table=table, columns=columns)
        for column in columns:
            on = _Association.ResourceProperty(
                table_with_columns=_Association.TableWithColumnsResourceProperty(
                    catalog_id=Stack.of(table.zone).account,
                    database_name=table.database_name,
                    name=table.name,
                    column_names=[column],
                )
            )
            self._put(value, on, table.zone, table.name, column, table.made)

    def grant_select(
        self,
        grantee: iam.IGrantable,
        values: Sequence[str],
        *,
        zones: Sequence[ZoneBase],
        also: Mapping[LakeTag, Sequence[str]] | None = None,
    ) -> iam.Grant:
        """Let a principal select what has one of these values, and one of the values of each other tag.

        Lake Formation ``SELECT`` by the expression, ``DESCRIBE`` on the zones' databases and their
        definitions in Glue. Nothing of S3 and KMS: columns with other values could be read by them.

        Args:
            grantee: A role, user or account.
            values: Any of them will do.
            zones: Where the principal may look for tables. The expression itself knows no zones.
            also: Other tags, all of which must have one of their values too. For "or" between tags, grant
                twice.

        Raises:
            ConfigurationError: For values that a tag does not have, and for zones where IAM decides.
        """
        expression = {self: tuple(values), **{tag: tuple(others) for tag, others in (also or {}).items()}}
        self._check("grant_select", values, zones, granted=True)
        for tag, others in expression.items():
            tag._check("grant_select", others, ())
        grant: iam.Grant | None = None
        ordered = sorted(expression, key=lambda tag: tag.key)
        for zone in zones:
            definitions = zone.grant_definitions(grantee)
            grant = definitions if grant is None else grant.combine(definitions)
            principal = None if zone.catalog is None else zone.catalog.principal(grantee)
            if zone.catalog is None or principal is None:
                continue
            zone.catalog.permit(principal, database=("DESCRIBE",), tables=())
            let_get_credentials(principal)
            if principal.construct is None and principal.stack is Stack.of(zone):
                # It is of no stack, and the zone's would wait for the tag's, which waits for the zone's.
                principal = dataclasses.replace(principal, stack=Stack.of(ordered[0]))
            # The first of the tags by name holds the permission, whichever was asked.
            ordered[0]._ledger.add(
                principal,
                f"Expression{digest([[tag.key, sorted(expression[tag])] for tag in ordered])}",
                _policy(Stack.of(zone).account, [(tag.key, expression[tag]) for tag in ordered]),
                "SELECT",
                after=[tag.tag for tag in ordered if tag.tag is not None],
            )
            for tag in ordered:
                if tag.tag is not None:
                    zone.catalog.prepare(tag.tag)
        return grant if grant is not None else iam.Grant.drop(grantee, "no zones")

    def _define(self, key: str, values: Sequence[str]) -> None:
        problems = Problems("LakeTag", self)
        problems.check_list("values", values)
        problems.raise_if_any()
        problems.check(
            is_token(key) or bool(_KEY.fullmatch(key)),
            given=f"key={key!r}",
            allowed="1 to 128 lower-case letters, digits, spaces and _ . : / = + - @ %",
            write=f"key={key.lower()!r}",
        )
        problems.check(
            0 < len(values) <= _MAXIMUM_VALUES,
            given=f"{len(values)} values",
            allowed=f"1 to {_MAXIMUM_VALUES}",
        )
        for value in values:
            problems.check(
                is_token(value) or bool(_VALUE.fullmatch(value)),
                given=f"value {value!r}",
                allowed="1 to 256 lower-case letters, digits, spaces and _ . : * / = + - @ %",
                write=repr(value.lower()),
            )
        problems.check(len(set(values)) == len(values), given="a value twice", allowed="each value once")
        problems.raise_if_any()
        self.key, self.values = key, tuple(values)
        self._ledger = Ledger(self, f"Tag{self.node.addr[-8:]}")
        self._assigned: dict[tuple[str, str | None, str | None], str] = {}
        self._last: CfnResource | None = None

    def _put(
        self,
        value: str,
        on: lakeformation.CfnTagAssociation.ResourceProperty,
        zone: ZoneBase,
        table: str | None,
        column: str | None,
        made: Iterable[CfnResource],
    ) -> None:
        """One association for each resource and key: CloudFormation replaces it as a whole."""
        place = (zone.node.path, table, column)
        what = ".".join(part for part in (zone.name, table, column) if part is not None)
        problems = Problems("LakeTag", self)
        problems.check(
            self._assigned.get(place, value) == value,
            given=f"{self.key}={value} for {what}, which has {self._assigned.get(place)}",
            allowed="one value of a tag for a resource",
        )
        problems.raise_if_any()
        if place in self._assigned:
            return
        self._assigned[place] = value
        association = lakeformation.CfnTagAssociation(
            self,
            f"On{digest([zone.node.path, table, column])}",
            lf_tags=[
                lakeformation.CfnTagAssociation.LFTagPairProperty(
                    catalog_id=Stack.of(zone).account, tag_key=self.key, tag_values=[value]
                )
            ],
            resource=on,
        )
        # Lake Formation refuses changes of one table at the same time.
        for before in (self.tag, self._last, *made):
            if before is not None:
                association.add_resource_dependency(before)
        if zone.catalog is not None:
            zone.catalog.prepare(self.tag or association)
        self._last = association

    def _check(
        self,
        what: str,
        values: Sequence[str],
        resources: Sequence[ZoneBase | TableBase],
        *,
        table: TableBase | None = None,
        columns: Sequence[str] | None = None,
        granted: bool = False,
    ) -> None:
        problems = Problems(f"LakeTag.{what}", self)
        problems.check_list("values", values)
        problems.check_list("columns", columns)
        problems.raise_if_any()
        unknown = [value for value in values if not is_token(value) and value not in self.values]
        problems.check(
            bool(values) and not unknown,
            given=f"{self.key} with {', '.join(map(repr, unknown)) or 'no value'}",
            allowed=", ".join(self.values),
        )
        problems.check(
            not granted or bool(resources),
            given="no zones",
            allowed="the zones where the principal may look",
            write="zones=[lake.curated]",
        )
        if table is not None and columns is not None:
            missing = [column for column in columns if column not in table.column_names]
            problems.check(
                bool(columns) and not missing,
                given=f"columns with {', '.join(map(repr, missing)) or 'no name'}",
                allowed=f"columns of {table.name!r}: {', '.join(table.column_names)}",
            )
        for resource in resources:
            zone = resource.zone if isinstance(resource, TableBase) else resource
            problems.check(
                zone.catalog is not None and not (granted and zone.catalog.governed is False),
                given=f"zone {zone.name!r}, where IAM decides",
                allowed="zones where Lake Formation alone decides" if granted else "zones of Lake Formation",
                write="DataLake(…, lake_formation=LakeFormation(hybrid=False))",
            )
        problems.raise_if_any()


class _ImportedTag(LakeTag):
    """A tag that somebody else made."""

    def __init__(self, scope: Construct, id: str, key: str, values: Sequence[str]) -> None:
        Construct.__init__(self, scope, id)
        self._define(key, values)
        self.tag = None


def _policy(account: str, expression: Sequence[tuple[str, Sequence[str]]]) -> Resource:
    properties = lakeformation.CfnPrincipalPermissions
    return Resource(
        lf_tag_policy=properties.LFTagPolicyResourceProperty(
            catalog_id=account,
            resource_type="TABLE",
            expression=[
                properties.LFTagProperty(tag_key=key, tag_values=sorted(values)) for key, values in expression
            ],
        )
    )
