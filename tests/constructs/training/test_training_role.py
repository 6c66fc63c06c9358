"""What the role of training jobs may do, asked as the services ask it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError, DataLake
from cdk_data_science.training import Channel, TrainingJob, TrainingJobTask
from tests.compliance.iam import overlap
from tests.constructs import machines, support
from tests.constructs.training.stacks import IMAGE, training

LOG_GROUP = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def granted() -> list[dict[str, Any]]:
    # GIVEN the role of a training whose jobs have names that begin with "reviews"
    stack = support.stack(env=support.environment())
    training(stack, image=IMAGE.replace("us-east-1", "eu-west-1"), job_name_prefix="reviews")
    return machines.statements(stack, "TrainingRole")


def allows(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Whether statements without conditions allow an action on a resource."""
    return any(
        action in machines.actions([statement]) and overlap(pattern, resource)
        for statement in statements
        for pattern in patterns(statement)
    )


def patterns(statement: dict[str, Any]) -> list[str]:
    found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    return [text(each) for each in found]


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(text(part) for part in parts)
    return "aws" if value == {"Ref": "AWS::Partition"} else f"<{value}>"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        # CloudWatch Logs asks for a group as for a stream without a name, and for a stream by its name.
        ("logs:CreateLogGroup", LOG_GROUP),
        ("logs:CreateLogGroup", f"{LOG_GROUP}:log-stream:"),
        ("logs:DescribeLogStreams", f"{LOG_GROUP}:log-stream:"),
        ("logs:CreateLogStream", f"{LOG_GROUP}:log-stream:reviews--run-1a2b3c/algo-1-1700000000"),
        ("logs:PutLogEvents", f"{LOG_GROUP}:log-stream:reviews--run-1a2b3c/algo-1-1700000000"),
    ],
)
def test_a_job_may_write_its_log(granted: list[dict[str, Any]], action: str, resource: str) -> None:
    assert allows(granted, action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("logs:PutLogEvents", f"{LOG_GROUP}:log-stream:other--run-1a2b3c/algo-1-1700000000"),
        ("logs:CreateLogStream", f"{LOG_GROUP}:log-stream:reviews-prod--run-1a2b3c/algo-1-1700000000"),
        ("logs:PutLogEvents", f"{LOG_GROUP}:log-stream:reviews-prod--run-1a2b3c/algo-1-1700000000"),
        (
            "logs:DescribeLogStreams",
            LOG_GROUP.replace("TrainingJobs", "ProcessingJobs") + ":log-stream:",
        ),
    ],
)
def test_a_job_may_not_write_other_logs(granted: list[dict[str, Any]], action: str, resource: str) -> None:
    assert not allows(granted, action, resource)


def test_an_image_of_another_region_is_refused() -> None:
    stack = support.stack(env=support.environment(region="eu-central-1"))
    with pytest.raises(ConfigurationError, match=r"683313688378\.dkr\.ecr\.eu-central-1\.amazonaws\.com"):
        training(stack)


def test_the_task_alone_refuses_it_as_well() -> None:
    stack = support.stack(env=support.environment(region="eu-central-1"))
    role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    job = TrainingJob(role=role, image=IMAGE, max_runtime=cdk.Duration.hours(1))
    with pytest.raises(ConfigurationError, match="an image of the stack's own region"):
        TrainingJobTask(
            stack,
            "Train",
            job=job,
            job_name="churn",
            channels=[Channel(name="train", uri="s3://lake/train/")],
            output_uri="s3://lake/models/",
        )


def test_an_image_outside_of_ecr_needs_to_be_called_so() -> None:
    with pytest.raises(ConfigurationError, match=r"private_registry=PrivateRegistry\(\)"):
        training(support.stack(), image="registry.example.com/train:1")


def test_checkpoints_where_an_upload_without_a_keys_name_is_refused_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"unnamed_key_prefixes=\[.*\"kept/\"\]"):
        training(support.stack(), checkpoints_prefix="kept/")


def test_checkpoints_below_an_excepted_folder_are_fine() -> None:
    stack = support.stack()
    assert training(stack, checkpoints_prefix="checkpoints/reviews/").checkpoints_uri.endswith(
        "/checkpoints/reviews/"
    )


def test_checkpoints_in_a_zone_without_such_folders_are_refused() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["features", "models"])
    with pytest.raises(ConfigurationError, match="unnamed_key_prefixes"):
        training(stack, lake, checkpoints=lake.features)


def test_names_of_one_platform_never_fit_the_pattern_of_another() -> None:
    app = support.app()
    short, long = (
        training(cdk.Stack(app, f"Stack-{prefix}"), job_name_prefix=prefix) for prefix in ("ds", "ds-prod")
    )
    assert not overlap(short.job_names, long.job_names)
