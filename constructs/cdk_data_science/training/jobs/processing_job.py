"""The part of a processing job that is the same in every run, checked against SageMaker's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science._images import check_image
from cdk_data_science._validation import Problems
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training import checks
from cdk_data_science.training.jobs.processing_values import (
    ProcessingCode,
    ProcessingInput,
    ProcessingOutput,
    SparkSubmit,
)
from cdk_data_science.training.network import TrainingNetwork

LONGEST_SECONDS = 9 * 24 * 60 * 60
_MOST_PLACES = 10
_USE = InstanceUse.PROCESSING


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessingJob:
    """Everything of a processing job but its name, its inputs and its outputs.

    It runs ``code`` in an image for Python (scikit-learn, a framework's), ``code`` through ``spark`` in one
    of SageMaker's Spark images, or whatever the image holds, with ``entrypoint`` in its place if given.
    """

    role: iam.IRole
    """The role of the job's containers."""
    image: str
    """URI of the image, in ECR of the job's region."""
    code: ProcessingCode | None = None
    """The program. Default: what the image holds."""
    spark: SparkSubmit | None = None
    """Runs ``code`` on Spark, over all instances. Default: no Spark."""
    entrypoint: Sequence[str] = ()
    """What a container of your own runs; at most 100 texts of up to 256 characters. Default: the image's."""
    arguments: Sequence[str] = ()
    """Arguments, as texts or JSONata expressions; at most 100 of up to 256 characters."""
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = 1
    """1 to 100."""
    fallback_types: Sequence[str] = ()
    """Up to four types that SageMaker takes, in order, when it has no capacity of ``instance_type``."""
    volume_size_gb: int = 30
    """Size of each instance's volume in GB, 1 to 16384."""
    volume_key: kms.IKey | None = None
    """Key of the volume. Must not be given for types with local NVMe disks: the API refuses it."""
    max_runtime: Duration
    """Longest time that the job may run, one second to 9 days."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """At most 100; keys and values to 256 characters."""
    network: TrainingNetwork | None = None
    network_isolation: bool = False
    """Give the containers no network at all; SageMaker itself moves the data in and out."""
    encrypt_between_containers: bool = False
    """Encrypt the traffic between instances: slower, so for jobs on several instances."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def check(
        self,
        problems: Problems,
        *,
        region: str,
        inputs: Sequence[ProcessingInput],
        outputs: Sequence[ProcessingOutput],
    ) -> None:
        """Report every value that SageMaker would refuse in a region."""
        check_image(self.image, problems, region=region, in_vpc=self.network is not None)
        self._check_program(problems)
        self._check_instances(problems)
        checks.check_time(problems, "max_runtime", self.max_runtime, longest=LONGEST_SECONDS)
        checks.check_environment(problems, self.environment, key=256, value=256)
        checks.check_tags(problems, self.tags)
        for kind, places in (("input", self._inputs(inputs)), ("output", self._outputs(outputs))):
            for each in places:
                each.check(problems)
            names, folders = [each.name for each in places], [each.folder for each in places]
            problems.check(
                len(places) <= _MOST_PLACES, given=f"{len(places)} {kind}s", allowed=f"at most {_MOST_PLACES}"
            )
            problems.check(
                len(set(names)) == len(names) and len(set(folders)) == len(folders),
                given=f"{kind}s {names} in {folders}",
                allowed="each name and each folder once",
            )

    def render(
        self, inputs: Sequence[ProcessingInput], outputs: Sequence[ProcessingOutput], key: kms.IKey | None
    ) -> dict[str, Any]:
        """Return the parameters of ``CreateProcessingJob``, without name and tags."""
        application: dict[str, Any] = {"ImageUri": self.image}
        if entrypoint := self._entrypoint():
            application["ContainerEntrypoint"] = entrypoint
        if self.arguments:
            application["ContainerArguments"] = list(self.arguments)
        parameters: dict[str, Any] = {
            "RoleArn": self.role.role_arn,
            "AppSpecification": application,
            "ProcessingResources": {"ClusterConfig": self._cluster()},
            "StoppingCondition": {"MaxRuntimeInSeconds": self.max_runtime.to_seconds()},
            "NetworkConfig": self._network(),
        }
        if self.environment:
            parameters["Environment"] = dict(self.environment)
        if all_inputs := self._inputs(inputs):
            parameters["ProcessingInputs"] = [each.render() for each in all_inputs]
        if all_outputs := self._outputs(outputs):
            config: dict[str, Any] = {"Outputs": [each.render() for each in all_outputs]}
            if key is not None:
                config["KmsKeyId"] = key.key_arn
            parameters["ProcessingOutputConfig"] = config
        return parameters

    def _entrypoint(self) -> list[str]:
        if self.code is None:
            return list(self.entrypoint)
        return self.code.entrypoint if self.spark is None else self.spark.entrypoint(self.code)

    def _inputs(self, given: Sequence[ProcessingInput]) -> list[ProcessingInput]:
        code = [] if self.code is None else [self.code.input]
        return [*code, *([] if self.spark is None else self.spark.inputs), *given]

    def _outputs(self, given: Sequence[ProcessingOutput]) -> list[ProcessingOutput]:
        return [*given, *([] if self.spark is None else self.spark.outputs)]

    def _cluster(self) -> dict[str, Any]:
        cluster: dict[str, Any] = {"VolumeSizeInGB": self.volume_size_gb}
        if self.fallback_types:
            cluster["InstancePreferences"] = [
                {"InstanceType": kind, "InstanceCount": self.instance_count}
                for kind in (self.instance_type, *self.fallback_types)
            ]
        else:
            cluster |= {"InstanceType": self.instance_type, "InstanceCount": self.instance_count}
        if self.volume_key is not None:
            cluster["VolumeKmsKeyId"] = self.volume_key.key_arn
        return cluster

    def _network(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "EnableNetworkIsolation": self.network_isolation,
            "EnableInterContainerTrafficEncryption": self.encrypt_between_containers,
        }
        if self.network is not None:
            config["VpcConfig"] = self.network.render()
        return config

    def _check_program(self, problems: Problems) -> None:
        problems.check(
            self.code is None or not self.entrypoint,
            given="code with entrypoint",
            allowed="either a program in S3 or a command of the image's own",
            write="entrypoint=()",
        )
        problems.check(
            self.spark is None or self.code is not None,
            given="spark without code",
            allowed="a program for Spark to run",
            write='code=ProcessingCode(uri="s3://…", file="job.py")',
        )
        if self.code is not None:
            self.code.check(problems)
            if self.spark is not None:
                self.spark.check(problems, self.code)
        checks.check_commands(problems, "entrypoint", self.entrypoint or self._entrypoint())
        checks.check_commands(problems, "arguments", self.arguments)

    def _check_instances(self, problems: Problems) -> None:
        checks.check_type(problems, self.instance_type, _USE)
        for kind in self.fallback_types:
            checks.check_type(problems, kind, _USE, name="fallback_types")
        for kind in (self.instance_type, *self.fallback_types):
            checks.check_volume_key(problems, kind, _USE, self.volume_key)
        problems.check(
            len(self.fallback_types) <= 4,
            given=f"{len(self.fallback_types)} fallback_types",
            allowed="at most 4",
        )
        checks.check_number(problems, "instance_count", self.instance_count, 1, 100)
        checks.check_number(problems, "volume_size_gb", self.volume_size_gb, 1, checks.LARGEST_VOLUME_GB)
