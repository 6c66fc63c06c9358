"""People of identity providers and other accounts as grantees, and the encryption of the catalog."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import (
    CatalogEncryption,
    DataLake,
    LakeFormation,
    LakePrincipal,
    LakeTable,
    LakeTag,
)
from tests.constructs import nag, support

PERMISSIONS = "AWS::LakeFormation::PrincipalPermissions"
PROVIDER = "arn:aws:iam::111122223333:saml-provider/company"
ID = "9067a5b8c1-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
GROUP = f"{PROVIDER}:group/data-scientists"
OTHER = "444455556666"


ALONE = LakeFormation(hybrid=False)


def table(stack: cdk.Stack, lake_formation: LakeFormation | None = ALONE) -> LakeTable:
    lake = DataLake(stack, "Lake", zones=["raw"], lake_formation=lake_formation)
    return lake.raw.add_table("reviews", schema={"id": "string", "email": "string"})


def permissions(stack: cdk.Stack, principal: str) -> list[tuple[str, list[str], list[str]]]:
    return [
        (
            next(iter(each["Properties"]["Resource"])),
            each["Properties"]["Permissions"],
            each["Properties"]["PermissionsWithGrantOption"],
        )
        for each in support.resources(stack, PERMISSIONS).values()
        if principal in str(each["Properties"]["Principal"])
    ]


def test_a_group_gets_permissions_of_lake_formation_and_is_in_no_policy() -> None:
    stack = support.stack()
    reviews = table(stack)
    group = LakePrincipal.saml_group(PROVIDER, "data-scientists")
    reviews.grant_select(group, excluded_columns=["email"])
    reviews.grant_write(group)
    LakeTag(stack, "Tag", key="sensitivity", values=["public"]).grant_select(
        group, ["public"], zones=[reviews.zone]
    )
    assert permissions(stack, GROUP) == [
        ("Database", ["DESCRIBE"], []),
        ("DataCellsFilter", ["SELECT"], []),
        ("Table", ["SELECT"], []),
        ("Table", ["INSERT"], []),
        ("Table", ["DELETE"], []),
        ("LFTagPolicy", ["SELECT"], []),
    ]
    others = {key: each for key, each in support.resources(stack).items() if each["Type"] != PERMISSIONS}
    assert GROUP not in str(others)


@pytest.mark.parametrize(
    ("principal", "arn"),
    [
        (LakePrincipal.saml_user(PROVIDER, "ada@example.com"), f"{PROVIDER}:user/ada@example.com"),
        (LakePrincipal.identity_user(ID), f":identitystore:::user/{ID}"),
        (LakePrincipal.identity_group(ID), f":identitystore:::group/{ID}"),
    ],
)
def test_people_are_named_as_lake_formation_names_them(principal: LakePrincipal, arn: str) -> None:
    assert principal.arn.endswith(arn)
    stack = support.stack()
    table(stack).zone.grant_read(principal)
    assert permissions(stack, arn) == [("Database", ["DESCRIBE"], []), ("Table", ["SELECT"], [])]


def test_a_groups_permissions_are_in_the_stack_that_was_asked_for_or_of_the_tag() -> None:
    # GIVEN a lake, and a tag on it in another stack
    app = support.app()
    lake, access = support.stack(app, "Lake"), support.stack(app, "Access")
    reviews = table(lake)
    tag = LakeTag(access, "Tag", key="sensitivity", values=["public"])
    tag.assign("public", reviews.zone)
    group = LakePrincipal.saml_group(PROVIDER, "data-scientists")
    # WHEN a group is granted by the tag, and a table within that stack
    tag.grant_select(group, ["public"], zones=[reviews.zone])
    reviews.grant_select(group.within(access))

    # THEN what is on the tag and on the table is there, and the lake waits for nothing
    def on(stack: cdk.Stack) -> set[str]:
        found = support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
        return {kind for each in found for kind in each["Properties"]["Resource"]}

    assert on(access) == {"Database", "LFTagPolicy", "Table"}
    assert on(lake) == {"Database"}


def test_another_account_may_hand_on_what_it_is_granted() -> None:
    # GIVEN a table that another account selects from
    stack = support.stack()
    reviews = table(stack)
    reviews.grant_select(iam.AccountPrincipal(OTHER), columns=["id"])
    # THEN its administrators can give it to their people, and the filter goes along
    assert permissions(stack, OTHER) == [
        ("Database", ["DESCRIBE"], ["DESCRIBE"]),
        ("DataCellsFilter", ["SELECT"], ["SELECT"]),
    ]
    # AND nothing of S3 is given, by which it could be gone around
    policies = support.resources(stack, "AWS::S3::BucketPolicy")
    assert OTHER not in str(policies)


def test_a_role_of_another_account_is_not_mistaken_for_one_of_the_same_name_here() -> None:
    stack = support.stack(env=support.environment())
    reviews = table(stack)
    for account in (stack.account, OTHER):
        role = iam.Role.from_role_arn(stack, f"Of{account}", f"arn:aws:iam::{account}:role/analyst-{account}")
        reviews.grant_select(role, columns=["id"])
    policies = support.resources(stack, "AWS::IAM::Policy").values()
    named = [name for each in policies for name in each["Properties"]["Roles"] if isinstance(name, str)]
    assert f"analyst-{stack.account}" in named
    assert f"analyst-{OTHER}" not in named


def test_a_role_here_hands_nothing_on() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    table(stack).grant_select(role)
    assert {tuple(option) for _, _, option in permissions(stack, "Role")} == {()}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LakePrincipal.saml_group("company", "a"), "the ARN of a SAML provider"),
        (lambda: LakePrincipal.saml_user(PROVIDER, "a b"), "1 to 256 letters"),
        (lambda: LakePrincipal.identity_group("data-scientists"), "an id of the identity store"),
    ],
)
def test_who_is_nobody_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert said in str(refused.value)


def test_folders_and_zones_of_iam_cannot_be_granted_to_people() -> None:
    person = LakePrincipal.identity_user(ID)
    governed = table(support.stack())
    with pytest.raises(ConfigurationError, match="a matter of S3"):
        governed.zone.grant_read(person, prefix="reviews/")
    with pytest.raises(ConfigurationError, match="a matter of S3"):
        governed.zone.grant_write(person)
    for lake_formation in (LakeFormation(), None):
        reviews = table(support.stack(), lake_formation)
        with pytest.raises(ConfigurationError, match="where IAM decides"):
            reviews.grant_select(person)
        with pytest.raises(ConfigurationError, match="where IAM decides"):
            reviews.grant_write(person)


def test_the_catalog_is_encrypted_by_a_role_of_glue_and_stays_so() -> None:
    app = support.app()
    stack = support.stack(app)
    CatalogEncryption(stack, "Catalog")
    open_findings = nag.unacknowledged(app)
    assert not open_findings, "; ".join(open_findings)
    made = support.resources(stack, "AWS::Glue::DataCatalogEncryptionSettings")
    (settings,) = [each for name, each in made.items() if name.startswith("Catalog")]
    said = settings["Properties"]["DataCatalogEncryptionSettings"]
    assert said["EncryptionAtRest"]["CatalogEncryptionMode"] == "SSE-KMS-WITH-SERVICE-ROLE"
    assert said["ConnectionPasswordEncryption"]["ReturnConnectionPasswordEncrypted"] is True
    assert [name for name in settings["DependsOn"] if "RoleDefaultPolicy" in name]
    # without its key and its role, nobody could read the catalog any more
    kept = {
        each["Type"]: each["DeletionPolicy"]
        for name, each in support.resources(stack).items()
        if name.startswith("Catalog")
    }
    assert set(kept.values()) == {"Retain"}
    assert set(kept) == {
        "AWS::Glue::DataCatalogEncryptionSettings",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
    }


def test_the_catalogs_key_may_be_one_that_is_there() -> None:
    stack = support.stack()
    arn = f"arn:aws:kms:eu-west-1:{support.ACCOUNT}:key/{ID[11:]}"
    CatalogEncryption(stack, "Catalog", key=kms.Key.from_key_arn(stack, "Key", arn))
    settings = support.only(support.resources(stack, "AWS::Glue::DataCatalogEncryptionSettings"))
    said = settings["Properties"]["DataCatalogEncryptionSettings"]
    assert said["EncryptionAtRest"]["SseAwsKmsKeyId"] == arn
    assert said["ConnectionPasswordEncryption"]["KmsKeyId"] == arn
    assert support.resources(stack, "AWS::KMS::Key") == {}
