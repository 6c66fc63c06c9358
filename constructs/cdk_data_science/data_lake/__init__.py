"""The data lake: governed zones on S3 with their catalog."""

from cdk_data_science.data_lake.catalog_encryption import CatalogEncryption
from cdk_data_science.data_lake.crawler import CrawlerOutput, LakeCrawler
from cdk_data_science.data_lake.data_lake import DataLake, ImportedDataLake
from cdk_data_science.data_lake.etl import (
    DatabaseConnection,
    DataProfile,
    JobConnection,
    RecipeCondition,
    RecipeJob,
    RecipeStep,
    ScriptFile,
    ScriptObject,
    SparkJob,
    SparkJobTask,
    StreamingJob,
    Workers,
)
from cdk_data_science.data_lake.formats import Csv, Iceberg, IcebergPartition, Json, Parquet, TableFormat
from cdk_data_science.data_lake.ingestion import BucketCopy, PartnerUpload
from cdk_data_science.data_lake.lake_formation import LakeFormation, Registration
from cdk_data_science.data_lake.lake_principal import LakePrincipal
from cdk_data_science.data_lake.lake_tag import LakeTag
from cdk_data_science.data_lake.partitions import PartitionKey
from cdk_data_science.data_lake.projections import (
    DateProjection,
    EnumProjection,
    InjectedProjection,
    IntegerProjection,
)
from cdk_data_science.data_lake.quality_results import QUALITY_NAMESPACE, QualityResults
from cdk_data_science.data_lake.quality_rules import GATE_RULES, GLUE_RULES, QualityRules
from cdk_data_science.data_lake.query_workgroup import QueryWorkgroup
from cdk_data_science.data_lake.s3_tables import ManagedTable, TableBucket, TableNamespace
from cdk_data_science.data_lake.schema import Column, Schema
from cdk_data_science.data_lake.snapshot_export import SnapshotExport
from cdk_data_science.data_lake.spark_workgroup import SparkWorkgroup
from cdk_data_science.data_lake.table import LakeTable
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.table_maintenance import TableMaintenance
from cdk_data_science.data_lake.table_quality import TableQuality
from cdk_data_science.data_lake.zone import Zone
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.data_lake.zone_definition import (
    DEFAULT_ZONES,
    FolderExpiry,
    ObjectLock,
    ZoneAttributes,
    ZoneDefinition,
)
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.data_lake.zone_interface import IZone
from cdk_data_science.data_lake.zone_storage import Archive, Replication

__all__ = [
    "DEFAULT_ZONES",
    "GATE_RULES",
    "GLUE_RULES",
    "QUALITY_NAMESPACE",
    "Archive",
    "BucketCopy",
    "CatalogEncryption",
    "Column",
    "CrawlerOutput",
    "Csv",
    "DataLake",
    "DataProfile",
    "DatabaseConnection",
    "DateProjection",
    "EnumProjection",
    "FolderExpiry",
    "IZone",
    "Iceberg",
    "IcebergPartition",
    "ImportedDataLake",
    "InjectedProjection",
    "IntegerProjection",
    "JobConnection",
    "Json",
    "LakeCrawler",
    "LakeFormation",
    "LakePrincipal",
    "LakeTable",
    "LakeTag",
    "ManagedTable",
    "ObjectLock",
    "Parquet",
    "PartitionKey",
    "PartnerUpload",
    "QualityResults",
    "QualityRules",
    "QueryWorkgroup",
    "RecipeCondition",
    "RecipeJob",
    "RecipeStep",
    "Registration",
    "Replication",
    "Schema",
    "ScriptFile",
    "ScriptObject",
    "SnapshotExport",
    "SparkJob",
    "SparkJobTask",
    "SparkWorkgroup",
    "StreamingJob",
    "TableBase",
    "TableBucket",
    "TableFormat",
    "TableMaintenance",
    "TableNamespace",
    "TableQuality",
    "Workers",
    "Zone",
    "ZoneAttributes",
    "ZoneBase",
    "ZoneDefinition",
    "ZoneFolder",
]
