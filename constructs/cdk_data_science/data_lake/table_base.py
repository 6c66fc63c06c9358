"""What every table can do, made here or by another app: grants on it, on its columns and its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from aws_cdk import CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake._permissions import (
    Cells,
    lake_formation_alone,
    let_get_credentials,
    without_policies,
)
from cdk_data_science.data_lake.column_types import ColumnType
from cdk_data_science.data_lake.quality_rules import QualityRules
from cdk_data_science.data_lake.row_filter import check_row_filter
from cdk_data_science.data_lake.table_quality import TableQuality

if TYPE_CHECKING:
    from cdk_data_science.data_lake.quality_results import QualityResults
    from cdk_data_science.data_lake.zone_base import ZoneBase

_READ_DEFINITION = (
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:BatchGetPartition",
)
_WRITE_PARTITIONS = (
    "glue:BatchCreatePartition",
    "glue:BatchUpdatePartition",
    "glue:CreatePartition",
    "glue:UpdatePartition",
)


class TableBase(Construct):
    """The grants that tables of this app and of others share."""

    zone: ZoneBase
    """The zone that the table is in."""

    name: str
    """The table's name in the zone's database."""

    prefix: str
    """The folder of the zone that holds its objects, ending in ``/``."""

    column_names: tuple[str, ...]
    """All columns, those of the partition keys at the end."""

    iceberg: bool = False
    """Whether it is an Iceberg table, whose every commit changes its definition."""

    made: Sequence[CfnResource] = ()
    """What has to be there before something is said about the table; nothing for a table of others."""

    _types: Mapping[str, ColumnType]
    _partition_keys: Collection[str]

    @property
    def database_name(self) -> str:
        """The zone's Glue database."""
        return self.zone.database_name

    @property
    def location(self) -> str:
        """The ``s3://`` address of the table's objects."""
        return self.zone.uri(self.prefix)

    def grant_select(
        self,
        grantee: iam.IGrantable,
        *,
        columns: Sequence[str] | None = None,
        excluded_columns: Sequence[str] | None = None,
        row_filter: str | None = None,
    ) -> iam.Grant:
        """Let a principal select from this table: all of it, some columns, some rows, or both.

        The whole table: the definition in Glue, ``SELECT`` by Lake Formation, and S3 and KMS below the
        table's prefix for who reads the objects without a query engine. With a filter: the definition and
        ``SELECT`` on these cells by Lake Formation, and nothing of S3 and KMS, by which the filter could be
        gone around. Engines such as Athena get the objects from Lake Formation then.

        Grants add up: who may select one column by one grant and another one by another may select both,
        and who may read the whole zone is not held back by a filter. Calling it twice makes nothing twice.

        ```python
        from aws_cdk import aws_iam as iam
        from cdk_data_science.data_lake import DataLake, LakeFormation

        lake = DataLake(self, "Lake", zones=["curated"], lake_formation=LakeFormation(hybrid=False))
        reviews = lake.curated.add_table(
            "reviews", schema={"review_id": "string", "email": "string", "country": "string", "stars": "int"}
        )
        analyst = iam.Role(self, "Analyst", assumed_by=iam.AccountRootPrincipal())
        reviews.grant_select(analyst, excluded_columns=["email"], row_filter="country = 'DE' AND stars > 3")
        ```

        Args:
            grantee: A role, user or account; for the whole table also an AWS service, which gets S3 and KMS.
            columns: These columns alone; one that is added to the table later is not among them.
            excluded_columns: All columns but these; one that is added later is among them.
            row_filter: Comparisons of columns with constants, joined by AND, OR and NOT, less than 2048
                characters, as in https://docs.aws.amazon.com/lake-formation/latest/dg/partiql-support.html.

        Raises:
            ConfigurationError: For columns that the table does not have, for a row filter that Lake
                Formation would refuse, and for a filter where nothing would apply it.
        """
        cells = Cells(
            columns=None if columns is None else tuple(sorted(set(columns))),
            excluded=tuple(sorted(set(excluded_columns or ()))),
            rows=row_filter,
        )
        filtered = columns is not None or excluded_columns is not None or row_filter is not None
        self._check(columns, excluded_columns, row_filter, filtered=filtered)
        catalog = self.zone.catalog
        principal = None if catalog is None else catalog.principal(grantee)
        if filtered and principal is None:
            problems = Problems(f"Grant on {self.node.path}")
            problems.check(
                False,
                given="a filter for an AWS service",
                allowed="principals that Lake Formation knows: roles, users, accounts",
            )
            problems.raise_if_any()
        grant = self._grant_definition(grantee)
        if without_policies(grantee):
            self.zone._check_lake_principal(None, ("SELECT",))
        elif not filtered:
            grant = self.zone.grant_read(grantee, prefix=self.prefix).combine(grant)
        if catalog is None or principal is None:
            return grant
        if filtered:
            catalog.permit_cells(principal, self.name, cells, after=self.made)
        else:
            catalog.permit_table(principal, self.name, ("SELECT",), after=self.made)
        let_get_credentials(principal)
        return grant

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal read and write this table: rows, and the partitions that they are in.

        S3 and KMS below the table's prefix, the definition in Glue with its partitions, and ``SELECT``,
        ``INSERT`` and ``DELETE`` by Lake Formation. Reading is part of it: engines look at what is there
        before they write, and Lake Formation's ``INSERT`` includes it. The definition itself can be changed
        only where the table is an Iceberg one: each commit points it at new metadata.

        ```python
        from aws_cdk import aws_iam as iam
        from cdk_data_science.data_lake import DataLake

        lake = DataLake(self, "Lake")
        reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
        loader = iam.Role(self, "Loader", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        reviews.grant_write(loader)
        ```

        Args:
            grantee: A role, user or account; an AWS service gets S3 and KMS.
        """
        if without_policies(grantee):
            self.zone._check_lake_principal(None, ("INSERT",))
            return self._permit_write(grantee, lake_formation_alone(grantee))
        stack = Stack.of(self.zone)
        changes = ("glue:UpdateTable",) if self.iceberg else _WRITE_PARTITIONS
        grant = self.zone.grant_read_write(grantee, prefix=self.prefix)
        grant = grant.combine(self._grant_definition(grantee))
        grant = grant.combine(
            iam.Grant.add_to_principal(
                grantee=grantee, actions=list(changes), resource_arns=self._definition_arns(stack)
            )
        )
        return self._permit_write(grantee, grant)

    def _permit_write(self, grantee: iam.IGrantable, grant: iam.Grant) -> iam.Grant:
        catalog = self.zone.catalog
        principal = None if catalog is None else catalog.principal(grantee)
        if catalog is None or principal is None:
            return grant
        permissions = ("SELECT", "INSERT", "DELETE", *(("ALTER",) if self.iceberg else ()))
        catalog.permit_table(principal, self.name, permissions, after=self.made)
        let_get_credentials(principal)
        return grant

    def add_quality_rules(
        self,
        rules: QualityRules,
        *,
        results: QualityResults,
        schedule: str | None = None,
        timezone: str = "UTC",
        name: str | None = None,
        workers: int = 5,
        timeout: Duration | None = None,
        expect_within: Duration | None = None,
    ) -> TableQuality:
        """Let Glue evaluate rules on this table; the arguments are those of
        :class:`~cdk_data_science.data_lake.TableQuality`.

        ```python
        from cdk_data_science import DataLake, QualityResults, QualityRules

        lake = DataLake(self, "Lake")
        reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
        reviews.add_quality_rules(
            QualityRules('Rules = [ IsComplete "review_id", Entropy "stars" > 1 ]'),
            results=QualityResults(self, "Results", zone=lake.curated),
        )
        ```

        Raises:
            ConfigurationError: For rules on columns that the table lacks, and for options that Glue would
                refuse, all mistakes at once.
        """
        taken = sum(isinstance(child, TableQuality) for child in self.node.children)
        return TableQuality(
            self,
            f"Quality{taken or ''}",
            table=self,
            rules=rules,
            results=results,
            schedule=schedule,
            timezone=timezone,
            name=name,
            workers=workers,
            timeout=timeout,
            expect_within=expect_within,
        )

    def _check(
        self,
        columns: Sequence[str] | None,
        excluded: Sequence[str] | None,
        row_filter: str | None,
        *,
        filtered: bool,
    ) -> None:
        problems = Problems(f"Grant on {self.node.path}")
        problems.check(
            columns is None or excluded is None,
            given="columns and excluded_columns",
            allowed="one of them",
            write="columns=[…]",
        )
        for option, names in (("columns", columns), ("excluded_columns", excluded)):
            if names is None:
                continue
            problems.check_list(option, names)
            problems.raise_if_any()
            problems.check(bool(names), given=f"{option}=[]", allowed="one column or more")
            unknown = sorted(set(names) - set(self.column_names))
            problems.check(
                not unknown,
                given=f"{option} with {', '.join(map(repr, unknown))}",
                allowed=f"columns of {self.name!r}: {', '.join(self.column_names)}",
            )
        problems.check(
            excluded is None or not set(self.column_names) <= set(excluded),
            given="excluded_columns with all columns",
            allowed="at least one column that is left",
        )
        if row_filter is not None:
            check_row_filter(problems, row_filter, self._types, self._partition_keys)
        catalog = self.zone.catalog
        problems.check(
            not filtered or (catalog is not None and catalog.governed is not False),
            given=f"a filter in zone {self.zone.name!r}, where IAM decides",
            allowed="filters where Lake Formation alone decides: a query engine would read past them",
            write="DataLake(…, lake_formation=LakeFormation(hybrid=False))",
        )
        problems.raise_if_any()

    def _grant_definition(self, grantee: iam.IGrantable) -> iam.Grant:
        """The definition of this table and no other, as far as Lake Formation lets the grantee see it."""
        if without_policies(grantee):
            return lake_formation_alone(grantee)
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(_READ_DEFINITION),
            resource_arns=self._definition_arns(Stack.of(self.zone)),
        )

    def _definition_arns(self, stack: Stack) -> list[str]:
        return [
            stack.format_arn(service="glue", resource="catalog"),
            stack.format_arn(service="glue", resource="database", resource_name=self.database_name),
            stack.format_arn(
                service="glue", resource="table", resource_name=f"{self.database_name}/{self.name}"
            ),
        ]
