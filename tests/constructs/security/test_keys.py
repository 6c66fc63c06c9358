"""DataKeys: rotating keys by class of data, open to this account and to named services alone."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError
from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.security import DataClass, DataKeys, KeyUser
from tests.constructs import machines, nag, support


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """The default classes, guarded."""
    stack = support.stack(env=support.environment())
    guardian = iam.Role.from_role_arn(stack, "Guardian", f"arn:aws:iam::{support.ACCOUNT}:role/KeyGuardian")
    DataKeys(stack, "Keys", guardians=[guardian])
    return stack


def keys(stack: cdk.Stack) -> dict[str, dict[str, Any]]:
    found = support.resources(stack, "AWS::KMS::Key")
    return {key[len("Keys") : -8]: resource for key, resource in found.items()}


def test_each_class_has_a_rotating_key_that_is_retained(stack: cdk.Stack) -> None:
    assert set(keys(stack)) == {"Restricted", "Internal", "Operations"}
    for key in keys(stack).values():
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["Properties"]["RotationPeriodInDays"] == 365
        assert key["DeletionPolicy"] == "Retain"


def test_no_key_has_a_wildcard_among_its_principals(stack: cdk.Stack) -> None:
    for key in keys(stack).values():
        for statement in key["Properties"]["KeyPolicy"]["Statement"]:
            assert "*" not in json.dumps(statement["Principal"])


def test_only_the_operations_key_is_open_to_services_and_for_this_account(stack: cdk.Stack) -> None:
    services = {
        name: [s for s in key["Properties"]["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
        for name, key in keys(stack).items()
    }
    assert services["Restricted"] == services["Internal"] == []
    assert len(services["Operations"]) == 3
    for statement in services["Operations"]:
        assert support.ACCOUNT in json.dumps(statement["Condition"])


def test_only_guardians_end_a_key(stack: cdk.Stack) -> None:
    for key in keys(stack).values():
        (guard,) = [s for s in key["Properties"]["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"]
        assert guard["Action"] == ["kms:DisableKey", "kms:ScheduleKeyDeletion"]
        guardians = guard["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        assert guardians == [f"arn:aws:iam::{support.ACCOUNT}:role/KeyGuardian"]
        assert guard["Principal"]["AWS"] != "*"


def test_a_role_uses_a_key_through_one_service() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    data_keys = DataKeys(stack, "Keys")
    role = iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal())
    acknowledge_inline_policy(role)
    data_keys.grant("restricted", role, via="s3")
    (statement,) = machines.statements(stack, "Reader")
    assert statement["Action"] == ["kms:Decrypt", "kms:DescribeKey"]
    condition = statement["Condition"]["StringEquals"]["kms:ViaService"]
    assert json.dumps(condition).startswith(('"s3.eu-west-1.', '{"Fn::Join": ["", ["s3.eu-west-1.'))
    assert nag.unacknowledged(app) == []


def test_writers_may_encrypt_too() -> None:
    stack = support.stack(env=support.environment())
    role = iam.Role(stack, "Writer", assumed_by=iam.AccountRootPrincipal())
    DataKeys(stack, "Keys").grant("internal", role, via="s3", write=True)
    assert "kms:GenerateDataKey" in machines.actions(machines.statements(stack, "Writer"))


def test_volumes_of_types_with_local_disks_have_no_key_and_the_reason_is_recorded() -> None:
    stack = support.stack()
    data_keys = DataKeys(stack, "Keys")
    assert data_keys.volume_key("restricted", "ml.m5.xlarge") is data_keys.key("restricted")
    assert data_keys.volume_key("restricted", "ml.p4d.24xlarge") is None
    assert "ml.p4d.24xlarge" in str([entry.data for entry in data_keys.node.metadata])


def test_data_is_deleted_only_if_both_keys_say_so() -> None:
    def policies(destroy: bool, allowed: bool) -> set[str]:
        stack = support.stack(context={"cdk-data-science:destroyData": allowed})
        DataKeys(stack, "Keys", destroy=destroy)
        return {key["DeletionPolicy"] for key in keys(stack).values()}

    assert policies(True, True) == {"Delete"}
    assert policies(True, False) == policies(False, True) == {"Retain"}


def test_an_unknown_class_names_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="'restricted', 'internal', 'operations'"):
        DataKeys(support.stack(), "Keys").key("secret")


def test_all_mistakes_are_told_at_once() -> None:
    wrong = DataClass(name="Restricted!", description="", rotation_days=30, users=(KeyUser.LOGS,))
    with pytest.raises(ConfigurationError, match="5 problems") as failure:
        DataKeys(support.stack(), "Keys", classes=[wrong, DataClass(name="Restricted!", description="x")])
    for part in ("a letter first", "1 to 400 characters", "90 to 2560", "each name once"):
        assert part in str(failure.value)


def test_no_rule_pack_finds_anything() -> None:
    app = support.app()
    DataKeys(support.stack(app), "Keys")
    assert nag.unacknowledged(app) == []
