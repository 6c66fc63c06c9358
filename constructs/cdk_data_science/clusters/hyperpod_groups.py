"""What a HyperPod cluster is made of: its groups of instances, and the scripts that set them up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.clusters.topology import check_count, check_type
from cdk_data_science.data_lake import IZone
from cdk_data_science.hardware import InstanceUse, instance_types, similar_types

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_PLAN = re.compile(r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:training-plan/.*")
_MOST_INSTANCES = 6758
_LARGEST_VOLUME = 16_384
_USE = InstanceUse.CLUSTER


@dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleScripts:
    """Scripts in a zone that each instance runs when it is made: they install Slurm, mount file systems and
    so on."""

    zone: IZone
    prefix: str
    """Folder of the scripts, ending in a slash."""
    on_create: str = "on_create.sh"
    """The one that is run."""

    def check(self, problems: Problems) -> None:
        """Report what is no folder or no name."""
        problems.check(
            is_token(self.prefix) or FOLDER.fullmatch(self.prefix) is not None,
            given=f"prefix={self.prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end",
            write='prefix="hyperpod/"',
        )
        problems.check(
            is_token(self.on_create) or (0 < len(self.on_create) <= 128 and "/" not in self.on_create),
            given=f"on_create={self.on_create!r}",
            allowed="the name of a script in that folder, at most 128 characters",
            write='on_create="on_create.sh"',
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class HyperPodGroup:
    """Instances of one type in a HyperPod cluster."""

    name: str
    """Letters, digits and hyphens, at most 63."""
    instance_type: str
    """One that HyperPod takes, with ``ml.``."""
    count: int
    """Instances, 0 or more: they are billed from the cluster's making on, used or not."""
    kind: Literal["compute", "controller", "login"] = "compute"
    """``compute`` has accelerators, and EFA where there are several. The others run Slurm and people's
    shells, on any type."""
    volume_gb: int | None = None
    """A further EBS volume for each instance, 1 to 16384 GB. Default: none."""
    threads_per_core: Literal[1, 2] | None = None
    """1 turns multithreading off. Default: as the type has it."""
    training_plan_arn: str | None = None
    """Training plan whose reserved capacity the group takes. Default: On-Demand."""
    deep_health_checks: Sequence[Literal["InstanceStress", "InstanceConnectivity"]] = ()
    """Tests of the accelerators and of the fabric before an instance is used. For clusters that EKS
    orchestrates. Default: none."""

    def check(self, problems: Problems, *, eks: bool) -> None:
        """Report what HyperPod would refuse, and compute groups that cannot do their work."""
        problems.check(
            is_token(self.name) or (len(self.name) <= 63 and _NAME.fullmatch(self.name) is not None),
            given=f"group {self.name!r}",
            allowed="letters, digits and hyphens, at most 63, the ends no hyphen",
            write='name="workers"',
        )
        check_count(problems, f"count of {self.name!r}", self.count, least=0, most=_MOST_INSTANCES)
        if self.kind == "compute":
            check_type(problems, self.instance_type, count=self.count, use=_USE)
        elif not is_token(self.instance_type):
            close = similar_types(self.instance_type, _USE)
            problems.check(
                self.instance_type in instance_types(_USE),
                given=f"instance_type={self.instance_type!r}",
                allowed="an instance type of clusters" + (f", such as {', '.join(close)}" if close else ""),
            )
        problems.check(
            self.volume_gb is None or is_token(self.volume_gb) or 1 <= self.volume_gb <= _LARGEST_VOLUME,
            given=f"volume_gb={self.volume_gb}",
            allowed=f"1 to {_LARGEST_VOLUME}",
            write="volume_gb=500",
        )
        problems.check(
            self.training_plan_arn is None
            or is_token(self.training_plan_arn)
            or _PLAN.fullmatch(self.training_plan_arn) is not None,
            given=f"training_plan_arn={self.training_plan_arn!r}",
            allowed="the ARN of a training plan",
            write='training_plan_arn="arn:aws:sagemaker:us-east-1:111122223333:training-plan/summer"',
        )
        problems.check(
            eks or not self.deep_health_checks,
            given=f"deep_health_checks of {self.name!r} without eks_cluster_arn",
            allowed="deep health checks where EKS orchestrates",
            write="deep_health_checks=()",
        )
        problems.check(
            self.kind == "compute" or not eks,
            given=f"kind={self.kind!r} of {self.name!r} with eks_cluster_arn",
            allowed="compute groups: EKS is the controller",
            write='kind="compute"',
        )
