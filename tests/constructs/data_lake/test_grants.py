"""Who may do what in a zone, and who may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import DataLake, ZoneAttributes
from tests.constructs import support

READ = {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:ListBucket"}
WRITE = {
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
}
SELECT = {("Database", "DESCRIBE"), ("Tables", "SELECT")}
INSERT = {("Tables", "INSERT"), ("Tables", "DELETE")}


@dataclass
class Consumer:
    """What one role was given, as its stack's template says it."""

    template: Template
    role: str

    def statements(self) -> list[dict[str, Any]]:
        policies = support.resources(self.template, "AWS::IAM::Policy").values()
        return [
            statement
            for policy in policies
            if policy["Properties"]["Roles"] == [{"Ref": self.role}]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def actions(self, on: str) -> set[str]:
        """Actions on resources whose reference mentions ``on``."""
        return {
            action
            for statement in self.statements()
            if on in str(statement["Resource"])
            for action in (
                [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            )
        }

    def permissions(self) -> list[tuple[str, str]]:
        """Lake Formation permissions, in the order of the template."""
        found = []
        for resource in support.resources(self.template, "AWS::LakeFormation::PrincipalPermissions").values():
            properties = resource["Properties"]
            if properties["Principal"]["DataLakePrincipalIdentifier"] != {"Fn::GetAtt": [self.role, "Arn"]}:
                continue
            (kind,) = properties["Resource"]
            (permission,) = properties["Permissions"]
            found.append(("Tables" if kind == "Table" else kind, permission))
        return found


@pytest.fixture(scope="module")
def template() -> Template:
    """One stack with one lake and a role for each way to grant."""
    stack = support.stack()
    lake = DataLake(stack, "Lake")

    def role(name: str) -> iam.Role:
        return iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal())

    lake.raw.grant_read(role("Reader"))
    lake.raw.grant_write(role("Writer"))
    lake.raw.grant_read_write(role("Editor"))
    lake.raw.grant_read(role("PrefixReader"), prefix="reviews/")
    lake.models.grant_read(role("KeyReader"), prefix="review-sentiment/current.json")
    twice = role("Twice")
    lake.raw.grant_read(twice)
    lake.raw.grant_read(twice)
    upgraded = role("Upgraded")
    lake.raw.grant_read(upgraded)
    lake.raw.grant_read_write(upgraded)
    downgraded = role("Downgraded")
    lake.raw.grant_read_write(downgraded)
    lake.raw.grant_read(downgraded)
    return support.synth(stack)


@pytest.fixture(scope="module")
def consumer(template: Template) -> Any:
    roles = support.resources(template, "AWS::IAM::Role")
    return lambda name: Consumer(
        template, next(k for k in roles if k.startswith(name) and len(k) == len(name) + 8)
    )


def test_a_reader_reads_its_zone_and_nothing_else(consumer: Any) -> None:
    reader = consumer("Reader")
    assert reader.actions("LakeRawBucket") == READ
    assert reader.actions("LakeKey") == {"kms:Decrypt", "kms:DescribeKey"}
    assert set(reader.permissions()) == SELECT
    for neighbour in ("LakeCurated", "LakeFeatures", "LakeModels", "LakeAccessLogs"):
        assert reader.actions(neighbour) == set()


def test_a_reader_sees_the_catalog_of_its_zone_only(consumer: Any) -> None:
    reader = consumer("Reader")
    assert reader.actions("LakeRawDatabase") == {
        "glue:GetDatabase",
        "glue:GetTable",
        "glue:GetTables",
        "glue:GetPartition",
        "glue:GetPartitions",
        "glue:BatchGetPartition",
    }
    assert reader.actions("LakeModelsDatabase") == set()
    everywhere = [s for s in reader.statements() if s["Resource"] == "*"]
    assert [s["Action"] for s in everywhere] == ["lakeformation:GetDataAccess"]


def test_a_writer_writes_and_does_not_read(consumer: Any) -> None:
    writer = consumer("Writer")
    assert writer.actions("LakeRawBucket") == WRITE
    assert writer.actions("LakeKey") == {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}


def test_a_writer_gets_no_permission_on_tables_because_inserting_includes_reading(consumer: Any) -> None:
    writer = consumer("Writer")
    assert writer.permissions() == []
    assert writer.actions("LakeRawDatabase") == set()
    assert not [s for s in writer.statements() if s["Resource"] == "*"]


def test_nobody_is_allowed_to_delete_a_version_for_ever(template: Template) -> None:
    assert "DeleteObjectVersion" not in str(template.to_json())
    assert "DeleteObject*" not in str(template.to_json())


def test_no_grant_uses_a_wildcard_action(template: Template) -> None:
    for policy in support.resources(template, "AWS::IAM::Policy").values():
        assert not [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if "*" in str(s["Action"])]


def test_reading_and_writing_is_the_sum_of_both(consumer: Any) -> None:
    editor = consumer("Editor")
    assert editor.actions("LakeRawBucket") == READ | WRITE
    assert set(editor.permissions()) == SELECT | INSERT


def test_a_prefix_reader_reads_and_lists_its_prefix_and_gets_nothing_of_lake_formation(consumer: Any) -> None:
    reader = consumer("PrefixReader")
    objects, listing, key = reader.statements()
    assert objects["Resource"]["Fn::Join"][1][1] == "/reviews/*"
    assert listing["Action"] == "s3:ListBucket"
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "reviews/*"}}
    assert key["Action"] == ["kms:Decrypt", "kms:DescribeKey"]
    assert reader.permissions() == []


def test_a_key_without_a_slash_at_its_end_is_exactly_one_object(consumer: Any) -> None:
    objects, listing, _ = consumer("KeyReader").statements()
    assert objects["Resource"]["Fn::Join"][1][1] == "/review-sentiment/current.json"
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "review-sentiment/current.json"}}


@pytest.mark.parametrize(
    ("name", "expected"), [("Twice", SELECT), ("Upgraded", SELECT | INSERT), ("Downgraded", SELECT | INSERT)]
)
def test_repeated_grants_collapse_whatever_their_order(
    consumer: Any, name: str, expected: set[tuple[str, str]]
) -> None:
    permissions = consumer(name).permissions()
    assert len(permissions) == len(set(permissions))
    assert set(permissions) == expected


def test_each_permission_is_a_resource_of_its_own_and_waits_for_the_one_before(template: Template) -> None:
    found = support.resources(template, "AWS::LakeFormation::PrincipalPermissions")
    previous = None
    for logical_id, resource in found.items():
        assert len(resource["Properties"]["Permissions"]) == 1
        assert resource["Properties"]["PermissionsWithGrantOption"] == []
        if previous is not None:
            assert previous in resource["DependsOn"]
        previous = logical_id


def test_all_tables_are_a_wildcard_and_never_a_table_of_that_name(template: Template) -> None:
    tables = [
        resource["Properties"]["Resource"]["Table"]
        for resource in support.resources(template, "AWS::LakeFormation::PrincipalPermissions").values()
        if "Table" in resource["Properties"]["Resource"]
    ]
    assert tables
    for table in tables:
        assert table["TableWildcard"] == {}
        assert "Name" not in table


def test_permissions_wait_for_the_location_of_their_zone(template: Template) -> None:
    for resource in support.resources(template, "AWS::LakeFormation::PrincipalPermissions").values():
        assert any(before.startswith("LakeRawLakeFormationLocation") for before in resource["DependsOn"])


@pytest.mark.parametrize(
    ("prefix", "allowed"),
    [
        ("", "a key relative to the bucket, or None for the whole zone"),
        ("/reviews/", "a key relative to the bucket"),
        ("reviews/*", "a prefix without IAM's wildcards"),
        ("${aws:username}/", "a prefix without IAM's wildcards"),
    ],
)
def test_a_prefix_that_would_match_more_than_it_says_is_refused(prefix: str, allowed: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    with pytest.raises(ConfigurationError, match=allowed):
        lake.raw.grant_read(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()), prefix=prefix)


# Kinds of grantees ------------------------------------------------------------


def principals(stack: cdk.Stack) -> list[Any]:
    return [
        resource["Properties"]["Principal"]["DataLakePrincipalIdentifier"]
        for resource in support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
    ]


def test_a_functions_grant_is_for_its_role() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )
    lake.raw.grant_read(function)
    assert function.role is not None
    assert principals(stack) == [stack.resolve(function.role.role_arn)] * 2


def test_a_user_can_be_granted() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    user = iam.User(stack, "User")
    lake.raw.grant_read(user)
    assert principals(stack) == [stack.resolve(user.user_arn)] * 2


def test_an_imported_role_is_granted_by_its_arn_once_however_often_it_is_imported() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    arn = "arn:aws:iam::111122223333:role/analyst"
    lake.raw.grant_read(iam.Role.from_role_arn(stack, "Once", arn))
    lake.raw.grant_read(iam.Role.from_role_arn(stack, "Again", arn))
    assert principals(stack) == [arn] * 2


def test_a_service_gets_the_bucket_and_the_key_and_nothing_of_the_catalog() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    lake.raw.grant_write(iam.ServicePrincipal("firehose.amazonaws.com"))
    template = support.synth(stack)
    assert principals(stack) == []
    bucket_policies = str(support.resources(template, "AWS::S3::BucketPolicy"))
    assert "firehose.amazonaws.com" in bucket_policies
    assert "firehose.amazonaws.com" in str(support.resources(template, "AWS::KMS::Key"))


def test_a_group_is_refused_because_lake_formation_does_not_know_it() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    with pytest.raises(ConfigurationError, match="given a grantee of type Group; allowed: a role, a user"):
        lake.raw.grant_read(iam.Group(stack, "Group"))


# Across stacks ------------------------------------------------------------


def two_stacks(*, grant: bool) -> tuple[cdk.Stack, cdk.Stack]:
    app = support.app()
    producer, consumer = support.stack(app, "Lake"), support.stack(app, "Consumer")
    lake = DataLake(producer, "Lake")
    role = iam.Role(consumer, "Role", assumed_by=iam.AccountRootPrincipal())
    if grant:
        lake.raw.grant_read_write(role)
        lake.models.grant_read(role, prefix="a/")
    return producer, consumer


@pytest.fixture(scope="module")
def across() -> tuple[cdk.Stack, cdk.Stack]:
    return two_stacks(grant=True)


def test_a_consumer_in_another_stack_changes_no_resource_of_the_lake(across: Any) -> None:
    alone, _ = two_stacks(grant=False)
    assert support.resources(across[0]) == support.resources(alone)


def test_a_consumers_stack_holds_its_policy_and_its_lake_formation_permissions(across: Any) -> None:
    producer, stack = across
    assert not support.resources(producer, "AWS::LakeFormation::PrincipalPermissions")
    assert len(support.resources(stack, "AWS::LakeFormation::PrincipalPermissions")) == 4
    role = next(iter(support.resources(stack, "AWS::IAM::Role")))
    assert Consumer(support.synth(stack), role).actions("LakeRawBucket") == READ | WRITE


def test_the_consumer_depends_on_the_lake_by_weak_references_and_the_lake_on_nothing(across: Any) -> None:
    producer, stack = across
    assert "Fn::GetStackOutput" in str(support.document(stack))
    assert [dependency.stack_name for dependency in producer.dependencies] == []
    assert [dependency.stack_name for dependency in stack.dependencies] == ["Lake"]
    assert "Fn::ImportValue" not in str(support.document(stack))
    assert "Export" not in str(support.document(producer).get("Outputs"))


def test_two_lakes_may_share_with_each_other_without_a_cycle() -> None:
    """Mutual use is the case that strong references cannot deploy: each stack's roles read the other's
    lake."""
    app = support.app()
    one, other = support.stack(app, "One"), support.stack(app, "Other")
    lake = DataLake(one, "Lake", zones=["raw"])
    imported = DataLake.from_zones(
        one,
        "Partner",
        zones=[
            ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::partner-raw", database_name="partner_raw")
        ],
    )
    lake.raw.grant_read(iam.Role(other, "Role", assumed_by=iam.AccountRootPrincipal()))
    imported.raw.grant_read(iam.Role(one, "Role", assumed_by=iam.AccountRootPrincipal()))
    assert len(principals(one)) == len(principals(other)) == 2


@pytest.mark.parametrize(
    ("what", "environment"),
    [
        ("region us-east-1", support.environment(region="us-east-1")),
        ("account 444455556666", support.environment(account="444455556666")),
    ],
)
def test_a_grantee_outside_the_catalogs_account_and_region_is_refused(
    what: str, environment: cdk.Environment
) -> None:
    app = support.app()
    lake = DataLake(support.stack(app, "Lake", env=support.environment()), "Lake", zones=["raw"])
    elsewhere = support.stack(app, "Elsewhere", env=environment)
    role = iam.Role(elsewhere, "Role", role_name="reader", assumed_by=iam.AccountRootPrincipal())
    with pytest.raises(ConfigurationError, match=f"grantee in {what}.*write: .*from_role_arn"):
        lake.raw.grant_read(role)
