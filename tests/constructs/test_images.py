"""Images: the role of a job or a model pulls from the repository of its image, and from no other one."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import DataLake, SpotTraining
from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._images import allow_pull, repository_arn
from cdk_data_science.training import ContainerRepository
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

HERE = f"arn:aws:ecr:{support.REGION}:{support.ACCOUNT}:repository"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """Two repositories; roles of images that are named by them, by a digest, by a text and by a parameter."""
    app = support.app()
    stack = support.stack(app, env=support.environment())
    images, named = ContainerRepository(stack, "Images"), ContainerRepository(stack, "Named", name="a/b")
    parameter = cdk.CfnParameter(stack, "Parameter")
    cdk.CfnOutput(stack, "Given", value=parameter.value_as_string)
    for name, image in (
        ("Tagged", images.uri("v1")),
        ("Digested", images.uri("sha256:" + "0" * 64)),
        ("TagParameter", images.uri(parameter.value_as_string)),
        ("OfName", named.uri("v1")),
        ("Written", f"{support.ACCOUNT}.dkr.ecr.{support.REGION}.amazonaws.com/c/d:1"),
        ("Opaque", parameter.value_as_string),
    ):
        role = iam.Role(stack, name, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        acknowledge_inline_policy(role)
        allow_pull(role, image)
    assert nag.unacknowledged(app) == []
    return stack


@pytest.mark.parametrize(
    ("role", "repository"),
    [
        ("Tagged", "Images"),
        ("Digested", "Images"),
        ("TagParameter", "Images"),
        ("OfName", "Named"),
        ("Written", "c/d"),
    ],
)
def test_a_role_pulls_from_the_repository_of_its_image_alone(
    stack: cdk.Stack, role: str, repository: str
) -> None:
    resources = support.resources(stack)
    simulator = Simulator(resources, role)
    ids = {key: key for key in resources if key.startswith(repository)} or {repository: repository}
    (own,) = (key for key in ids if key == repository or resources[key]["Type"] == "AWS::ECR::Repository")
    for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
        assert simulator.allows(action, f"{HERE}/{own}", when={})
        assert not simulator.allows(action, f"{HERE}/{own}2", when={})
        assert not simulator.allows(action, f"{HERE}/secret", when={})
    assert simulator.allows("ecr:GetAuthorizationToken", when={})


def test_an_image_that_is_a_parameter_comes_from_this_account_and_region(stack: cdk.Stack) -> None:
    simulator = Simulator(support.resources(stack), "Opaque")
    assert simulator.allows("ecr:BatchGetImage", f"{HERE}/any", when={})
    elsewhere = f"{HERE}/any".replace(support.REGION, "us-east-1")
    assert not simulator.allows("ecr:BatchGetImage", elsewhere, when={})
    assert not simulator.allows("ecr:PutImage", f"{HERE}/any", when={})


def test_an_image_of_another_registry_names_no_repository() -> None:
    assert repository_arn("registry.example.com/team/image:1") is None


def test_training_pulls_from_its_repository_alone_across_stacks() -> None:
    app = support.app()
    platform, team = (support.stack(app, name, env=support.environment()) for name in ("Platform", "Team"))
    images = ContainerRepository(platform, "Images", name="reviews/training")
    lake = DataLake(platform, "Lake")
    SpotTraining(
        team,
        "Training",
        image=images.uri("v1"),
        instance_type="ml.m5.xlarge",
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(2),
        output=lake.models,
        checkpoints=lake.models,
    )
    (pull,) = (
        statement
        for policy in support.resources(team, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "ecr:BatchGetImage" in statement["Action"]
    )
    assert ":repository/" in str(pull["Resource"])
    assert "repository/*" not in str(pull["Resource"])
    assert "Fn::GetStackOutput" in str(pull["Resource"])
