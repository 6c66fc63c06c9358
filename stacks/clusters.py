"""Clusters of accelerators in the network: HyperPod, and queues of AWS Batch."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake
from cdk_data_science.clusters import (
    BatchCluster,
    CapacityReservation,
    ClusterNetwork,
    HyperPodCluster,
    HyperPodGroup,
    LifecycleScripts,
)
from settings.clusters import Batch, Clusters, HyperPod
from stacks import checks
from stacks.files import FilesStack
from stacks.network import NetworkStack


class ClustersStack(cdk.Stack):
    """Clusters, as far as the settings name them, each in one zone of the network."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        clusters: Clusters,
        lake: DataLake,
        network: NetworkStack,
        files: FilesStack | None,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Clusters: accelerators of HyperPod and AWS Batch")
        self._lake, self._network, self._files, self._alerts = lake, network.network, files, alerts
        self.hyperpod = {name: self._hyperpod(name, each) for name, each in clusters.hyperpod.items()}
        self.batch = {name: self._batch(name, each) for name, each in clusters.batch.items()}
        self.on_eks = any(each.eks_cluster_arn is not None for each in clusters.hyperpod.values())

    def _hyperpod(self, name: str, given: HyperPod) -> HyperPodCluster:
        part = _id("HyperPod", name)
        cluster = HyperPodCluster(
            self,
            part,
            network=self._place(part, given.zone),
            groups=[
                HyperPodGroup(
                    name=group_name,
                    instance_type=group.instance_type,
                    count=group.count,
                    kind=group.kind,
                    volume_gb=group.volume_gb,
                    threads_per_core=group.threads_per_core,
                    training_plan_arn=group.training_plan_arn,
                )
                for group_name, group in given.groups.items()
            ],
            lifecycle=LifecycleScripts(
                zone=self._lake.models, prefix=given.scripts, on_create=given.on_create
            ),
            eks_cluster_arn=given.eks_cluster_arn,
            recover=given.recover,
        )
        self._grant(cluster.role, given.reads, given.writes)
        if self._files is not None and given.files:
            files = self._files.files
            # The rule is made in this stack: the file system's knows nothing of clusters.
            files.security_group.add_ingress_rule(
                cluster.network.security_group, ec2.Port.tcp(2049), "EFS clients", remote_rule=True
            )
            for folder in given.files:
                files.grant_read_write(folder, cluster.role)
        cdk.CfnOutput(
            self, f"{part}-Arn", value=cluster.cluster_arn, description=f"The HyperPod cluster {name!r}"
        )
        return cluster

    def _batch(self, name: str, given: Batch) -> BatchCluster:
        part = _id("Batch", name)
        cluster = BatchCluster(
            self,
            part,
            network=self._place(part, given.zone),
            image=given.image,
            instance_type=given.instance_type,
            nodes=given.nodes,
            max_nodes=given.max_nodes,
            command=given.command,
            environment=given.environment,
            timeout=cdk.Duration.minutes(given.timeout_minutes),
            attempts=given.attempts,
            reservation=None
            if given.reservation is None
            else CapacityReservation(id=given.reservation, block=given.capacity_block),
            ami=given.ami,
            volume_gb=given.volume_gb,
            key=self._alerts.key,
            alerts=self._alerts,
        )
        self._grant(cluster.job_role, given.reads, given.writes)
        for number, arn in enumerate(given.submit, start=1):
            role = iam.Role.from_role_arn(self, f"{part}-Submitter{number}", arn)
            cluster.grant_submit(role)
            checks.accept_inline_policy(
                role,
                "The role is somebody else's. It gets what it needs for this queue alone, in a policy that "
                "goes with the queue's stack.",
            )
        outputs = {
            "Queue": (cluster.queue.attr_job_queue_arn, "The queue of jobs"),
            "JobDefinition": (cluster.job_definition.ref, "The definition of a job"),
        }
        for output, (value, description) in outputs.items():
            cdk.CfnOutput(self, f"{part}-{output}", value=value, description=f"{description} on {name!r}")
        return cluster

    def _place(self, part: str, zone: str | None) -> ClusterNetwork:
        """One subnet of jobs; the workloads' group is the way to AWS and to the internet."""
        vpc, jobs = self._network.vpc, self._network.jobs
        subnets = vpc.select_subnets(subnet_group_name=jobs.subnet_group_name).subnets
        (subnet, *_) = [each for each in subnets if zone is None or each.availability_zone == zone]
        return ClusterNetwork(
            self,
            f"{part}-Network",
            vpc=vpc,
            subnets=ec2.SubnetSelection(subnets=[subnet]),
            security_groups=[self._network.security_groups.workload],
        )

    def _grant(self, role: iam.IRole, reads: Sequence[str], writes: Sequence[str]) -> None:
        for folder in reads:
            zone, _, prefix = folder.partition("/")
            self._lake.zone(zone).grant_read(role, prefix)
        for folder in writes:
            zone, _, prefix = folder.partition("/")
            self._lake.zone(zone).grant_read_write(role, prefix)


def _id(kind: str, name: str) -> str:
    return f"{kind}{''.join(part.capitalize() for part in name.split('-'))}"
