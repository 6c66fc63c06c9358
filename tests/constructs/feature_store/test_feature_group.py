"""FeatureGroup and FeatureIngestion: their stores, who reaches which, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from cdk_data_science import AlertTopic, ConfigurationError, DataLake
from cdk_data_science.data_lake import Column, LakeFormation
from cdk_data_science.feature_store import (
    FeatureGroup,
    FeatureIngestion,
    OfflineStore,
    OnlineStore,
    ProvisionedThroughput,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.constructs import machines, nag, support
from tests.constructs.security.simulator import Simulator

SCHEMA = {"product_id": "string", "updated": "timestamp", "reviews": "int", "rating_mean": "decimal(4,2)"}
COLUMNS = [Column(name=name, type=kind) for name, kind in SCHEMA.items()]
UNITS = ProvisionedThroughput(read_units=1, write_units=1)


def group(stack: cdk.Stack, lake: DataLake, id: str = "Products", **options: Any) -> FeatureGroup:
    defaults: dict[str, Any] = {
        "schema": SCHEMA,
        "record_id": "product_id",
        "event_time": "updated",
        "online": OnlineStore(ttl=cdk.Duration.days(90)),
        "offline": OfflineStore(zone=lake.features),
        "name": "products",
    }
    return FeatureGroup(stack, id, **{**defaults, **options})


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a group in the lake, a neighbour, and a role for each grant on the first
    stack = support.stack(env=support.environment())
    lake = DataLake(stack, "Lake")
    products = group(stack, lake)
    group(stack, lake, "Customers", name="customers", online=None, offline=OfflineStore(zone=lake.features))
    for name, grant in (
        ("Predictor", products.grant_read_online),
        ("Writer", products.grant_write),
        ("Eraser", products.grant_delete),
        ("Trainer", products.grant_read_offline),
    ):
        grant(iam.Role(stack, name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))
    ingestion = FeatureIngestion(stack, "Ingestion", group=products, alerts=AlertTopic(stack, "Alerts"))
    ingestion.add_objects(lake.curated, "products/", suffix=".csv")
    ingestion.add_queue(sqs.Queue(stack, "Updates", visibility_timeout=ingestion.visibility_timeout))
    ingestion.add_stream(kinesis.Stream(stack, "Stream"))
    return stack


def resource(stack: cdk.Stack, name: str = "products") -> dict[str, Any]:
    (found,) = (
        each
        for each in support.resources(stack, "AWS::SageMaker::FeatureGroup").values()
        if each["Properties"]["FeatureGroupName"] == name
    )
    return found


def properties(stack: cdk.Stack, name: str = "products") -> dict[str, Any]:
    found: dict[str, Any] = resource(stack, name)["Properties"]
    return found


def test_the_lakes_types_are_feature_types(stack: cdk.Stack) -> None:
    assert properties(stack)["FeatureDefinitions"] == [
        {"FeatureName": "product_id", "FeatureType": "String"},
        {"FeatureName": "updated", "FeatureType": "String"},
        {"FeatureName": "reviews", "FeatureType": "Integral"},
        {"FeatureName": "rating_mean", "FeatureType": "Fractional"},
    ]


def test_the_offline_store_is_an_iceberg_table_of_the_zone_under_its_key(stack: cdk.Stack) -> None:
    offline = properties(stack)["OfflineStoreConfig"]
    assert offline["TableFormat"] == "Iceberg"
    # Feature Store makes Iceberg tables itself, under the names that it is given.
    assert offline["DisableGlueTableCreation"] is False
    catalog = offline["DataCatalogConfig"]
    assert (catalog["Catalog"], catalog["TableName"]) == ("AwsDataCatalog", "products")
    assert "LakeFeaturesDatabase" in json.dumps(catalog["Database"])
    storage = offline["S3StorageConfig"]
    assert json.dumps(storage["S3Uri"]).endswith('"/feature-store/products"]]}')
    assert "LakeKey" in json.dumps(storage["KmsKeyId"])
    # Keys of union types pass through CDK as they are written: none may be left in its own spelling.
    assert "s3StorageConfig" not in json.dumps(properties(stack))


def test_the_online_store_has_the_lakes_key_and_a_time_to_live(stack: cdk.Stack) -> None:
    online = properties(stack)["OnlineStoreConfig"]
    assert online["EnableOnlineStore"] is True
    assert online["TtlDuration"] == {"Unit": "Days", "Value": 90}
    assert "LakeKey" in json.dumps(online["SecurityConfig"]["KmsKeyId"])
    assert properties(stack)["ThroughputConfig"] == {"ThroughputMode": "OnDemand"}
    assert "OnlineStoreConfig" not in properties(stack, "customers")


def test_it_is_kept_and_goes_on_writing_when_its_stack_goes(stack: cdk.Stack) -> None:
    assert resource(stack)["DeletionPolicy"] == "Retain"
    for kind in ("AWS::IAM::Role", "AWS::IAM::Policy"):
        kept = [
            each["DeletionPolicy"]
            for key, each in support.resources(stack, kind).items()
            if key.startswith("ProductsRole")
        ]
        assert kept == ["Retain"], kind


def test_both_keys_let_it_go() -> None:
    stack = support.stack(context={"cdk-data-science:destroyData": True})
    group(stack, DataLake(stack, "Lake"), destroy=True)
    assert resource(stack)["DeletionPolicy"] == "Delete"


def test_feature_store_writes_its_own_folder_and_changes_its_own_table(stack: cdk.Stack) -> None:
    (trust,) = next(
        each["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for key, each in support.resources(stack, "AWS::IAM::Role").items()
        if key.startswith("ProductsRole")
    )
    assert "feature-group/products" in json.dumps(trust["Condition"]["ArnLike"]["aws:SourceArn"])
    simulator = Simulator(support.resources(stack), "ProductsRole")
    bucket = simulator.arn("LakeFeaturesBucket")
    assert simulator.allows("s3:PutObject", f"{bucket}/feature-store/products/data/1", when={})
    assert not simulator.allows("s3:PutObject", f"{bucket}/feature-store/customers/data/1", when={})
    assert not simulator.allows("s3:DeleteObject", f"{bucket}/feature-store/products/data/1", when={})
    own = f"{bucket}/feature-store/products/data/1"
    assert simulator.allows("s3:PutObjectAcl", own, when={"s3:x-amz-acl": "bucket-owner-full-control"})
    assert not simulator.allows("s3:PutObjectAcl", own, when={"s3:x-amz-acl": "public-read"})
    assert not simulator.allows("s3:PutObjectAcl", own, when={})
    tables = [
        json.dumps(s["Resource"]) for s in simulator.statements() if "glue:UpdateTable" in str(s["Action"])
    ]
    assert len(tables) == 1
    assert "/products" in tables[0]
    assert "*" not in tables[0]


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        ("Predictor", {"GetRecord", "BatchGetRecord"}, {"PutRecord", "DeleteRecord"}),
        ("Writer", {"PutRecord"}, {"GetRecord", "DeleteRecord"}),
        ("Eraser", {"DeleteRecord"}, {"GetRecord", "PutRecord"}),
        ("Trainer", set(), {"GetRecord", "PutRecord", "DeleteRecord"}),
    ],
)
def test_a_grant_is_for_one_group_and_one_thing(
    stack: cdk.Stack, role: str, allowed: set[str], denied: set[str]
) -> None:
    simulator = Simulator(support.resources(stack), role)
    arn = f"arn:aws:sagemaker:{support.REGION}:{support.ACCOUNT}:feature-group/"
    for action in allowed:
        assert simulator.allows(f"sagemaker:{action}", f"{arn}products", when={})
        assert not simulator.allows(f"sagemaker:{action}", f"{arn}customers", when={})
    for action in denied:
        assert not simulator.allows(f"sagemaker:{action}", f"{arn}products", when={})


@pytest.mark.parametrize("role", ["Predictor", "Writer", "Eraser"])
def test_the_online_stores_key_comes_with_the_grant(stack: cdk.Stack, role: str) -> None:
    simulator = Simulator(support.resources(stack), role)
    assert simulator.allows("kms:Decrypt", simulator.arn("LakeKey"), when={})
    assert not simulator.allows("kms:GenerateDataKey", simulator.arn("LakeKey"), when={})


def test_training_reads_the_table_and_its_objects_and_no_neighbour(stack: cdk.Stack) -> None:
    simulator = Simulator(support.resources(stack), "Trainer")
    bucket = simulator.arn("LakeFeaturesBucket")
    assert simulator.allows("s3:GetObject", f"{bucket}/feature-store/products/data/1", when={})
    assert not simulator.allows("s3:GetObject", f"{bucket}/feature-store/customers/data/1", when={})
    assert not simulator.allows("s3:PutObject", f"{bucket}/feature-store/products/data/1", when={})


def test_the_function_writes_this_group_and_reads_this_folder(stack: cdk.Stack) -> None:
    simulator = Simulator(support.resources(stack), "IngestionIngestRole")
    arn = f"arn:aws:sagemaker:{support.REGION}:{support.ACCOUNT}:feature-group/products"
    assert simulator.allows("sagemaker:PutRecord", arn, when={})
    assert not simulator.allows("sagemaker:GetRecord", arn, when={})
    bucket = simulator.arn("LakeCuratedBucket")
    assert simulator.allows("s3:GetObjectVersion", f"{bucket}/products/a.csv", when={})
    assert not simulator.allows("s3:GetObject", f"{bucket}/people/a.csv", when={})


def test_the_function_knows_its_group(stack: cdk.Stack) -> None:
    variables = next(
        each["Properties"]["Environment"]["Variables"]
        for key, each in support.resources(stack, "AWS::Lambda::Function").items()
        if key.startswith("IngestionIngest")
    )
    assert variables["FEATURE_GROUP"] == "products"
    assert (variables["RECORD_ID"], variables["EVENT_TIME"]) == ("product_id", "updated")
    assert json.loads(variables["FEATURES"])["rating_mean"] == "Fractional"
    assert "IngestionDeadLetters" in json.dumps(variables["REJECTED_QUEUE"])


def test_only_what_was_not_written_is_delivered_again_and_not_for_ever(stack: cdk.Stack) -> None:
    mappings = [
        each["Properties"] for each in support.resources(stack, "AWS::Lambda::EventSourceMapping").values()
    ]
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    (stream,) = (each for each in mappings if "StartingPosition" in each)
    assert stream["MaximumRetryAttempts"] == 5
    assert stream["BisectBatchOnFunctionError"] is True
    assert "IngestionDeadLetters" in json.dumps(stream["DestinationConfig"]["OnFailure"])
    (objects,) = (
        each["Properties"]
        for key, each in support.resources(stack, "AWS::SQS::Queue").items()
        if key.startswith("IngestionObjects")
    )
    assert objects["RedrivePolicy"]["maxReceiveCount"] == 5
    # Six times the function's timeout, as Lambda asks for.
    assert objects["VisibilityTimeout"] == 6 * 15 * 60


def test_new_objects_of_the_folder_alone_are_heard_of(stack: cdk.Stack) -> None:
    (rule,) = (
        each["Properties"]
        for key, each in support.resources(stack, "AWS::Events::Rule").items()
        if key.startswith("Ingestion")
    )
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "products/*.csv"}]}
    assert "DeadLetterConfig" in rule["Targets"][0]


def test_a_name_is_made_and_is_the_same_in_every_synthesis() -> None:
    names = []
    for _ in range(2):
        stack = support.stack()
        made = group(stack, DataLake(stack, "Lake"), name=None)
        names.append((made.feature_group_name, made.table.name if made.table else ""))
    assert names[0] == names[1]
    assert names[0][0].islower()
    assert "-" not in names[0][1]


def test_provisioned_throughput_and_seconds_are_as_they_were_given() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Own")
    throughput = ProvisionedThroughput(read_units=0, write_units=25)
    online = OnlineStore(key=key, ttl=cdk.Duration.seconds(90), throughput=throughput)
    group(stack, DataLake(stack, "Lake"), online=online)
    assert properties(stack)["ThroughputConfig"] == {
        "ThroughputMode": "Provisioned",
        "ProvisionedReadCapacityUnits": 0,
        "ProvisionedWriteCapacityUnits": 25,
    }
    assert properties(stack)["OnlineStoreConfig"]["TtlDuration"] == {"Unit": "Seconds", "Value": 90}
    assert "Own" in json.dumps(properties(stack)["OnlineStoreConfig"]["SecurityConfig"])


def test_where_lake_formation_decides_the_role_may_change_the_table_once_it_is_there() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", lake_formation=LakeFormation(hybrid=False))
    group(stack, lake)
    (made,) = support.resources(stack, "AWS::SageMaker::FeatureGroup")
    permissions = [
        each
        for each in support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
        if each["Properties"]["Resource"].get("Table", {}).get("Name") == "products"
    ]
    assert {each["Properties"]["Permissions"][0] for each in permissions} == {"ALTER", "DESCRIBE"}
    assert all(made in each["DependsOn"] for each in permissions)


def test_an_imported_group_is_granted_on() -> None:
    stack = support.stack(env=support.environment())
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    imported = FeatureGroup.from_name(stack, "Theirs", name="theirs")
    imported.grant_read_online(role)
    assert machines.actions(machines.statements(stack, "Role")) == {
        "sagemaker:GetRecord",
        "sagemaker:BatchGetRecord",
    }
    with pytest.raises(ConfigurationError, match="without an offline store"):
        imported.grant_read_offline(role)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"online": None, "offline": None}, "an online store, an offline store, or both"),
        ({"record_id": "review_id"}, "one of the features: product_id, updated"),
        ({"record_id": "rating_mean"}, "a whole number or a text"),
        ({"event_time": "created"}, "one of the features"),
        ({"event_time": "reviews"}, "string or timestamp"),
        ({"schema": {**SCHEMA, "is_deleted": "int"}}, "which Feature Store adds itself"),
        ({"schema": {**SCHEMA, "_mean": "int"}}, "no underscore first"),
        ({"schema": {**SCHEMA, "x" * 65: "int"}}, "1 to 64"),
        ({"schema": {**SCHEMA, "sold": "boolean"}}, "int, with 0 and 1"),
        ({"schema": {**SCHEMA, "tags": "array<string>"}}, "no collections"),
        ({"schema": {**SCHEMA, "place": "struct<x:int>"}}, "a column for each field"),
        ({"schema": {**SCHEMA, "note": "text"}}, "'string' in place of 'text'"),
        ({"schema": [*COLUMNS, Column(name="n", type="int", field_id=9)]}, "numbers the columns"),
        ({"name": "Products"}, "lower-case letters"),
        ({"name": "p" * 65}, "at most 64"),
        ({"description": "d" * 129}, "at most 128"),
        ({"online": OnlineStore(storage="InMemory", throughput=UNITS)}, "for the standard store"),
        ({"online": OnlineStore(throughput=replace(UNITS, read_units=-1))}, "0 to 10000000"),
        ({"online": OnlineStore(ttl=cdk.Duration.millis(10))}, "whole seconds"),
    ],
)  # fmt: skip
def test_what_feature_store_would_refuse_is_refused(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match=message):
        group(stack, DataLake(stack, "Lake"), **options)


def test_a_folder_of_another_table_is_refused() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    lake.features.add_table("products", schema={"a": "int"}, prefix="feature-store/")
    with pytest.raises(ConfigurationError, match="apart from each other"):
        group(stack, lake, offline=OfflineStore(zone=lake.features, table_name="other"))


def test_a_grant_on_a_store_that_is_not_there_is_refused() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    made = group(stack, DataLake(stack, "Lake"), online=None)
    for grant in (made.grant_read_online, made.grant_delete):
        with pytest.raises(ConfigurationError, match="online=OnlineStore"):
            grant(role)


def test_objects_come_from_a_folder() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    with pytest.raises(ConfigurationError, match='prefix="products/"'):
        FeatureIngestion(stack, "Ingestion", group=group(stack, lake)).add_objects(lake.raw, "/products")


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    lake = DataLake(stack, "Lake")
    ingestion = FeatureIngestion(
        stack, "Ingestion", group=group(stack, lake), alerts=AlertTopic(stack, "Alerts")
    )
    ingestion.add_objects(lake.curated, "products/")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    left = [each for each in nag.unacknowledged(app) if "/Products" in each or "/Ingestion" in each]
    assert left == []
