"""The part of a training job that is the same in every run, checked against SageMaker's limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science._images import PrivateRegistry, check_image
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse, has_local_storage, instance_types, similar_types
from cdk_data_science.training.network import TrainingNetwork

LONGEST_SECONDS = 28 * 24 * 60 * 60
LONGEST_KEEP_ALIVE_SECONDS = 60 * 60
LARGEST_VOLUME_GB = 16_384
_RESERVED_TAG_PREFIX = "aws:"
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


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
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = 1
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
    def may_have_volume_key(self) -> bool:
        """Whether SageMaker takes a key for this type's volume; not known for one that is no type."""
        return (
            not is_token(self.instance_type)
            and self.instance_type in instance_types(InstanceUse.TRAINING)
            and not has_local_storage(self.instance_type)
        )

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
        self._check_times(problems)
        self._check_texts(problems)
        self._check_metrics(problems)
        self._check_tags(problems)

    def render(self) -> dict[str, Any]:
        """Return the job's part of the parameters of ``CreateTrainingJob``."""
        algorithm: dict[str, Any] = {"TrainingImage": self.image, "TrainingInputMode": "File"}
        if self.private_registry is not None:
            algorithm["TrainingImageConfig"] = self.private_registry.render()
        if self.metrics:
            algorithm["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metrics.items()
            ]
        resources: dict[str, Any] = {
            "InstanceType": self.instance_type,
            "InstanceCount": self.instance_count,
            "VolumeSizeInGB": self.volume_size_gb,
        }
        if self.volume_key is not None:
            resources["VolumeKmsKeyId"] = self.volume_key.key_arn
        if self.keep_alive is not None:
            resources["KeepAlivePeriodInSeconds"] = self.keep_alive.to_seconds()
        stopping = {"MaxRuntimeInSeconds": self.max_runtime.to_seconds()}
        if self.max_wait is not None:
            stopping["MaxWaitTimeInSeconds"] = self.max_wait.to_seconds()
        parameters: dict[str, Any] = {
            "RoleArn": self.role.role_arn,
            "AlgorithmSpecification": algorithm,
            "ResourceConfig": resources,
            "StoppingCondition": stopping,
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
        if self.network is not None:
            parameters["VpcConfig"] = self.network.render()
        return parameters

    def check_type(self, problems: Problems) -> None:
        """Report an instance type that training jobs cannot use."""
        if not is_token(self.instance_type):
            close = similar_types(self.instance_type, InstanceUse.TRAINING)
            problems.check(
                self.instance_type in instance_types(InstanceUse.TRAINING),
                given=f"instance_type={self.instance_type!r}",
                allowed="an instance type of training jobs"
                + (f", such as {', '.join(close)}" if close else ""),
                write=f'instance_type="{close[0] if close else "ml.m5.xlarge"}"',
            )

    def _check_instances(self, problems: Problems) -> None:
        self.check_type(problems)
        if (
            self.volume_key is not None
            and not is_token(self.instance_type)
            and self.instance_type in instance_types(InstanceUse.TRAINING)
        ):
            problems.check(
                not has_local_storage(self.instance_type),
                given=f"volume_key with instance_type={self.instance_type!r}",
                allowed="no volume key on types with local NVMe disks, which the API refuses (hardware "
                "encrypts them)",
                write="volume_key=None",
            )
        if not is_token(self.instance_count):
            problems.check(
                self.instance_count >= 1,
                given=f"instance_count={self.instance_count}",
                allowed="1 or more",
                write="instance_count=1",
            )
        if not is_token(self.volume_size_gb):
            problems.check(
                1 <= self.volume_size_gb <= LARGEST_VOLUME_GB,
                given=f"volume_size_gb={self.volume_size_gb}",
                allowed=f"1 to {LARGEST_VOLUME_GB}",
                write="volume_size_gb=30",
            )

    def _check_times(self, problems: Problems) -> None:
        runtime = _seconds(self.max_runtime)
        wait = None if self.max_wait is None else _seconds(self.max_wait)
        for name, seconds in (("max_runtime", runtime), ("max_wait", wait)):
            if seconds is not None:
                problems.check(
                    1 <= seconds <= LONGEST_SECONDS,
                    given=f"{name}={seconds:g} s",
                    allowed=f"1 s to {LONGEST_SECONDS} s (28 days)",
                    write=f"{name}=Duration.hours(4)",
                )
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
        kept = None if self.keep_alive is None else _seconds(self.keep_alive)
        if kept is not None:
            problems.check(
                1 <= kept <= LONGEST_KEEP_ALIVE_SECONDS,
                given=f"keep_alive={kept:g} s",
                allowed=f"1 s to {LONGEST_KEEP_ALIVE_SECONDS} s (an hour)",
                write="keep_alive=Duration.minutes(30)",
            )
        problems.check(
            is_token(self.internal_error_retries) or 0 <= self.internal_error_retries <= 30,
            given=f"internal_error_retries={self.internal_error_retries}",
            allowed="0 to 30",
        )

    def _check_texts(self, problems: Problems) -> None:
        _check_map("hyperparameters", self.hyperparameters, problems, entries=100, key=256, value=2500)
        _check_map("environment", self.environment, problems, entries=100, key=512, value=512)
        for key in self.environment:
            if not is_token(key):
                problems.check(
                    _ENVIRONMENT_KEY.fullmatch(key) is not None,
                    given=f"environment variable {key!r}",
                    allowed="a letter or underscore, then letters, digits and underscores",
                )

    def _check_metrics(self, problems: Problems) -> None:
        _check_map("metrics", self.metrics, problems, entries=40, key=255, value=500)
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

    def _check_tags(self, problems: Problems) -> None:
        _check_map("tags", self.tags, problems, entries=50, key=128, value=256)
        for key, value in self.tags.items():
            if not is_token(key) and not is_token(value):
                problems.check(
                    len(key) > 0
                    and not key.lower().startswith(_RESERVED_TAG_PREFIX)
                    and _TAG_TEXT.fullmatch(key) is not None
                    and (_is_expression(value) or _TAG_TEXT.fullmatch(value) is not None),
                    given=f"tag {key!r}={value!r}",
                    allowed="letters, digits, spaces and _.:/=+-@ in key and value; keys not aws:",
                )


def _is_expression(value: str) -> bool:
    return value.startswith("{%") and value.endswith("%}")


def _seconds(duration: Duration) -> float | None:
    return None if duration.is_unresolved() else float(duration.to_seconds(integral=False))


def _check_map(
    name: str, values: Mapping[str, object], problems: Problems, *, entries: int, key: int, value: int
) -> None:
    problems.check(len(values) <= entries, given=f"{len(values)} {name}", allowed=f"at most {entries}")
    for given_key, given_value in values.items():
        if not isinstance(given_value, str):
            problems.check(
                False,
                given=f"{name} {given_key!r}={given_value!r} ({type(given_value).__name__})",
                allowed="text: SageMaker passes every value as a string",
                write=f'"{given_key}": "{given_value}"',
            )
            continue
        if not is_token(given_key):
            problems.check(
                len(given_key) <= key,
                given=f"{name} key of {len(given_key)} characters ({given_key[:30]!r}…)",
                allowed=f"at most {key} characters",
            )
        if not is_token(given_value):
            problems.check(
                len(given_value) <= value,
                given=f"{name} {given_key!r} with a value of {len(given_value)} characters",
                allowed=f"at most {value} characters",
            )
