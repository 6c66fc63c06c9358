"""A large lake stays within CloudFormation's limits, because each part of it adds the same few resources."""

from __future__ import annotations

from collections import Counter

from aws_cdk import aws_iam as iam

from cdk_data_science.data_lake import DataLake, LakeFormation, LakeTable
from tests.constructs import support


def counted(
    zones: int, tables: int, roles: int, grants: int
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Resources of the lake, of its catalog and of its consumers, each in a stack of its own, by type."""
    app = support.app()
    home, catalog, away = (support.stack(app, name) for name in ("Home", "Catalog", "Away"))
    lake = DataLake(
        home,
        "Lake",
        zones=[f"zone{number}" for number in range(zones)],
        lake_formation=LakeFormation(hybrid=False, administer=True),
    )
    made = [
        LakeTable(
            catalog,
            f"T{number}",
            zone=lake.zone(f"zone{number % zones}"),
            name=f"t{number}",
            schema={"a": "int"},
        )
        for number in range(tables)
    ]
    consumers = [
        iam.Role(away, f"R{number}", assumed_by=iam.AccountRootPrincipal()) for number in range(roles)
    ]
    for number in range(grants):
        consumer = consumers[number % roles]
        table = made[number // roles % tables]
        if number // (roles * tables):
            table.grant_select(consumer, row_filter=f"a > {number // (roles * tables)}")
        else:
            table.grant_select(consumer)
    found = [
        Counter(each["Type"] for each in support.resources(stack).values()) for stack in (home, catalog, away)
    ]
    return found[0], found[1], found[2]


def test_each_zone_table_and_grant_adds_the_same_few_resources() -> None:
    # GIVEN a small lake, and one with twice as much of everything
    home, catalog, away = counted(zones=1, tables=2, roles=2, grants=8)
    larger_home, larger_catalog, larger_away = counted(zones=2, tables=4, roles=2, grants=16)
    # THEN a zone is seven resources at most
    assert sum((larger_home - home).values()) <= 7
    # AND a table is one
    assert larger_catalog - catalog == Counter({"AWS::Glue::Table": 2})
    # AND a grant on a table is one permission, a filter is one more for all principals of a stack that share
    # it, and each principal needs to see the second zone's database
    assert larger_away - away == Counter(
        {
            "AWS::LakeFormation::PrincipalPermissions": 8 + 2,
            "AWS::LakeFormation::DataCellsFilter": 2,
        }
    )
    # SO that 50 zones, 200 tables and 500 grants of 25 principals need no more than these in a few stacks
    assert sum(home.values()) + 49 * 7 < 500
    assert 200 + sum(catalog.values()) < 500
