"""What every zone can do, built here or imported: addresses, grants, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.data_lake._permissions import (
    Catalog,
    lake_formation_alone,
    let_get_credentials,
    principal_construct,
    without_policies,
)
from cdk_data_science.data_lake.formats import Parquet, TableFormat
from cdk_data_science.data_lake.partitions import PartitionKey
from cdk_data_science.data_lake.schema import Schema
from cdk_data_science.data_lake.table import LakeTable
from cdk_data_science.data_lake.table_base import TableBase

READ_OBJECTS = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging")
READ_BUCKET = ("s3:ListBucket",)
# Deleting a version for ever is not part of writing: in a versioned zone every write can be undone.
WRITE_OBJECTS = (
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
READ_KEY = ("kms:Decrypt", "kms:DescribeKey")
WRITE_KEY = ("kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey")  # multipart uploads decrypt their parts
READ_CATALOG = (
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:GetTables",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:BatchGetPartition",
)
# On all tables of a zone. Each of them implies DESCRIBE.
# https://docs.aws.amazon.com/lake-formation/latest/dg/lf-permissions-reference.html
SELECT = ("SELECT",)
INSERT = ("INSERT", "DELETE")


class ZoneBase(Construct):
    """The grants and metrics that built and imported zones share."""

    name: str
    """The zone's name in its lake."""

    bucket: s3.IBucket
    """Where the zone's objects are."""

    key: kms.IKey | None
    """What encrypts them. Writers that name a key must name this one."""

    database_name: str
    """The zone's Glue database."""

    unnamed_key_prefixes: Sequence[str] | None
    """Folders where an upload may leave out the key's name; None if it is not known."""

    catalog: Catalog | None = None
    """The zone in Lake Formation; None if IAM alone decides."""

    destroy: bool = False
    """Whether the zone's definitions go with their stack, where the app's context allows it."""

    tables: dict[str, TableBase]
    """The tables that this app knows, by name."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.tables = {}

    def add_table(
        self,
        name: str,
        *,
        schema: Schema,
        format: TableFormat = Parquet(),  # noqa: B008 -- immutable
        prefix: str | None = None,
        partition_keys: Sequence[PartitionKey] = (),
        location_template: str | None = None,
        partition_indexes: Sequence[Sequence[str]] = (),
        description: str | None = None,
    ) -> LakeTable:
        """Define a table over a folder of this zone; the arguments are those of
        :class:`~cdk_data_science.data_lake.LakeTable`.

        ```python
        from cdk_data_science.data_lake import Csv, DataLake

        lake = DataLake(self, "Lake")
        lake.raw.add_table("reviews", schema={"review_id": "string", "stars": "int"}, format=Csv())
        ```

        Raises:
            ConfigurationError: For a table that Glue, Athena or Lake Formation would refuse, all mistakes at
                once.
        """
        tables: Any = self.node.try_find_child("Tables") or Construct(self, "Tables")
        taken = is_token(name) or tables.node.try_find_child(name) is not None
        return LakeTable(
            tables,
            f"Table{len(tables.node.children)}" if taken else name,
            zone=self,
            name=name,
            schema=schema,
            format=format,
            prefix=prefix,
            partition_keys=partition_keys,
            location_template=location_template,
            partition_indexes=partition_indexes,
            description=description,
        )

    def uri(self, key: str = "") -> str:
        """The ``s3://`` address of a key or prefix of this zone; of the whole zone without one."""
        if not is_token(key) and key.startswith("/"):
            raise ConfigurationError(
                f"{self.node.path}: given uri({key!r}); allowed: a key relative to the bucket; "
                f"write: uri({key.lstrip('/')!r})"
            )
        return f"s3://{self.bucket.bucket_name}/{key}"

    def grant_read(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal read the zone, or one part of it.

        The whole zone: list and read objects, decrypt them, see the database and its tables, and select from
        all of them by Lake Formation. With a ``prefix``: S3 and KMS for that part only. Lake Formation is
        left out then, because its permissions are on tables, and a table permission would reach past the
        prefix; a data location permission is no substitute, it lets a principal register tables and reads
        nothing.

        Args:
            grantee: A role, user, account or service.
            prefix: A folder, ending in ``/``, or exactly one key. Default: the whole zone.

        Raises:
            ConfigurationError: For a prefix that would match more than it says.
        """
        return self._grant(
            grantee, prefix, objects=READ_OBJECTS, bucket=READ_BUCKET, key=READ_KEY, tables=SELECT
        )

    def grant_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal write and delete objects in the zone, or in one part of it, and not read them.

        Deleting leaves a noncurrent version: nobody with this grant can delete a version for ever. S3 and KMS
        only: Lake Formation has no permission to write a table without reading it, its ``INSERT`` and
        ``DELETE`` include reading. To write tables through Athena or Spark, use :meth:`grant_read_write`.

        Args:
            grantee: A role, user, account or service.
            prefix: A folder, ending in ``/``, or exactly one key. Default: the whole zone.

        Raises:
            ConfigurationError: For a prefix that would match more than it says.
        """
        return self._grant(grantee, prefix, objects=WRITE_OBJECTS, bucket=(), key=WRITE_KEY, tables=())

    def grant_read_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Both :meth:`grant_read` and :meth:`grant_write`; for the whole zone, also insert into and delete
        from its tables by Lake Formation. Creating, altering and dropping tables is not part of writing.

        Args:
            grantee: A role, user, account or service.
            prefix: A folder, ending in ``/``, or exactly one key. Default: the whole zone.

        Raises:
            ConfigurationError: For a prefix that would match more than it says.
        """
        return self._grant(
            grantee,
            prefix,
            objects=(*READ_OBJECTS, *WRITE_OBJECTS),
            bucket=READ_BUCKET,
            key=WRITE_KEY,
            tables=(*SELECT, *INSERT),
        )

    def metric_size_bytes(self, storage_type: str = "StandardStorage") -> cloudwatch.Metric:
        """Bytes in the zone, once a day, of one storage type.

        Args:
            storage_type: ``StandardStorage``, ``IntelligentTieringFAStorage`` (frequent access),
                ``IntelligentTieringIAStorage`` and so on, as S3 publishes them.
        """
        return self._daily_metric("BucketSizeBytes", storage_type)

    def metric_number_of_objects(self) -> cloudwatch.Metric:
        """Objects and versions in the zone, once a day."""
        return self._daily_metric("NumberOfObjects", "AllStorageTypes")

    def _daily_metric(self, name: str, storage_type: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/S3",
            metric_name=name,
            dimensions_map={"BucketName": self.bucket.bucket_name, "StorageType": storage_type},
            statistic="Average",
            period=Duration.days(1),
        )

    def _grant(
        self,
        grantee: iam.IGrantable,
        prefix: str | None,
        *,
        objects: tuple[str, ...],
        bucket: tuple[str, ...],
        key: tuple[str, ...],
        tables: tuple[str, ...],
    ) -> iam.Grant:
        if without_policies(grantee):
            self._check_lake_principal(prefix, tables)
            grant = lake_formation_alone(grantee)
        else:
            grant = self._grant_objects(grantee, prefix, objects=objects, bucket=bucket, key=key)
        if prefix is not None or not tables or self.catalog is None:
            return grant
        principal = self.catalog.principal(grantee)
        if principal is None:
            return grant
        self.catalog.permit(principal, database=("DESCRIBE",), tables=tables)
        let_get_credentials(principal)
        return grant.combine(self.grant_definitions(grantee))

    def _check_lake_principal(self, prefix: str | None, tables: tuple[str, ...]) -> None:
        problems = Problems(f"Grant on {self.node.path}")
        problems.check(
            prefix is None and bool(tables),
            given=f"a LakePrincipal on {'objects' if prefix is None else repr(prefix)}",
            allowed="tables: objects and folders are a matter of S3, whose policies do not know it",
            write="table.grant_select(…), or zone.grant_read(…) for all tables",
        )
        problems.check(
            self.catalog is not None and self.catalog.governed is not False,
            given=f"a LakePrincipal in zone {self.name!r}, where IAM decides",
            allowed="zones where Lake Formation alone decides",
            write="DataLake(…, lake_formation=LakeFormation(hybrid=False))",
        )
        problems.raise_if_any()

    def _grant_objects(
        self,
        grantee: iam.IGrantable,
        prefix: str | None,
        *,
        objects: tuple[str, ...],
        bucket: tuple[str, ...],
        key: tuple[str, ...],
    ) -> iam.Grant:
        """S3 and KMS. Statements go to the principal's own policy wherever it has one, so that a lake's
        policies do not grow with its consumers and no consumer's stack is named in the lake's."""
        pattern = _object_pattern(self.node.path, prefix)
        grant = iam.Grant.add_to_principal_or_resource(
            grantee=grantee,
            actions=list(objects),
            resource_arns=[self.bucket.arn_for_objects(pattern)],
            resource=self.bucket,
        )
        if bucket:
            listing = iam.Grant.add_to_principal_or_resource(
                grantee=grantee,
                actions=list(bucket),
                resource_arns=[self.bucket.bucket_arn],
                resource=self.bucket,
                conditions=None if prefix is None else {"StringLike": {"s3:prefix": pattern}},
            )
            grant = grant.combine(listing)
        if self.key is not None:
            grant = grant.combine(self.key.grant(grantee, *key))
        principal = principal_construct(grantee)
        if principal is not None and pattern.endswith("*"):
            acknowledge_wildcards(
                principal,
                self,
                [self.bucket.arn_for_objects(pattern)],
                "Object keys are not known before they are written. The wildcard stands for the objects "
                f"{'in one zone' if prefix is None else 'below one prefix of one zone'} of the lake, for "
                f"named actions without wildcards.",
            )
        return grant

    def grant_definitions(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal read the definitions of the database and its tables, as far as Lake Formation lets
        it see them. IAM alone: the other grants include it."""
        if without_policies(grantee):
            return lake_formation_alone(grantee)
        stack = Stack.of(self)
        tables_arn = stack.format_arn(
            service="glue", resource="table", resource_name=f"{self.database_name}/*"
        )
        principal = principal_construct(grantee)
        if principal is not None:
            acknowledge_wildcards(
                principal,
                self,
                [tables_arn],
                "The names of the tables of one database, for reading their definitions. Lake Formation "
                "decides which of them the principal may see.",
            )
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(READ_CATALOG),
            resource_arns=[
                stack.format_arn(service="glue", resource="catalog"),
                stack.format_arn(service="glue", resource="database", resource_name=self.database_name),
                tables_arn,
            ],
        )


def _object_pattern(path: str, prefix: str | None) -> str:
    """``*`` for the whole zone, ``folder/*`` for a folder, and a key for itself."""
    if prefix is None:
        return "*"
    if is_token(prefix):
        return f"{prefix}*"
    problems = Problems(f"Grant on {path}")
    problems.check(
        prefix not in ("", "/") and not prefix.startswith("/"),
        given=f"prefix={prefix!r}",
        allowed="a key relative to the bucket, or None for the whole zone",
        write='prefix="reviews/"',
    )
    problems.check(
        not any(wild in prefix for wild in "*?$"),
        given=f"prefix={prefix!r}",
        allowed="a prefix without IAM's wildcards * ? and ${…}",
        write='prefix="reviews/"',
    )
    problems.raise_if_any()
    return f"{prefix}*" if prefix.endswith("/") else prefix
