"""What must survive: the zones, their key, their catalog."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import DataLake, LakeFormation
from settings.model import Settings


class LakeStack(cdk.Stack):
    """The data lake. Everything else can be destroyed and deployed again; this holds the data."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env, description="Data lake: zones, key, catalog, governance")
        # One stack of an account says who administers Lake Formation: here it is this one.
        formation = LakeFormation(
            administer=True,
            administrators=[
                iam.Role.from_role_arn(self, f"Administrator{index}", arn, mutable=False)
                for index, arn in enumerate(settings.lake.administrators)
            ],
        )
        self.lake = DataLake(
            self,
            "Lake",
            lake_formation=formation if settings.lake.lake_formation else None,
            destroy=settings.platform.destroy_data,
        )
        for zone in self.lake.zones.values():
            cdk.CfnOutput(
                self,
                f"{zone.node.id}Bucket",
                value=zone.bucket.bucket_name,
                description=f"Bucket of the lake's {zone.name} zone",
            )
