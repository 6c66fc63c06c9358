"""A bucket of Amazon S3 Tables, and the namespaces in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3tables as s3tables
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.formats import IcebergPartition
from cdk_data_science.data_lake.s3_tables.managed_table import ManagedTable
from cdk_data_science.data_lake.schema import Column

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-", "aws")
_NAMESPACE = re.compile(r"(?!aws)[a-z0-9][a-z0-9_]{0,253}[a-z0-9]|[a-z0-9]")
_LONGEST_DAYS = 36_500


class TableBucket(Construct):
    """A bucket that holds Iceberg tables and nothing else, which S3 itself compacts and cleans up.

    Encrypted with a key whose policy admits S3's maintenance for this bucket alone; every request needs TLS.
    Its tables have namespaces in place of zones, and grants of their own: Lake Formation knows them only
    where the account's integration of S3 Tables with AWS analytics services is switched on, by which Athena
    reads them as catalog ``s3tablescatalog/<bucket>``.

    **Costs at rest**: 1 USD a month for a key of its own. Storage costs 0.0265 USD a GB a month, compaction
    0.005 USD a GB and 0.002 USD for 1,000 objects (us-east-1, November 2026).

    ```python
    from cdk_data_science.data_lake import Column, TableBucket

    bucket = TableBucket(self, "Tables", name="research-tables")
    reviews = bucket.add_namespace("reviews").add_table(
        "amazon",
        schema=[
            Column(name="review_id", type="string", field_id=1, required=True),
            Column(name="stars", type="int", field_id=2),
        ],
    )
    ```

    Args:
        name: 3 to 63 lower-case letters, digits and hyphens, unique in the account and region. Default: made
            from the construct's path, since CloudFormation gives none.
        key: Encrypts the tables; one of another app has to admit S3's maintenance. Default: a new one.
        unreferenced_days: Days after which a file that no snapshot names is marked, 1 or more. Default: 3.
        noncurrent_days: Days after which a marked file is deleted for ever, 1 or more. Default: 10.
        destroy: Delete the bucket and its tables with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``. Default: False.

    Raises:
        ConfigurationError: For a name and for days that S3 would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-buckets.html and
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-kms-permissions.html.
    """

    bucket: s3tables.CfnTableBucket
    """The resource."""

    name: str
    """Its name."""

    arn: str
    """Its ARN."""

    key: kms.IKey
    """What encrypts its tables."""

    destroy: bool
    """Whether its tables go with their stack, where the app's context allows it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str | None = None,
        key: kms.IKey | None = None,
        unreferenced_days: int = 3,
        noncurrent_days: int = 10,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.name = (
            Names.unique_resource_name(self, max_length=63, separator="-").lower() if name is None else name
        )
        self.destroy = destroy
        problems = Problems("TableBucket", self)
        problems.check(
            is_token(self.name)
            or (bool(_BUCKET.fullmatch(self.name)) and not self.name.startswith(_RESERVED)),
            given=f"name={self.name!r}",
            allowed="3 to 63 lower-case letters, digits and hyphens, a letter or digit at both ends, not "
            f"beginning with {', '.join(_RESERVED)}",
            write='name="research-tables"',
        )
        for option, days in (("unreferenced_days", unreferenced_days), ("noncurrent_days", noncurrent_days)):
            problems.check(
                1 <= days <= _LONGEST_DAYS, given=f"{option}={days}", allowed=f"1 to {_LONGEST_DAYS}"
            )
        problems.raise_if_any()
        policy = removal_policy(self, destroy=destroy)
        self.arn = Stack.of(self).format_arn(service="s3tables", resource="bucket", resource_name=self.name)
        self.key = (
            kms.Key(
                self,
                "Key",
                description=f"Tables of {self.node.path}",
                enable_key_rotation=True,
                removal_policy=policy,
            )
            if key is None
            else key
        )
        self._admit_maintenance()
        made = s3tables.CfnTableBucket
        self.bucket = made(
            self,
            "Resource",
            table_bucket_name=self.name,
            encryption_configuration=made.EncryptionConfigurationProperty(
                sse_algorithm="aws:kms", kms_key_arn=self.key.key_arn
            ),
            unreferenced_file_removal=made.UnreferencedFileRemovalProperty(
                status="Enabled", unreferenced_days=unreferenced_days, noncurrent_days=noncurrent_days
            ),
        )
        self.bucket.apply_removal_policy(policy)
        self.bucket.node.add_dependency(self.key)
        self._demand_tls()
        self.node.default_child = self.bucket

    def add_namespace(self, name: str) -> TableNamespace:
        """Make a namespace, which groups tables as a database does.

        Args:
            name: 1 to 255 lower-case letters, digits and underscores, a letter or digit at both ends, not
                beginning with ``aws``.

        Raises:
            ConfigurationError: For a name that S3 would refuse.
        """
        return TableNamespace(self, f"Namespace-{name}", bucket=self, name=name)

    def _admit_maintenance(self) -> None:
        """S3 rewrites files on its own behalf, and needs their key for it."""
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="MaintenanceOfTables",
                principals=[iam.ServicePrincipal("maintenance.s3tables.amazonaws.com")],
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=["*"],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
                    "StringLike": {"kms:EncryptionContext:aws:s3:arn": f"{self.arn}/*"},
                },
            )
        )

    def _demand_tls(self) -> None:
        s3tables.CfnTableBucketPolicy(
            self,
            "Policy",
            table_bucket_arn=self.bucket.attr_table_bucket_arn,
            resource_policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        sid="TlsAlone",
                        effect=iam.Effect.DENY,
                        principals=[iam.AnyPrincipal()],
                        actions=["s3tables:*"],
                        resources=[self.arn, f"{self.arn}/*"],
                        conditions={"Bool": {"aws:SecureTransport": "false"}},
                    )
                ]
            ),
        )


class TableNamespace(Construct):
    """A group of tables of a :class:`TableBucket`, made by ``bucket.add_namespace``."""

    namespace: s3tables.CfnNamespace
    """The resource."""

    bucket: TableBucket
    """The bucket that it is in."""

    name: str
    """Its name."""

    def __init__(self, scope: Construct, id: str, *, bucket: TableBucket, name: str) -> None:
        super().__init__(scope, id)
        self.bucket, self.name = bucket, name
        problems = Problems("TableNamespace", self)
        problems.check(
            is_token(name) or bool(_NAMESPACE.fullmatch(name)),
            given=f"namespace {name!r}",
            allowed="1 to 255 lower-case letters, digits and underscores, a letter or digit at both ends, "
            "not beginning with aws",
            write='"reviews"',
        )
        problems.raise_if_any()
        self.namespace = s3tables.CfnNamespace(
            self, "Resource", namespace=name, table_bucket_arn=bucket.bucket.attr_table_bucket_arn
        )
        self.namespace.apply_removal_policy(removal_policy(self, destroy=bucket.destroy))
        self.node.default_child = self.namespace

    def add_table(
        self,
        name: str,
        *,
        schema: Sequence[Column],
        partition_by: Sequence[IcebergPartition] = (),
        snapshot_days: int = 365,
        keep_snapshots: int = 10,
        target_file_mb: int = 512,
    ) -> ManagedTable:
        """Make a table in this namespace; the arguments are those of
        :class:`~cdk_data_science.data_lake.ManagedTable`.

        Raises:
            ConfigurationError: For a table that S3 would refuse, all mistakes at once.
        """
        return ManagedTable(
            self,
            f"Table-{name}",
            namespace=self,
            name=name,
            schema=schema,
            partition_by=partition_by,
            snapshot_days=snapshot_days,
            keep_snapshots=keep_snapshots,
            target_file_mb=target_file_mb,
        )
