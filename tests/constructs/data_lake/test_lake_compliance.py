"""The default lake, and grants on it within and across stacks, leave no finding of four rule packs open."""

from __future__ import annotations

import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.data_lake import DataLake, LakeFormation
from tests.constructs import nag, support


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_a_lake_with_consumers_has_no_unacknowledged_finding(references: str) -> None:
    # GIVEN a lake with consumers in its own stack and in another one
    app = support.app({"@aws-cdk/core:defaultCrossStackReferences": references})
    home, away = support.stack(app, "Home"), support.stack(app, "Away", env=None)
    lake = DataLake(home, "Lake", lake_formation=LakeFormation(administer=True))
    for stack in (home, away):
        role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
        acknowledge_inline_policy(role)
        lake.raw.grant_read_write(role)
        lake.features.grant_read(role, prefix="reviews/")
        lake.models.grant_write(role, prefix="current.json")
    # WHEN the packs run, THEN nothing is left to acknowledge
    assert nag.unacknowledged(app) == []


def test_a_lake_in_a_known_account_has_no_unacknowledged_finding() -> None:
    app = support.app()
    lake = DataLake(support.stack(app, "Lake", env=support.environment()), "Lake")
    role = iam.Role(
        support.stack(app, "Away", env=support.environment()), "Role", assumed_by=iam.AccountRootPrincipal()
    )
    acknowledge_inline_policy(role)
    lake.raw.grant_read(role)
    assert nag.unacknowledged(app) == []


def test_the_acknowledgements_of_a_lake_hide_nothing_beside_it() -> None:
    app = support.app()
    stack = support.stack(app)
    lake = DataLake(stack, "Lake", zones=["raw"])
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    lake.raw.grant_read(role)
    role.add_to_policy(iam.PolicyStatement(actions=["sagemaker:ListModels"], resources=["*"]))
    s3.Bucket(stack, "Plain")
    found = nag.unacknowledged(app)
    assert "AwsSolutions-IAM5[Resource::*] at Test/Role/DefaultPolicy/Resource" in found
    assert "AwsSolutions-S1 at Test/Plain/Resource" in found
    assert not [finding for finding in found if "Test/Lake" in finding]


def test_a_lake_that_is_deleted_with_its_data_has_no_unacknowledged_finding() -> None:
    app = support.app({"cdk-data-science:destroyData": True})
    DataLake(support.stack(app), "Lake", destroy=True)
    assert nag.unacknowledged(app) == []
