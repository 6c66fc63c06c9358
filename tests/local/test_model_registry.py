"""The model registry: groups, versions, approval."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, unique

PREFIX = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def sagemaker(local_aws: LocalAws) -> Any:
    return local_aws.client("sagemaker")


@pytest.fixture
def group(sagemaker: Any) -> str:
    name = unique("reviews")
    answer = sagemaker.create_model_package_group(
        ModelPackageGroupName=name,
        ModelPackageGroupDescription="sentiment",
        Tags=[{"Key": "a", "Value": "b"}],
    )
    assert answer["ModelPackageGroupArn"] == f"{PREFIX}:model-package-group/{name}"
    return name


def package(group: str, **more: Any) -> dict[str, Any]:
    container = {
        "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/onnx:1",
        "ModelDataUrl": "s3://models/a",
    }
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    return {"ModelPackageGroupName": group, "InferenceSpecification": specification} | more


def test_versions_are_counted_within_their_group(sagemaker: Any, group: str) -> None:
    arns = [sagemaker.create_model_package(**package(group))["ModelPackageArn"] for _ in range(2)]
    assert arns == [f"{PREFIX}:model-package/{group}/{number}" for number in (1, 2)]
    described = sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert described["ModelPackageVersion"] == 2
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_deleted_version_is_not_counted_again(sagemaker: Any, group: str) -> None:
    first = sagemaker.create_model_package(**package(group))["ModelPackageArn"]
    sagemaker.delete_model_package(ModelPackageName=first)
    assert sagemaker.create_model_package(**package(group))["ModelPackageArn"].endswith("/2")


def test_what_is_given_is_described(sagemaker: Any, group: str) -> None:
    given = package(
        group,
        ModelPackageDescription="AUROC 0.83",
        CustomerMetadataProperties={"sha256": "ab" * 32, "run": "run-1"},
        ModelApprovalStatus="Approved",
    )
    arn = sagemaker.create_model_package(**given)["ModelPackageArn"]
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert {name: described[name] for name in given} == given


def test_the_same_token_is_the_same_package(sagemaker: Any, group: str) -> None:
    request = package(group, ClientToken=unique("token"))
    first = sagemaker.create_model_package(**request)["ModelPackageArn"]
    assert sagemaker.create_model_package(**request)["ModelPackageArn"] == first
    assert len(sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.create_model_package(**request | {"ModelPackageDescription": "another"})


def test_approval_changes_and_is_an_event(local_aws: LocalAws, sagemaker: Any, group: str) -> None:
    url, arn = local_aws.queue("events")
    rule = unique("rule")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    local_aws.client("events").put_rule(Name=rule, EventPattern=json.dumps(pattern))
    local_aws.client("events").put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    created = sagemaker.create_model_package(**package(group))["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=created,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"approver": "someone"},
    )
    described = sagemaker.describe_model_package(ModelPackageName=created)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["CustomerMetadataProperties"] == {"approver": "someone"}
    (message,) = local_aws.messages(url)
    assert json.loads(message["Body"])["detail"]["ModelPackageArn"] == created


def test_lists_can_be_filtered_by_approval(sagemaker: Any, group: str) -> None:
    sagemaker.create_model_package(**package(group, ModelApprovalStatus="Rejected"))
    approved = sagemaker.create_model_package(**package(group, ModelApprovalStatus="Approved"))[
        "ModelPackageArn"
    ]
    listed = sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [found["ModelPackageArn"] for found in listed["ModelPackageSummaryList"]] == [approved]


def test_a_group_with_packages_is_not_deleted(sagemaker: Any, group: str) -> None:
    arn = sagemaker.create_model_package(**package(group))["ModelPackageArn"]
    with pytest.raises(ClientError, match="is not empty"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_exists_once_and_keeps_its_tags(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    tags = sagemaker.list_tags(ResourceArn=f"{PREFIX}:model-package-group/{group}")["Tags"]
    assert tags == [{"Key": "a", "Value": "b"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ModelPackageGroupName": "absent"}, "does not exist"),
        ({"ModelApprovalStatus": "Perhaps"}, "modelApprovalStatus"),
        ({"ModelPackageGroupName": "under_score"}, "modelPackageGroupName"),
    ],
)
def test_wrong_packages_are_refused(sagemaker: Any, group: str, change: dict[str, str], message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.create_model_package(**package(group, **change))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_creating_a_package_is_allowed_by_policy_only(local_aws: LocalAws, group: str) -> None:
    arn = f"{PREFIX}:model-package/{group}/*"
    allowed = local_aws.role("lambda", allow("sagemaker:CreateModelPackage", resource=arn))
    denied = local_aws.role("lambda", allow("sagemaker:CreateModelPackage", resource=f"{arn}-other"))
    local_aws.session_for_role(allowed).client("sagemaker").create_model_package(**package(group))
    with pytest.raises(ClientError, match="AccessDenied"):
        local_aws.session_for_role(denied).client("sagemaker").create_model_package(**package(group))


def test_who_approved_a_version_is_kept_with_why(sagemaker: Any, group: str, local_aws: LocalAws) -> None:
    # GIVEN a version that waits, and a role that may approve
    arn = sagemaker.create_model_package(**package(group))["ModelPackageArn"]
    role = local_aws.role("sagemaker", allow("sagemaker:UpdateModelPackage", resource=arn))
    approver = local_aws.session_for_role(role).client("sagemaker")
    # WHEN it approves
    approver.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="better on every group"
    )
    # THEN the version says who it was, and why
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert role.rpartition("/")[2] in described["LastModifiedBy"]["IamIdentity"]["Arn"]
    assert described["ApprovalDescription"] == "better on every group"
    assert described["CreatedBy"]["IamIdentity"]["Arn"].endswith(":root")


def test_a_group_has_a_policy_for_other_accounts(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="Cannot find"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)
    statement = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sagemaker:*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)
    assert sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"] == policy
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Cannot find"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)


@pytest.mark.parametrize("policy", ["no policy", '{"Statement": [{"Effect": "Allow", "Action": "*"}]}'])
def test_what_is_no_policy_of_a_group_is_refused(sagemaker: Any, group: str, policy: str) -> None:
    with pytest.raises(ClientError, match="policy of"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)


def test_a_policy_is_deployed_changed_and_taken_away(sagemaker: Any, local_aws: LocalAws) -> None:
    name = unique("shared")
    cloudformation = local_aws.client("cloudformation")

    def deploy(operation: str, account: str | None) -> None:
        properties: dict[str, Any] = {"ModelPackageGroupName": name}
        if account is not None:
            statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sagemaker:CreateModel"}
            properties["ModelPackageGroupPolicy"] = {"Version": "2012-10-17", "Statement": [statement]}
        group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}
        body = json.dumps({"Resources": {"Group": group}})
        getattr(cloudformation, f"{operation}_stack")(StackName=name, TemplateBody=body)
        waiter = cloudformation.get_waiter(f"stack_{operation}_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})

    for operation, account in (("create", "444455556666"), ("update", "777788889999")):
        deploy(operation, account)
        kept = sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)["ResourcePolicy"]
        assert json.loads(kept)["Statement"][0]["Principal"]["AWS"] == account
    deploy("update", None)
    with pytest.raises(ClientError, match="Cannot find"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)
