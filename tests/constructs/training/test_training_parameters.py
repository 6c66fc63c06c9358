"""All of CreateTrainingJob can be said, and what excludes each other is refused."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import (
    CapacityRetry,
    Channel,
    FileSystem,
    InstanceGroup,
    Profiler,
    RunName,
    TrainingJob,
    TrainingJobTask,
    TrainingStep,
)
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.training.stacks import IMAGE

PLAN = "arn:aws:sagemaker:us-east-1:111122223333:training-plan/spring"
# What is for the successors' sake not here, or needs no argument of its own: `parameters` says it.
BY_PARAMETERS = {
    "DebugHookConfig",  # Debugger takes no new customers: a profiler, TensorBoard, MLflow
    "DebugRuleConfigurations",
    "ProfilerRuleConfigurations",
    "ExperimentConfig",  # experiments live in MLflow
    "ServerlessJobConfig",  # fine-tuning without an image of one's own
    "ModelPackageConfig",
    "MlflowConfig",  # `tracking` tells the program where to record
    "SessionChainingConfig",
}
GROUPS = [
    InstanceGroup(name="accelerated", instance_type="ml.p4d.24xlarge", instance_count=2),
    InstanceGroup(name="plain", instance_type="ml.c5.18xlarge"),
]


def task(
    stack: cdk.Stack, id: str = "Train", channels: list[Channel] | None = None, **job: Any
) -> TrainingJobTask:
    role = stack.node.try_find_child("JobRole")
    if role is None:
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    defaults: dict[str, Any] = {"role": role, "image": IMAGE, "max_runtime": cdk.Duration.hours(1)}
    return TrainingJobTask(
        stack,
        id,
        job=TrainingJob(**{**defaults, **job}),
        job_name=RunName("train"),
        channels=channels if channels is not None else [Channel(name="train", uri="s3://lake/train/")],
        output_uri="s3://lake/models/",
        checkpoint_uri="s3://lake/checkpoints/",
    )


@pytest.fixture(scope="module")
def machine() -> cdk.Stack:
    # GIVEN a heterogeneous cluster with every kind of channel, one on reserved capacity, one with fallbacks
    stack = support.stack()
    mixed = task(
        stack,
        "Mixed",
        instance_groups=GROUPS,
        input_mode="FastFile",
        entrypoint=["torchrun"],
        arguments=["train.py"],
        compress_output=False,
        profiler=Profiler(uri="s3://lake/profile/", interval_ms=1000, parameters={"DataloaderConfig": "{}"}),
        infrastructure_check=True,
        remote_debug=True,
        max_pending=cdk.Duration.hours(2),
        tensorboard_uri="s3://lake/tensorboard/",
        metrics={"auc": "auc=([0-9.]+)"},
        environment={"MODE": "whole"},
        hyperparameters={"epochs": "2"},
        internal_error_retries=2,
        tags={"team": "reviews"},
        channels=[
            Channel(name="all", uri="s3://lake/all/", shuffle_seed=7, instance_groups=["accelerated"]),
            Channel(name="listed", uri="s3://lake/list.manifest", data_type="ManifestFile", sharded=True),
            Channel(
                name="labelled",
                uri="s3://lake/labels.manifest",
                data_type="AugmentedManifestFile",
                attribute_names=["source-ref", "class"],
                record_wrapper=True,
                input_mode="Pipe",
            ),
            Channel(name="packed", uri="s3://lake/packed/", compressed=True, input_mode="Pipe"),
        ],
    )
    planned = task(stack, "Planned", instance_type="ml.p5.48xlarge", training_plan_arn=PLAN)
    either = task(stack, "Either", fallback_types=["ml.m5.2xlarge"], profiler=Profiler(uri=None))
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(mixed).next(planned).next(either)),
    )
    return stack


def arguments(machine: cdk.Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(machine)["States"][name]["Arguments"]
    return found


def test_the_parameters_are_those_of_the_api(machine: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(machine)) == []


def test_every_member_of_the_api_can_be_said(machine: cdk.Stack) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    members = set(model.operation_model("CreateTrainingJob").input_shape.members)
    said = set(arguments(machine, "Mixed")) | {"VpcConfig"}
    assert members - said == BY_PARAMETERS


def test_a_cluster_may_have_unlike_instances(machine: cdk.Stack) -> None:
    request = arguments(machine, "Mixed")
    assert request["ResourceConfig"] == {
        "VolumeSizeInGB": 30,
        "InstanceGroups": [
            {"InstanceGroupName": "accelerated", "InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2},
            {"InstanceGroupName": "plain", "InstanceType": "ml.c5.18xlarge", "InstanceCount": 1},
        ],
    }
    objects = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    assert objects["InstanceGroupNames"] == ["accelerated"]


def test_sagemaker_itself_takes_another_type_for_an_on_demand_job(machine: cdk.Stack) -> None:
    request = arguments(machine, "Either")
    assert request["ResourceConfig"]["InstancePreferences"] == [
        {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1},
    ]
    assert "InstanceType" not in request["ResourceConfig"]
    assert request["ProfilerConfig"] == {"DisableProfiler": True}


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"instance_groups": GROUPS, "instance_count": 2}, "instance_count with instance_groups"),
        ({"instance_groups": GROUPS, "instance_type": "ml.m5.large"}, "instance_type with instance_groups"),
        ({"instance_groups": GROUPS, "fallback_types": ["ml.m5.large"]}, "fallback_types with"),
        ({"instance_groups": [GROUPS[0]] * 2}, "each name once"),
        ({"instance_groups": [InstanceGroup(name="a", instance_type="ml.x")]}, "instance_type='ml.x'"),
        ({"fallback_types": ["ml.m5.large"], "max_wait": cdk.Duration.hours(2)}, "with SpotTraining"),
        ({"training_plan_arn": PLAN, "max_wait": cdk.Duration.hours(2)}, "reserved capacity or Spot"),
        ({"training_plan_arn": "spring"}, "the ARN of a training plan"),
        ({"max_pending": cdk.Duration.minutes(10)}, "1800 s"),
        ({"profiler": Profiler(uri="s3://b/", interval_ms=300)}, "interval_ms=500"),
        ({"input_mode": "Copy"}, "File, FastFile, Pipe"),
        ({"arguments": ["x"] * 101}, "at most 100"),
        ({"tensorboard_uri": "tensorboard/"}, "a place in S3"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        task(support.stack(), **job)


def test_a_volume_key_for_a_group_on_local_disks_is_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match=r"volume_key with instance_type='ml.p4d.24xlarge'"):
        task(stack, instance_groups=GROUPS, volume_key=kms.Key(stack, "Key"))


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (Channel(name="a", uri="s3://b/", instance_groups=["gpu"]), "groups of the job: it has none"),
        (Channel(name="a", uri="s3://b/", attribute_names=["x"]), "names with AugmentedManifestFile"),
        (Channel(name="a", uri="s3://b/", data_type="AugmentedManifestFile"), "1 to 16 names"),
        (Channel(name="a", uri="s3://b/", compressed=True, input_mode="File"), 'input_mode="Pipe"'),
        (Channel(name="a", uri="data/"), "a place in S3"),
        (
            Channel(
                name="a",
                file_system=FileSystem(file_system_id="fs-0123456789", directory="/a"),
                shuffle_seed=1,
            ),
            "shuffle_seed; allowed: file systems are mounted whole",
        ),
    ],
)
def test_a_channel_that_cannot_be_had_is_refused(channel: Channel, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        task(support.stack(), channels=[channel])


def test_unlike_instances_have_no_types_to_fall_back_to() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    with pytest.raises(ConfigurationError, match="other types for jobs on one type"):
        TrainingStep(
            stack,
            "Train",
            job=TrainingJob(
                role=role, image=IMAGE, max_runtime=cdk.Duration.hours(1), instance_groups=GROUPS
            ),
            job_name_prefix="train",
            channels=[],
            output_uri="s3://lake/models/",
            checkpoints_uri="s3://lake/checkpoints/",
            capacity_retry=CapacityRetry(fallback_types=["ml.m5.large"]),
        )
