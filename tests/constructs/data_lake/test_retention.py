"""What becomes of a lake when its stack is deleted, and in what order it comes into being."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_data_science.data_lake import DataLake, LakeFormation
from tests.constructs import support


def lake(*, destroy: bool, allowed: bool) -> dict[str, dict[str, Any]]:
    """The resources of a lake with its two keys turned or not."""
    stack = support.stack(context={"cdk-data-science:destroyData": allowed})
    DataLake(stack, "Lake", zones=["raw"], destroy=destroy, lake_formation=LakeFormation(administer=True))
    return support.resources(stack)


@pytest.fixture(scope="module")
def kept() -> dict[str, dict[str, Any]]:
    return lake(destroy=True, allowed=False)


def test_what_is_kept_keeps_the_rules_that_protect_it(kept: dict[str, dict[str, Any]]) -> None:
    policies = [r for r in kept.values() if r["Type"] == "AWS::S3::BucketPolicy"]
    assert len(policies) == 2
    for policy in policies:
        assert policy["DeletionPolicy"] == "Retain"
        assert policy["UpdateReplacePolicy"] == "Retain"


def test_what_is_deleted_takes_its_rules_with_it() -> None:
    for resource in lake(destroy=True, allowed=True).values():
        if resource["Type"] == "AWS::S3::BucketPolicy":
            assert resource.get("DeletionPolicy") != "Retain"


def test_databases_are_made_by_an_administrator(kept: dict[str, dict[str, Any]]) -> None:
    """In an account without the implicit permissions nobody else may create one."""
    (administrators,) = (k for k, r in kept.items() if r["Type"] == "AWS::LakeFormation::DataLakeSettings")
    (database,) = (r for r in kept.values() if r["Type"] == "AWS::Glue::Database")
    assert administrators in database["DependsOn"]
