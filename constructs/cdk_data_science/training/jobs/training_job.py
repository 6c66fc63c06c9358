"""The part of a training job that is the same in every run, checked against SageMaker's limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science._images import PrivateRegistry, check_image
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training import checks
from cdk_data_science.training.jobs.training_parts import InstanceGroup, Profiler
from cdk_data_science.training.network import TrainingNetwork

LONGEST_SECONDS = 28 * 24 * 60 * 60
LONGEST_KEEP_ALIVE_SECONDS = 60 * 60
DEFAULT_TYPE = "ml.m5.xlarge"
_USE = InstanceUse.TRAINING
_TRAINING_PLAN = re.compile(r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:training-plan/.*")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """Everything of a training job but its name, its data and where its results go.

    A :class:`TrainingJobTask` runs it. ``max_wait`` makes it a managed Spot job.
    """

    role: iam.IRole
    """The role of the job's containers."""
    image: str
    """URI of the training image, in ECR of the job's region."""
    private_registry: PrivateRegistry | None = None
    """Says that the image is in a registry which is not ECR; such a job needs a network."""
    instance_type: str = DEFAULT_TYPE
    instance_count: int = 1
    fallback_types: Sequence[str] = ()
    """Up to four types that SageMaker itself takes, in order, when it has no capacity of ``instance_type``.
    For On-Demand jobs and training plans; :class:`CapacityRetry` does it for Spot. Default: none."""
    instance_groups: Sequence[InstanceGroup] = ()
    """Up to five groups of unlike instances, in place of ``instance_type`` and ``instance_count``. Default:
    none."""
    training_plan_arn: str | None = None
    """Training plan whose reserved capacity the job takes. Default: none."""
    volume_size_gb: int = 30
    """Size of each instance's volume in GB, 1 to 16384."""
    volume_key: kms.IKey | None = None
    """Key of the volume. Must not be given for types with local NVMe disks: the API refuses it."""
    max_runtime: Duration
    """Longest time that the job may run, one second to 28 days."""
    max_wait: Duration | None = None
    """Longest time from creation to end, waiting for Spot capacity included; at least ``max_runtime``."""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric names and the regular expressions that find their values in the job's log."""
    keep_alive: Duration | None = None
    """Keep the instances in a warm pool for a next job of the same make, at most an hour, and pay for them.
    Not for Spot jobs: SageMaker has no warm pools for them. Default: none."""
    internal_error_retries: int = 0
    """How often SageMaker starts the job again after an internal error of its own, 0 to 30."""
    max_pending: Duration | None = None
    """Longest time that a job on accelerators waits for capacity, half an hour to 28 days. Default: no
    limit."""
    entrypoint: Sequence[str] = ()
    """What the container runs in place of its image's own entry point, at most 100 texts of up to 256
    characters. Default: the image's."""
    arguments: Sequence[str] = ()
    """Arguments of ``entrypoint`` or of the image's. Default: none."""
    input_mode: Literal["File", "FastFile", "Pipe"] = "File"
    """How data in S3 reaches the container, for channels that do not say so themselves."""
    compress_output: bool = True
    """Leave the model as ``model.tar.gz``; else as single files under ``output/model/``, sooner there if
    they are large."""
    profiler: Profiler | None = None
    """Default: as SageMaker does it by itself."""
    infrastructure_check: bool = False
    """Let SageMaker check the health of accelerated instances first."""
    remote_debug: bool = False
    """Let people with the permission open a shell in the containers, through Systems Manager."""
    tensorboard_uri: str | None = None
    """S3 prefix for what the program writes for TensorBoard into ``/opt/ml/output/tensorboard``. Default:
    none."""
    network: TrainingNetwork | None = None
    network_isolation: bool = False
    """Give the containers no network at all; SageMaker itself moves the data in and out."""
    encrypt_between_containers: bool = False
    """Encrypt the traffic between instances: slower, so for jobs on several instances."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_spot(self) -> bool:
        """Whether the job asks for managed Spot capacity."""
        return self.max_wait is not None

    @property
    def limit(self) -> Duration:
        """The longest time from its creation to its end, provisioning without Spot not included."""
        return self.max_wait if self.max_wait is not None else self.max_runtime

    @property
    def may_have_volume_key(self) -> bool:
        """Whether SageMaker takes a key for this type's volume; not known for one that is no type."""
        return checks.may_have_volume_key(self.instance_type, _USE)

    def check(self, problems: Problems, *, region: str) -> None:
        """Report every value that SageMaker would refuse in a region."""
        check_image(
            self.image,
            problems,
            region=region,
            registry=self.private_registry,
            in_vpc=self.network is not None,
        )
        self._check_instances(problems)
        self._check_groups(problems)
        self._check_times(problems)
        self._check_outputs(problems)
        checks.check_map(problems, "hyperparameters", self.hyperparameters, entries=100, key=256, value=2500)
        checks.check_environment(problems, self.environment)
        self._check_metrics(problems)
        checks.check_tags(problems, self.tags)

    def render(self) -> dict[str, Any]:
        """Return the job's part of the parameters of ``CreateTrainingJob``."""
        parameters: dict[str, Any] = {
            "RoleArn": self.role.role_arn,
            "AlgorithmSpecification": self.render_algorithm(),
            "ResourceConfig": self._resources(),
            "StoppingCondition": self._stopping(),
            "EnableManagedSpotTraining": self.is_spot,
            "EnableNetworkIsolation": self.network_isolation,
            "EnableInterContainerTrafficEncryption": self.encrypt_between_containers,
        }
        if self.hyperparameters:
            parameters["HyperParameters"] = dict(self.hyperparameters)
        if self.environment:
            parameters["Environment"] = dict(self.environment)
        if self.internal_error_retries:
            parameters["RetryStrategy"] = {"MaximumRetryAttempts": self.internal_error_retries}
        if self.tensorboard_uri is not None:
            parameters["TensorBoardOutputConfig"] = {"S3OutputPath": self.tensorboard_uri}
        if self.profiler is not None:
            parameters["ProfilerConfig"] = self.profiler.render()
        if self.infrastructure_check:
            parameters["InfraCheckConfig"] = {"EnableInfraCheck": True}
        if self.remote_debug:
            parameters["RemoteDebugConfig"] = {"EnableRemoteDebug": True}
        if self.network is not None:
            parameters["VpcConfig"] = self.network.render()
        return parameters

    def render_algorithm(self) -> dict[str, Any]:
        """Return the ``AlgorithmSpecification``."""
        algorithm: dict[str, Any] = {"TrainingImage": self.image, "TrainingInputMode": self.input_mode}
        if self.private_registry is not None:
            algorithm["TrainingImageConfig"] = self.private_registry.render()
        if self.entrypoint:
            algorithm["ContainerEntrypoint"] = list(self.entrypoint)
        if self.arguments:
            algorithm["ContainerArguments"] = list(self.arguments)
        if self.metrics:
            algorithm["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metrics.items()
            ]
        return algorithm

    def render_output(self, uri: str, key: kms.IKey | None) -> dict[str, Any]:
        """Return the ``OutputDataConfig``."""
        output: dict[str, Any] = {"S3OutputPath": uri}
        if key is not None:
            output["KmsKeyId"] = key.key_arn
        if not self.compress_output:
            output["CompressionType"] = "NONE"
        return output

    def _resources(self) -> dict[str, Any]:
        resources: dict[str, Any] = {"VolumeSizeInGB": self.volume_size_gb}
        if self.instance_groups:
            resources["InstanceGroups"] = [group.render() for group in self.instance_groups]
        elif self.fallback_types:
            resources["InstancePreferences"] = [
                {"InstanceType": kind, "InstanceCount": self.instance_count}
                for kind in (self.instance_type, *self.fallback_types)
            ]
        else:
            resources |= {"InstanceType": self.instance_type, "InstanceCount": self.instance_count}
        if self.volume_key is not None:
            resources["VolumeKmsKeyId"] = self.volume_key.key_arn
        if self.keep_alive is not None:
            resources["KeepAlivePeriodInSeconds"] = self.keep_alive.to_seconds()
        if self.training_plan_arn is not None:
            resources["TrainingPlanArn"] = self.training_plan_arn
        return resources

    def _stopping(self) -> dict[str, Any]:
        stopping = {"MaxRuntimeInSeconds": self.max_runtime.to_seconds()}
        if self.max_wait is not None:
            stopping["MaxWaitTimeInSeconds"] = self.max_wait.to_seconds()
        if self.max_pending is not None:
            stopping["MaxPendingTimeInSeconds"] = self.max_pending.to_seconds()
        return stopping

    def check_type(self, problems: Problems) -> None:
        """Report an instance type that training jobs cannot use."""
        checks.check_type(problems, self.instance_type, _USE)

    def _check_instances(self, problems: Problems) -> None:
        self.check_type(problems)
        for kind in checks.listed(problems, "fallback_types", self.fallback_types, write='["ml.m5.2xlarge"]'):
            checks.check_type(problems, kind, _USE, name="fallback_types")
        groups = [group.instance_type for group in self.instance_groups]
        for kind in groups or (self.instance_type, *self.fallback_types):
            checks.check_volume_key(problems, kind, _USE, self.volume_key)
        checks.check_number(problems, "instance_count", self.instance_count, 1)
        checks.check_number(problems, "volume_size_gb", self.volume_size_gb, 1, checks.LARGEST_VOLUME_GB)
        problems.check(
            not self.fallback_types or not self.is_spot,
            given="fallback_types with max_wait",
            allowed="types that SageMaker chooses among for On-Demand jobs",
            write="capacity_retry=CapacityRetry(fallback_types=[…]), with SpotTraining",
        )
        problems.check(
            len(self.fallback_types) <= 4,
            given=f"{len(self.fallback_types)} fallback_types",
            allowed="at most 4",
        )
        problems.check(
            self.training_plan_arn is None
            or is_token(self.training_plan_arn)
            or _TRAINING_PLAN.fullmatch(self.training_plan_arn) is not None,
            given=f"training_plan_arn={self.training_plan_arn!r}",
            allowed="the ARN of a training plan",
        )
        problems.check(
            self.training_plan_arn is None or not self.is_spot,
            given="training_plan_arn with max_wait",
            allowed="reserved capacity or Spot capacity",
            write="max_wait=None",
        )

    def _check_groups(self, problems: Problems) -> None:
        if not self.instance_groups:
            return
        for group in self.instance_groups:
            group.check(problems)
        names = [group.name for group in self.instance_groups]
        problems.check(
            len(names) <= 5 and len(set(names)) == len(names),
            given=f"instance groups {names}",
            allowed="at most 5, each name once",
        )
        for name, given in (
            ("instance_type", self.instance_type != DEFAULT_TYPE),
            ("instance_count", self.instance_count != 1),
            ("fallback_types", bool(self.fallback_types)),
        ):
            problems.check(
                not given,
                given=f"{name} with instance_groups",
                allowed="either: each group has a type and a count of its own",
            )

    def _check_times(self, problems: Problems) -> None:
        checks.check_time(problems, "max_runtime", self.max_runtime, longest=LONGEST_SECONDS)
        checks.check_time(problems, "max_wait", self.max_wait, longest=LONGEST_SECONDS)
        checks.check_time(
            problems, "max_pending", self.max_pending, longest=LONGEST_SECONDS, shortest=30 * 60
        )
        runtime, wait = checks.known_seconds(self.max_runtime), checks.known_seconds(self.max_wait)
        if runtime is not None and wait is not None:
            problems.check(
                wait >= runtime,
                given=f"max_wait={wait:g} s",
                allowed=f"at least max_runtime ({runtime:g} s), because the wait includes the run",
                write=f"max_wait=Duration.seconds({runtime:g})",
            )
        problems.check(
            self.keep_alive is None or not self.is_spot,
            given="keep_alive with max_wait",
            allowed="a warm pool for On-Demand jobs: SageMaker has none for Spot capacity",
            write="keep_alive=None",
        )
        kept = checks.known_seconds(self.keep_alive)
        if kept is not None:
            problems.check(
                1 <= kept <= LONGEST_KEEP_ALIVE_SECONDS,
                given=f"keep_alive={kept:g} s",
                allowed=f"1 s to {LONGEST_KEEP_ALIVE_SECONDS} s (an hour)",
                write="keep_alive=Duration.minutes(30)",
            )
        checks.check_number(problems, "internal_error_retries", self.internal_error_retries, 0, 30)

    def _check_outputs(self, problems: Problems) -> None:
        checks.check_uri(problems, "tensorboard_uri", self.tensorboard_uri)
        checks.check_one_of(problems, "input_mode", self.input_mode, ("File", "FastFile", "Pipe"))
        if self.profiler is not None:
            self.profiler.check(problems)
        checks.check_commands(problems, "entrypoint", self.entrypoint)
        checks.check_commands(problems, "arguments", self.arguments)

    def _check_metrics(self, problems: Problems) -> None:
        checks.check_map(problems, "metrics", self.metrics, entries=40, key=255, value=500)
        for name, regex in self.metrics.items():
            problems.check(
                len(name) > 0 and len(regex) > 0,
                given=f"metric {name!r} with regex {regex!r}",
                allowed="a name and a regular expression, neither empty",
            )
            try:
                groups = re.compile(regex).groups
            except re.error as error:
                problems.check(
                    False, given=f"metric {name!r} with regex {regex!r}", allowed=f"a valid regex ({error})"
                )
            else:
                problems.check(
                    groups == 1,
                    given=f"metric {name!r} with regex {regex!r}",
                    allowed="exactly one group, which holds the value",
                    write=f'"{name}": r"{name}=([0-9.]+)"',
                )
