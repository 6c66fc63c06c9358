"""An Iceberg table that S3 keeps, compacts and cleans up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3tables as s3tables
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.column_types import parse
from cdk_data_science.data_lake.formats import Iceberg, IcebergPartition
from cdk_data_science.data_lake.schema import Column, check_columns

if TYPE_CHECKING:
    from cdk_data_science.data_lake.s3_tables.table_bucket import TableNamespace

_NAME = re.compile(r"[a-z0-9]([a-z0-9_]{0,253}[a-z0-9])?")
_HOURS = 24
_LONGEST_DAYS = 36_500
_FILE_MB = (64, 512)
_FIND = ("s3tables:GetTableBucket", "s3tables:GetNamespace", "s3tables:ListNamespaces", "s3tables:ListTables")
_READ = ("s3tables:GetTable", "s3tables:GetTableData", "s3tables:GetTableMetadataLocation")
_WRITE = ("s3tables:PutTableData", "s3tables:UpdateTableMetadataLocation")


class ManagedTable(Construct):
    """An Iceberg table of a :class:`TableBucket`. Usually made by ``namespace.add_table``.

    The columns are said once, when the table is made: CloudFormation replaces a table whose schema is changed
    in the template. Change it where Iceberg does, by ``ALTER TABLE`` in Athena or Spark, and leave the
    template as it was. The same is true of the partitions. Snapshots and compaction can be changed at any
    time.

    A model can be rebuilt from the exact data that it was trained on as long as their snapshot is there:
    snapshots are kept for a year, in place of S3's five days.

    **Costs at rest**: the storage of its files, of those that old snapshots name too.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.data_lake import Column, IcebergPartition, ManagedTable, TableBucket

    bucket = TableBucket(self, "Tables")
    clicks = ManagedTable(
        self,
        "Clicks",
        namespace=bucket.add_namespace("shop"),
        name="clicks",
        schema=[
            Column(name="user_id", type="string", field_id=1),
            Column(name="at", type="timestamp", field_id=2),
        ],
        partition_by=[IcebergPartition(column="at", transform="day")],
    )
    clicks.grant_read(iam.Role(self, "Scientist", assumed_by=iam.AccountRootPrincipal()))
    ```

    Args:
        namespace: What it is in.
        name: 1 to 255 lower-case letters, digits and underscores, a letter or digit at both ends.
        schema: Its columns, each with a ``field_id``, of primitive types.
        partition_by: How it is split. Default: not.
        snapshot_days: Days that snapshots are kept, 1 or more. Default: 365.
        keep_snapshots: The newest snapshots that are kept whatever their age, 1 or more. Default: 10.
        target_file_mb: Size that compaction aims at, 64 to 512. Default: 512.

    Raises:
        ConfigurationError: For a table that S3 would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-tables.html and
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-maintenance.html.
    """

    table: s3tables.CfnTable
    """The resource."""

    namespace: TableNamespace
    """What it is in."""

    name: str
    """Its name."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        namespace: TableNamespace,
        name: str,
        schema: Sequence[Column],
        partition_by: Sequence[IcebergPartition] = (),
        snapshot_days: int = 365,
        keep_snapshots: int = 10,
        target_file_mb: int = 512,
    ) -> None:
        super().__init__(scope, id)
        self.namespace, self.name = namespace, name
        iceberg = Iceberg(partition_by=partition_by)
        problems = Problems("ManagedTable", self)
        problems.check(
            is_token(name) or bool(_NAME.fullmatch(name)),
            given=f"name={name!r}",
            allowed="1 to 255 lower-case letters, digits and underscores, a letter or digit at both ends",
            write='name="reviews"',
        )
        for column in schema:
            problems.check_kind(
                "a column", column, Column, write='Column(name="id", type="string", field_id=1)'
            )
        problems.raise_if_any()
        problems.check(bool(schema), given="a schema without columns", allowed="one column or more")
        iceberg.check(problems, schema, check_columns(problems, schema, "column"))
        for column in schema:
            problems.check(
                column.comment is None,
                given=f"column {column.name!r} with a comment",
                allowed="none: S3 Tables keeps no comments that CloudFormation sends",
            )
        problems.check(
            1 <= snapshot_days <= _LONGEST_DAYS,
            given=f"snapshot_days={snapshot_days}",
            allowed=f"1 to {_LONGEST_DAYS}",
        )
        problems.check(keep_snapshots >= 1, given=f"keep_snapshots={keep_snapshots}", allowed="1 or more")
        smallest, largest = _FILE_MB
        problems.check(
            smallest <= target_file_mb <= largest,
            given=f"target_file_mb={target_file_mb}",
            allowed=f"{smallest} to {largest}",
        )
        problems.raise_if_any()
        made = s3tables.CfnTable
        fields = iceberg.fields(schema)
        self.table = made(
            self,
            "Resource",
            table_bucket_arn=namespace.bucket.bucket.attr_table_bucket_arn,
            namespace=namespace.name,
            table_name=name,
            open_table_format="ICEBERG",
            iceberg_metadata=made.IcebergMetadataProperty(
                iceberg_schema=made.IcebergSchemaProperty(
                    schema_field_list=[
                        made.SchemaFieldProperty(
                            id=column.field_id,
                            name=column.name,
                            type=column.type if is_token(column.type) else parse(column.type).iceberg or "",
                            required=column.required,
                        )
                        for column in schema
                    ]
                ),
                iceberg_partition_spec=made.IcebergPartitionSpecProperty(
                    fields=[
                        made.IcebergPartitionFieldProperty(
                            source_id=source, transform=transform, name=field, field_id=number
                        )
                        for source, transform, field, number in fields
                    ]
                )
                if fields
                else None,
            ),
            compaction=made.CompactionProperty(status="enabled", target_file_size_mb=target_file_mb),
            snapshot_management=made.SnapshotManagementProperty(
                status="enabled",
                max_snapshot_age_hours=snapshot_days * _HOURS,
                min_snapshots_to_keep=keep_snapshots,
            ),
        )
        self.table.apply_removal_policy(removal_policy(self, destroy=namespace.bucket.destroy))
        self.table.add_resource_dependency(namespace.namespace)
        self.node.default_child = self.table

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return self.table.attr_table_arn

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal find this table and read its rows, through S3's Iceberg endpoint."""
        return self._grant(grantee, _READ, ("kms:Decrypt",))

    def grant_read_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal read this table and commit to it; not drop it, and not maintain it."""
        return self._grant(grantee, (*_READ, *_WRITE), ("kms:Decrypt", "kms:GenerateDataKey"))

    def _grant(
        self, grantee: iam.IGrantable, actions: Sequence[str], key_actions: Sequence[str]
    ) -> iam.Grant:
        bucket = self.namespace.bucket
        found = iam.Grant.add_to_principal(
            grantee=grantee, actions=list(_FIND), resource_arns=[bucket.bucket.attr_table_bucket_arn]
        )
        table = iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[self.arn])
        return found.combine(table).combine(bucket.key.grant(grantee, *key_actions))
