"""A zone of the lake: one bucket, one catalog database."""

from __future__ import annotations

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lakeformation as lakeformation
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems
from cdk_data_science.data_lake import _bucket
from cdk_data_science.data_lake._permissions import Catalog
from cdk_data_science.data_lake.lake_formation import LakeFormation, Registration
from cdk_data_science.data_lake.zone_base import READ_BUCKET, READ_OBJECTS, WRITE_KEY, WRITE_OBJECTS, ZoneBase
from cdk_data_science.data_lake.zone_definition import ZoneAttributes, ZoneDefinition


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

    bucket: s3.IBucket
    """Where the zone's objects are."""

    owns_bucket: bool
    """Whether the bucket was made here, and not brought along."""

    key: kms.IKey
    """What encrypts them. Writers that name a key must name this one."""

    database: glue.CfnDatabase
    """The zone's Glue database."""

    events: bool
    """Whether object events go to EventBridge."""

    queues: dict[str, str]
    """Queues that get the events of a folder, by folder."""

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
        definition.check(problems, destroy=destroy)
        problems.check(
            definition.inventory is None or access_logs is not None,
            given=f"inventory={definition.inventory!r} without access_logs",
            allowed="lists only beside the access logs",
            write="Zone(…, access_logs=bucket)",
        )
        problems.raise_if_any()

        self.name = definition.name
        self.destroy = destroy
        self.owns_bucket = definition.bucket is None
        self.events = definition.events and self.owns_bucket
        self.queues = {}
        self.key = key
        self.unnamed_key_prefixes = tuple(definition.unnamed_key_prefixes)
        policy = removal_policy(self, destroy=destroy)
        if definition.bucket is not None and definition.bucket.encryption_key is not None:
            self.bucket, self.key = definition.bucket, definition.bucket.encryption_key
        else:
            self.bucket = _bucket.zone_bucket(
                self, definition=definition, key=key, access_logs=access_logs, policy=policy
            )
        self.database = self._make_database(definition, lake_formation, policy)
        self.database_name = self.database.ref
        self.registration = None
        if lake_formation is not None:
            self.registration = self._register(lake_formation)
            self.catalog = Catalog(
                self,
                self.name,
                self.database_name,
                administered=lake_formation.administer,
                governed=not lake_formation.hybrid,
            )
            self.catalog.after(self.registration.location)
        self.node.default_child = self.bucket.node.default_child if self.owns_bucket else self.database

    @staticmethod
    def from_attributes(scope: Construct, id: str, attributes: ZoneAttributes) -> ZoneBase:
        """Import a zone that another app owns.

        Grants then change only the principals' policies and Lake Formation's permissions, never the owner's
        stack.
        """
        return _ImportedZone(scope, id, attributes)

    def after_administrators(self, settings: lakeformation.CfnDataLakeSettings) -> None:
        """Make the database, register the location and grant permissions only once the administrators are
        known: where the account has withdrawn the implicit permissions, nobody else may."""
        self.database.add_resource_dependency(settings)
        if self.registration is not None and self.catalog is not None:
            self.registration.location.add_resource_dependency(settings)
            self.catalog.after(settings)

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
        self.unnamed_key_prefixes = attributes.unnamed_key_prefixes
        self.catalog = Catalog(self, self.name, self.database_name) if attributes.lake_formation else None
