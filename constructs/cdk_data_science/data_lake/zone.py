"""A zone of the lake: one bucket, one catalog database, and who may use them."""

from __future__ import annotations

from typing import Protocol

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lakeformation as lakeformation
from aws_cdk import aws_s3 as s3

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.data_lake import _bucket
from cdk_data_science.data_lake._permissions import Catalog, let_get_credentials, principal_construct
from cdk_data_science.data_lake.lake_formation import LakeFormation, Registration
from cdk_data_science.data_lake.zone_definition import ZoneAttributes, ZoneDefinition
from constructs import Construct

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


class IZone(Protocol):
    """What other constructs need of a zone, whether it was built here or imported."""

    @property
    def name(self) -> str:
        """The zone's name in its lake."""

    @property
    def bucket(self) -> s3.IBucket:
        """Where the zone's objects are."""

    @property
    def key(self) -> kms.IKey | None:
        """What encrypts them. Writers that name a key must name this one."""

    @property
    def database_name(self) -> str:
        """The zone's Glue database."""

    def uri(self, key: str = "") -> str:
        """The ``s3://`` address of a key or prefix."""

    def grant_read(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal read."""

    def grant_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal write."""

    def grant_read_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal read and write."""


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

    _catalog: Catalog | None = None

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
        grant = self._grant_objects(grantee, prefix, objects=objects, bucket=bucket, key=key)
        if prefix is not None or not tables or self._catalog is None:
            return grant
        principal = self._catalog.principal(grantee)
        if principal is None:
            return grant
        self._catalog.permit(principal, database=("DESCRIBE",), tables=tables)
        let_get_credentials(principal)
        return grant.combine(self._grant_definitions(grantee))

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

    def _grant_definitions(self, grantee: iam.IGrantable) -> iam.Grant:
        """The definitions of the database and its tables, as far as Lake Formation lets the grantee see
        them."""
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


class Zone(ZoneBase):
    """One zone of a lake: a private, encrypted, versioned bucket and the Glue database of its tables.

    Usually made by :class:`~cdk_data_science.DataLake`; the bucket's own construct is ``zone.bucket`` and the
    database's is ``zone.database``, for whatever is not an option here.

    **Costs at rest**: nothing while it is empty, but for its key (1 USD a month for each key).

    ```python
    from aws_cdk import aws_kms as kms
    from cdk_data_science.data_lake import Zone, ZoneDefinition

    zone = Zone(
        self,
        "Sensors",
        definition=ZoneDefinition(name="sensors", expire_days=365),
        key=kms.Key(self, "Key", enable_key_rotation=True),
    )
    ```

    Args:
        definition: Name, lifecycle and events of the zone.
        key: Encrypts the objects. Writers cannot use another one.
        access_logs: Receives the bucket's access logs below ``s3/<zone>/``. Default: none are written.
        lake_formation: How Lake Formation governs the zone; None leaves it to IAM alone. Default: None.
        destroy: Delete the bucket with its objects, and the database, with the stack. Needs the context key
            ``cdk-data-science:destroyData`` too. Default: False.

    Raises:
        ConfigurationError: For a definition that cannot work, all mistakes at once.

    Follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html.
    """

    bucket: s3.Bucket
    """Where the zone's objects are."""

    key: kms.IKey
    """What encrypts them. Writers that name a key must name this one."""

    database: glue.CfnDatabase
    """The zone's Glue database."""

    registration: Registration | None
    """The bucket's registration with Lake Formation."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        definition: ZoneDefinition,
        key: kms.IKey,
        access_logs: s3.IBucket | None = None,
        lake_formation: LakeFormation | None = None,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("Zone", self)
        definition.check(problems)
        problems.raise_if_any()

        self.name = definition.name
        self.key = key
        policy = removal_policy(self, destroy=destroy)
        self.bucket = _bucket.zone_bucket(
            self, definition=definition, key=key, access_logs=access_logs, policy=policy
        )
        self.database = self._make_database(definition, lake_formation, policy)
        self.database_name = self.database.ref
        self.registration = None
        if lake_formation is not None:
            self.registration = self._register(lake_formation)
            self._catalog = Catalog(
                self, self.name, self.database_name, administered=lake_formation.administer
            )
            self._catalog.after(self.registration.location)
        self.node.default_child = self.bucket.node.default_child

    @staticmethod
    def from_attributes(scope: Construct, id: str, attributes: ZoneAttributes) -> ZoneBase:
        """Import a zone that another app owns.

        Grants then change only the principals' policies and Lake Formation's permissions, never the owner's
        stack.
        """
        return _ImportedZone(scope, id, attributes)

    def after_administrators(self, settings: lakeformation.CfnDataLakeSettings) -> None:
        """Register the location, and grant permissions on the zone, only once the administrators are
        known."""
        if self.registration is not None and self._catalog is not None:
            self.registration.location.add_resource_dependency(settings)
            self._catalog.after(settings)

    def _make_database(
        self, definition: ZoneDefinition, lake_formation: LakeFormation | None, policy: RemovalPolicy
    ) -> glue.CfnDatabase:
        governed = lake_formation is not None and not lake_formation.hybrid
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Stack.of(self).account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=definition.database_name,
                description=f"Tables of the {definition.name} zone",
                location_uri=self.bucket.s3_url_for_object(),
                # Without this, the account's default gives IAMAllowedPrincipals everything on each new table.
                create_table_default_permissions=[] if governed else None,
            ),
        )
        database.apply_removal_policy(policy)
        return database

    def _register(self, lake_formation: LakeFormation) -> Registration:
        registration = Registration(self, "LakeFormation", bucket=self.bucket, hybrid=lake_formation.hybrid)
        grant = self._grant_objects(
            registration.role,
            None,
            objects=(*READ_OBJECTS, *WRITE_OBJECTS),
            bucket=READ_BUCKET,
            key=WRITE_KEY,
        )
        grant.apply_before(registration.location)
        # Creating a database at a registered location takes a data location permission: this one is older.
        registration.location.add_resource_dependency(self.database)
        return registration


class _ImportedZone(ZoneBase):
    """A zone that another app owns."""

    def __init__(self, scope: Construct, id: str, attributes: ZoneAttributes) -> None:
        super().__init__(scope, id)
        self.name = attributes.name
        self.key = (
            None if attributes.key_arn is None else kms.Key.from_key_arn(self, "Key", attributes.key_arn)
        )
        self.bucket = s3.Bucket.from_bucket_attributes(
            self, "Bucket", bucket_arn=attributes.bucket_arn, encryption_key=self.key
        )
        self.database_name = attributes.database_name
        self._catalog = Catalog(self, self.name, self.database_name) if attributes.lake_formation else None


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
