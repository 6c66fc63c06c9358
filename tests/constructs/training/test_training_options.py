"""Registries, warm pools, TensorBoard, file systems, events: what a job may have besides."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import (
    Channel,
    FileSystem,
    PrivateRegistry,
    TrainingJob,
    TrainingJobTask,
    TrainingNetwork,
)
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.training.stacks import IMAGE, job, run, training

LUSTRE = FileSystem(file_system_id="fs-0123456789abcdef0", directory="/abcdef/train")


@pytest.fixture(scope="module")
def equipped() -> cdk.Stack:
    # GIVEN a training with an image of a private registry, in a VPC, and everything that is off by default
    stack = support.stack()
    credentials = lambda_.Function.from_function_arn(
        stack, "Credentials", "arn:aws:lambda:eu-west-1:111122223333:function:registry"
    )
    spot = training(
        stack,
        image="registry.example.com/train:1",
        private_registry=PrivateRegistry(credentials=credentials),
        vpc=ec2.Vpc(stack, "Vpc", max_azs=1),
        internal_error_retries=3,
        tensorboard=True,
    )
    spot.on_state_change("Ended", target=targets.SnsTopic(sns.Topic(stack, "Topic")))
    spot.on_state_change(
        "Interrupted",
        target=targets.SnsTopic(sns.Topic(stack, "Count")),
        statuses=[],
        secondary_statuses=["Interrupted"],
    )
    run(stack, spot)
    return stack


def test_the_parameters_are_those_of_the_api(equipped: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(equipped)) == []


def test_a_private_registry_is_reached_through_the_vpc(equipped: cdk.Stack) -> None:
    config = job(equipped)["AlgorithmSpecification"]["TrainingImageConfig"]
    assert config["TrainingRepositoryAccessMode"] == "Vpc"
    function = config["TrainingRepositoryAuthConfig"]["TrainingRepositoryCredentialsProviderArn"]
    (invoke,) = (
        statement
        for statement in machines.statements(equipped, "TrainingRole")
        if "lambda:InvokeFunction" in machines.actions([statement])
    )
    assert invoke["Resource"] == function
    assert not [s for s in machines.statements(equipped, "TrainingRole") if s.get("Sid") == "ImagePull"]


def test_tensorboard_lies_where_an_upload_may_leave_out_its_keys_name(equipped: cdk.Stack) -> None:
    assert job(equipped)["TensorBoardOutputConfig"]["S3OutputPath"].endswith("/checkpoints/tensorboard/")


def test_sagemaker_starts_a_job_again_after_its_own_errors(equipped: cdk.Stack) -> None:
    assert job(equipped)["RetryStrategy"] == {"MaximumRetryAttempts": 3}


def test_states_of_its_own_jobs_alone_are_told(equipped: cdk.Stack) -> None:
    rules = [
        rule["Properties"]["EventPattern"]["detail"]
        for rule in support.resources(equipped, "AWS::Events::Rule").values()
    ]
    names = {each["TrainingJobName"][0]["prefix"] for each in rules}
    assert len(names) == 1
    assert names.pop().endswith("--")
    assert {"TrainingJobStatus": ["Failed", "Stopped"]}.items() <= rules[0].items()
    assert rules[1]["SecondaryStatus"] == ["Interrupted"]
    assert "TrainingJobStatus" not in rules[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"private_registry": PrivateRegistry()}, "through the VPC alone"),
        ({"internal_error_retries": 31}, "0 to 30"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        training(support.stack(), **options)


def test_an_image_of_ecr_is_in_no_private_registry() -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    with pytest.raises(ConfigurationError, match="or no private_registry"):
        training(stack, vpc=vpc, private_registry=PrivateRegistry())


@pytest.mark.parametrize(
    ("instance_type", "instance_count", "rules"),
    [("ml.p4d.24xlarge", 2, 1), ("ml.p4d.24xlarge", 1, 0), ("ml.m5.xlarge", 2, 0)],
)
def test_instances_reach_each_other_over_their_fabric_adapters(
    instance_type: str, instance_count: int, rules: int
) -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    training(stack, vpc=vpc, instance_type=instance_type, instance_count=instance_count)
    found = [
        rule["Properties"]
        for rule in support.resources(stack, "AWS::EC2::SecurityGroupEgress").values()
        if rule["Properties"]["IpProtocol"] == "-1"
    ]
    assert len(found) == rules
    assert all(rule["GroupId"] == rule["DestinationSecurityGroupId"] for rule in found)


def task(
    stack: cdk.Stack, *, channel: Channel | None = None, in_vpc: bool = False, **options: Any
) -> TrainingJobTask:
    network = None
    if in_vpc:
        vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
        group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
        network = TrainingNetwork(subnets=vpc.private_subnets, security_groups=[group])
    return TrainingJobTask(
        stack,
        "Train",
        job=TrainingJob(
            role=iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")),
            image=IMAGE,
            max_runtime=cdk.Duration.hours(1),
            network=network,
            **options,
        ),
        job_name="churn",
        channels=[channel if channel is not None else Channel(name="train", uri="s3://lake/train/")],
        output_uri="s3://lake/models/",
    )


def arguments(stack: cdk.Stack, task: TrainingJobTask) -> dict[str, Any]:
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(task))
    assert task_parameters.faults(machines.definition(stack)) == []
    found: dict[str, Any] = machines.definition(stack)["States"]["Train"]["Arguments"]
    return found


def test_an_on_demand_job_may_leave_a_warm_pool() -> None:
    stack = support.stack()
    found = arguments(stack, task(stack, keep_alive=cdk.Duration.minutes(30)))
    assert found["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 1800


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_alive": cdk.Duration.minutes(5), "max_wait": cdk.Duration.hours(2)}, "none for Spot"),
        ({"keep_alive": cdk.Duration.hours(2)}, "an hour"),
    ],
)
def test_a_warm_pool_that_sagemaker_has_not_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        task(support.stack(), **options)


def test_a_channel_may_be_a_directory_of_a_file_system() -> None:
    stack = support.stack()
    found = arguments(stack, task(stack, channel=Channel(name="train", file_system=LUSTRE), in_vpc=True))
    assert found["InputDataConfig"][0]["DataSource"]["FileSystemDataSource"] == {
        "FileSystemId": "fs-0123456789abcdef0",
        "FileSystemType": "FSxLustre",
        "FileSystemAccessMode": "ro",
        "DirectoryPath": "/abcdef/train",
    }


@pytest.mark.parametrize(
    ("channel", "in_vpc", "message"),
    [
        (Channel(name="train", file_system=LUSTRE), False, "a job in the file system's VPC"),
        (Channel(name="train"), False, "neither; allowed: exactly one"),
        (Channel(name="train", uri="s3://b/", file_system=LUSTRE), True, "both; allowed: exactly one"),
        (Channel(name="train", file_system=LUSTRE, sharded=True), True, "mounted whole"),
        (Channel(name="train", file_system=LUSTRE, input_mode="Pipe"), True, "mounted whole"),
        (
            Channel(name="train", file_system=FileSystem(file_system_id="fs-012345678", directory="data")),
            True,
            'directory="/data"',
        ),
    ],
)
def test_a_channel_that_no_job_can_read_is_refused(channel: Channel, in_vpc: bool, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        task(support.stack(), channel=channel, in_vpc=in_vpc)
