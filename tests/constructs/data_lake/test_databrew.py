"""Profiles and recipes of DataBrew: what they read and write, when they run, and what is refused."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science.data_lake import (
    Column,
    DataLake,
    DataProfile,
    Iceberg,
    LakeFormation,
    RecipeCondition,
    RecipeJob,
    RecipeStep,
    ZoneFolder,
)
from tests.constructs import machines, support
from tests.constructs.security.simulator import Simulator

JOB, RECIPE = "AWS::DataBrew::Job", "AWS::DataBrew::Recipe"
TLS = {"aws:SecureTransport": "true"}
TRIM = RecipeStep(operation="TRIM", parameters={"sourceColumn": "text"})


def lake_of(stack: cdk.Stack) -> DataLake:
    lake = DataLake(stack, "Lake", zones=["raw", "curated"], lake_formation=LakeFormation(hybrid=False))
    for zone in lake.zones.values():
        zone.add_table("reviews", schema={"id": "string", "text": "string"})
    return lake


def profile(stack: cdk.Stack, lake: DataLake, **options: Any) -> DataProfile:
    given = {
        "table": lake.raw.tables["reviews"],
        "output": ZoneFolder(zone=lake.curated, prefix="profiles/"),
        **options,
    }
    return DataProfile(stack, "Profile", **given)


def recipe_job(stack: cdk.Stack, lake: DataLake, **options: Any) -> RecipeJob:
    given = {
        "table": lake.raw.tables["reviews"],
        "output": lake.curated.tables["reviews"],
        "steps": [TRIM],
        **options,
    }
    return RecipeJob(stack, "Recipe", **given)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    lake, alerts = lake_of(stack), AlertTopic(stack, "Alerts")
    profile(
        stack,
        lake,
        columns=["text"],
        rows=500,
        entities=["EMAIL"],
        nodes=2,
        retries=1,
        schedule="cron(0 5 ? * MON *)",
        alerts=alerts,
    )
    removed = RecipeStep(
        operation="REMOVE_VALUES",
        parameters={"sourceColumn": "text"},
        conditions=[RecipeCondition(condition="IS_MISSING", column="text")],
    )
    recipe_job(stack, lake, steps=[TRIM, removed], alerts=alerts)
    return stack


def job(stack: cdk.Stack, name: str) -> dict[str, Any]:
    found = support.resources(stack, JOB)
    (properties,) = [each["Properties"] for key, each in found.items() if key.startswith(name)]
    return dict(properties)


def test_a_profile_looks_at_rows_of_a_table_of_the_catalog(stack: cdk.Stack) -> None:
    made = job(stack, "Profile")
    assert made["Type"] == "PROFILE"
    assert made["JobSample"] == {"Mode": "CUSTOM_ROWS", "Size": 500}
    assert made["ProfileConfiguration"] == {
        "ProfileColumns": [{"Name": "text"}],
        "EntityDetectorConfiguration": {"EntityTypes": ["EMAIL"]},
    }
    assert made["OutputLocation"]["Key"] == "profiles/"
    assert made["OutputLocation"]["BucketOwner"] == {"Ref": "AWS::AccountId"}
    assert (made["MaxCapacity"], made["MaxRetries"], made["Timeout"]) == (2, 1, 60)
    datasets = support.resources(stack, "AWS::DataBrew::Dataset")
    (dataset,) = [each for key, each in datasets.items() if key.startswith("Profile")]
    given = dataset["Properties"]["Input"]["DataCatalogInputDefinition"]
    assert given["DatabaseName"]["Ref"].startswith("LakeRawDatabase")
    assert given["TableName"] == "reviews"
    assert [name for name in dataset["DependsOn"] if "Tablesreviews" in name]


def test_a_recipe_runs_as_it_was_published(stack: cdk.Stack) -> None:
    made = support.only(support.resources(stack, RECIPE))["Properties"]
    assert made["Steps"] == [
        {"Action": {"Operation": "TRIM", "Parameters": {"sourceColumn": "text"}}},
        {
            "Action": {"Operation": "REMOVE_VALUES", "Parameters": {"sourceColumn": "text"}},
            "ConditionExpressions": [{"Condition": "IS_MISSING", "TargetColumn": "text"}],
        },
    ]
    run = job(stack, "Recipe")
    assert run["Recipe"]["Version"] == "1.0"
    (output,) = run["Outputs"]
    assert (output["Format"], output["Overwrite"], output["Location"]["Key"]) == (
        "GLUEPARQUET",
        True,
        "reviews/",
    )
    # AND CloudFormation publishes it before, which it does not do by itself
    (published,) = support.resources(stack, "Custom::DataBrewPublishedRecipe")
    resources = support.resources(stack)
    (key,) = [key for key in support.resources(stack, JOB) if key.startswith("Recipe")]
    assert published in resources[key]["DependsOn"]
    assert '"action":"publishRecipe"' in str(resources[published]["Properties"]["Create"])
    assert '"RecipeVersion":"1.0"' in str(resources[published]["Properties"]["Delete"])


@pytest.mark.parametrize("name", ["Profile", "Recipe"])
def test_what_it_writes_is_encrypted_with_the_key_of_the_zone(stack: cdk.Stack, name: str) -> None:
    made = job(stack, name)
    assert made["EncryptionMode"] == "SSE-KMS"
    assert made["EncryptionKeyArn"]["Fn::GetAtt"][0].startswith("LakeKey")
    assert made["LogSubscription"] == "ENABLE"


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("ProfileRole", "s3:GetObject", "{raw}/reviews/a.parquet", True),
        ("ProfileRole", "s3:GetObject", "{raw}/people/a.parquet", False),
        ("ProfileRole", "s3:PutObject", "{raw}/reviews/a.parquet", False),
        ("ProfileRole", "s3:PutObject", "{curated}/profiles/a.json", True),
        ("ProfileRole", "s3:PutObject", "{curated}/reviews/a.json", False),
        ("RecipeRole", "s3:PutObject", "{curated}/reviews/a.parquet", True),
        ("RecipeRole", "s3:PutObject", "{curated}/profiles/a.parquet", False),
        ("RecipeRole", "kms:GenerateDataKey", "{key}", True),
    ],
)
def test_a_job_reaches_its_table_and_its_output_alone(
    stack: cdk.Stack, role: str, action: str, resource: str, allowed: bool
) -> None:
    found = Simulator(support.resources(stack), role)
    places = {
        "raw": found.arn("LakeRawBucket"),
        "curated": found.arn("LakeCuratedBucket"),
        "key": found.arn("LakeKey"),
    }
    assert found.allows(action, resource.format(**places), when=TLS) is allowed


def test_its_schedule_starts_this_job_alone_and_its_failures_are_told(stack: cdk.Stack) -> None:
    (statement,) = machines.statements(stack, "ProfileStarter")
    assert statement["Action"] == "databrew:StartJobRun"
    assert job(stack, "Profile")["Name"] in str(statement["Resource"])
    rules = support.resources(stack, "AWS::Events::Rule")
    (rule,) = [each["Properties"] for key, each in rules.items() if key.startswith("ProfileFailures")]
    assert rule["EventPattern"] == {
        "source": ["aws.databrew"],
        "detail-type": ["DataBrew Job State Change"],
        "detail": {"jobName": [job(stack, "Profile")["Name"]], "state": ["FAILED", "TIMEOUT"]},
    }


def test_other_steps_are_another_recipe_and_the_same_job() -> None:
    def made(*steps: RecipeStep) -> dict[str, Any]:
        stack = support.stack()
        recipe_job(stack, lake_of(stack), steps=steps)
        return support.resources(stack)

    before, after = made(TRIM), made(TRIM, RecipeStep(operation="UPPER_CASE"))
    assert before.keys() == after.keys()
    changed = {key for key in after if before[key] != after[key]}
    assert {after[key]["Type"] for key in changed} == {
        RECIPE,
        "Custom::DataBrewPublishedRecipe",
        "AWS::IAM::Policy",
    }
    (recipe,) = [key for key in changed if after[key]["Type"] == RECIPE]
    assert before[recipe]["Properties"]["Name"] != after[recipe]["Properties"]["Name"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["txt"]}, "columns of 'reviews': id, text"),
        ({"rows": 0}, "1 or more, or None for all"),
        ({"nodes": 0}, "nodes=0"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout": cdk.Duration.seconds(90)}, "whole minutes"),
        ({"schedule": "every day"}, "cron(Minutes Hours"),
    ],
)
def test_what_a_profile_cannot_be_is_told(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError) as refused:
        profile(stack, lake_of(stack), **options)
    assert said in str(refused.value)


def test_a_profile_among_the_tables_rows_is_refused() -> None:
    stack = support.stack()
    lake = lake_of(stack)
    with pytest.raises(ConfigurationError, match="the table would read the output as its rows"):
        profile(stack, lake, output=ZoneFolder(zone=lake.raw, prefix="reviews/profiles/"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": []}, "no steps"),
        ({"steps": [RecipeStep(operation="remove missing")]}, 'write: "REMOVE_MISSING"'),
        ({"format": "avro"}, "parquet, csv, json"),
    ],
)
def test_what_a_recipe_cannot_be_is_told(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError) as refused:
        recipe_job(stack, lake_of(stack), **options)
    assert said in str(refused.value)


def test_a_table_that_is_cleaned_into_itself_is_refused() -> None:
    stack = support.stack()
    lake = lake_of(stack)
    with pytest.raises(ConfigurationError, match="a run would replace what it reads"):
        recipe_job(stack, lake, output=lake.raw.tables["reviews"])


def test_an_iceberg_table_is_no_output() -> None:
    stack = support.stack()
    lake = lake_of(stack)
    columns = [Column(name="id", type="string", field_id=1)]
    history = lake.curated.add_table("history", schema=columns, format=Iceberg())
    with pytest.raises(ConfigurationError, match="knows nothing of Iceberg's metadata"):
        recipe_job(stack, lake, output=history)
