"""IAM in detail: variables and conditions of policies, and the boundaries of what a stack creates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, TRUST, LocalAws, allow, service, unique
from tests.local.test_resource_types import Stack, resource

TEAM = {"Key": "team", "Value": "reviews"}


@pytest.fixture
def session(local_aws: LocalAws) -> Callable[..., Callable[[str], Any]]:
    """Takes a new role with these permissions and session tags; makes clients of the session."""

    def take(*statements: dict[str, Any], tags: tuple[dict[str, str], ...] = ()) -> Callable[[str], Any]:
        iam, name = local_aws.client("iam"), unique("role")
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST | {"Statement": [trust]}))
        document = json.dumps(TRUST | {"Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=document)
        given = local_aws.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="session", Tags=list(tags)
        )["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        return lambda name: local_aws._client(name, keys)

    return take


def test_a_variable_stands_for_the_sessions_tag(local_aws: LocalAws, session: Any) -> None:
    bucket = local_aws.bucket()
    own = allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/*")
    s3 = session(own, tags=(TEAM,))("s3")
    s3.put_object(Bucket=bucket, Key="reviews/a", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="payments/a", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):  # and for nothing without the tag
        session(own)("s3").put_object(Bucket=bucket, Key="reviews/a", Body=b"")


def test_a_condition_compares_with_the_sessions_tag(session: Any) -> None:
    same = {"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}
    sagemaker = session(
        allow("sagemaker:CreateModelPackageGroup", "sagemaker:AddTags") | {"Condition": same}, tags=(TEAM,)
    )("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=unique("group"), Tags=[TEAM])
    with pytest.raises(ClientError, match="AccessDenied"):
        other = TEAM | {"Value": "payments"}
        sagemaker.create_model_package_group(ModelPackageGroupName=unique("group"), Tags=[other])


def test_a_condition_sees_the_approval_of_a_model(local_aws: LocalAws, session: Any) -> None:
    group = unique("group")
    local_aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    waiting = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    sagemaker = session(allow("sagemaker:CreateModelPackage") | {"Condition": waiting})("sagemaker")
    request = {"ModelPackageGroupName": group, "ModelPackageDescription": "a model"}
    sagemaker.create_model_package(**request, ModelApprovalStatus="PendingManualApproval")
    for status in ({"ModelApprovalStatus": "Approved"}, {}):
        with pytest.raises(ClientError, match="AccessDenied"):
            sagemaker.create_model_package(**request, **status)


def test_a_role_of_a_stack_has_the_boundary_of_its_template_and_loses_it_with_it(local_aws: LocalAws) -> None:
    document = TRUST | {"Statement": [allow("s3:*")]}
    trust = {"Effect": "Allow", "Principal": service("lambda"), "Action": "sts:AssumeRole"}
    role = resource("IAM::Role", AssumeRolePolicyDocument=TRUST | {"Statement": [trust]})
    bound = {**role, "Properties": role["Properties"] | {"PermissionsBoundary": {"Ref": "Boundary"}}}
    boundary = resource("IAM::ManagedPolicy", PolicyDocument=document)
    stack, iam = Stack(local_aws), local_aws.client("iam")
    stack.deploy({"Boundary": boundary, "Role": bound})
    name = stack.physical_id("Role")
    known = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
    assert known["PermissionsBoundaryArn"] == stack.physical_id("Boundary")
    stack.deploy({"Boundary": boundary, "Role": role})
    assert "PermissionsBoundary" not in iam.get_role(RoleName=name)["Role"]
