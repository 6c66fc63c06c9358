"""Clusters of accelerators: instances in one zone that talk over Elastic Fabric Adapters."""

from cdk_data_science.clusters.batch import BatchCluster
from cdk_data_science.clusters.hyperpod import HyperPodCluster
from cdk_data_science.clusters.hyperpod_groups import HyperPodGroup, LifecycleScripts
from cdk_data_science.clusters.network import ClusterNetwork
from cdk_data_science.clusters.reservation import CapacityReservation

__all__ = [
    "BatchCluster",
    "CapacityReservation",
    "ClusterNetwork",
    "HyperPodCluster",
    "HyperPodGroup",
    "LifecycleScripts",
]
