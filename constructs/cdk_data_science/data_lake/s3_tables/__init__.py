"""Iceberg tables that Amazon S3 keeps and maintains itself."""

from cdk_data_science.data_lake.s3_tables.managed_table import ManagedTable
from cdk_data_science.data_lake.s3_tables.table_bucket import TableBucket, TableNamespace

__all__ = ["ManagedTable", "TableBucket", "TableNamespace"]
