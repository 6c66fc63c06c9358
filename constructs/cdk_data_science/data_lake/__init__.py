"""The data lake: governed zones on S3 with their catalog."""

from cdk_data_science.data_lake.data_lake import DataLake, ImportedDataLake
from cdk_data_science.data_lake.lake_formation import LakeFormation, Registration
from cdk_data_science.data_lake.zone import Zone
from cdk_data_science.data_lake.zone_base import IZone, ZoneBase
from cdk_data_science.data_lake.zone_definition import (
    DEFAULT_ZONES,
    FolderExpiry,
    ObjectLock,
    ZoneAttributes,
    ZoneDefinition,
)

__all__ = [
    "DEFAULT_ZONES",
    "DataLake",
    "FolderExpiry",
    "IZone",
    "ImportedDataLake",
    "LakeFormation",
    "ObjectLock",
    "Registration",
    "Zone",
    "ZoneAttributes",
    "ZoneBase",
    "ZoneDefinition",
]
