"""Tags of Lake Formation: their values, what has them, and who may select it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, LakeFormation, LakeTag
from tests.constructs import support

PERMISSIONS = "AWS::LakeFormation::PrincipalPermissions"
ASSOCIATIONS = "AWS::LakeFormation::TagAssociation"
ALONE = LakeFormation(hybrid=False, administer=True)


def lake_with_table(stack: cdk.Stack, lake_formation: LakeFormation | None = ALONE) -> DataLake:
    lake = DataLake(stack, "Lake", zones=["raw"], lake_formation=lake_formation)
    lake.raw.add_table("orders", schema={"id": "string", "email": "string"})
    return lake


def role(stack: cdk.Stack, name: str = "Role") -> iam.Role:
    return iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal())


def sensitivity(stack: cdk.Stack) -> LakeTag:
    return LakeTag(stack, "Sensitivity", key="sensitivity", values=["public", "internal", "personal"])


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """A database with a value, a table and a column with their own, and grants by both tags."""
    stack = support.stack()
    lake = lake_with_table(stack)
    tag = sensitivity(stack)
    domain = LakeTag(stack, "Domain", key="domain", values=["sales", "risk"])
    orders = lake.raw.tables["orders"]
    for _ in range(2):
        tag.assign("internal", lake.raw)
        domain.assign("sales", orders)
        tag.assign_columns("personal", orders, ["email"])
    one, other = role(stack, "One"), role(stack, "Other")
    tag.grant_select(one, ["internal", "public"], zones=[lake.raw])
    tag.grant_select(one, ["public", "internal"], zones=[lake.raw])
    tag.grant_select(other, ["personal"], also={domain: ["sales"]}, zones=[lake.raw])
    domain.grant_select(other, ["sales"], also={tag: ["personal"]}, zones=[lake.raw])
    return stack


def test_a_tag_has_its_values_once_the_administrators_are_known(stack: cdk.Stack) -> None:
    tags = support.resources(stack, "AWS::LakeFormation::Tag")
    assert [(each["Properties"]["TagKey"], each["Properties"]["TagValues"]) for each in tags.values()] == [
        ("sensitivity", ["public", "internal", "personal"]),
        ("domain", ["sales", "risk"]),
    ]
    for each in tags.values():
        assert any("Administrators" in name for name in each["DependsOn"])


def test_each_resource_has_one_value_of_a_tag_by_one_association(stack: cdk.Stack) -> None:
    found = [each["Properties"] for each in support.resources(stack, ASSOCIATIONS).values()]
    assert [
        (next(iter(each["Resource"])), each["LFTags"][0]["TagKey"], each["LFTags"][0]["TagValues"])
        for each in found
    ] == [
        ("Database", "sensitivity", ["internal"]),
        ("TableWithColumns", "sensitivity", ["personal"]),
        ("Table", "domain", ["sales"]),
    ]
    assert all(len(each["LFTags"]) == 1 for each in found)
    assert found[1]["Resource"]["TableWithColumns"]["ColumnNames"] == ["email"]
    assert found[2]["Resource"]["Table"]["Name"] == "orders"


def test_an_association_waits_for_its_tag_its_table_and_the_one_before(stack: cdk.Stack) -> None:
    (database, column, table) = support.resources(stack, ASSOCIATIONS).items()
    assert any(name.startswith("Sensitivity") for name in database[1]["DependsOn"])
    assert database[0] in column[1]["DependsOn"]
    for _, each in (column, table):
        assert any(name.startswith("LakeRawTablesorders") for name in each["DependsOn"])


def test_a_grant_is_select_by_the_expression_once_whichever_tag_was_asked(stack: cdk.Stack) -> None:
    policies = [
        (each["Properties"]["Resource"]["LFTagPolicy"], each["Properties"]["Permissions"], each["DependsOn"])
        for each in support.resources(stack, PERMISSIONS).values()
        if "LFTagPolicy" in each["Properties"]["Resource"]
    ]
    assert [
        (policy["ResourceType"], policy["Expression"], permission) for policy, permission, _ in policies
    ] == [
        ("TABLE", [{"TagKey": "sensitivity", "TagValues": ["internal", "public"]}], ["SELECT"]),
        (
            "TABLE",
            [
                {"TagKey": "domain", "TagValues": ["sales"]},
                {"TagKey": "sensitivity", "TagValues": ["personal"]},
            ],
            ["SELECT"],
        ),
    ]
    tags = set(support.resources(stack, "AWS::LakeFormation::Tag"))
    assert len(tags & set(policies[1][2])) == 2


def test_a_grant_gives_nothing_of_s3_and_kms_by_which_other_columns_could_be_read(stack: cdk.Stack) -> None:
    roles = support.resources(stack, "AWS::IAM::Role")
    consumers = {key for key in roles if key.startswith(("One", "Other"))}
    actions = {
        action
        for policy in support.resources(stack, "AWS::IAM::Policy").values()
        if policy["Properties"]["Roles"][0]["Ref"] in consumers
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {action.partition(":")[0] for action in actions} == {"glue", "lakeformation"}


def test_the_database_is_described_and_nothing_else_of_it_is_given(stack: cdk.Stack) -> None:
    named = [
        each["Properties"]
        for each in support.resources(stack, PERMISSIONS).values()
        if "LFTagPolicy" not in each["Properties"]["Resource"]
    ]
    assert len(named) == 2
    for each in named:
        assert list(each["Resource"]) == ["Database"]
        assert each["Permissions"] == ["DESCRIBE"]


def test_a_new_value_changes_the_tag_in_place() -> None:
    def made(values: list[str]) -> dict[str, Any]:
        stack = support.stack()
        LakeTag(stack, "Tag", key="domain", values=values)
        return support.resources(stack)

    before, after = made(["sales"]), made(["sales", "risk"])
    assert before.keys() == after.keys()
    assert [each["Properties"]["TagKey"] for each in after.values()] == ["domain"]


def test_a_tag_of_another_app_is_assigned_and_granted_and_not_made() -> None:
    stack = support.stack()
    lake = lake_with_table(stack)
    tag = LakeTag.from_values(stack, "Domain", key="domain", values=["sales"])
    tag.assign("sales", lake.raw)
    tag.grant_select(role(stack), ["sales"], zones=[lake.raw])
    assert not support.resources(stack, "AWS::LakeFormation::Tag")
    (association,) = support.resources(stack, ASSOCIATIONS).values()
    assert any("LakeFormationLocation" in name for name in association["DependsOn"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "Sensitivity"}, "key='Sensitivity'.*write: key='sensitivity'"),
        ({"key": ""}, "key=''"),
        ({"values": []}, "0 values; allowed: 1 to 1000"),
        ({"values": [str(index) for index in range(1001)]}, "1001 values"),
        ({"values": ["Public"]}, "value 'Public'.*write: 'public'"),
        ({"values": ["a", "a"]}, "a value twice"),
    ],
)
def test_a_tag_that_lake_formation_would_store_differently_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LakeTag(support.stack(), "Tag", **{"key": "domain", "values": ["sales"], **options})


def test_values_and_columns_outside_their_sets_are_refused() -> None:
    stack = support.stack()
    lake, tag = lake_with_table(stack), sensitivity(stack)
    orders = lake.raw.tables["orders"]
    consumer = role(stack)
    for call, message in (
        (lambda: tag.assign("secret", lake.raw), "'secret'; allowed: public, internal, personal"),
        (lambda: tag.assign_columns("secret", orders, ["id"]), "'secret'; allowed"),
        (lambda: tag.assign_columns("public", orders, ["ip"]), "'ip'; allowed: columns of 'orders': id"),
        (lambda: tag.assign_columns("public", orders, []), "no name; allowed: columns of 'orders'"),
        (lambda: tag.grant_select(consumer, ["secret"], zones=[lake.raw]), "'secret'; allowed"),
        (lambda: tag.grant_select(consumer, [], zones=[lake.raw]), "no value; allowed"),
        (lambda: tag.grant_select(consumer, ["public"], zones=[]), "no zones; allowed"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            call()
    tag.assign("public", orders)
    with pytest.raises(ConfigurationError, match=r"sensitivity=internal for raw\.orders, which has public"):
        tag.assign("internal", orders)


def test_tags_are_refused_where_nothing_would_apply_them() -> None:
    for options, assigned in ((None, False), (LakeFormation(), True)):
        stack = support.stack()
        lake, tag = lake_with_table(stack, options), sensitivity(stack)
        with pytest.raises(ConfigurationError, match="where IAM decides"):
            tag.grant_select(role(stack), ["public"], zones=[lake.raw])
        if assigned:
            tag.assign("public", lake.raw)
        else:
            with pytest.raises(ConfigurationError, match="where IAM decides"):
                tag.assign("public", lake.raw)
