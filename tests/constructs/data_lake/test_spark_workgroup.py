"""Notebooks with Athena: what their role and their people may do, and what is refused."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import (
    DataLake,
    LakeFormation,
    SparkWorkgroup,
    ZoneAttributes,
    ZoneFolder,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.constructs import machines, nag, support
from tests.constructs.security.simulator import Simulator

GOVERNED = LakeFormation(hybrid=False, administer=True)


def workgroup(stack: cdk.Stack, **options: Any) -> SparkWorkgroup:
    lake = DataLake(stack, "Lake", zones=["curated", "features"], lake_formation=GOVERNED)
    reviews = lake.curated.add_table("reviews", schema={"id": "string"})
    lake.curated.add_table("people", schema={"id": "string"})
    given = {
        "name": "explore",
        "results": ZoneFolder(zone=lake.features, prefix="notebooks/"),
        "reads": [reviews],
        **options,
    }
    return SparkWorkgroup(stack, "Explore", **given)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    app = support.app()
    cdk.Tags.of(app).add("owner", "data-platform")
    stack = support.stack(app)
    made = workgroup(stack)
    scientist = iam.Role(stack, "Scientist", assumed_by=iam.AccountRootPrincipal())
    acknowledge_inline_policy(scientist)
    made.grant_use(scientist)
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    found = nag.unacknowledged(app)
    assert not found, "; ".join(found)
    return stack


def test_notebooks_and_results_are_encrypted_with_the_zones_key(stack: cdk.Stack) -> None:
    made = support.only(support.resources(stack, "AWS::Athena::WorkGroup"))["Properties"]
    given = made["WorkGroupConfiguration"]
    assert given["EngineVersion"] == {"SelectedEngineVersion": "PySpark engine version 3"}
    assert given["EnforceWorkGroupConfiguration"] is True
    key = given["CustomerContentEncryptionConfiguration"]["KmsKey"]
    assert key["Fn::GetAtt"][0].startswith("LakeKey")
    results = given["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": key}
    assert results["OutputLocation"]["Fn::Join"][1][-1] == "/notebooks/"
    assert results["ExpectedBucketOwner"] == {"Ref": "AWS::AccountId"}
    assert "ExploreRole" in str(given["ExecutionRole"])


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:GetObject", "{curated}/reviews/a", True),
        ("s3:GetObject", "{curated}/people/a", False),
        ("s3:PutObject", "{curated}/reviews/a", False),
        ("s3:PutObject", "{features}/notebooks/a", True),
        ("s3:PutObject", "{features}/runs/a", False),
        ("kms:GenerateDataKey", "{key}", True),
    ],
)
def test_calculations_reach_what_is_named_and_their_results(
    stack: cdk.Stack, action: str, resource: str, allowed: bool
) -> None:
    role = Simulator(support.resources(stack), "ExploreRole")
    places = {
        "curated": role.arn("LakeCuratedBucket"),
        "features": role.arn("LakeFeaturesBucket"),
        "key": role.arn("LakeKey"),
    }
    assert role.allows(action, resource.format(**places), when={}) is allowed


def test_athena_takes_the_role_for_this_workgroup_alone(stack: cdk.Stack) -> None:
    roles = support.resources(stack, "AWS::IAM::Role")
    (role,) = [each for key, each in roles.items() if key.startswith("ExploreRole")]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "athena.amazonaws.com"}
    assert "workgroup/explore" in str(trust["Condition"]["ArnLike"]["aws:SourceArn"])


def test_people_use_it_and_read_nothing_by_themselves(stack: cdk.Stack) -> None:
    found = machines.actions(machines.statements(stack, "Scientist"))
    assert {"athena:StartSession", "athena:StartCalculationExecution", "athena:CreateNotebook"} <= found
    assert {action.partition(":")[0] for action in found} == {"athena"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "a b"}, "1 to 128 letters"),
        ({"name": "primary"}, "every account has that workgroup already"),
        ({"description": "d" * 1025}, "at most 1024"),
    ],
)
def test_what_athena_would_refuse_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        workgroup(support.stack(), **options)
    assert said in str(refused.value)


def test_results_among_rows_or_without_a_key_are_refused() -> None:
    stack = support.stack()
    attributes = ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::lake-raw", database_name="raw")
    raw = DataLake.from_zones(stack, "Lake", zones=[attributes]).raw
    raw.add_table("reviews", schema={"id": "string"})
    with pytest.raises(ConfigurationError) as refused:
        SparkWorkgroup(stack, "W", name="w", results=ZoneFolder(zone=raw, prefix="reviews/results/"))
    assert "a zone with a key" in str(refused.value)
    assert "the table would read results as its rows" in str(refused.value)
