"""Where jobs and functions run: a VPC without internet."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import FunctionNetwork, NetworkFeature, ResearchNetwork
from cdk_data_science.hardware import InstanceUse, instance_types
from cdk_data_science.network import AddressPlan, Cluster, FirewallEgress, FlowLogs, NatEgress
from settings.model import Settings
from settings.network import Network

# The pipeline's functions call these services themselves.
_PIPELINE = NetworkFeature.ORCHESTRATION


class NetworkStack(cdk.Stack):
    """The network, its endpoints and its flow logs. It stands on nothing."""

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, network: Network, env: cdk.Environment
    ) -> None:
        super().__init__(scope, id, env=env, description="Network: private subnets, endpoints, flow logs")
        features = {NetworkFeature(feature) for feature in network.features}
        if "pipeline" in network.inside and (not network.nat_gateways or network.allowed_domains):
            features.add(_PIPELINE)
        self.network = ResearchNetwork(
            self,
            "Network",
            zones=network.zones,
            features=sorted(features),
            addresses=AddressPlan(cidr=network.cidr),
            clusters=_clusters(settings, network),
            egress=_egress(network),
            flow_logs=FlowLogs() if network.flow_logs else None,
        )
        outputs = {
            "VpcId": (self.network.vpc.vpc_id, "The VPC of jobs and functions"),
            "HourlyUsd": (
                f"{self.network.hourly_usd:.3f}",
                "What endpoints and NAT gateways cost an hour at rest, at the prices of us-east-1 of 2026-11",
            ),
        }
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)

    @property
    def functions(self) -> FunctionNetwork:
        """Where functions go: the small subnets, with a way to the endpoints and to S3."""
        return FunctionNetwork(
            vpc=self.network.vpc,
            subnets=self.network.services,
            security_groups=[self.network.security_groups.workload],
        )


def _egress(network: Network) -> FirewallEgress | NatEgress | None:
    if not network.nat_gateways:
        return None
    if network.allowed_domains:
        return FirewallEgress(domains=network.allowed_domains, gateways=network.nat_gateways)
    return NatEgress(gateways=network.nat_gateways)


def _clusters(settings: Settings, network: Network) -> list[Cluster]:
    """What has to find addresses at the same time: the largest training, and the clusters that stay."""
    wanted = {} if settings.clusters is None else settings.clusters.largest
    known = instance_types(InstanceUse.TRAINING)
    clusters = [Cluster(instance_type=kind, instances=n) for kind, n in wanted.items() if kind in known]
    if settings.training is not None:
        training = settings.training
        instances = max(network.largest_cluster, training.instance_count)
        clusters.insert(0, Cluster(instance_type=training.instance_type, instances=instances))
    return clusters
