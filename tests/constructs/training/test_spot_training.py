"""SpotTraining and its task, in any state machine."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms

from cdk_data_science import ConfigurationError, DataLake, SourceCode
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.training.stacks import job, run, training


@pytest.fixture(scope="module")
def deployed() -> cdk.Stack:
    # GIVEN a training of everything by default but its source and its tags, run by a state machine
    app = support.app()
    stack = cdk.Stack(app, "Test")
    lake = DataLake(stack, "Lake", zones=["models"])
    spot = training(
        stack,
        lake,
        source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py"),
        metrics={"auroc": r"auroc=([0-9.]+)"},
        tags={"team": "science"},
    )
    run(stack, spot)
    cdk.Tags.of(app).add("owner", "platform")
    return stack


def test_the_job_is_a_spot_job_with_checkpoints(deployed: cdk.Stack) -> None:
    arguments = job(deployed)
    assert arguments["EnableManagedSpotTraining"] is True
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert arguments["CheckpointConfig"]["S3Uri"].endswith("/checkpoints/' & $job & '/' %}")


def test_the_parameters_are_those_of_the_api(deployed: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(deployed)) == []


def test_script_mode_names_the_source_and_its_entry_point(deployed: cdk.Stack) -> None:
    hyperparameters = job(deployed)["HyperParameters"]
    assert hyperparameters["sagemaker_program"] == "train.py"
    assert hyperparameters["sagemaker_submit_directory"].endswith("/source/sourcedir.tar.gz")


def test_jobs_get_the_tags_of_the_app_and_their_own(deployed: cdk.Stack) -> None:
    assert job(deployed)["Tags"] == [
        {"Key": "owner", "Value": "platform"},
        {"Key": "team", "Value": "science"},
    ]


def test_the_role_trusts_sagemaker_of_this_account_only(deployed: cdk.Stack) -> None:
    (role,) = (
        role
        for key, role in support.resources(deployed, "AWS::IAM::Role").items()
        if key.startswith("TrainingRole")
    )
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert "aws:SourceArn" in trust["Condition"]["ArnLike"]


def test_the_role_reaches_its_prefixes_and_its_image_and_nothing_else_in_s3(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "TrainingRole")
    objects = json.dumps([s["Resource"] for s in found if "s3:PutObject" in machines.actions([s])])
    assert "/training/*" in objects
    assert "/checkpoints/*" in objects
    assert '"/*"' not in objects
    (pull,) = (s for s in found if "ecr:BatchGetImage" in machines.actions([s]))
    assert "repository/sagemaker-scikit-learn" in json.dumps(pull["Resource"])


def test_the_state_machine_may_do_what_sync_needs_and_no_more(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "MachineRole")
    assert machines.actions(found) == {
        "sagemaker:AddTags",
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListTags",
        "sagemaker:StopTrainingJob",
        "iam:PassRole",
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
    }
    assert all(statement["Resource"] != "*" for statement in found)
    (passing,) = (s for s in found if s["Action"] == "iam:PassRole")
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert "StepFunctionsGetEventsForSageMakerTrainingJobsRule" in json.dumps(found)


def test_a_retry_never_starts_a_second_job(deployed: cdk.Stack) -> None:
    train = machines.definition(deployed)["States"]["Train"]
    # The name depends on the run and on the tries for capacity, not on the retries of the call.
    assert "RetryCount" not in train["Arguments"]["TrainingJobName"]
    retried = {error for rule in train["Retry"] for error in rule["ErrorEquals"]}
    assert not retried & {"States.ALL", "States.TaskFailed"}


def test_a_volume_gets_the_key_of_the_output(deployed: cdk.Stack) -> None:
    assert "VolumeKmsKeyId" in job(deployed)["ResourceConfig"]
    (grant,) = (s for s in machines.statements(deployed, "TrainingRole") if s.get("Sid") == "VolumeKey")
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_a_type_with_local_disks_gets_no_volume_key() -> None:
    stack = support.stack()
    run(stack, training(stack, instance_type="ml.g5.xlarge"))
    assert "VolumeKmsKeyId" not in job(stack)["ResourceConfig"]
    assert not [s for s in machines.statements(stack, "TrainingRole") if s.get("Sid") == "VolumeKey"]


def test_a_volume_key_for_local_disks_is_refused_with_the_reason() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Key")
    with pytest.raises(ConfigurationError, match="local NVMe disks"):
        training(stack, instance_type="ml.p4d.24xlarge", volume_key=key)


def test_a_job_in_a_vpc_has_private_subnets_and_may_make_interfaces() -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    spot = training(stack, vpc=vpc, instance_count=2)
    run(stack, spot)
    arguments = job(stack)
    assert len(arguments["VpcConfig"]["Subnets"]) == 2
    assert len(arguments["VpcConfig"]["SecurityGroupIds"]) == 1
    assert arguments["EnableInterContainerTrafficEncryption"] is True
    assert "ec2:CreateNetworkInterface" in machines.actions(machines.statements(stack, "TrainingRole"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_wait": cdk.Duration.minutes(30)}, "at least max_runtime"),
        ({"max_runtime": cdk.Duration.days(29), "max_wait": cdk.Duration.days(29)}, "28 days"),
        ({"instance_type": "ml.m5.xlage"}, "such as ml.m5.xlarge"),
        ({"instance_type": "ml.inf1.xlarge"}, "an instance type of training jobs"),
        ({"instance_count": 0}, "1 or more"),
        ({"volume_size_gb": 0}, "1 to 16384"),
        ({"image": ""}, "1 to 255 characters"),
        ({"hyperparameters": {"depth": 3}}, "text: SageMaker passes every value as a string"),
        ({"hyperparameters": {"depth": "x" * 2501}}, "at most 2500 characters"),
        ({"hyperparameters": {"sagemaker_program": "x.py"}}, "script mode"),
        ({"environment": {"1X": "y"}}, "a letter or underscore"),
        ({"metrics": {"auroc": "auroc=("}}, "a valid regex"),
        ({"metrics": {"auroc": "auroc=[0-9]+"}}, "exactly one group"),
        ({"tags": {"aws:cost": "x"}}, "letters, digits, spaces"),
        ({"checkpoints_prefix": "/checkpoints"}, "no slash at the start"),
        ({"output_prefix": ""}, "a folder of the zone"),
        ({"job_name_prefix": "Upper"}, "lower-case"),
        ({"subnets": ec2.SubnetSelection()}, "both belong to a VPC"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused_at_construction(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        training(support.stack(), **options)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="3 problems"):
        training(support.stack(), instance_count=0, volume_size_gb=0, max_wait=cdk.Duration.minutes(1))


def test_values_that_are_known_at_deployment_pass() -> None:
    stack = support.stack()
    parameter = cdk.CfnParameter(stack, "Type", default="ml.m5.xlarge")
    run(stack, training(stack, instance_type=parameter.value_as_string))
    assert "VolumeKmsKeyId" not in job(stack)["ResourceConfig"]
