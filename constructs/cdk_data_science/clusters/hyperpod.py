"""HyperPod: a cluster of SageMaker that stays, and replaces its own broken instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._interfaces import subnet_arn
from cdk_data_science._validation import Problems
from cdk_data_science.clusters.hyperpod_groups import HyperPodGroup, LifecycleScripts
from cdk_data_science.clusters.network import ClusterNetwork, check_network
from cdk_data_science.training.file_systems.lustre import LustreScratch

_LOG_GROUPS = "/aws/sagemaker/Clusters"
_ADDRESSES = ("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")
_ATTACHING = ("ec2:AttachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute")
"""What nodes of EKS do for their pods: interfaces and addresses."""
_NODE_LOOK_UPS = (
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeTags",
    "ecr:GetAuthorizationToken",
)
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_MOST_GROUPS = 100


class HyperPodCluster(Construct):
    """A HyperPod cluster in one zone, with Elastic Fabric Adapters and automatic recovery.

    Slurm orchestrates it, set up by scripts in the lake, or EKS. A group that is meant to compute has
    accelerators, and adapters where it has several instances. The instances' role reads the scripts, writes
    the cluster's logs and metrics, opens sessions of Systems Manager, attaches to the network, and nothing
    else: access to data is granted to :attr:`role`.

    **Costs at rest**: every instance of every group, by the second, from the cluster's making to its end,
    used or not; and their volumes. ``count=0`` costs nothing and keeps the group.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from cdk_data_science import DataLake
    from cdk_data_science.clusters import ClusterNetwork, HyperPodCluster, HyperPodGroup, LifecycleScripts

    lake = DataLake(self, "Lake")
    cluster = HyperPodCluster(
        self,
        "Cluster",
        network=ClusterNetwork(self, "Network", vpc=ec2.Vpc(self, "Vpc", max_azs=1)),
        groups=[
            HyperPodGroup(name="controller", instance_type="ml.m5.2xlarge", count=1, kind="controller"),
            HyperPodGroup(name="workers", instance_type="ml.p5.48xlarge", count=0),
        ],
        lifecycle=LifecycleScripts(zone=lake.models, prefix="hyperpod/"),
    )
    lake.features.grant_read(cluster.role)
    ```

    Args:
        network: Where it is.
        groups: One or more groups, each with its count.
        lifecycle: Scripts that set the instances up.
        eks_cluster_arn: An EKS cluster orchestrates, in the same VPC. Default: Slurm.
        lustre: A file system that the instances mount at ``/fsx``; their group is let in. Default: none.
        volume_key: Encrypts the further volumes. Default: AWS's own key.
        recover: Replace instances that fail by themselves.
        name: Default: made by CloudFormation, so that an update can replace it.

    Raises:
        ConfigurationError: groups that HyperPod would refuse, or that cannot compute, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-hyperpod.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: ClusterNetwork,
        groups: Sequence[HyperPodGroup],
        lifecycle: LifecycleScripts,
        eks_cluster_arn: str | None = None,
        lustre: LustreScratch | None = None,
        volume_key: kms.IKey | None = None,
        recover: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("HyperPodCluster", self)
        check_network(problems, network)
        _check(problems, groups, lifecycle, eks=eks_cluster_arn is not None)
        problems.raise_if_any()
        self.network = network
        self.role = self._make_role(lifecycle, name)
        attached = network.grant_attach(self.role)
        self._allow_tags()
        if eks_cluster_arn is not None:
            self._allow_pods(eks_cluster_arn)
        if volume_key is not None:
            self._allow_volumes(volume_key)
        if lustre is not None:
            lustre.let_in([network.security_group])
        cluster = sagemaker.CfnCluster
        self.cluster = cluster(
            self,
            "Resource",
            cluster_name=name,
            instance_groups=[self._group(each, lifecycle, lustre, volume_key) for each in groups],
            node_recovery="Automatic" if recover else "None",
            orchestrator=None
            if eks_cluster_arn is None
            else cluster.OrchestratorProperty(
                eks=cluster.ClusterOrchestratorEksConfigProperty(cluster_arn=eks_cluster_arn)
            ),
            vpc_config=cluster.VpcConfigProperty(
                security_group_ids=[each.security_group_id for each in network.security_groups],
                subnets=[network.subnet.subnet_id],
            ),
        )
        attached.apply_before(self.cluster)
        self.cluster.node.add_dependency(self.role)
        self.node.default_child = self.cluster

    @property
    def cluster_arn(self) -> str:
        """Its ARN."""
        return self.cluster.attr_cluster_arn

    def _group(
        self,
        group: HyperPodGroup,
        lifecycle: LifecycleScripts,
        lustre: LustreScratch | None,
        volume_key: kms.IKey | None,
    ) -> sagemaker.CfnCluster.ClusterInstanceGroupProperty:
        cluster = sagemaker.CfnCluster
        storage = []
        if group.volume_gb is not None:
            volume = cluster.ClusterEbsVolumeConfigProperty(
                volume_size_in_gb=group.volume_gb,
                volume_kms_key_id=None if volume_key is None else volume_key.key_arn,
            )
            storage.append(cluster.ClusterInstanceStorageConfigProperty(ebs_volume_config=volume))
        if lustre is not None:
            system = lustre.file_system
            mounted = cluster.ClusterFsxLustreConfigProperty(
                dns_name=system.attr_dns_name, mount_name=system.attr_lustre_mount_name, mount_path="/fsx"
            )
            storage.append(cluster.ClusterInstanceStorageConfigProperty(fsx_lustre_config=mounted))
        return cluster.ClusterInstanceGroupProperty(
            instance_group_name=group.name,
            instance_type=group.instance_type,
            instance_count=group.count,
            execution_role=self.role.role_arn,
            life_cycle_config=cluster.ClusterLifeCycleConfigProperty(
                source_s3_uri=lifecycle.zone.uri(lifecycle.prefix).rstrip("/"), on_create=lifecycle.on_create
            ),
            instance_storage_configs=storage or None,
            threads_per_core=group.threads_per_core,
            training_plan_arn=group.training_plan_arn,
            on_start_deep_health_checks=list(group.deep_health_checks) or None,
        )

    def _make_role(self, lifecycle: LifecycleScripts, name: str | None) -> iam.Role:
        """What AWS's own policy for instances of clusters allows, but on these scripts alone."""
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="Instances of a HyperPod cluster: their scripts, logs, metrics and sessions",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="sagemaker", resource="cluster", resource_name="*"
                        )
                    },
                },
            ),
        )
        groups = stack.format_arn(
            service="logs",
            resource="log-group",
            # The group is called after the cluster's name and number.
            resource_name=f"{_LOG_GROUPS}/*" if name is None else f"{_LOG_GROUPS}/{name}/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        streams = f"{groups}:log-stream:*"
        for sid, actions, resource, conditions in (
            ("LogGroups", ["logs:CreateLogGroup"], groups, None),
            (
                "LogStreams",
                ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                streams,
                None,
            ),
            (
                "Metrics",
                ["cloudwatch:PutMetricData"],
                "*",
                {"StringEquals": {"cloudwatch:namespace": _LOG_GROUPS}},
            ),
            (
                "Sessions",
                [
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:OpenDataChannel",
                ],
                "*",
                None,
            ),
        ):
            role.add_to_policy(
                iam.PolicyStatement(sid=sid, actions=actions, resources=[resource], conditions=conditions)
            )
        lifecycle.zone.grant_read(role, lifecycle.prefix)
        acknowledge_inline_policy(role)
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM knows no resource of CloudWatch's PutMetricData, which a condition binds to HyperPod's "
            "namespace, and of the channels of Systems Manager, by which an instance opens its own session.",
        )
        acknowledge_wildcards(
            role,
            self,
            [groups, streams],
            "HyperPod calls a cluster's log group after its name and a number, which is known once the "
            "cluster is made. Without a name for the cluster, the pattern holds the groups of all clusters, "
            "for writing; with one, those of this cluster.",
        )
        return role

    def _allow_tags(self) -> None:
        """HyperPod tags the interfaces that it makes, which have a subnet once they are there.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-hyperpod-prerequisites-iam.html
        """
        interfaces = self._arn("ec2", "network-interface", "*")
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="Interfaces",
                actions=["ec2:CreateTags"],
                resources=[interfaces],
                conditions={"ArnLikeIfExists": {"ec2:Subnet": self._subnet_arn}},
            )
        )
        acknowledge_wildcards(
            self.role,
            self,
            [interfaces],
            "The network interfaces are made with the instances, under ids that are not known before. A "
            "condition holds those of the cluster's subnet.",
        )

    def _allow_pods(self, eks_cluster_arn: str) -> None:
        """Nodes of EKS attach more interfaces, and addresses, for their pods, and take identities for them.

        See https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-hyperpod-prerequisites-iam.html
        """
        interfaces = self._arn("ec2", "network-interface", "*")
        # HyperPod's instances are in an account of SageMaker.
        instances = Stack.of(self).format_arn(
            service="ec2", account="*", resource="instance", resource_name="*"
        )
        images = Stack.of(self).format_arn(
            service="ecr", account="*", resource="repository", resource_name="*"
        )
        groups = [
            self._arn("ec2", "security-group", each.security_group_id)
            for each in self.network.security_groups
        ]
        in_subnet = {"ArnLike": {"ec2:Subnet": self._subnet_arn}}
        for sid, actions, resources, conditions in (
            ("PodInterfaces", [*_ADDRESSES, *_ATTACHING], [interfaces], in_subnet),
            ("PodInterfacesOfNodes", _ATTACHING, [instances, self._subnet_arn, *groups], None),
            ("PodIdentities", ["eks-auth:AssumeRoleForPodIdentity"], [eks_cluster_arn], None),
            ("Images", _PULL, [images], None),
            ("LookUps", _NODE_LOOK_UPS, ["*"], None),
        ):
            self.role.add_to_policy(
                iam.PolicyStatement(
                    sid=sid, actions=list(actions), resources=list(resources), conditions=conditions
                )
            )
        acknowledge_wildcards(
            self.role,
            self,
            [instances, images],
            "Nodes are instances in an account of SageMaker, with numbers; interfaces are attached to them "
            "that a condition holds in the cluster's subnet. What runs in pods comes from repositories of "
            "this region, EKS's own parts from accounts of AWS; the repositories' policies say who pulls.",
        )

    @property
    def _subnet_arn(self) -> str:
        return subnet_arn(Stack.of(self), self.network.subnet)

    def _arn(self, service: str, kind: str, name: str) -> str:
        return Stack.of(self).format_arn(service=service, resource=kind, resource_name=name)

    def _allow_volumes(self, key: kms.IKey) -> None:
        key.grant(self.role, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="Volumes",
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )


def _check(
    problems: Problems, groups: Sequence[HyperPodGroup], lifecycle: LifecycleScripts, *, eks: bool
) -> None:
    problems.check(
        0 < len(groups) <= _MOST_GROUPS, given=f"{len(groups)} groups", allowed=f"1 to {_MOST_GROUPS}"
    )
    for name, times in Counter(group.name for group in groups).items():
        problems.check(times == 1, given=f"group {name!r} {times} times", allowed="each name once")
    for group in groups:
        group.check(problems, eks=eks)
    controllers = [group for group in groups if group.kind == "controller"]
    problems.check(
        len(controllers) <= 1 and all(group.count == 1 for group in controllers),
        given=f"{len(controllers)} controller groups of {', '.join(str(g.count) for g in controllers)}",
        allowed="one controller, of one instance: Slurm has one head",
        write='HyperPodGroup(name="controller", …, count=1, kind="controller")',
    )
    lifecycle.check(problems)
