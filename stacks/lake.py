"""What must survive: the zones, their key, their catalog, what was recorded of runs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import (
    CatalogEncryption,
    Csv,
    DataLake,
    Iceberg,
    Json,
    LakeFormation,
    Mlflow,
    Parquet,
    PartnerUpload,
    TableMaintenance,
)
from cdk_data_science.data_lake import Column, TableFormat
from cdk_data_science.studio import TrackingServer
from settings import mlflow
from settings.lake import Table
from settings.model import Settings
from settings.sources import Partner
from stacks import checks, places, zones

FORMATS: dict[str, TableFormat] = {
    "parquet": Parquet(),
    "csv": Csv(escape='"'),
    "json": Json(),
    "iceberg": Iceberg(),
}


class LakeStack(cdk.Stack):
    """The data lake. Everything else can be destroyed and deployed again; this holds the data."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description="Data lake: zones, key, catalog, governance",
            termination_protection=not settings.platform.destroy_data,
        )
        # One stack of an account says who administers Lake Formation: here it is this one.
        formation = LakeFormation(
            hybrid=not settings.lake.governed,
            administer=True,
            administrators=[
                iam.Role.from_role_arn(self, f"Administrator{index}", arn, mutable=False)
                for index, arn in enumerate(settings.lake.administrators)
            ],
        )
        self.lake = DataLake(
            self,
            "Lake",
            zones=list(zones.definitions(self, settings.lake)),
            lake_formation=formation if settings.lake.lake_formation else None,
            destroy=settings.platform.destroy_data,
        )
        if settings.lake.encrypt_catalog:
            CatalogEncryption(self, "Catalog")
        for name, table in settings.lake.tables.items():
            self._table(name, table)
        for name, partner in settings.lake.partners.items():
            self._partner(name, partner)
        if settings.lake.lake_formation and not settings.lake.governed:
            checks.accept(
                self.lake,
                "LF8",
                "The lake is new and nobody has been opted in: IAM, the buckets' policies and the key decide "
                "here. Lake Formation alone governs a zone once its readers have their grants; the switch is "
                "lake.governed.",
            )
        for zone in self.lake.zones.values():
            cdk.CfnOutput(
                self,
                f"{zone.node.id}Bucket",
                value=zone.bucket.bucket_name,
                description=f"Bucket of the lake's {zone.name} zone",
            )
            cdk.CfnOutput(
                self,
                f"{zone.node.id}Database",
                value=zone.database_name,
                description=f"Glue database of the lake's {zone.name} zone, to query its tables in",
            )
        cdk.CfnOutput(
            self,
            "KeyArn",
            value=self.lake.key.key_arn,
            description="Key of all zones, for clients that have to name one when they upload",
        )
        self.mlflow = None if settings.mlflow is None else self._recorder(settings, settings.mlflow)

    def _table(self, name: str, table: Table) -> None:
        made = self.lake.zone(table.zone).add_table(
            name,
            schema=[
                Column(name=column, type=kind, field_id=table.field_ids.get(column))
                for column, kind in table.columns.items()
            ],
            format=FORMATS[table.format],
            prefix=table.prefix,
            description=table.description,
        )
        if table.snapshot_days is not None:
            TableMaintenance(
                self,
                f"Maintenance-{name}",
                table=made,
                snapshot_days=table.snapshot_days,
            )

    def _partner(self, name: str, partner: Partner) -> None:
        """In this stack, since the policies of the zone's bucket and key admit them."""
        made = PartnerUpload(
            self,
            places.id_of("Partner", name),
            folder=places.folder(self.lake, partner.folder),
            roles=partner.roles,
            account=partner.account,
            external_id=partner.external_id,
            organization=partner.organization,
        )
        if made.role is not None:
            cdk.CfnOutput(
                self,
                f"{made.node.id}-RoleArn",
                value=made.role.role_arn,
                description=f"Role that the partner {name!r} takes, with its external id",
            )

    def _recorder(self, settings: Settings, asked: mlflow.Mlflow) -> Mlflow:
        """MLflow is here because it holds what cannot be made again: no later stack takes it down."""
        recorder = Mlflow(
            self,
            "Mlflow",
            artifacts=self.lake.models,
            name=settings.platform.name,
            server=None if asked.server is None else TrackingServer(size=asked.server),
            maintenance=asked.maintenance,
            destroy=settings.platform.destroy_data,
        )
        cdk.CfnOutput(
            self,
            "MlflowArn",
            value=recorder.arn,
            description="MLflow's tracking URI (MLFLOW_TRACKING_URI) for clients with sagemaker-mlflow",
        )
        return recorder
