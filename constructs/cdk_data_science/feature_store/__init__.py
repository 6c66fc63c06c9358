"""Feature Store: features that training and predictions read alike, on the lake's catalog."""

from cdk_data_science.feature_store.feature_group import FeatureGroup
from cdk_data_science.feature_store.group_base import FeatureGroupBase
from cdk_data_science.feature_store.ingest_task import IngestFeaturesTask
from cdk_data_science.feature_store.ingestion import FeatureIngestion
from cdk_data_science.feature_store.stores import OfflineStore, OnlineStore, ProvisionedThroughput

__all__ = [
    "FeatureGroup",
    "FeatureGroupBase",
    "FeatureIngestion",
    "IngestFeaturesTask",
    "OfflineStore",
    "OnlineStore",
    "ProvisionedThroughput",
]
