"""Where data is worked on: a VPC without internet, with endpoints for what is needed and no more."""

from cdk_data_science.network.addresses import AddressPlan, Cluster, addresses_of
from cdk_data_science.network.egress import FirewallEgress, NatEgress
from cdk_data_science.network.existing import ExistingVpc
from cdk_data_science.network.features import NetworkFeature, interface_endpoints
from cdk_data_science.network.flow_logs import FlowLogs
from cdk_data_science.network.research_network import (
    ExistingResearchNetwork,
    ResearchNetwork,
    ResearchNetworkBase,
)
from cdk_data_science.network.security_groups import LUSTRE_PORTS, PrefixLists, SecurityGroups

__all__ = [
    "LUSTRE_PORTS",
    "AddressPlan",
    "Cluster",
    "ExistingResearchNetwork",
    "ExistingVpc",
    "FirewallEgress",
    "FlowLogs",
    "NatEgress",
    "NetworkFeature",
    "PrefixLists",
    "ResearchNetwork",
    "ResearchNetworkBase",
    "SecurityGroups",
    "addresses_of",
    "interface_endpoints",
]
