"""What keeps an Iceberg table fast and small: Glue's table optimizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems, is_whole
from cdk_data_science.data_lake._service_role import service_role

if TYPE_CHECKING:
    from cdk_data_science.data_lake.table_base import TableBase

CompactionStrategy = Literal["binpack", "sort", "z-order"]
_STRATEGIES = ("binpack", "sort", "z-order")
_LOGS = ("iceberg-compaction", "iceberg-retention", "iceberg-orphan-file-deletion")
_LONGEST_DAYS = 36_500


class TableMaintenance(Construct):
    """Compaction, snapshot retention and removal of orphan files for an Iceberg table, by AWS Glue.

    A model can be rebuilt from the exact data that it was trained on as long as their snapshot is there
    (:class:`SnapshotExport`): snapshots are kept for a year here, in place of Glue's five days. What they
    cost is the storage of files that later commits have replaced; a table that is only added to has few.

    The role reads and writes this table and no other. Compaction by ``sort`` and ``z-order`` needs a sort
    order that the table was given by ``ALTER TABLE``.

    **Costs at rest**: nothing. Each of the three costs 0.44 USD for each hour of a processing unit while it
    works (us-east-1, November 2026), and works only where there is something to do.

    ```python
    from cdk_data_science.data_lake import Column, DataLake, Iceberg, TableMaintenance

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table(
        "reviews",
        schema=[
            Column(name="review_id", type="string", field_id=1),
            Column(name="stars", type="int", field_id=2),
        ],
        format=Iceberg(),
    )
    TableMaintenance(self, "Maintenance", table=reviews, snapshot_days=730)
    ```

    Args:
        table: An Iceberg table.
        compaction: ``binpack``, ``sort``, ``z-order``, or None for no compaction. Default: ``binpack``.
        snapshot_days: Days that snapshots are kept, 1 or more; None keeps them for ever. Default: 365.
        keep_snapshots: The newest snapshots that are kept whatever their age, 1 or more. Default: 10.
        orphan_days: Age in days at which files that no snapshot names are deleted, 1 or more; None deletes
            none. Longer than the longest write: what it has not committed yet is an orphan too. Default: 7.

    Raises:
        ConfigurationError: For a table that is no Iceberg table, and for numbers that Glue would refuse, all
            mistakes at once.

    Follows https://docs.aws.amazon.com/glue/latest/dg/table-optimizers.html and
    https://docs.aws.amazon.com/glue/latest/dg/optimization-prerequisites.html.
    """

    role: iam.Role
    """What works on the table."""

    optimizers: dict[str, glue.CfnTableOptimizer]
    """The resources, by ``compaction``, ``retention`` and ``orphan_file_deletion``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: TableBase,
        compaction: CompactionStrategy | None = "binpack",
        snapshot_days: int | None = 365,
        keep_snapshots: int = 10,
        orphan_days: int | None = 7,
    ) -> None:
        super().__init__(scope, id)
        self._table = table
        self._check(compaction, snapshot_days, keep_snapshots, orphan_days)
        self.role = self._role()
        made = glue.CfnTableOptimizer
        self.optimizers = {}
        if compaction is not None:
            self._optimize(
                "compaction",
                compaction_configuration=made.CompactionConfigurationProperty(
                    iceberg_configuration=made.IcebergCompactionConfigurationProperty(strategy=compaction)
                ),
            )
        if snapshot_days is not None:
            self._optimize(
                "retention",
                retention_configuration=made.RetentionConfigurationProperty(
                    iceberg_configuration=made.IcebergRetentionConfigurationProperty(
                        snapshot_retention_period_in_days=snapshot_days,
                        number_of_snapshots_to_retain=keep_snapshots,
                        clean_expired_files=True,
                    )
                ),
            )
        if orphan_days is not None:
            self._optimize(
                "orphan_file_deletion",
                orphan_file_deletion_configuration=made.OrphanFileDeletionConfigurationProperty(
                    iceberg_configuration=made.IcebergConfigurationProperty(
                        orphan_file_retention_period_in_days=orphan_days
                    )
                ),
            )

    def _check(
        self, compaction: str | None, snapshot_days: int | None, keep_snapshots: int, orphan_days: int | None
    ) -> None:
        problems = Problems("TableMaintenance", self)
        problems.check(
            self._table.iceberg,
            given=f"table {self._table.name!r}, which is no Iceberg table",
            allowed="Iceberg tables",
            write="format=Iceberg()",
        )
        problems.check(
            compaction is None or compaction in _STRATEGIES,
            given=f"compaction={compaction!r}",
            allowed=", ".join(_STRATEGIES),
        )
        for option, days in (("snapshot_days", snapshot_days), ("orphan_days", orphan_days)):
            problems.check(
                days is None or (is_whole(days, 1) and days <= _LONGEST_DAYS),
                given=f"{option}={days!r}",
                allowed=f"whole days, 1 to {_LONGEST_DAYS}, or None",
            )
        problems.check(
            is_whole(keep_snapshots, 1), given=f"keep_snapshots={keep_snapshots}", allowed="1 or more"
        )
        problems.check(
            compaction is not None or snapshot_days is not None or orphan_days is not None,
            given="nothing to do",
            allowed="one of compaction, snapshot_days and orphan_days",
        )
        problems.raise_if_any()

    def _role(self) -> iam.Role:
        stack = Stack.of(self)
        role = service_role(
            self, "glue", f"Compacts Iceberg table {self._table.name} and removes what is old in it"
        )
        self._table.grant_write(role)
        # Glue has one log group for each kind of work in the whole account.
        groups = [
            stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"/aws-glue/{kind}/logs:*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for kind in _LOGS
        ]
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Logs",
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                resources=groups,
            )
        )
        acknowledge_wildcards(
            role,
            self,
            groups,
            "Glue names the streams of its log groups itself. The wildcards stand for the streams of one "
            "group each, for writing.",
        )
        return role

    def _optimize(
        self,
        kind: str,
        *,
        compaction_configuration: glue.CfnTableOptimizer.CompactionConfigurationProperty | None = None,
        retention_configuration: glue.CfnTableOptimizer.RetentionConfigurationProperty | None = None,
        orphan_file_deletion_configuration: glue.CfnTableOptimizer.OrphanFileDeletionConfigurationProperty
        | None = None,
    ) -> None:
        made = glue.CfnTableOptimizer(
            self,
            "".join(word.title() for word in kind.split("_")),
            catalog_id=Stack.of(self._table.zone).account,
            database_name=self._table.database_name,
            table_name=self._table.name,
            type=kind,
            table_optimizer_configuration=glue.CfnTableOptimizer.TableOptimizerConfigurationProperty(
                enabled=True,
                role_arn=self.role.role_arn,
                compaction_configuration=compaction_configuration,
                retention_configuration=retention_configuration,
                orphan_file_deletion_configuration=orphan_file_deletion_configuration,
            ),
        )
        # Glue looks at what the role may do when the optimizer is made.
        made.node.add_dependency(self.role)
        for resource in self._table.made:
            if Stack.of(resource) is Stack.of(self):
                made.add_resource_dependency(resource)
        self.optimizers[kind] = made
