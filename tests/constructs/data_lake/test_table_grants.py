"""Who may select what of a table, and who may not."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import (
    DataLake,
    LakeFormation,
    LakeTable,
    PartitionKey,
    TableBase,
    Zone,
    ZoneAttributes,
)
from tests.constructs import support

PERMISSIONS = "AWS::LakeFormation::PrincipalPermissions"
FILTERS = "AWS::LakeFormation::DataCellsFilter"
SCHEMA = {
    "id": "string",
    "email": "string",
    "stars": "int",
    "tags": "array<string>",
    "place": "struct<city:string>",
    "at": "date",
}
ALONE = LakeFormation(hybrid=False)


def table(stack: cdk.Stack, lake_formation: LakeFormation | None = ALONE) -> LakeTable:
    lake = DataLake(stack, "Lake", zones=["raw"], lake_formation=lake_formation)
    lake.raw.add_table("other", schema={"id": "string"})
    return lake.raw.add_table("reviews", schema=SCHEMA, partition_keys=[PartitionKey(name="country")])


def role(stack: cdk.Stack, name: str = "Role") -> iam.Role:
    return iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal())


def permissions(stack: cdk.Stack) -> list[tuple[Any, str]]:
    """Resource and permission, in the order of the template."""
    found = []
    for resource in support.resources(stack, PERMISSIONS).values():
        (permission,) = resource["Properties"]["Permissions"]
        ((kind, on),) = resource["Properties"]["Resource"].items()
        found.append(((kind, on.get("Name"), on.get("TableName")), permission))
    return found


def filters(stack: cdk.Stack) -> list[dict[str, Any]]:
    return [each["Properties"] for each in support.resources(stack, FILTERS).values()]


def statements(stack: cdk.Stack, name: str = "Role") -> list[dict[str, Any]]:
    """What the policies of a role allow."""
    found = []
    for policy in support.resources(stack, "AWS::IAM::Policy").values():
        (reference,) = policy["Properties"]["Roles"]
        if str(reference["Ref"]).startswith(name) and len(reference["Ref"]) == len(name) + 8:
            found += policy["Properties"]["PolicyDocument"]["Statement"]
    return found


def test_the_whole_table_is_its_folder_its_key_its_definition_and_its_select() -> None:
    stack = support.stack()
    table(stack).grant_select(role(stack))
    assert permissions(stack) == [
        (("Database", {"Ref": "LakeRawDatabase21501424"}, None), "DESCRIBE"),
        (("Table", "reviews", None), "SELECT"),
    ]
    allowed = {str(each["Action"]): each["Resource"] for each in statements(stack)}
    (objects,) = [on for actions, on in allowed.items() if "s3:GetObject" in actions]
    assert objects["Fn::Join"][1][1] == "/reviews/*"
    assert "kms:Decrypt" in str(allowed)
    (definition,) = [on for actions, on in allowed.items() if "glue:GetTable" in actions]
    assert str(definition).count("/reviews") == 1
    assert "other" not in str(allowed)
    assert "*" not in str(definition)


def test_a_filter_gives_nothing_of_s3_and_kms_by_which_it_could_be_gone_around() -> None:
    stack = support.stack()
    table(stack).grant_select(role(stack), columns=["stars", "id"])
    actions = {action for each in statements(stack) for action in _list(each["Action"])}
    assert actions == {
        "glue:GetDatabase",
        "glue:GetTable",
        "glue:GetPartition",
        "glue:GetPartitions",
        "glue:BatchGetPartition",
        "lakeformation:GetDataAccess",
    }


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        (
            {"columns": ["stars", "id"]},
            {"ColumnNames": ["id", "stars"], "RowFilter": {"AllRowsWildcard": {}}},
        ),
        (
            {"excluded_columns": ["email"]},
            {
                "ColumnWildcard": {"ExcludedColumnNames": ["email"]},
                "RowFilter": {"AllRowsWildcard": {}},
            },
        ),
        (
            {"row_filter": "stars > 3"},
            {
                "ColumnWildcard": {"ExcludedColumnNames": []},
                "RowFilter": {"FilterExpression": "stars > 3"},
            },
        ),
        (
            {"columns": ["country"], "row_filter": "country = 'DE'"},
            {"ColumnNames": ["country"], "RowFilter": {"FilterExpression": "country = 'DE'"}},
        ),
    ],
)
def test_cells_are_let_through_by_a_filter_of_the_table(options: Any, cells: dict[str, Any]) -> None:
    stack = support.stack()
    table(stack).grant_select(role(stack), **options)
    (made,) = filters(stack)
    name = made.pop("Name")
    assert made == {
        **cells,
        "DatabaseName": {"Ref": "LakeRawDatabase21501424"},
        "TableCatalogId": {"Ref": "AWS::AccountId"},
        "TableName": "reviews",
    }
    assert permissions(stack)[1:] == [(("DataCellsFilter", name, "reviews"), "SELECT")]


# Traps of others ------------------------------------------------------------


def several(stack: cdk.Stack, order: int = 1) -> None:
    found = table(stack)
    one, other = role(stack, "One"), role(stack, "Other")
    calls = [
        lambda: found.grant_select(one),
        lambda: found.grant_select(one, columns=["id"]),
        lambda: found.grant_select(one, columns=["id", "stars"]),
        lambda: found.grant_select(one, row_filter="stars > 3"),
        lambda: found.grant_select(other, row_filter="stars > 3"),
        lambda: found.grant_select(other, excluded_columns=["email"]),
        lambda: found.zone.grant_read(other),
        lambda: found.zone.tables["other"].grant_select(one),
        lambda: found.grant_select(one),
        lambda: found.grant_select(other, row_filter="stars > 3"),
    ]
    for call in calls[::order]:
        call()


@pytest.fixture(scope="module")
def granted() -> cdk.Stack:
    stack = support.stack()
    several(stack)
    return stack


def test_a_permission_on_the_database_gives_no_table(granted: cdk.Stack) -> None:
    """DESCRIBE shows that the database is there. SELECT, or a wildcard of tables beside it, reads all."""
    for (kind, *_), permission in permissions(granted):
        if kind == "Database":
            assert permission == "DESCRIBE"
    wildcards = [
        each["Properties"]
        for each in support.resources(granted, PERMISSIONS).values()
        if "TableWildcard" in str(each)
    ]
    assert len(wildcards) == 1  # of the one role that reads the whole zone
    assert "Other" in str(wildcards[0]["Principal"])


def test_no_table_is_called_star_and_nobody_is_everybody(granted: cdk.Stack) -> None:
    template = str(support.document(granted))
    assert "'Name': '*'" not in template
    assert "IAM_ALLOWED_PRINCIPALS" not in template
    assert "IAMAllowedPrincipals" not in template
    (database,) = support.resources(granted, "AWS::Glue::Database").values()
    assert database["Properties"]["DatabaseInput"]["CreateTableDefaultPermissions"] == []


def test_each_permission_is_one_resource_and_waits_for_its_filter_its_table_and_the_one_before(
    granted: cdk.Stack,
) -> None:
    before = None
    made = {key: each["Properties"]["Name"] for key, each in support.resources(granted, FILTERS).items()}
    for key, resource in support.resources(granted, PERMISSIONS).items():
        assert len(resource["Properties"]["Permissions"]) == 1
        assert resource["Properties"]["PermissionsWithGrantOption"] == []
        if before is not None:
            assert before in resource["DependsOn"]
        before = key
        on = resource["Properties"]["Resource"]
        if "DataCellsFilter" in on:
            (own,) = [made_id for made_id, name in made.items() if name == on["DataCellsFilter"]["Name"]]
            assert own in resource["DependsOn"]
        if "'Name': 'reviews'" in str(on) or "'TableName': 'reviews'" in str(on):
            assert any(name.startswith("LakeRawTablesreviews") for name in resource["DependsOn"])


def test_no_two_resources_are_the_same_permission_whatever_the_order_of_calls(granted: cdk.Stack) -> None:
    def identities(stack: cdk.Stack) -> list[str]:
        found = []
        for each in support.resources(stack, PERMISSIONS).values():
            properties = each["Properties"]
            found.append(str((properties["Principal"], properties["Resource"], properties["Permissions"])))
        return found

    backwards = support.stack()
    several(backwards, -1)
    for stack in (granted, backwards):
        assert len(identities(stack)) == len(set(identities(stack)))
    # AND each order makes the same resources under the same logical ids
    assert sorted(identities(granted)) == sorted(identities(backwards))
    assert support.resources(granted, PERMISSIONS).keys() == support.resources(backwards, PERMISSIONS).keys()
    assert support.resources(granted, FILTERS) == support.resources(backwards, FILTERS)


def test_two_principals_of_a_stack_share_a_filter_and_two_stacks_do_not(granted: cdk.Stack) -> None:
    assert len([each for each in filters(granted) if "stars > 3" in str(each)]) == 1
    app = support.app()
    home, away = support.stack(app, "Home"), support.stack(app, "Away")
    found = table(home)
    for stack in (home, away):
        found.grant_select(role(stack), columns=["id"])
    names = [each["Name"] for stack in (home, away) for each in filters(stack)]
    assert len(set(names)) == 2


def test_a_filter_that_changes_is_a_new_one_beside_the_old_one() -> None:
    """In place of a change, CloudFormation makes the new and then takes the old away: no part of the new one
    may go with it."""

    def ids(columns: list[str]) -> set[str]:
        stack = support.stack()
        table(stack).grant_select(role(stack), columns=columns)
        resources = support.resources(stack)
        return {key for key, each in resources.items() if each["Type"] in (FILTERS, PERMISSIONS)}

    before, after = ids(["id"]), ids(["id", "stars"])
    assert len(before & after) == 1  # DESCRIBE on the database
    assert len(before - after) == len(after - before) == 2


def test_a_consumer_in_another_stack_changes_no_resource_of_the_lake() -> None:
    def stacks(*, grant: bool) -> tuple[cdk.Stack, cdk.Stack]:
        app = support.app()
        home, away = support.stack(app, "Home"), support.stack(app, "Away")
        found = table(home)
        consumer = role(away)
        if grant:
            found.grant_select(consumer)
            found.grant_select(consumer, row_filter="stars > 3")
        return home, away

    home, away = stacks(grant=True)
    assert support.resources(home) == support.resources(stacks(grant=False)[0])
    assert [permission for _, permission in permissions(away)] == ["DESCRIBE", "SELECT", "SELECT"]
    assert len(filters(away)) == 1
    assert [each.stack_name for each in away.dependencies] == ["Home"]


# What is refused ------------------------------------------------------------


@pytest.fixture(scope="module")
def refusing() -> tuple[TableBase, iam.Role]:
    stack = support.stack()
    return table(stack), role(stack)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["author"]}, "columns with 'author'; allowed: columns of 'reviews': id, email"),
        ({"excluded_columns": ["author", "id"]}, "excluded_columns with 'author'; allowed"),
        ({"columns": []}, r"columns=\[\]; allowed: one column or more"),
        ({"columns": ["id"], "excluded_columns": ["email"]}, "columns and excluded_columns"),
        ({"excluded_columns": [*SCHEMA, "country"]}, "at least one column that is left"),
        ({"row_filter": ""}, "a column at its end"),
        ({"row_filter": "author = 'x'"}, "it has no 'author'"),
        ({"row_filter": "stars > id"}, "columns are compared with constants alone"),
        ({"row_filter": "lower(id) = 'x'"}, r"a comparison after 'lower'|it has no 'lower'"),
        ({"row_filter": "stars > 3; DROP TABLE reviews"}, "AND, OR or the end|columns, constants"),
        ({"row_filter": "stars >"}, "a constant at its end"),
        ({"row_filter": "(stars > 3"}, r"\) at its end"),
        ({"row_filter": "stars > 3 stars < 5"}, "AND, OR or the end before 'stars'"),
        ({"row_filter": "tags = 'x'"}, "not 'tags' of type array<string>"),
        ({"row_filter": "at = '2026-01-01'"}, "not 'at' of type date"),
        ({"row_filter": "place = 'x'"}, "of a struct, one of its fields"),
        ({"row_filter": "country IS NULL"}, "no IS NULL on a partition key such as 'country'"),
        ({"row_filter": "stars between 1"}, "AND at its end"),
        ({"row_filter": "id = '" + "x" * 2048 + "'"}, "allowed: less than 2048"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(refusing: Any, options: Any, message: str) -> None:
    found, consumer = refusing
    with pytest.raises(ConfigurationError, match=message):
        found.grant_select(consumer, **options)


@pytest.mark.parametrize(
    "row_filter",
    [
        "stars = 3",
        "stars >= -1.5 AND (id LIKE 'a%' or not country in ('DE', 'FR'))",
        "stars BETWEEN 1 AND 3 AND id NOT LIKE 'it''s'",
        "email IS NOT NULL AND place.city <> 'Rome'",
        "NOT (\"id\" != 'x')",
    ],
)
def test_a_filter_that_lake_formation_understands_is_taken(row_filter: str) -> None:
    stack = support.stack()
    table(stack).grant_select(role(stack), row_filter=row_filter)
    assert filters(stack)[0]["RowFilter"] == {"FilterExpression": row_filter}


@pytest.mark.parametrize("lake_formation", [None, LakeFormation()])
def test_a_filter_where_iam_decides_is_refused_because_nothing_would_apply_it(lake_formation: Any) -> None:
    stack = support.stack()
    found = table(stack, lake_formation)
    with pytest.raises(ConfigurationError, match=r"where IAM decides.*write: .*hybrid=False"):
        found.grant_select(role(stack), columns=["id"])
    found.grant_select(role(stack, "Other"))


def test_a_service_reads_the_folder_and_cannot_have_a_filter() -> None:
    stack = support.stack()
    found = table(stack)
    with pytest.raises(ConfigurationError, match="a filter for an AWS service"):
        found.grant_select(iam.ServicePrincipal("firehose.amazonaws.com"), columns=["id"])
    found.grant_select(iam.ServicePrincipal("quicksight.amazonaws.com"))
    assert permissions(stack) == []
    assert "quicksight" in str(support.resources(stack, "AWS::S3::BucketPolicy"))


def test_more_filters_than_lake_formation_takes_are_refused(refusing: Any) -> None:
    stack = support.stack()
    found, consumer = table(stack), role(stack)
    for stars in range(100):
        found.grant_select(consumer, row_filter=f"stars = {stars}")
    with pytest.raises(ConfigurationError, match="101 filters for one principal on table 'reviews'"):
        found.grant_select(consumer, row_filter="stars = 100")


def test_a_table_that_a_crawler_made_can_be_granted_on() -> None:
    stack = support.stack()
    attributes = ZoneAttributes(
        name="raw", bucket_arn="arn:aws:s3:::lake-raw", database_name="lake_raw", key_arn=None
    )
    zone = Zone.from_attributes(stack, "Raw", attributes)
    found = LakeTable.from_schema(stack, "T", zone=zone, name="clicks", schema={"id": "string"})
    found.grant_select(role(stack), columns=["id"])
    assert not support.resources(stack, "AWS::Glue::Table")
    (made,) = filters(stack)
    assert (made["DatabaseName"], made["TableName"], made["ColumnNames"]) == ("lake_raw", "clicks", ["id"])
    with pytest.raises(ConfigurationError, match="columns of 'clicks': id"):
        found.grant_select(role(stack, "Other"), columns=["ip"])
