"""Model: what it names, what its role may, what is refused."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from cdk_data_science import ConfigurationError, Model, ModelPackage
from cdk_data_science.serving import Artifact, PrivateRegistry
from tests.constructs import support
from tests.constructs.serving import endpoints

MODEL = "AWS::SageMaker::Model"
PACKAGE = "arn:aws:sagemaker:us-east-1:111122223333:model-package/reviews/7"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN models of every kind in one stack
    stack = support.stack()
    zone = endpoints.lake(stack).models
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    endpoints.model(stack, "Plain", environment={"SAGEMAKER_PROGRAM": "inference.py"})
    endpoints.model(stack, "Folder", artifact=Artifact(zone=zone, key="models/1/"))
    endpoints.model(stack, "Many", artifact=Artifact(zone=zone, key="models/"), multi_model=True)
    endpoints.model(stack, "Attached", vpc=vpc, network_isolation=False)
    Model(
        stack,
        "Registered",
        package=ModelPackage(
            arn=PACKAGE,
            artifact=Artifact(zone=zone, key="models/7/model.tar.gz"),
            images=[endpoints.IMAGE],
        ),
    )
    login = lambda_.Function.from_function_arn(
        stack, "Login", "arn:aws:lambda:us-east-1:111122223333:function:login"
    )
    Model(
        stack,
        "Private",
        image="registry.example.com/models/reviews:3",
        private_registry=PrivateRegistry(credentials=login),
        vpc=vpc,
    )
    return stack


def model(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found = [each for name, each in support.resources(stack, MODEL).items() if name.startswith(f"{id}Model")]
    (only,) = found
    return only


def container(stack: cdk.Stack, id: str) -> dict[str, Any]:
    found: dict[str, Any] = model(stack, id)["Properties"]["PrimaryContainer"]
    return found


def statements(stack: cdk.Stack, id: str) -> list[dict[str, Any]]:
    policies = support.resources(stack, "AWS::IAM::Policy")
    (policy,) = [each for name, each in policies.items() if name.startswith(f"{id}Role")]
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


def test_an_archive_is_named_by_its_url_with_its_environment(stack: cdk.Stack) -> None:
    rendered = container(stack, "Plain")
    assert rendered["Image"] == endpoints.IMAGE
    assert json.dumps(rendered["ModelDataUrl"]).endswith('"/models/1/model.tar.gz"]]}')
    assert rendered["Environment"] == {"SAGEMAKER_PROGRAM": "inference.py"}
    assert "Mode" not in rendered


def test_a_folder_is_an_uncompressed_source(stack: cdk.Stack) -> None:
    rendered = container(stack, "Folder")
    source = rendered["ModelDataSource"]["S3DataSource"]
    assert (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "None")
    assert json.dumps(source["S3Uri"]).endswith('"/models/1/"]]}')
    assert "ModelDataUrl" not in rendered


def test_a_multi_model_model_names_the_folder_of_its_archives(stack: cdk.Stack) -> None:
    rendered = container(stack, "Many")
    assert rendered["Mode"] == "MultiModel"
    assert json.dumps(rendered["ModelDataUrl"]).endswith('"/models/"]]}')
    assert "ModelDataSource" not in rendered


def test_a_package_names_image_and_artifact_itself_and_the_role_may_read_both(stack: cdk.Stack) -> None:
    assert container(stack, "Registered") == {"ModelPackageName": PACKAGE}
    allowed = json.dumps(statements(stack, "Registered"))
    assert "/models/7/model.tar.gz" in allowed
    assert endpoints.REPOSITORY in allowed


def test_a_private_registry_is_reached_through_the_vpc_with_its_credentials(stack: cdk.Stack) -> None:
    config = container(stack, "Private")["ImageConfig"]
    function = "arn:aws:lambda:us-east-1:111122223333:function:login"
    assert config["RepositoryAccessMode"] == "Vpc"
    assert config["RepositoryAuthConfig"] == {"RepositoryCredentialsProviderArn": function}
    (invoke,) = [each for each in statements(stack, "Private") if each["Action"] == "lambda:InvokeFunction"]
    assert invoke["Resource"] == function


def test_containers_are_isolated_unless_they_shall_not_be(stack: cdk.Stack) -> None:
    assert model(stack, "Plain")["Properties"]["EnableNetworkIsolation"] is True
    assert "VpcConfig" not in model(stack, "Plain")["Properties"]
    assert model(stack, "Attached")["Properties"]["EnableNetworkIsolation"] is False


def test_in_a_vpc_it_is_in_two_subnets_and_its_role_may_make_interfaces(stack: cdk.Stack) -> None:
    config = model(stack, "Attached")["Properties"]["VpcConfig"]
    assert len(config["Subnets"]) == 2
    assert len(config["SecurityGroupIds"]) == 1
    assert "ec2:CreateNetworkInterface" in json.dumps(statements(stack, "Attached"))
    assert "ec2:CreateNetworkInterface" not in json.dumps(statements(stack, "Plain"))


def test_the_role_reads_one_artifact_and_one_repository_and_writes_nothing(stack: cdk.Stack) -> None:
    by_action: dict[str, Any] = {}
    for each in statements(stack, "Plain"):
        actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
        by_action |= dict.fromkeys(actions, each["Resource"])
    assert json.dumps(by_action["s3:GetObject"]).endswith('"/models/1/model.tar.gz"]]}')
    assert endpoints.REPOSITORY in json.dumps(by_action["ecr:BatchGetImage"])
    assert not [action for action in by_action if action.startswith(("s3:Put", "s3:Delete", "sagemaker:"))]


def test_sagemaker_alone_takes_the_role_and_for_this_account(stack: cdk.Stack) -> None:
    roles = support.resources(stack, "AWS::IAM::Role")
    (role,) = [each for name, each in roles.items() if name.startswith("PlainRole")]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_permissions_are_there_before_the_model_and_no_name_is_fixed(stack: cdk.Stack) -> None:
    plain = model(stack, "Plain")
    assert any("DefaultPolicy" in name for name in plain["DependsOn"])
    assert "ModelName" not in plain["Properties"]


def test_another_artifact_has_another_role_so_that_the_old_fleet_keeps_its_own() -> None:
    def roles(**changes: Any) -> set[str]:
        stack = support.stack()
        zone = endpoints.lake(stack).models
        key = changes.pop("key", "models/1/model.tar.gz")
        endpoints.model(stack, artifact=Artifact(zone=zone, key=key), **changes)
        return {name for name in support.resources(stack, "AWS::IAM::Role") if name.startswith("Model")}

    first = roles()
    assert roles() == first
    assert roles(environment={"A": "1"}) == first
    assert roles(key="models/2/model.tar.gz").isdisjoint(first)
    assert roles(image=f"{endpoints.IMAGE}-2").isdisjoint(first)


def test_a_given_role_is_extended_and_none_is_made() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Mine", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    endpoints.model(stack, role=role)
    properties = endpoints.properties(stack, MODEL)
    assert properties["ExecutionRoleArn"] == stack.resolve(role.role_arn)
    assert not [name for name in support.resources(stack, "AWS::IAM::Role") if name.startswith("Model")]


def test_an_imported_model_has_a_name_and_knows_no_more() -> None:
    imported = Model.from_model_name(support.stack(), "Model", "reviews-7")
    assert (imported.model_name, imported.role, imported.isolated) == ("reviews-7", None, None)


@functools.cache
def workshop() -> cdk.Stack:
    """Where models are tried that are refused: nobody synthesizes it."""
    return support.stack()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image": None}, "given neither image nor package; allowed: exactly one"),
        ({"package": ModelPackage(arn=PACKAGE)}, "given both image and package; allowed: exactly one"),
        (
            {"image": None, "package": ModelPackage(arn=PACKAGE), "multi_model": True},
            "a package alone: it names its artifact itself",
        ),
        (
            {"image": None, "artifact": None, "package": ModelPackage(arn="1")},
            "ARN of a model package",
        ),
        ({"multi_model": True}, "an artifact that is a folder of archives"),
        ({"environment": {"1st": "x"}}, "environment variable '1st'"),
        ({"environment": {"A": "x" * 1025}}, "environment variable 'A' of 1025 characters"),
        (
            {"environment": {f"V{n}": "" for n in range(101)}},
            "of 101 variables; allowed: at most 100",
        ),
        ({"security_groups": []}, "security_groups without vpc; allowed: both only in a VPC; write: vpc=vpc"),
        ({"image": "registry.example.com/x:1"}, "an image in ECR"),
        ({"private_registry": PrivateRegistry()}, "through the VPC alone"),
    ],
)
def test_what_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    values = {"image": endpoints.IMAGE, "artifact": None} | changes
    with pytest.raises(ConfigurationError) as failure:
        Model(stack, f"Try{len(stack.node.children)}", **values)
    assert expected in str(failure.value)


@pytest.mark.parametrize("key", ["/models/x.tar.gz/", "models/model.zip", "models"])
def test_an_artifact_that_cannot_be_loaded_is_refused(key: str) -> None:
    stack = workshop()
    artifact = Artifact(zone=endpoints.lake(stack).models, key=key)
    with pytest.raises(ConfigurationError, match=r"the key of a \.tar\.gz archive, or a folder"):
        Model(stack, f"Try{len(stack.node.children)}", image=endpoints.IMAGE, artifact=artifact)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="3 problems"):
        Model(workshop(), "All", environment={"1": ""}, subnets=ec2.SubnetSelection(one_per_az=True))
