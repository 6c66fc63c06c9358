"""The registry group: who may read, register and approve, here and in other accounts, and who hears of it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs

from cdk_data_science import ConfigurationError, ModelRegistry
from tests.constructs import machines, nag, support

GROUP = "arn:aws:sagemaker:eu-west-1:111122223333:model-package-group/reviews"
VERSIONS = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/reviews/*"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a group that two accounts read, one of which deploys, with people and queues
    stack = support.stack(env=support.environment())
    registry = ModelRegistry(
        stack, "Registry", group_name="reviews", readers=["444455556666"], deployers=["777788889999"]
    )
    for who, grant in {
        "Reader": registry.grant_read,
        "Engineer": registry.grant_register,
        "Approver": registry.grant_approve,
    }.items():
        grant(iam.Role(stack, who, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")))
    queue = sqs.Queue(stack, "Queue")
    registry.on_approved("Approved", target=targets.SqsQueue(queue))
    registry.on_version("Waiting", target=targets.SqsQueue(queue), statuses=["PendingManualApproval"])
    return stack


def policy(stack: cdk.Stack) -> list[dict[str, Any]]:
    group = support.only(support.resources(stack, "AWS::SageMaker::ModelPackageGroup"))
    found: list[dict[str, Any]] = group["Properties"]["ModelPackageGroupPolicy"]["Statement"]
    return found


def accounts(statement: dict[str, Any]) -> list[str]:
    given = statement["Principal"]["AWS"]
    return [str(each) for each in (given if isinstance(given, list) else [given])]


def test_other_accounts_read_the_versions_of_this_group_alone(stack: cdk.Stack) -> None:
    group, versions, _ = policy(stack)
    assert group["Action"] == "sagemaker:DescribeModelPackageGroup"
    assert group["Resource"] == GROUP
    assert versions["Action"] == ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    assert versions["Resource"] == VERSIONS
    for statement in (group, versions):
        named = accounts(statement)
        assert len(named) == 2
        assert any("444455556666" in each for each in named)
        assert any("777788889999" in each for each in named)


def test_deployers_alone_make_models_of_them(stack: cdk.Stack) -> None:
    *_, deploy = policy(stack)
    assert deploy["Action"] == "sagemaker:CreateModel"
    assert deploy["Resource"] == VERSIONS
    (named,) = accounts(deploy)
    assert "777788889999" in named


def test_no_account_registers_approves_or_deletes_from_elsewhere(stack: cdk.Stack) -> None:
    given = machines.actions(policy(stack))
    assert not [each for each in given if any(verb in each for verb in ("Update", "Delete", "Put"))]
    assert "sagemaker:CreateModelPackage" not in given


def test_a_group_that_nobody_shares_has_no_policy() -> None:
    stack = support.stack()
    ModelRegistry(stack, "Registry")
    group = support.only(support.resources(stack, "AWS::SageMaker::ModelPackageGroup"))
    assert "ModelPackageGroupPolicy" not in group["Properties"]


def test_an_approver_decides_and_changes_nothing_without_a_decision(stack: cdk.Stack) -> None:
    statements = machines.statements(stack, "Approver")
    (decide,) = (s for s in statements if "sagemaker:UpdateModelPackage" in machines.actions([s]))
    assert decide["Condition"] == {
        "StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}
    }
    assert "sagemaker:CreateModelPackage" not in machines.actions(statements)
    assert "sagemaker:DescribeModelPackage" in machines.actions(statements)


@pytest.mark.parametrize("who", ["Reader", "Engineer"])
def test_nobody_else_decides(stack: cdk.Stack, who: str) -> None:
    assert "sagemaker:UpdateModelPackage" not in machines.actions(machines.statements(stack, who))


def test_an_approval_is_an_event_of_this_group(stack: cdk.Stack) -> None:
    patterns = [
        each["Properties"]["EventPattern"] for each in support.resources(stack, "AWS::Events::Rule").values()
    ]
    assert all(each["source"] == ["aws.sagemaker"] for each in patterns)
    assert all(each["detail-type"] == ["SageMaker Model Package State Change"] for each in patterns)
    assert sorted(each["detail"]["ModelApprovalStatus"][0] for each in patterns) == [
        "Approved",
        "PendingManualApproval",
    ]
    assert all(each["detail"]["ModelPackageGroupName"] == ["reviews"] for each in patterns)


def test_a_group_of_another_app_has_the_same_grants_and_events() -> None:
    stack = support.stack()
    registry = ModelRegistry.from_group_name(stack, "Registry", "reviews")
    role = iam.Role(stack, "Approver", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    registry.grant_approve(role)
    assert "sagemaker:UpdateModelPackage" in machines.actions(machines.statements(stack, "Approver"))


def test_nothing_of_the_grants_is_left_to_acknowledge() -> None:
    app = support.app()
    stack = cdk.Stack(app, "Nag")
    registry = ModelRegistry(stack, "Registry", readers=["444455556666"])
    role = iam.Role(stack, "Approver", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    registry.grant_approve(role)
    assert [each for each in nag.unacknowledged(app) if "IAMNoInlinePolicy" not in each] == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"readers": ["4444"]}, "readers with '4444'"),
        ({"deployers": ["arn:aws:iam::444455556666:root"]}, "the 12 digits of an account"),
        ({"readers": ["111122223333"]}, "readers with this account"),
        ({"readers": ["444455556666"], "deployers": ["444455556666"]}, "as reader and deployer"),
    ],
)
def test_accounts_that_cannot_be_meant_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        ModelRegistry(support.stack(env=support.environment()), "Registry", **options)


@pytest.mark.parametrize("statuses", [["approved"], []])
def test_a_status_that_no_version_has_is_told(statuses: list[str]) -> None:
    stack = support.stack()
    registry = ModelRegistry(stack, "Registry")
    with pytest.raises(ConfigurationError, match="on_version"):
        registry.on_version("Rule", target=targets.SqsQueue(sqs.Queue(stack, "Queue")), statuses=statuses)
