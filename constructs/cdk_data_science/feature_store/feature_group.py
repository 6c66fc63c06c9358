"""A feature group: records by identifier and time, online for predictions and offline in the lake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnResource, Names, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake import LakeTable, PartitionKey, Schema, ZoneBase
from cdk_data_science.feature_store.definitions import FeatureType, features_of, table_schema
from cdk_data_science.feature_store.group_base import FeatureGroupBase
from cdk_data_science.feature_store.stores import OfflineStore, OnlineStore

_NAME = re.compile(r"[a-z0-9](-*[a-z0-9]){0,63}")
_LONGEST = 64
_HOURS = tuple(PartitionKey(name=name, type="string") for name in ("year", "month", "day", "hour"))


class FeatureGroup(FeatureGroupBase):
    """Features of one kind of thing, with an identifier and the time at which they were true.

    The online store has the newest record of each identifier, the offline store every record: a table in a
    zone of the lake, in Iceberg's format, under the zone's key, which queries and training read. Features are
    typed as the lake's tables are. The role that Feature Store writes with reaches the table's folder and the
    table, and nothing else.

    Features can be added in place. Everything else about a group, its tags included, is fixed when it is
    made: CloudFormation would replace it, and fails because its name is taken, which is better than losing
    the online store.

    **Costs at rest**: nothing on demand but what is stored, and its key's share; ``InMemory`` and provisioned
    throughput are billed by the hour.

    ```python
    from aws_cdk import Duration
    from aws_cdk import aws_iam as iam
    from cdk_data_science import DataLake
    from cdk_data_science.feature_store import FeatureGroup, OfflineStore, OnlineStore

    lake = DataLake(self, "Lake")
    products = FeatureGroup(
        self,
        "Products",
        schema={"product_id": "string", "updated": "timestamp", "reviews": "bigint", "rating_mean": "double"},
        record_id="product_id",
        event_time="updated",
        online=OnlineStore(ttl=Duration.days(90)),
        offline=OfflineStore(zone=lake.features),
    )
    model = iam.Role(self, "Model", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    products.grant_read_online(model)
    ```

    Args:
        schema: Names and types of the features, at most 2500: whole numbers, fractions and texts. ``date``
            and ``timestamp`` are kept as texts in ISO 8601.
        record_id: The feature that identifies a record, a whole number or a text.
        event_time: The feature that says since when a record is true: ``string`` or ``timestamp`` in ISO
            8601, UTC (``2026-11-28T12:00:00Z``), or ``double``, in seconds since 1970.
        online: The online store. Default: none.
        offline: The offline store. Default: none; one of the two has to be there.
        name: Lower-case letters, digits and hyphens, at most 64; made from the construct's place if not
            given.
        description: At most 128 characters. Default: none.
        destroy: Delete the group with the stack, and its online store with it; the offline store's objects
            stay. Works only together with the context key ``cdk-data-science:destroyData``. Default: it is
            retained.

    Raises:
        ConfigurationError: features, names and stores that Feature Store would refuse, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        schema: Schema,
        record_id: str,
        event_time: str,
        online: OnlineStore | None = None,
        offline: OfflineStore | None = None,
        name: str | None = None,
        description: str | None = None,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("FeatureGroup", self)
        self.features: Mapping[str, FeatureType] = features_of(
            problems, schema, record_id=record_id, event_time=event_time
        )
        self.record_id, self.event_time = record_id, event_time
        _check(problems, name, description, online, offline)
        problems.raise_if_any()
        self.feature_group_name = name if name is not None else self._unique_name()
        self.online = online is not None
        zone = None if offline is None else offline.zone
        own = None if online is None else online.key
        self.online_key = own if own is not None or zone is None else zone.key
        self.role = self._make_role()
        group = sagemaker.CfnFeatureGroup
        self.resource = group(
            self,
            "Resource",
            feature_group_name=self.feature_group_name,
            description=description,
            record_identifier_feature_name=record_id,
            event_time_feature_name=event_time,
            feature_definitions=[
                group.FeatureDefinitionProperty(feature_name=feature, feature_type=type_)
                for feature, type_ in self.features.items()
            ],
            role_arn=self.role.role_arn,
            online_store_config=None if online is None else self._online(online),
            offline_store_config=None if offline is None else self._offline(offline),
            throughput_config=None if online is None else _throughput(online),
        )
        policy = removal_policy(self, destroy=destroy)
        self.resource.apply_removal_policy(policy)
        self.table = None
        if offline is not None:
            self._allow_offline(offline)
            self.table = LakeTable.from_schema(
                self,
                "Table",
                zone=offline.zone,
                name=self._table_name(offline),
                schema=table_schema(self.features),
                prefix=self._prefix(offline),
                partition_keys=_HOURS if offline.format == "Glue" else (),
            )
            self.table.made = (self.resource,)
        # The role has to be able to write before the group is made: Feature Store tries it. And a group that
        # is kept goes on writing.
        self.resource.node.add_dependency(self.role)
        for child in self.role.node.find_all():
            if isinstance(child, CfnResource):
                child.apply_removal_policy(policy)
        self.node.default_child = self.resource

    @staticmethod
    def from_name(
        scope: Construct, id: str, *, name: str, online: bool = True, online_key: kms.IKey | None = None
    ) -> FeatureGroupBase:
        """Import a group that another app owns, for grants on it.

        Args:
            name: Its name.
            online: Whether it has an online store.
            online_key: Encrypts that; None for AWS's own key.
        """
        return _ImportedFeatureGroup(scope, id, name, online, online_key)

    def _unique_name(self) -> str:
        return Names.unique_resource_name(self, max_length=_LONGEST, separator="-").lower()

    def _table_name(self, offline: OfflineStore) -> str:
        if offline.table_name is not None:
            return offline.table_name
        name = re.sub(r"[^a-z0-9]+", "_", self.feature_group_name.lower())
        return name if name[0].isalpha() else f"features_{name}"

    def _prefix(self, offline: OfflineStore) -> str:
        return f"feature-store/{self._table_name(offline)}/" if offline.prefix is None else offline.prefix

    # CDK takes both stores for plain JSON and leaves names in them as they are: CloudFormation's own.

    def _online(self, online: OnlineStore) -> dict[str, Any]:
        found: dict[str, Any] = {"EnableOnlineStore": True, "StorageType": online.storage}
        if online.ttl is not None:
            found["TtlDuration"] = online.render_ttl()
        if self.online_key is not None:
            found["SecurityConfig"] = {"KmsKeyId": self.online_key.key_arn}
        return found

    def _offline(self, offline: OfflineStore) -> dict[str, Any]:
        zone = offline.zone
        storage = {"S3Uri": zone.uri(self._prefix(offline)).rstrip("/")}
        if zone.key is not None:
            storage["KmsKeyId"] = zone.key.key_arn
        return {
            "S3StorageConfig": storage,
            # Feature Store makes the table itself, which Iceberg asks for.
            "DisableGlueTableCreation": False,
            "DataCatalogConfig": {
                "Catalog": "AwsDataCatalog",
                "Database": zone.database_name,
                "TableName": self._table_name(offline),
            },
            "TableFormat": offline.format,
        }

    def _make_role(self) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description=f"Feature Store writes the offline store of {self.node.path}"[:1000],
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": self.feature_group_arn},
                },
            ),
        )
        acknowledge_inline_policy(role)
        return role

    def _allow_offline(self, offline: OfflineStore) -> None:
        """What AWS's own policy for Feature Store allows on every bucket that is called sagemaker."""
        zone, stack, role = offline.zone, Stack.of(offline.zone), self.role
        objects = zone.bucket.arn_for_objects(f"{self._prefix(offline)}*")
        # Feature Store sends an ACL with its objects. The lake's buckets own theirs, and take this one alone.
        owner = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
        statements: list[tuple[list[str], list[str], dict[str, dict[str, str]] | None]] = [
            (["s3:GetObject", "s3:PutObject"], [objects], None),
            (["s3:PutObjectAcl"], [objects], owner),
            (["s3:GetBucketAcl"], [zone.bucket.bucket_arn], None),
            (
                ["glue:GetTable", "glue:UpdateTable"],
                [
                    stack.format_arn(service="glue", resource="catalog"),
                    stack.format_arn(service="glue", resource="database", resource_name=zone.database_name),
                    stack.format_arn(
                        service="glue",
                        resource="table",
                        resource_name=f"{zone.database_name}/{self._table_name(offline)}",
                    ),
                ],
                None,
            ),
        ]
        for actions, resources, conditions in statements:
            role.add_to_policy(
                iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
            )
        if zone.key is not None:
            zone.key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        acknowledge_wildcards(
            role,
            zone,
            [objects],
            "Feature Store names its objects itself. The wildcard stands for those below the folder of this "
            "one group.",
        )
        self._permit_table(zone, self._table_name(offline))

    def _permit_table(self, zone: ZoneBase, table: str) -> None:
        """Where Lake Formation alone decides, IAM's permission on the table is not enough."""
        catalog = zone.catalog
        principal = None if catalog is None else catalog.principal(self.role)
        if catalog is not None and principal is not None and catalog.governed is not False:
            catalog.permit_table(principal, table, ("ALTER", "DESCRIBE"), after=(self.resource,))


class _ImportedFeatureGroup(FeatureGroupBase):
    """A group that another app owns."""

    def __init__(
        self, scope: Construct, id: str, name: str, online: bool, online_key: kms.IKey | None
    ) -> None:
        super().__init__(scope, id)
        self.feature_group_name, self.online, self.online_key, self.table = name, online, online_key, None


def _throughput(online: OnlineStore) -> sagemaker.CfnFeatureGroup.ThroughputConfigProperty | None:
    if online.storage != "Standard":
        return None
    config = sagemaker.CfnFeatureGroup.ThroughputConfigProperty
    if online.throughput is None:
        return config(throughput_mode="OnDemand")
    return config(
        throughput_mode="Provisioned",
        provisioned_read_capacity_units=online.throughput.read_units,
        provisioned_write_capacity_units=online.throughput.write_units,
    )


def _check(
    problems: Problems,
    name: str | None,
    description: str | None,
    online: OnlineStore | None,
    offline: OfflineStore | None,
) -> None:
    problems.check(
        online is not None or offline is not None,
        given="no store",
        allowed="an online store, an offline store, or both",
        write="offline=OfflineStore(zone=lake.features)",
    )
    problems.check(
        name is None or is_token(name) or (len(name) <= _LONGEST and _NAME.fullmatch(name) is not None),
        given=f"name={name!r}",
        allowed="lower-case letters, digits and hyphens, at most 64, the ends no hyphen",
        write='name="products"',
    )
    problems.check(
        description is None or Token.is_unresolved(description) or len(description) <= 128,
        given=f"a description of {len(description or '')} characters",
        allowed="at most 128",
    )
    if online is not None:
        online.check(problems)
    if offline is not None:
        offline.check(problems)
