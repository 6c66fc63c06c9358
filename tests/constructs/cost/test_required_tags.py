"""Required tags: applied to everything, enforced on what escaped, checked before anything is made."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.cost import RequiredTags, taggable
from cdk_data_science.cost._run_time_tags import tags_of_tasks
from cdk_data_science.cost._tag_check import find_problems
from cdk_data_science.cost._tag_rules import TagRules
from cdk_data_science.cost.required_tags import _RUN_TIME_ACTIONS
from tests.constructs import support
from tests.constructs.cost import generate_taggable_types
from tests.constructs.security.simulator import Simulator

TAGS = {"business-unit": "retail", "application": "reviews", "environment": "dev", "owner": "ml@example.com"}


def rules(
    required: dict[str, str] | None = None,
    *,
    allowed: dict[str, list[str]] | None = None,
    patterns: dict[str, str] | None = None,
) -> TagRules:
    return TagRules(required=required or TAGS, allowed=allowed or {}, patterns=patterns or {})


def violations(app: cdk.App) -> list[dict[str, Any]]:
    """What the check reports when the app is synthesized."""
    failed = False
    try:
        app.synth()
    except RuntimeError as failure:
        failed = "ValidationFailed" in str(failure)
        if not failed:
            raise
    path = Path(app.outdir) / "validation-report.json"
    reports = json.loads(path.read_text(encoding="utf-8"))["pluginReports"] if path.exists() else []
    found = [v for report in reports if report["pluginName"] == "RequiredTags" for v in report["violations"]]
    assert failed == bool(found)
    return found


def test_everything_taggable_gets_every_tag_in_its_own_shape() -> None:
    app = support.app()
    RequiredTags(app, TAGS)
    stack = support.stack(app)
    s3.CfnBucket(stack, "List")
    ssm.StringParameter(stack, "Map", string_value="x")
    efs.CfnFileSystem(stack, "OtherName")
    assert violations(app) == []
    as_list = [{"Key": key, "Value": value} for key, value in sorted(TAGS.items())]
    found = {r["Type"]: r["Properties"] for r in support.resources(stack).values()}
    assert found["AWS::S3::Bucket"]["Tags"] == as_list
    assert found["AWS::SSM::Parameter"]["Tags"] == TAGS
    assert found["AWS::EFS::FileSystem"]["FileSystemTags"] == as_list


def test_a_resource_that_escaped_fails_the_synthesis_with_its_path_the_key_and_the_fix() -> None:
    # GIVEN a resource that CDK does not tag, because it knows its type by name only
    app = support.app()
    RequiredTags(app, TAGS)
    stack = support.stack(app, "Models")
    cdk.CfnResource(
        stack, "Raw", type="AWS::S3::Bucket", properties={"Tags": [{"Key": "owner", "Value": "me"}]}
    )
    # WHEN
    found = violations(app)
    # THEN
    assert [violation["ruleName"] for violation in found] == [
        "RequiredTags-business-unit",
        "RequiredTags-application",
        "RequiredTags-environment",
    ]
    assert found[0]["description"] == "AWS::S3::Bucket Models/Raw: tag 'business-unit' is missing"
    assert found[0]["suggestedFix"].startswith('cdk.Tags.of(construct).add("business-unit", "retail")')
    assert "into its property Tags" in found[0]["suggestedFix"]


def test_a_removed_tag_is_missed() -> None:
    app = support.app()
    RequiredTags(app, TAGS)
    bucket = s3.CfnBucket(support.stack(app), "Bucket")
    cdk.Tags.of(bucket).remove("owner", priority=300)
    assert [violation["ruleName"] for violation in violations(app)] == ["RequiredTags-owner"]


def test_an_overridden_value_has_to_be_allowed_and_not_empty() -> None:
    app = support.app()
    RequiredTags(app, TAGS, allowed={"environment": ["dev", "prod"]})
    stack = support.stack(app)
    fine, wrong, empty = (s3.CfnBucket(stack, name) for name in ("Fine", "Wrong", "Empty"))
    cdk.Tags.of(fine).add("environment", "prod", priority=300)
    cdk.Tags.of(wrong).add("environment", "test", priority=300)
    cdk.Tags.of(empty).add("owner", "", priority=300)
    assert [violation["description"] for violation in violations(app)] == [
        "AWS::S3::Bucket Test/Wrong: tag 'environment' is 'test'; allowed: 'dev', 'prod'",
        "AWS::S3::Bucket Test/Empty: tag 'owner' is empty",
    ]


def test_an_overridden_value_has_to_match_its_pattern() -> None:
    app = support.app()
    RequiredTags(app, TAGS, patterns={"owner": "[a-z]+@.+[.]com"})
    stack = support.stack(app)
    for name, owner in (("Fine", "me@example.com"), ("Bad", "me@example.community")):
        cdk.Tags.of(s3.CfnBucket(stack, name)).add("owner", owner, priority=300)
    (violation,) = violations(app)
    assert violation["description"].startswith(
        "AWS::S3::Bucket Test/Bad: tag 'owner' is 'me@example.community'"
    )
    assert violation["description"].endswith("; allowed: what matches [a-z]+@.+[.]com")


def test_a_raw_resource_is_told_the_shape_of_its_own_tag_property() -> None:
    app = support.app()
    RequiredTags(app, {"owner": "me"})
    stack = support.stack(app)
    cdk.CfnResource(stack, "Map", type="AWS::SSM::Parameter", properties={"Type": "String", "Value": "x"})
    cdk.CfnResource(stack, "Zone", type="AWS::Route53::HostedZone", properties={"Name": "example.com"})
    cdk.CfnResource(stack, "Fleet", type="AWS::EC2::EC2Fleet")
    listed = '[{"Key": "owner", "Value": "me"}]'
    assert [violation["suggestedFix"].partition("itself, write ")[2] for violation in violations(app)] == [
        '{"owner": "me"} into its property Tags',
        f"{listed} into its property HostedZoneTags",
        f'[{{"ResourceType": "…", "Tags": {listed}}}] into its property TagSpecifications',
    ]


def test_what_cannot_carry_tags_is_left_alone() -> None:
    app = support.app()
    RequiredTags(app, TAGS)
    stack = support.stack(app)
    cloudwatch.CfnDashboard(stack, "Dashboard", dashboard_body="{}")
    cdk.CfnResource(stack, "Custom", type="Custom::Anything")
    assert violations(app) == []


def test_a_stack_can_be_tagged_on_its_own() -> None:
    app = support.app()
    tagged, other = support.stack(app, "Tagged"), support.stack(app, "TaggedNot")
    RequiredTags(tagged, TAGS)
    for stack in (tagged, other):
        cdk.CfnResource(stack, "Raw", type="AWS::S3::Bucket")
    assert {violation["description"].split()[1] for violation in violations(app)} == {"Tagged/Raw:"}


def test_stages_within_the_app_are_covered() -> None:
    app = support.app()
    RequiredTags(app, TAGS)
    stage = cdk.Stage(app, "Prod")
    cdk.CfnResource(cdk.Stack(stage, "Lake"), "Raw", type="AWS::S3::Bucket")
    assert len(violations(app)) == len(TAGS)


def test_the_check_lives_as_long_as_the_app_does() -> None:
    app = support.app()
    RequiredTags(app, TAGS)
    gc.collect()
    cdk.CfnResource(support.stack(app), "Raw", type="AWS::S3::Bucket")
    assert len(violations(app)) == len(TAGS)


@pytest.mark.parametrize(
    "tags",
    [
        {"Fn::If": ["Condition", [], []]},
        [{"Fn::If": ["Condition", {"Key": "owner", "Value": "me"}, {"Ref": "AWS::NoValue"}]}],
        {"Ref": "Tags"},
    ],
)
def test_tags_that_only_the_deployment_knows_are_not_judged(tags: Any) -> None:
    resource = {"Type": "AWS::S3::Bucket", "Properties": {"Tags": tags}}
    assert list(find_problems(resource, rules())) == []


def test_a_value_that_only_the_deployment_knows_counts_as_present() -> None:
    resource = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"Tags": [{"Key": "owner", "Value": {"Ref": "Owner"}}]},
    }
    assert list(find_problems(resource, rules({"owner": "me"}, allowed={"owner": ["me"]}))) == []


def machine(stack: cdk.Stack, **arguments: Any) -> None:
    """A state machine whose second branch trains."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "End": True}
    branches = [
        {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}},
        {"StartAt": "Train", "States": {"Train": task | {"Arguments": arguments}}},
    ]
    both = {"Type": "Parallel", "Branches": branches, "End": True}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Both", "States": {"Both": both}}
    role = iam.Role(stack, "Machine", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
    sfn.CfnStateMachine(
        stack, "States", role_arn=role.role_arn, definition_string=stack.to_json_string(definition)
    )


@pytest.mark.parametrize(
    ("resource", "tags"),
    [
        ("aws-sdk:fsx:createFileSystem", [{"Key": "owner", "Value": "me"}]),
        ("batch:submitJob.sync", {"owner": "me"}),
    ],
)
def test_what_tasks_of_other_services_make_is_judged_too(resource: str, tags: Any) -> None:
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "End": True}

    def found(arguments: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        definition = {"StartAt": "Make", "States": {"Make": state | {"Arguments": arguments}}}
        properties = {"DefinitionString": json.dumps(definition)}
        return list(tags_of_tasks({"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}))

    assert found({"Tags": tags}) == [("Make", {"owner": "me"})]
    assert found({}) == [("Make", {})]


def test_a_task_that_starts_jobs_without_the_tags_fails_the_synthesis() -> None:
    app = support.app()
    RequiredTags(app, {"owner": "me", "environment": "dev"}, allowed={"environment": ["dev", "prod"]})
    tags = [{"Key": "environment", "Value": "test"}]
    machine(support.stack(app), RoleArn=cdk.Aws.ACCOUNT_ID, Tags=tags)
    found = violations(app)
    assert [violation["description"].partition("Test/States: ")[2] for violation in found] == [
        "what the task 'Train' makes at run time: tag 'owner' is missing",
        "what the task 'Train' makes at run time: tag 'environment' is 'test'; allowed: 'dev', 'prod'",
    ]
    assert 'the tag {"Key": "owner", "Value": "me"}' in found[0]["suggestedFix"]


@pytest.mark.parametrize("tags", ["{% $tags %}", [{"Key": "owner", "Value": "{% $owner %}"}]])
def test_tags_that_a_run_gives_are_not_judged(tags: Any) -> None:
    app = support.app()
    RequiredTags(app, {"owner": "me"})
    machine(support.stack(app), Tags=tags)
    assert violations(app) == []


@pytest.mark.parametrize(
    ("specifications", "expected"),
    [
        ([{"ResourceType": "fleet", "Tags": [{"Key": "owner", "Value": "me"}]}], []),
        ([], ["tag 'owner' is missing"]),
        (
            [
                {"ResourceType": "fleet", "Tags": [{"Key": "owner", "Value": "me"}]},
                {"ResourceType": "instance", "Tags": [{"Key": "application", "Value": "x"}]},
            ],
            ["tag 'owner' is missing"],
        ),
        ([{"ResourceType": "fleet", "Tags": {"Fn::If": ["A", [], []]}}], []),
        ({"Ref": "Specifications"}, []),
    ],
)
def test_each_tag_specification_needs_the_tags(specifications: Any, expected: list[str]) -> None:
    resource = {"Type": "AWS::EC2::EC2Fleet", "Properties": {"TagSpecifications": specifications}}
    assert [problem for _, problem in find_problems(resource, rules({"owner": "me"}))] == expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"owner": "["}, "allowed: a regular expression"),
        ({"owner": "[0-9]+"}, "given owner='ml@example.com'; allowed: what matches [0-9]+"),
        ({"team": ".+"}, "given allowed pattern for 'team'; allowed: keys that are required"),
        ({"environment": ".+"}, "given allowed values and a pattern for 'environment'; allowed: one of them"),
    ],
)
def test_patterns_that_cannot_work_are_refused(patterns: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        RequiredTags(support.app(), TAGS, allowed={"environment": ["dev"]}, patterns=patterns)
    assert expected in str(failure.value)


def test_the_tag_policy_has_the_spelling_and_the_values_of_the_keys() -> None:
    tags = RequiredTags(
        support.app(), {"Owner": "me@x.org", "environment": "dev"}, allowed={"environment": ["dev", "prod"]}
    )
    assert tags.tag_policy(enforced_for=["sagemaker:*", "s3:bucket"]) == {
        "tags": {
            "owner": {"tag_key": {"@@assign": "Owner"}},
            "environment": {
                "tag_key": {"@@assign": "environment"},
                "tag_value": {"@@assign": ["dev", "prod"]},
                "enforced_for": {"@@assign": ["sagemaker:*", "s3:bucket"]},
            },
        }
    }


def test_a_tag_policy_longer_than_organizations_takes_is_refused() -> None:
    values = [f"value-{number:04}" for number in range(1000)]
    tags = RequiredTags(support.app(), {"team": values[0]}, allowed={"team": values})
    with pytest.raises(ConfigurationError, match="at most 10000; write: fewer allowed values"):
        tags.tag_policy()


def test_the_keys_are_activated_by_commands_of_twenty_at_most() -> None:
    (command,) = RequiredTags(support.app(), {"owner": "me", "cost center": "7"}).activation_commands
    assert command == (
        "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
        "TagKey=owner,Status=Active 'TagKey=cost center,Status=Active'"
    )
    many = RequiredTags(support.app(), {f"key-{n}": "x" for n in range(45)}).activation_commands
    assert [line.count("TagKey=") for line in many] == [20, 20, 5]


def test_a_role_can_be_denied_to_create_jobs_without_the_tags() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Scientist", assumed_by=iam.AccountRootPrincipal())
    RequiredTags(stack, {"owner": "me", "environment": "dev"}).deny_untagged(role)
    policy = support.only(support.resources(stack, "AWS::IAM::Policy"))
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert [s["Condition"] for s in statements] == [
        {"Null": {"aws:RequestTag/owner": "true"}},
        {"Null": {"aws:RequestTag/environment": "true"}},
    ]
    for statement in statements:
        assert statement["Effect"] == "Deny"
        assert {"sagemaker:CreateTrainingJob", "sagemaker:CreateCluster"} <= {*statement["Action"]}


def test_whoever_starts_jobs_by_hand_gives_tags_an_allowed_value() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Scientist", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    RequiredTags(stack, {"environment": "dev"}, allowed={"environment": ["dev", "prod"]}).deny_untagged(role)
    scientist = Simulator(support.resources(stack), "Scientist", administrator=True)
    for tags, allowed in (({}, False), ({"environment": "test"}, False), ({"environment": "prod"}, True)):
        when = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        assert scientist.allows("sagemaker:CreateTrainingJob", when=when) is allowed, tags


def test_what_deny_untagged_forbids_takes_tags_in_its_request() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for action in _RUN_TIME_ACTIONS:
        members = model.operation_model(action.partition(":")[2]).input_shape.members
        assert "Tags" in members, action


@pytest.mark.parametrize(
    ("tags", "allowed", "expected"),
    [
        ({}, {}, "given 0 tags"),
        ({"": "x"}, {}, "given tag key ''"),
        ({"aws:owner": "x"}, {}, 'keys without the prefix aws:, which AWS reserves; write: "owner"'),
        ({"AWS:owner": "x"}, {}, "which AWS reserves"),
        ({"k" * 129: "x"}, {}, "1 to 128 letters"),
        ({"owner!": "x"}, {}, "given tag key 'owner!'"),
        ({"owner": ""}, {}, "given owner=''"),
        ({"owner": "  "}, {}, "given owner='  '"),
        ({"owner": "v" * 257}, {}, "1 to 256 letters"),
        ({"owner": "me & you"}, {}, "given owner='me & you'"),
        (
            {"environment": "test"},
            {"environment": ["dev", "prod"]},
            "given environment='test'; allowed: 'dev', 'prod'",
        ),
        (
            {"owner": "me"},
            {"environment": ["dev"]},
            "allowed values for 'environment'; allowed: keys that are required",
        ),
        ({str(n): "x" for n in range(51)}, {}, "given 51 tags; allowed: 1 to 50"),
    ],
)
def test_tags_that_aws_would_refuse_are_refused(tags: dict[str, str], allowed: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        RequiredTags(support.app(), tags, allowed=allowed)
    assert expected in str(failure.value)


@pytest.mark.parametrize(
    ("tags", "options", "expected"),
    [
        (["owner"], {}, 'tags={"owner": "ml@example.com"}'),
        ({"owner": 5}, {}, "given tags['owner']=5; allowed: str"),
        ({"owner": "me"}, {"allowed": {"owner": "me"}}, "each letter of a text"),
        ({"owner": "me"}, {"allowed": ["me"]}, 'write: allowed={"environment": ["dev", "prod"]}'),
        ({"owner": "me"}, {"patterns": [r"[a-z]+"]}, "write: patterns={"),
        ({"owner": "me"}, {"patterns": {"owner": ["me"]}}, "patterns['owner']=r"),
    ],
)
def test_what_is_of_another_kind_is_told_with_what_to_write(tags: Any, options: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        RequiredTags(support.app(), tags, **options)
    assert expected in str(failure.value)


def test_a_scope_that_is_no_template_is_refused() -> None:
    bucket = s3.Bucket(support.stack(), "Bucket")
    with pytest.raises(
        ConfigurationError, match="given the scope Test/Bucket; allowed: an app, a stage or a stack"
    ):
        RequiredTags(bucket, TAGS)


def test_letters_of_any_language_may_be_in_a_value() -> None:
    RequiredTags(support.app(), {"owner": "Zoë Müller"})


def test_the_taggable_types_are_those_of_cloudformations_schemas() -> None:
    assert taggable.DATA.read_text(encoding="utf-8") == generate_taggable_types.document(), (
        "run: python -m tests.constructs.cost.generate_taggable_types"
    )


@pytest.mark.parametrize(
    ("type", "tag_property"),
    [
        ("AWS::S3::Bucket", "list Tags"),
        ("AWS::SageMaker::Endpoint", "list Tags"),
        ("AWS::SSM::Parameter", "map Tags"),
        ("AWS::Glue::Job", "map Tags"),
        ("AWS::Cognito::UserPool", "map UserPoolTags"),
        ("AWS::AutoScaling::AutoScalingGroup", "list Tags"),
        ("AWS::Route53::HostedZone", "list HostedZoneTags"),
        ("AWS::Budgets::Budget", "list ResourceTags"),
        ("AWS::EFS::FileSystem", "list FileSystemTags"),
        ("AWS::Backup::BackupVault", "map BackupVaultTags"),
        ("AWS::EC2::LaunchTemplate", "specifications TagSpecifications"),
        ("AWS::EC2::CapacityReservation", "specifications TagSpecifications"),
        ("AWS::IAM::Policy", None),
        ("AWS::Glue::Database", None),
        ("AWS::LakeFormation::PrincipalPermissions", None),
    ],
)
def test_known_types_are_known_rightly(type: str, tag_property: str | None) -> None:
    where = taggable.tag_properties().get(type)
    assert (where and f"{where.shape} {where.name}") == tag_property
