"""The table ``[clusters]``: accelerators of HyperPod and of AWS Batch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.places import Folder, told_apart
from settings.section import FOLDER, Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
_MlType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
_Ec2Type = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")]


class _Cluster(Section):
    zone: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")] | None = None
    """One of ``network.zones``; the first one if not given. Fabric adapters do not reach into another."""
    reads: tuple[Folder, ...] = ()
    writes: tuple[Folder, ...] = ()
    """Folders of the lake that its programs may write, and read."""


class InstanceGroup(Section):
    """Instances of one type, ``[clusters.hyperpod.<name>.groups.<name>]``. Each is billed by the second from
    the cluster's making on, used or not."""

    instance_type: _MlType
    count: Annotated[int, Field(ge=0, le=6758)] = 0
    """0 keeps the group and costs nothing."""
    kind: Literal["compute", "controller", "login"] = "compute"
    """``compute`` has accelerators. The others run Slurm and people's shells, on any type."""
    volume_gb: Annotated[int, Field(ge=1, le=16_384)] | None = None
    """A further volume for each instance; none if not given."""
    threads_per_core: Literal[1, 2] | None = None
    training_plan_arn: str | None = None
    """Training plan whose reserved capacity it takes; On-Demand if not given."""


class HyperPod(_Cluster):
    """A HyperPod cluster, ``[clusters.hyperpod.<name>]``: it stays, and replaces its own broken instances."""

    groups: Annotated[dict[Name, InstanceGroup], Field(min_length=1, max_length=100)]
    scripts: Annotated[str, Field(pattern=rf"^{FOLDER}$")] = "hyperpod/"
    """Folder of the models zone with the scripts that set instances up; upload them before the first
    deployment."""
    on_create: Annotated[str, Field(pattern=r"^[^/]{1,128}$")] = "on_create.sh"
    """The script that each instance runs."""
    eks_cluster_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:eks:.+")] | None = None
    """An EKS cluster in the same VPC orchestrates; Slurm if not given."""
    recover: bool = True
    """Replace instances that fail by themselves."""
    files: tuple[str, ...] = ()
    """Folders of ``[files]`` that its scripts may mount, to read and write."""


class Batch(_Cluster):
    """A queue of AWS Batch, ``[clusters.batch.<name>]``, for jobs of several nodes. Instances are there while
    there are jobs; at rest it costs 0.10 USD a month for an alarm."""

    image: Annotated[str, Field(min_length=1, max_length=255)]
    """URI of the image of every node, with the EFA installer's libraries."""
    instance_type: _Ec2Type
    """As EC2 writes it, without ``ml.``: p5.48xlarge."""
    nodes: Annotated[int, Field(ge=1, le=1000)] = 1
    """Instances of one job."""
    max_nodes: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Instances of all jobs together; ``nodes`` if not given."""
    command: tuple[str, ...] = ()
    """What every node runs; the image's own command if not given."""
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    timeout_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 24 * 60
    """A job is ended after it."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 1
    """How often a job is tried, where its instance went away."""
    volume_gb: Annotated[int, Field(ge=30, le=16_384)] = 200
    """Each instance's root volume."""
    ami: Annotated[str, Field(pattern=r"^ami-[0-9a-f]{8,17}$")] | None = None
    """Machine image with the EFA driver; Batch's own for accelerators if not given."""
    submit: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+")], ...] = ()
    """Roles that may submit jobs, by ARN, of this account."""
    reservation: Annotated[str, Field(pattern=r"^cr-[0-9a-f]{8,17}$")] | None = None
    """Capacity reservation to run in, which costs whether it is used or not; On-Demand if not given."""
    capacity_block: bool = False
    """The reservation is a Capacity Block for ML."""

    @model_validator(mode="after")
    def _nodes_fit(self) -> Batch:
        if self.max_nodes is not None and self.max_nodes < self.nodes:
            raise ValueError(f"max_nodes is {self.max_nodes}, but a job has {self.nodes} nodes")
        if self.capacity_block and self.reservation is None:
            raise ValueError("capacity_block is true, but there is no reservation: name the block's number")
        return self


class Clusters(Section):
    """Clusters by name, in one zone of the network each. Their instances reach ECR, ECS and Systems Manager
    by a NAT gateway, which costs 33 USD a month (us-east-1, November 2026)."""

    hyperpod: Annotated[dict[Name, HyperPod], AfterValidator(told_apart)] = Field(default_factory=dict)
    batch: Annotated[dict[Name, Batch], AfterValidator(told_apart)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one(self) -> Clusters:
        if not self.hyperpod and not self.batch:
            raise ValueError("give [clusters.hyperpod.<name>] or [clusters.batch.<name>], or leave it out")
        return self

    @property
    def largest(self) -> dict[str, int]:
        """By instance type, as SageMaker writes it, how many there may be at the same time."""
        counts: dict[str, int] = {}
        groups = [group for cluster in self.hyperpod.values() for group in cluster.groups.values()]
        wanted = [(group.instance_type, group.count) for group in groups]
        wanted += [(f"ml.{each.instance_type}", each.max_nodes or each.nodes) for each in self.batch.values()]
        for kind, count in wanted:
            counts[kind] = counts.get(kind, 0) + count
        return {kind: count for kind, count in counts.items() if count > 0}

    def check_places(self, *, zones: tuple[str, ...], way_out: bool, folders: set[str]) -> None:
        """Refuse clusters that no zone holds, that nothing reaches, or that mount what there is not."""
        if not zones:
            raise ValueError("clusters need a table [network]")
        if not way_out:
            raise ValueError(
                "clusters need a way to ECR, ECS and Systems Manager: write nat_gateways = 1 in [network] "
                '(33 USD a month), and ".amazonaws.com" among its allowed_domains if it has any'
            )
        for kind, clusters in (("hyperpod", self.hyperpod), ("batch", self.batch)):
            for name, cluster in clusters.items():
                if cluster.zone is not None and cluster.zone not in zones:
                    raise ValueError(
                        f"clusters.{kind}.{name}.zone is {cluster.zone}, but network.zones has {list(zones)}"
                    )
        for name, cluster in self.hyperpod.items():
            unknown = sorted(set(cluster.files) - folders)
            if unknown:
                raise ValueError(
                    f"clusters.hyperpod.{name}.files names {unknown}, but [files.folders] has "
                    f"{sorted(folders)}"
                )
