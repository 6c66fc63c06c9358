"""Copies of other buckets, and third parties: who may do what, and what is refused."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science.data_lake import BucketCopy, DataLake, PartnerUpload, ZoneAttributes, ZoneFolder
from tests.constructs import machines, support
from tests.constructs.security.simulator import Simulator

ACME = "arn:aws:iam::444455556666:role/exporter"
UUID = "2f9c1d4e-8b7a-4c55-9d3e-61c0a7f0b821"
TLS = {"aws:SecureTransport": "true"}


def lake_of(stack: cdk.Stack) -> DataLake:
    return DataLake(stack, "Lake", zones=["raw", "curated"])


def copy(stack: cdk.Stack, lake: DataLake, **options: Any) -> BucketCopy:
    given = {
        "source": s3.Bucket.from_bucket_name(stack, "Source", "shop-exports"),
        "to": ZoneFolder(zone=lake.raw, prefix="shop/"),
        **options,
    }
    return BucketCopy(stack, "Copy", **given)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    lake = lake_of(stack)
    key = kms.Key.from_key_arn(stack, "SourceKey", "arn:aws:kms:eu-west-1:444455556666:key/source")
    source = s3.Bucket.from_bucket_attributes(
        stack, "Exports", bucket_arn="arn:aws:s3:::shop-exports", encryption_key=key
    )
    copy(
        stack,
        lake,
        source=source,
        source_prefix="orders/",
        schedule="cron(0 3 * * ? *)",
        exclude=["*/_temporary/*", "*.tmp"],
        alerts=AlertTopic(stack, "Alerts"),
    )
    PartnerUpload(
        stack,
        "Acme",
        folder=ZoneFolder(zone=lake.raw, prefix="partners/acme/"),
        roles=[ACME],
        organization="o-abcdefghij",
    )
    PartnerUpload(
        stack,
        "Vendor",
        folder=ZoneFolder(zone=lake.raw, prefix="partners/vendor/"),
        account="777788889999",
        external_id=UUID,
    )
    return stack


def properties(stack: cdk.Stack, type: str) -> dict[str, Any]:
    found: dict[str, Any] = support.only(support.resources(stack, type))["Properties"]
    return found


def test_a_copy_takes_what_is_new_checks_it_and_deletes_nothing(stack: cdk.Stack) -> None:
    task = properties(stack, "AWS::DataSync::Task")
    assert task["TaskMode"] == "ENHANCED"
    assert task["Options"] == {
        "VerifyMode": "ONLY_FILES_TRANSFERRED",
        "TransferMode": "CHANGED",
        "OverwriteMode": "ALWAYS",
        "PreserveDeletedFiles": "PRESERVE",
        "ObjectTags": "PRESERVE",
        "LogLevel": "BASIC",
        "Uid": "NONE",
        "Gid": "NONE",
        "PosixPermissions": "NONE",
    }
    assert task["Excludes"] == [{"FilterType": "SIMPLE_PATTERN", "Value": "*/_temporary/*|*.tmp"}]
    locations = support.resources(stack, "AWS::DataSync::LocationS3")
    assert {each["Properties"]["Subdirectory"] for each in locations.values()} == {"/orders/", "/shop/"}
    # AND each location waits for the policy of its role, which DataSync tries
    for each in locations.values():
        assert [name for name in each["DependsOn"] if "DefaultPolicy" in name]


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("CopyReader", "s3:GetObject", "arn:aws:s3:::shop-exports/orders/a", True),
        ("CopyReader", "s3:GetObject", "arn:aws:s3:::shop-exports/people/a", False),
        ("CopyReader", "s3:PutObject", "arn:aws:s3:::shop-exports/orders/a", False),
        ("CopyReader", "s3:GetObject", "{raw}/shop/a", False),
        ("CopyReader", "kms:Decrypt", "arn:aws:kms:eu-west-1:444455556666:key/source", True),
        ("CopyReader", "kms:Decrypt", "{key}", False),
        ("CopyWriter", "s3:PutObject", "{raw}/shop/a", True),
        ("CopyWriter", "s3:PutObject", "{raw}/other/a", False),
        ("CopyWriter", "s3:PutObject", "{curated}/shop/a", False),
        ("CopyWriter", "s3:DeleteObject", "{raw}/shop/a", False),
        ("CopyWriter", "kms:GenerateDataKey", "{key}", True),
        ("VendorRole", "s3:PutObject", "{raw}/partners/vendor/a", True),
        ("VendorRole", "s3:PutObject", "{raw}/partners/acme/a", False),
        ("VendorRole", "s3:GetObject", "{raw}/partners/vendor/a", False),
        ("VendorRole", "s3:DeleteObject", "{raw}/partners/vendor/a", False),
        ("VendorRole", "s3:ListBucket", "{raw}", False),
    ],
)
def test_who_brings_data_writes_its_folder_and_nothing_beside_it(
    stack: cdk.Stack, role: str, action: str, resource: str, allowed: bool
) -> None:
    found = Simulator(support.resources(stack), role)
    places = {
        "raw": found.arn("LakeRawBucket"),
        "curated": found.arn("LakeCuratedBucket"),
        "key": found.arn("LakeKey"),
    }
    assert found.allows(action, resource.format(**places), when=TLS) is allowed


def test_datasync_takes_the_roles_for_this_account_and_region_alone(stack: cdk.Stack) -> None:
    for key, role in support.resources(stack, "AWS::IAM::Role").items():
        if key.startswith(("CopyReader", "CopyWriter")):
            (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "datasync.amazonaws.com"}
            assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
            assert ":datasync:" in str(trust["Condition"]["ArnLike"]["aws:SourceArn"])


def test_a_copy_that_fails_is_told_of_and_a_schedule_starts_it(stack: cdk.Stack) -> None:
    rule = properties(stack, "AWS::Events::Rule")
    (task,) = support.resources(stack, "AWS::DataSync::Task")
    assert rule["EventPattern"] == {
        "source": ["aws.datasync"],
        "detail-type": ["DataSync Task Execution State Change"],
        "detail": {"State": ["ERROR"]},
        "resources": [{"prefix": {"Fn::Join": ["", [{"Fn::GetAtt": [task, "TaskArn"]}, "/"]]}}],
    }
    (statement,) = machines.statements(stack, "CopyStarter")
    assert statement["Action"] == "datasync:StartTaskExecution"
    assert statement["Resource"] == {"Fn::GetAtt": [task, "TaskArn"]}


@pytest.fixture(scope="module")
def afar() -> BucketCopy:
    stack = support.stack(env=support.environment())
    return copy(stack, lake_of(stack), source_account="444455556666", reader_name="reader-of-exports")


@pytest.mark.parametrize(
    ("action", "resource", "owner", "allowed"),
    [
        ("s3:GetObject", "arn:aws:s3:::shop-exports/a", "444455556666", True),
        ("s3:GetObject", "arn:aws:s3:::shop-exports/a", "999999999999", False),  # who took its name
        ("s3:ListBucket", "arn:aws:s3:::shop-exports", "444455556666", True),
        ("s3:ListBucket", "arn:aws:s3:::shop-exports", "999999999999", False),
        ("s3:GetObject", "arn:aws:s3:::other-exports/a", "444455556666", False),
    ],
)
def test_another_accounts_bucket_is_read_while_it_is_theirs(
    afar: BucketCopy, action: str, resource: str, owner: str, allowed: bool
) -> None:
    reader = Simulator(support.resources(cdk.Stack.of(afar)), "CopyReader")
    assert reader.allows(action, resource, when=TLS | {"aws:ResourceAccount": owner}) is allowed


def test_its_owner_can_admit_the_role_before_it_is_there_and_nobody_else(afar: BucketCopy) -> None:
    stack = cdk.Stack.of(afar)
    statements = stack.resolve([each.to_statement_json() for each in afar.bucket_admission()])
    # THEN the role that is made has the name that the statements say
    (reader,) = [
        each["Properties"]
        for key, each in support.resources(stack, "AWS::IAM::Role").items()
        if key.startswith("CopyReader")
    ]
    assert reader["RoleName"] == "reader-of-exports"
    for statement in [*statements, stack.resolve(afar.key_admission().to_statement_json())]:
        assert "111122223333:root" in str(statement["Principal"])
        condition = str(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"])
        assert "111122223333:role/reader-of-exports" in condition
    resources = [str(statement["Resource"]) for statement in statements]
    assert "shop-exports" in resources[0]
    assert "/*" not in resources[0]
    assert "shop-exports/*" in resources[1]


def test_another_schedule_changes_the_schedule_alone() -> None:
    def made(schedule: str) -> dict[str, Any]:
        stack = support.stack()
        copy(stack, lake_of(stack), schedule=schedule)
        return support.resources(stack)

    before, after = made("cron(0 3 * * ? *)"), made("cron(0 5 * * ? *)")
    changed = [after[key]["Type"] for key in after if before[key] != after[key]]
    assert changed == ["AWS::Scheduler::Schedule"]


def bucket_policy(stack: cdk.Stack) -> list[dict[str, Any]]:
    found = support.resources(stack, "AWS::S3::BucketPolicy")
    (policy,) = [each for key, each in found.items() if key.startswith("LakeRawBucket")]
    statements: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return statements


def test_a_partners_role_is_admitted_by_name_to_put_and_to_nothing_else(stack: cdk.Stack) -> None:
    (admitted,) = [each for each in bucket_policy(stack) if each["Principal"] == {"AWS": ACME}]
    assert set(admitted["Action"]) == {
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    }
    assert admitted["Resource"]["Fn::Join"][1][-1] == "/partners/acme/*"
    assert admitted["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    keys = support.resources(stack, "AWS::KMS::Key")
    (key,) = [each for name, each in keys.items() if name.startswith("LakeKey")]
    statements = key["Properties"]["KeyPolicy"]["Statement"]
    (used,) = [each for each in statements if each["Principal"] == {"AWS": ACME}]
    assert set(used["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    through = used["Condition"]["StringEquals"]
    assert through["kms:ViaService"]["Fn::Join"][1] == ["s3.", {"Ref": "AWS::Region"}, ".amazonaws.com"]
    assert through["aws:PrincipalOrgID"] == "o-abcdefghij"


def test_the_zone_refuses_partners_too_what_is_not_encrypted_as_it_says_or_comes_without_tls(
    stack: cdk.Stack,
) -> None:
    denied = {each["Sid"] for each in bucket_policy(stack) if each["Effect"] == "Deny" and "Sid" in each}
    assert {"DenyOtherEncryption", "DenyOtherKey", "DenyCustomerProvidedKey"} <= denied
    without_tls = [each for each in bucket_policy(stack) if "aws:SecureTransport" in str(each)]
    assert [(each["Effect"], each["Principal"]) for each in without_tls] == [("Deny", {"AWS": "*"})]
    bucket = next(
        each["Properties"]
        for key, each in support.resources(stack, "AWS::S3::Bucket").items()
        if key.startswith("LakeRawBucket")
    )
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_a_vendor_takes_the_role_only_with_the_external_id(stack: cdk.Stack) -> None:
    roles = support.resources(stack, "AWS::IAM::Role")
    (role,) = [each["Properties"] for key, each in roles.items() if key.startswith("VendorRole")]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert "777788889999:root" in str(trust["Principal"])
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": UUID}}
    assert role["MaxSessionDuration"] == 3600


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "0 roles, account=None"),
        ({"roles": ["arn:aws:iam::444455556666:root"]}, "anybody whom it admits could write"),
        ({"roles": ["*"]}, "the ARN of one role"),
        ({"roles": [ACME], "account": "444455556666", "external_id": UUID}, "1 roles, account="),
        ({"account": "444455556666"}, "another customer of the same vendor"),
        ({"account": "4444", "external_id": UUID}, "12 digits"),
        ({"account": "444455556666", "external_id": "acme"}, "external_id of 4 characters"),
        ({"roles": [ACME], "organization": "acme"}, "o-…"),
    ],
)
def test_partners_that_are_wider_than_partners_are_refused(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    folder = ZoneFolder(zone=lake_of(stack).raw, prefix="acme/")
    with pytest.raises(ConfigurationError) as refused:
        PartnerUpload(stack, "Acme", folder=folder, **options)
    assert said in str(refused.value)


def test_a_partner_in_a_zone_of_another_app_is_refused_where_nothing_would_come_of_it() -> None:
    stack = support.stack()
    zones = [ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::other-lake", database_name="raw")]
    raw = DataLake.from_zones(stack, "Lake", zones=zones).raw
    with pytest.raises(ConfigurationError, match="write: PartnerUpload"):
        PartnerUpload(stack, "Acme", folder=ZoneFolder(zone=raw, prefix="acme/"), roles=[ACME])
    # a role of this account needs nobody's policy
    folder = ZoneFolder(zone=raw, prefix="vendor/")
    vendor = PartnerUpload(stack, "Vendor", folder=folder, account="777788889999", external_id=UUID)
    assert vendor.role is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source_prefix": "/orders"}, 'write: source_prefix="orders/"'),
        ({"schedule": "cron(* * * * ? *)"}, "at least 5 minutes"),
        ({"exclude": ["a|b"]}, "without |"),
        ({"source_account": "444455556666"}, 'write: reader_name="'),
        ({"source_account": "4444", "reader_name": "reader"}, 'write: source_account="444455556666"'),
        ({"reader_name": "a reader"}, "1 to 64 letters"),
    ],
)
def test_what_a_copy_cannot_be_is_told(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError) as refused:
        copy(stack, lake_of(stack), **options)
    assert said in str(refused.value)


def test_a_zone_that_is_copied_into_itself_is_refused() -> None:
    stack = support.stack()
    lake = lake_of(stack)
    with pytest.raises(ConfigurationError, match="each copy would find the copies before it"):
        copy(stack, lake, source=lake.raw.bucket)
