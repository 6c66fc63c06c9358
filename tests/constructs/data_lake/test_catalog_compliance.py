"""Tables, grants, tags, workgroups and crawlers leave no finding open: of four packs, and of ours."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.data_lake import (
    DataLake,
    LakeCrawler,
    LakeFormation,
    LakeTag,
    PartitionKey,
    QueryWorkgroup,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.constructs import nag, support


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_a_catalog_with_consumers_has_no_unacknowledged_finding(references: str) -> None:
    # GIVEN all that a catalog can have, with consumers in its own stack and in another one
    app = support.app({"@aws-cdk/core:defaultCrossStackReferences": references})
    home, away = support.stack(app, "Home"), support.stack(app, "Away")
    lake = DataLake(
        home,
        "Lake",
        zones=["raw", "results"],
        lake_formation=LakeFormation(hybrid=False, administer=True),
    )
    orders = lake.raw.add_table(
        "orders",
        schema={"id": "string", "email": "string"},
        partition_keys=[PartitionKey(name="day")],
        partition_indexes=[["day"]],
    )
    tag = LakeTag(home, "Tag", key="sensitivity", values=["public", "personal"])
    tag.assign("public", lake.raw)
    tag.assign_columns("personal", orders, ["email"])
    workgroup = QueryWorkgroup(home, "Science", name="science", results=lake.zone("results"))
    own = QueryWorkgroup(home, "Own", name="own")
    LakeCrawler(
        home,
        "Crawler",
        lake=lake,
        zone="raw",
        prefixes=["in/"],
        recrawl="events",
        schedule="cron(0 4 * * ? *)",
    )
    for stack in (home, away):
        role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
        acknowledge_inline_policy(role)
        orders.grant_select(role)
        orders.grant_select(role, excluded_columns=["email"], row_filter="id > 'a'")
        tag.grant_select(role, ["public"], zones=[lake.raw])
        workgroup.grant_query(role)
        own.grant_query(role)
    # AND our own rules beside the four packs
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    # WHEN all run, THEN nothing is left to acknowledge
    assert nag.unacknowledged(app) == []


def test_our_own_rules_are_among_those_that_judge() -> None:
    app = support.app()
    DataLake(support.stack(app), "Lake", zones=["raw"])  # hybrid, which ours tell of
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    assert nag.unacknowledged(app) == ["DataScience-LF8 at Test/Lake/Raw/LakeFormation/Location"]
