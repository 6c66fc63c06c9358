"""The default lake: what it is made of, and what cannot be configured."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, LakeFormation, ZoneAttributes, ZoneDefinition
from tests.constructs import support

ZONES = ["raw", "curated", "features", "models"]


@pytest.fixture(scope="module")
def default() -> Template:
    stack = support.stack()
    DataLake(stack, "Lake")
    return support.synth(stack)


@pytest.fixture(scope="module")
def zone_buckets(default: Template) -> dict[str, dict[str, Any]]:
    buckets = support.resources(default, "AWS::S3::Bucket")
    return {key: value for key, value in buckets.items() if "AccessLogs" not in key}


def test_a_lake_has_a_bucket_and_a_database_for_each_zone(
    default: Template, zone_buckets: dict[str, Any]
) -> None:
    assert [key[: key.index("Bucket")] for key in zone_buckets] == [f"Lake{zone.title()}" for zone in ZONES]
    databases = support.resources(default, "AWS::Glue::Database")
    assert [key[: key.index("Database")] for key in databases] == [f"Lake{zone.title()}" for zone in ZONES]


def test_each_zone_is_private_encrypted_versioned_logged_and_sends_events(
    zone_buckets: dict[str, Any],
) -> None:
    for logical_id, bucket in zone_buckets.items():
        properties = bucket["Properties"]
        (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["BucketKeyEnabled"] is True
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["NotificationConfiguration"] == {
            "EventBridgeConfiguration": {"EventBridgeEnabled": True}
        }
        zone = logical_id.removeprefix("Lake").split("Bucket")[0].lower()
        assert properties["LoggingConfiguration"]["LogFilePrefix"] == f"s3/{zone}/"
        assert "BucketName" not in properties


def test_each_zone_tidies_up_after_itself(zone_buckets: dict[str, Any]) -> None:
    for bucket in zone_buckets.values():
        (rule,) = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        assert rule == {
            "Id": "Zone",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            "ExpiredObjectDeleteMarker": True,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 0}],
        }


def test_uploads_without_tls_or_under_another_key_are_refused(
    default: Template, zone_buckets: dict[str, Any]
) -> None:
    policies = support.resources(default, "AWS::S3::BucketPolicy")
    key = next(iter(support.resources(default, "AWS::KMS::Key")))
    sse = "s3:x-amz-server-side-encryption"
    for bucket in zone_buckets:
        statements = support.only(
            {k: v for k, v in policies.items() if v["Properties"]["Bucket"] == {"Ref": bucket}}
        )["Properties"]["PolicyDocument"]["Statement"]
        conditions = [statement["Condition"] for statement in statements if statement["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions
        assert {
            "StringNotEquals": {f"{sse}-aws-kms-key-id": {"Fn::GetAtt": [key, "Arn"]}},
            "Null": {f"{sse}-aws-kms-key-id": "false"},
        } in conditions
        assert {"StringNotEquals": {sse: "aws:kms"}, "Null": {sse: "false"}} in conditions
        assert {"StringEquals": {sse: "aws:kms"}, "Null": {f"{sse}-aws-kms-key-id": "true"}} in conditions
        assert {"Null": {f"{sse}-customer-algorithm": "false"}} in conditions


def test_only_checkpoints_of_the_models_zone_may_leave_the_key_unnamed(
    default: Template, zone_buckets: dict[str, Any]
) -> None:
    unnamed = {
        policy["Properties"]["Bucket"]["Ref"]: statement
        for policy in support.resources(default, "AWS::S3::BucketPolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "DenyUnnamedKey"
    }
    assert unnamed.keys() == zone_buckets.keys()
    for bucket, statement in unnamed.items():
        arn = {"Fn::GetAtt": [bucket, "Arn"]}
        if "Models" in bucket:
            assert statement["NotResource"] == {"Fn::Join": ["", [arn, "/checkpoints/*"]]}
            assert "Resource" not in statement
        else:
            assert statement["Resource"] == {"Fn::Join": ["", [arn, "/*"]]}


@pytest.mark.parametrize("prefix", ["", "/", "/checkpoints/", "checkpoints", "check*/", "${aws:username}/"])
def test_a_folder_where_keys_may_be_unnamed_is_a_folder(prefix: str) -> None:
    definition = ZoneDefinition(name="models", unnamed_key_prefixes=[prefix])
    with pytest.raises(ConfigurationError, match="unnamed_key_prefixes"):
        DataLake(support.stack(), "Lake", zones=[definition])


def test_access_logs_go_to_one_bucket_that_does_not_log_into_itself(default: Template) -> None:
    logs = {k: v for k, v in support.resources(default, "AWS::S3::Bucket").items() if "AccessLogs" in k}
    properties = support.only(logs)["Properties"]
    assert "LoggingConfiguration" not in properties
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert properties["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 365


def test_only_the_zones_buckets_of_this_account_write_to_the_log_bucket(
    default: Template, zone_buckets: dict[str, Any]
) -> None:
    logs = next(key for key in support.resources(default, "AWS::S3::Bucket") if "AccessLogs" in key)
    policies = support.resources(default, "AWS::S3::BucketPolicy").values()
    policy = next(p for p in policies if p["Properties"]["Bucket"] == {"Ref": logs})
    allowed = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {s["Principal"]["Service"] for s in allowed} == {"logging.s3.amazonaws.com"}
    assert [s["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::GetAtt"][0] for s in allowed] == list(
        zone_buckets
    )
    assert [s["Resource"]["Fn::Join"][1][1] for s in allowed] == [f"/s3/{zone}/*" for zone in ZONES]


def test_a_lake_works_in_an_app_without_feature_flags() -> None:
    stack = cdk.Stack(cdk.App(), "Plain")
    lake = DataLake(stack, "Lake")
    lake.raw.grant_read(iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal()))
    assert len(support.resources(stack, "AWS::S3::Bucket")) == 5


def test_a_log_bucket_in_another_stack_makes_no_cycle() -> None:
    app = support.app()
    home, away = support.stack(app, "Home"), support.stack(app, "Away")
    DataLake(home, "Lake", zones=["raw"], access_logs=s3.Bucket(away, "Logs"))
    assert "logging.s3.amazonaws.com" in str(support.resources(away, "AWS::S3::BucketPolicy"))
    assert away.dependencies == []


def test_the_key_rotates_and_trusts_nobody_but_its_account(default: Template) -> None:
    properties = support.only(support.resources(default, "AWS::KMS::Key"))["Properties"]
    assert properties["EnableKeyRotation"] is True
    (statement,) = properties["KeyPolicy"]["Statement"]
    assert statement["Principal"] == {
        "AWS": {
            "Fn::Join": [
                "",
                ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":root"],
            ]
        }
    }


def test_a_lake_adds_no_function_and_no_custom_resource_to_a_stack(default: Template) -> None:
    types = {resource["Type"] for resource in support.resources(default).values()}
    assert types == {
        "AWS::Glue::Database",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::LakeFormation::Resource",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
    }


def test_zones_are_found_by_name_and_by_attribute() -> None:
    lake = DataLake(support.stack(), "Lake")
    assert list(lake.zones) == ZONES
    assert [zone.name for zone in (lake.raw, lake.curated, lake.features, lake.models)] == ZONES
    assert lake.zone("curated") is lake.curated


def test_a_name_of_a_default_zone_has_its_definition() -> None:
    every, one = support.stack(), support.stack()
    DataLake(every, "Lake")
    DataLake(one, "Lake", zones=["models"])
    for kind in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Glue::Database"):
        defined = {name: found for name, found in support.resources(every, kind).items() if "Models" in name}
        assert defined
        assert support.resources(one, kind).items() >= defined.items()


def test_an_unknown_zone_is_answered_with_those_that_exist() -> None:
    lake = DataLake(support.stack(), "Lake", zones=["landing", "gold"])
    with pytest.raises(ConfigurationError, match=r"zone 'raw'; allowed: 'landing', 'gold'; write: DataLake"):
        _ = lake.raw


def test_a_uri_is_an_s3_address_in_the_zones_bucket() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    bucket = stack.resolve(lake.raw.bucket.bucket_name)
    assert stack.resolve(lake.raw.uri("reviews/")) == {"Fn::Join": ["", ["s3://", bucket, "/reviews/"]]}
    assert stack.resolve(lake.raw.uri()) == {"Fn::Join": ["", ["s3://", bucket, "/"]]}
    with pytest.raises(ConfigurationError, match=r"uri\('/reviews/'\).*write: uri\('reviews/'\)"):
        lake.raw.uri("/reviews/")


def test_all_mistakes_in_the_zones_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as failure:
        DataLake(
            support.stack(),
            "Lake",
            zones=[
                "Raw Data",
                ZoneDefinition(name="curated", expire_days=0, noncurrent_expire_days=-1),
                ZoneDefinition(name="features", intelligent_tiering_days=30, expire_days=30),
                ZoneDefinition(name="models", abort_upload_days=0, database_name="My-Models"),
                "models",
            ],
        )
    message = str(failure.value)
    assert message.startswith("DataLake at Test/Lake: 7 problems")
    for expected in (
        "zone 'Raw Data'",
        "expire_days=0; allowed: whole days, 1 or more",
        "noncurrent_expire_days=-1",
        "expire_days=30, intelligent_tiering_days=30; allowed: objects expire later than they change tier",
        "abort_upload_days=0",
        "database_name='My-Models'",
        "given zone 'models'; allowed: a name of its own; this one collides with zone 'models'",
    ):
        assert expected in message


@pytest.mark.parametrize("name", ["key", "access-logs", "administrators"])
def test_a_zone_cannot_take_the_place_of_another_part_of_the_lake(name: str) -> None:
    with pytest.raises(ConfigurationError, match="collides with a part of the lake"):
        DataLake(support.stack(), "Lake", zones=[name])


def test_a_lake_without_zones_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="given no zones"):
        DataLake(support.stack(), "Lake", zones=[])


def test_zero_days_and_none_are_honoured() -> None:
    stack = support.stack()
    DataLake(
        stack,
        "Lake",
        zones=[
            ZoneDefinition(
                name="now", intelligent_tiering_days=0, noncurrent_expire_days=None, abort_upload_days=None
            ),
            ZoneDefinition(
                name="never",
                intelligent_tiering_days=None,
                noncurrent_expire_days=None,
                abort_upload_days=None,
            ),
            ZoneDefinition(
                name="scratch", intelligent_tiering_days=None, expire_days=1, versioned=False, events=False
            ),
        ],
    )
    buckets = support.resources(stack, "AWS::S3::Bucket")
    properties = {
        name: next(v["Properties"] for k, v in buckets.items() if f"Lake{name}" in k)
        for name in ("Now", "Never", "Scratch")
    }
    assert properties["Now"]["LifecycleConfiguration"]["Rules"] == [
        {
            "Id": "Zone",
            "Status": "Enabled",
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 0}],
        }
    ]
    assert "LifecycleConfiguration" not in properties["Never"]
    assert properties["Scratch"]["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 1
    assert "VersioningConfiguration" not in properties["Scratch"]
    assert "NotificationConfiguration" not in properties["Scratch"]


def test_a_users_own_key_and_log_bucket_are_used() -> None:
    stack = support.stack()
    key = kms.Key(stack, "OwnKey")
    logs = s3.Bucket(stack, "OwnLogs")
    DataLake(stack, "Lake", zones=["raw"], key=key, access_logs=logs)
    template = support.synth(stack)
    assert len(support.resources(template, "AWS::KMS::Key")) == 1
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "LoggingConfiguration": {"DestinationBucketName": stack.resolve(logs.bucket_name)},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    Match.object_like(
                        {
                            "ServerSideEncryptionByDefault": {
                                "KMSMasterKeyID": stack.resolve(key.key_arn),
                                "SSEAlgorithm": "aws:kms",
                            }
                        }
                    )
                ]
            },
        },
    )


def test_a_database_is_named_only_if_the_user_names_it(default: Template) -> None:
    for database in support.resources(default, "AWS::Glue::Database").values():
        assert "Name" not in database["Properties"]["DatabaseInput"]
    stack = support.stack()
    DataLake(stack, "Lake", zones=[ZoneDefinition(name="raw", database_name="reviews_raw")])
    database = support.only(support.resources(stack, "AWS::Glue::Database"))
    assert database["Properties"]["DatabaseInput"]["Name"] == "reviews_raw"


# Lake Formation ------------------------------------------------------------


def test_each_location_is_registered_in_hybrid_mode_under_a_role_for_that_zone_only(
    default: Template,
) -> None:
    locations = support.resources(default, "AWS::LakeFormation::Resource")
    policies = support.resources(default, "AWS::IAM::Policy")
    assert len(locations) == len(ZONES)
    for location in locations.values():
        properties = location["Properties"]
        assert properties["HybridAccessEnabled"] is True
        assert properties["UseServiceLinkedRole"] is False
        role = properties["RoleArn"]["Fn::GetAtt"][0]
        policy = support.only(
            {k: v for k, v in policies.items() if v["Properties"]["Roles"] == [{"Ref": role}]}
        )
        bucket = properties["ResourceArn"]
        resources = [s["Resource"] for s in policy["Properties"]["PolicyDocument"]["Statement"]]
        key = {"Fn::GetAtt": [next(iter(support.resources(default, "AWS::KMS::Key"))), "Arn"]}
        assert resources == [{"Fn::Join": ["", [bucket, "/*"]]}, bucket, key]


def test_a_location_is_registered_after_its_database_and_its_roles_policy(default: Template) -> None:
    for logical_id, location in support.resources(default, "AWS::LakeFormation::Resource").items():
        zone = logical_id.removeprefix("Lake").split("LakeFormation")[0]
        assert any(before.startswith(f"Lake{zone}Database") for before in location["DependsOn"])
        assert any("RoleDefaultPolicy" in before for before in location["DependsOn"])


def test_only_this_account_can_use_the_registration_role(default: Template) -> None:
    for role in support.resources(default, "AWS::IAM::Role").values():
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            assert statement["Condition"] == {
                "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
            }


def test_the_accounts_lake_formation_settings_are_left_alone_by_default(default: Template) -> None:
    assert not support.resources(default, "AWS::LakeFormation::DataLakeSettings")


def test_administrators_are_appended_with_the_deploying_role_and_outlive_the_stack() -> None:
    stack = support.stack()
    admin = iam.Role.from_role_arn(stack, "Admin", "arn:aws:iam::111122223333:role/lake-admin")
    lake = DataLake(
        stack, "Lake", zones=["raw"], lake_formation=LakeFormation(administer=True, administrators=[admin])
    )
    reader = iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal())
    lake.raw.grant_read(reader)
    template = support.synth(stack)
    ((logical_id, settings),) = support.resources(template, "AWS::LakeFormation::DataLakeSettings").items()
    assert settings["DeletionPolicy"] == "Retain"
    assert settings["Properties"]["MutationType"] == "APPEND"
    deploying, named = (a["DataLakePrincipalIdentifier"] for a in settings["Properties"]["Admins"])
    assert named == "arn:aws:iam::111122223333:role/lake-admin"
    assert ":role/cdk-hnb659fds-cfn-exec-role-" in deploying["Fn::Join"][1]
    for permission in support.resources(template, "AWS::LakeFormation::PrincipalPermissions").values():
        assert logical_id in permission["DependsOn"]
    (location,) = support.resources(template, "AWS::LakeFormation::Resource").values()
    assert logical_id in location["DependsOn"]
    Annotations.from_stack(stack).has_no_info("*", Match.string_like_regexp("administrator"))


def test_a_stack_that_deploys_with_the_users_credentials_appends_the_named_administrators_only() -> None:
    stack = cdk.Stack(support.app(), "Test", synthesizer=cdk.CliCredentialsStackSynthesizer())
    admin = iam.Role.from_role_arn(stack, "Admin", "arn:aws:iam::111122223333:role/lake-admin")
    DataLake(
        stack, "Lake", zones=["raw"], lake_formation=LakeFormation(administer=True, administrators=[admin])
    )
    settings = support.only(support.resources(stack, "AWS::LakeFormation::DataLakeSettings"))
    assert len(settings["Properties"]["Admins"]) == 1


def test_administrators_without_administering_are_refused() -> None:
    stack = support.stack()
    admin = iam.Role.from_role_arn(stack, "Admin", "arn:aws:iam::111122223333:role/lake-admin")
    with pytest.raises(ConfigurationError, match="write: LakeFormation\\(administer=True"):
        DataLake(stack, "Lake", lake_formation=LakeFormation(administrators=[admin]))


def test_a_grant_without_a_known_administrator_says_so_at_synthesis() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    lake.raw.grant_read(iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal()))
    Annotations.from_stack(stack).has_info(
        "/Test/Lake/Raw", Match.string_like_regexp("accepts permissions only from one of its administrators")
    )


def test_outside_hybrid_mode_new_tables_carry_no_implicit_permission(default: Template) -> None:
    stack = support.stack()
    DataLake(stack, "Lake", zones=["raw"], lake_formation=LakeFormation(hybrid=False))
    template = support.synth(stack)
    database = support.only(support.resources(template, "AWS::Glue::Database"))
    assert database["Properties"]["DatabaseInput"]["CreateTableDefaultPermissions"] == []
    assert (
        support.only(support.resources(template, "AWS::LakeFormation::Resource"))["Properties"][
            "HybridAccessEnabled"
        ]
        is False
    )
    for hybrid in support.resources(default, "AWS::Glue::Database").values():
        assert "CreateTableDefaultPermissions" not in hybrid["Properties"]["DatabaseInput"]


def test_a_lake_without_lake_formation_has_nothing_of_it() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"], lake_formation=None)
    lake.raw.grant_read(iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal()))
    template = support.synth(stack)
    assert not [r for r in support.resources(template).values() if "LakeFormation" in r["Type"]]
    template.resource_count_is("AWS::IAM::Role", 1)


# Retention ------------------------------------------------------------


@pytest.mark.parametrize(
    ("destroy", "context", "expected"),
    [(False, False, "Retain"), (True, False, "Retain"), (False, True, "Retain"), (True, True, "Delete")],
)
def test_data_is_deleted_only_if_the_property_and_the_context_ask_for_it(
    destroy: bool, context: bool, expected: str
) -> None:
    stack = support.stack(context={"cdk-data-science:destroyData": context})
    DataLake(stack, "Lake", zones=["raw"], destroy=destroy)
    template = support.synth(stack)
    stateful = [
        resource
        for resource in support.resources(template).values()
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Glue::Database")
    ]
    assert len(stateful) == 4
    assert {resource.get("DeletionPolicy") for resource in stateful} == {expected}


STATEFUL = {
    "LakeKey7B6C155C": "the key without which no object of the lake can be read",
    "LakeAccessLogs4431AB8D": "the record of who read what",
    "LakeRawBucket28F84711": "everything that ever arrived",
    "LakeCuratedBucketD88CAD16": "the cleaned tables",
    "LakeFeaturesBucketE546040C": "the training data",
    "LakeModelsBucket4B7A3C2D": "the models, their checkpoints and reports",
    "LakeRawDatabase21501424": "the table definitions of the raw zone",
}


@pytest.mark.parametrize("logical_id", STATEFUL)
def test_stateful_logical_ids_are_locked(default: Template, logical_id: str) -> None:
    assert logical_id in support.resources(default), (
        f"renaming {logical_id} replaces it and loses {STATEFUL[logical_id]}"
    )


# Import ------------------------------------------------------------


def test_an_imported_lake_grants_without_a_resource_of_its_own() -> None:
    stack = support.stack()
    lake = DataLake.from_zones(
        stack,
        "Lake",
        zones=[
            ZoneAttributes(
                name="raw",
                bucket_arn="arn:aws:s3:::company-lake-raw",
                database_name="company_raw",
                key_arn="arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d",
            )
        ],
    )
    lake.raw.grant_read(iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal()))
    template = support.synth(stack)
    types = {resource["Type"] for resource in support.resources(template).values()}
    assert types == {"AWS::IAM::Role", "AWS::IAM::Policy", "AWS::LakeFormation::PrincipalPermissions"}
    assert stack.resolve(lake.raw.uri("reviews/")) == "s3://company-lake-raw/reviews/"
    text = str(template.to_json())
    assert "arn:aws:s3:::company-lake-raw/*" in text
    assert "1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d" in text
    with pytest.raises(ConfigurationError, match="zone 'models'; allowed: 'raw'"):
        _ = lake.models


def test_metrics_have_the_dimensions_that_s3_publishes() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    size, count = lake.raw.metric_size_bytes(), lake.raw.metric_number_of_objects()
    assert (size.namespace, size.metric_name) == ("AWS/S3", "BucketSizeBytes")
    assert stack.resolve(size.dimensions) == {
        "BucketName": stack.resolve(lake.raw.bucket.bucket_name),
        "StorageType": "StandardStorage",
    }
    assert (count.dimensions or {})["StorageType"] == "AllStorageTypes"
    assert size.period.to_days() == 1


def test_a_synthesizer_of_ones_own_takes_the_deploying_role_by_name() -> None:
    """jsii hands such a synthesizer back without its stack."""
    own = cdk.DefaultStackSynthesizer(qualifier="own")
    stack = cdk.Stack(support.app(), "Own", synthesizer=own)
    with pytest.raises(ConfigurationError, match="does not tell the role that deploys"):
        DataLake(stack, "Lake", zones=["raw"], lake_formation=LakeFormation(administer=True))
    role = iam.Role.from_role_arn(stack, "Deployer", "arn:aws:iam::111122223333:role/deployer")
    lake = DataLake(
        stack,
        "Named",
        zones=["raw"],
        lake_formation=LakeFormation(administer=True, administrators=[role]),
    )
    assert lake.settings is not None
    assert stack.resolve(lake.settings.admins) == [{"dataLakePrincipalIdentifier": role.role_arn}]
