"""Training, processing, transform and tuning jobs that state machines and SageMaker pipelines start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import is_true, number, resource
from cdk_data_science.security.checks.intrinsics import UNKNOWN
from cdk_data_science.security.checks.jobs import HOLDERS, Job, jobs
from cdk_data_science.security.checks.rule import Check, Example, Problem, Rule, Severity, guide
from cdk_data_science.security.checks.rules.sagemaker_hosting import has_local_disks
from cdk_data_science.security.checks.state_machines import MACHINE
from cdk_data_science.security.checks.templates import Resource

_ENDS = ("training", "tuning", "processing")
_TRAINS = ("training", "tuning")
_REQUEST: dict[str, Any] = {
    "TrainingJobName": "{% $states.context.Execution.Name %}",
    "RoleArn": "arn:aws:iam::111122223333:role/training",
    "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
    "EnableNetworkIsolation": True,
    "EnableInterContainerTrafficEncryption": True,
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    "OutputDataConfig": {"S3OutputPath": "s3://models/", "KmsKeyId": "alias/models"},
    "ResourceConfig": {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "alias/models",
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": "s3://checkpoints/"},
}


def _machine(**changes: Any) -> Example:
    """A state machine with one task that trains."""
    request = {key: value for key, value in (_REQUEST | changes).items() if value is not None}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Arguments": request,
        "TimeoutSeconds": 7200,
        "End": True,
    }
    definition = {"StartAt": "Train", "QueryLanguage": "JSONata", "States": {"Train": task}}
    return {
        "Machine": resource(
            MACHINE,
            RoleArn="arn:aws:iam::111122223333:role/pipeline",
            DefinitionString=json.dumps(definition),
        )
    }


def _each(
    missing: Callable[[Job], Any], kinds: tuple[str, ...] = (*_TRAINS, "processing", "transform")
) -> Check:
    """A check on each job of some kinds: ``missing`` says whether it breaks the rule, or is unknown."""

    def check(holder: Resource) -> Iterator[Problem]:
        for job in jobs(holder):
            found = missing(job) if job.kind in kinds else False
            if found is UNKNOWN:
                yield Problem(at=job.at, detail=job.name, uncertain=True)
            elif found:
                yield Problem(at=job.at, detail=job.name)

    return check


def _off(value: Any) -> Any:
    return UNKNOWN if value is UNKNOWN else not is_true(value)


def _open_traffic(job: Job) -> Any:
    count, encrypted = job.cluster("InstanceCount"), job.security("EnableInterContainerTrafficEncryption")
    if is_true(encrypted):
        return False
    if count is UNKNOWN or encrypted is UNKNOWN:
        return UNKNOWN
    found = number(count)
    return found is not None and found > 1


def _output_key(job: Job) -> bool:
    paths = {
        "training": "OutputDataConfig",
        "tuning": "OutputDataConfig",
        "transform": "TransformOutput",
        "processing": "ProcessingOutputConfig",
    }
    output = job.get(paths[job.kind])
    return output is not None and output is not UNKNOWN and job.get(f"{paths[job.kind]}.KmsKeyId") is None


def _volume_key(job: Job) -> Any:
    instance = job.cluster("InstanceType")
    if instance is None or job.cluster("VolumeKmsKeyId") is not None:
        return False
    return UNKNOWN if instance is UNKNOWN else not has_local_disks(instance)


def _refused_key(job: Job) -> Any:
    instance = job.cluster("InstanceType")
    if instance is None or job.cluster("VolumeKmsKeyId") is None:
        return False
    return UNKNOWN if instance is UNKNOWN else has_local_disks(instance)


def _lost_on_spot(job: Job) -> Any:
    spot = job.get("EnableManagedSpotTraining")
    if job.get("CheckpointConfig") is not None:
        return False
    return UNKNOWN if spot is UNKNOWN else is_true(spot)


RULES = (
    Rule(
        id="DataScience-JOB1",
        title="A job's container has no network of its own",
        fails="The job's container can reach the network",
        why="Code that came with a package could send the data elsewhere. SageMaker itself brings it in.",
        fix="Set EnableNetworkIsolation (of NetworkConfig for processing jobs) to true",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/mkt-algo-model-internet-free"),),
        types=HOLDERS,
        check=_each(lambda job: _off(job.security("EnableNetworkIsolation")), (*_TRAINS, "processing")),
        compliant=_machine(),
        noncompliant=_machine(EnableNetworkIsolation=None),
    ),
    Rule(
        id="DataScience-JOB2",
        title="The instances of a job encrypt what they tell each other",
        fails="Traffic between the instances of the job is not encrypted",
        why="Distributed training sends weights and gradients, and processing sends data.",
        fix="Set EnableInterContainerTrafficEncryption to true; it takes time on large clusters",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/train-encrypt"),),
        types=HOLDERS,
        check=_each(_open_traffic, (*_TRAINS, "processing")),
        compliant=_machine(),
        noncompliant=_machine(EnableInterContainerTrafficEncryption=False),
    ),
    Rule(
        id="DataScience-JOB3",
        title="A job runs in your VPC",
        fails="The job runs in a network of AWS",
        why="Reading data from S3 then goes past your endpoints and their policies.",
        fix="Set VpcConfig (of NetworkConfig for processing jobs)",
        severity=Severity.WARNING,
        follows=(
            guide("sagemaker/latest/dg/train-vpc"),
            guide("sagemaker/latest/dg/infrastructure-give-access"),
        ),
        types=HOLDERS,
        check=_each(lambda job: job.security("VpcConfig") is None, (*_TRAINS, "processing")),
        compliant=_machine(),
        noncompliant=_machine(VpcConfig=None),
    ),
    Rule(
        id="DataScience-JOB4",
        title="What a job writes is encrypted with a key that the job names",
        fails="The job names no key for what it writes",
        why="The output is then encrypted as its bucket happens to be.",
        fix="Set KmsKeyId of OutputDataConfig, TransformOutput or ProcessingOutputConfig",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/encryption-at-rest"),),
        types=HOLDERS,
        check=_each(_output_key),
        compliant=_machine(),
        noncompliant=_machine(OutputDataConfig={"S3OutputPath": "s3://models/"}),
    ),
    Rule(
        id="DataScience-JOB5",
        title="A job's volumes are encrypted with your key",
        fails="The job's volumes are encrypted with a key of AWS",
        why="They hold the training data.",
        fix="Set VolumeKmsKeyId, except for instance types with local NVMe disks",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/APIReference/API_ResourceConfig"),),
        types=HOLDERS,
        check=_each(_volume_key),
        compliant=_machine(),
        noncompliant=_machine(
            ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
        ),
    ),
    Rule(
        id="DataScience-JOB6",
        title="No key is named for volumes that the instance type does not have",
        fails="The job names a key for its volumes, and its instance type keeps data on local NVMe disks",
        why="SageMaker refuses such a request, at run time; those disks are encrypted by the hardware.",
        fix="Leave VolumeKmsKeyId away for this instance type",
        severity=Severity.ERROR,
        follows=(guide("sagemaker/latest/APIReference/API_ResourceConfig"),),
        types=HOLDERS,
        check=_each(_refused_key),
        compliant=_machine(),
        noncompliant=_machine(ResourceConfig=_REQUEST["ResourceConfig"] | {"InstanceType": "ml.g5.xlarge"}),
    ),
    Rule(
        id="DataScience-JOB7",
        title="A job ends in time",
        fails="The job may run for as long as SageMaker allows: a day for training",
        why="A job that hangs costs until then.",
        fix="Set StoppingCondition.MaxRuntimeInSeconds",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/APIReference/API_StoppingCondition"),),
        types=HOLDERS,
        check=_each(lambda job: job.get("StoppingCondition.MaxRuntimeInSeconds") is None, _ENDS),
        compliant=_machine(),
        noncompliant=_machine(StoppingCondition={"MaxWaitTimeInSeconds": 7200}),
    ),
    Rule(
        id="DataScience-JOB8",
        title="Training on Spot instances writes checkpoints",
        fails="Training on Spot instances begins anew after each interruption",
        why="An interrupted job that starts from nothing can cost more than on-demand instances.",
        fix="Set CheckpointConfig, and let the training code load its last checkpoint",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/model-managed-spot-training"),),
        types=HOLDERS,
        check=_each(_lost_on_spot, _TRAINS),
        compliant=_machine(),
        noncompliant=_machine(CheckpointConfig=None),
    ),
    Rule(
        id="DataScience-JOB9",
        title="Nobody logs in to the containers of a job",
        fails="Session Manager may open a shell in the job's container",
        why="Whoever has the permission can copy the training data, past the job's own code.",
        fix="Take RemoteDebugConfig away once the debugging is over",
        severity=Severity.ERROR,
        follows=(guide("sagemaker/latest/dg/train-remote-debugging"),),
        types=HOLDERS,
        check=_each(lambda job: is_true(job.get("RemoteDebugConfig.EnableRemoteDebug")), _TRAINS),
        compliant=_machine(),
        noncompliant=_machine(RemoteDebugConfig={"EnableRemoteDebug": True}),
    ),
)
