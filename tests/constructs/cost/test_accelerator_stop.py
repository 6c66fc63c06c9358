"""The action that denies large accelerators, whom it concerns, and how it is lifted."""

from __future__ import annotations

import fnmatch
import functools
import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match, Template

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.cost import AcceleratorStop, CostGuardrails, RequiredTags
from cdk_data_science.cost.accelerators import accelerators, patterns_above
from tests.constructs import nag, support

MOTO = Path(find_spec("moto").origin).parent  # type: ignore[union-attr,arg-type]
EC2_TYPES = MOTO / "ec2" / "resources" / "instance_types.json.gz"


@functools.cache
def ec2_types() -> dict[str, Any]:
    """What EC2's DescribeInstanceTypes answers, by type."""
    found: dict[str, Any] = json.loads(gzip.decompress(EC2_TYPES.read_bytes()))
    return found


def guarded(stack: cdk.Stack, **options: Any) -> CostGuardrails:
    roles = [
        iam.Role(stack, "Scientist", assumed_by=iam.AccountRootPrincipal()),
        iam.Role.from_role_arn(stack, "Pipeline", "arn:aws:iam::111122223333:role/pipelines/Train"),
    ]
    stop = AcceleratorStop(**{"roles": roles, "allowed_accelerators": 1, **options})
    return CostGuardrails(
        stack, "Cost", monthly_limit_usd=500, alert_emails=["ml@example.com"], stop_accelerators=stop
    )


def in_an_account() -> cdk.Stack:
    return cdk.Stack(support.app(), "Fixed", env=support.environment("111122223333"))


@pytest.fixture(scope="module")
def template() -> Template:
    stack = support.stack()
    guarded(stack)
    return support.synth(stack)


def statements(template: Template, kind: str, id: str) -> list[dict[str, Any]]:
    found = {key: value for key, value in support.resources(template, kind).items() if id in key}
    document = support.only(found)["Properties"]
    policy = document.get("PolicyDocument") or document["AssumeRolePolicyDocument"]
    listed: list[dict[str, Any]] = policy["Statement"]
    return listed


def logical_id(template: Template, kind: str, part: str) -> str:
    (found,) = [key for key in support.resources(template, kind) if part in key]
    return found


def test_the_action_attaches_the_policy_to_the_roles_when_the_limit_is_spent(template: Template) -> None:
    action = support.only(support.resources(template, "AWS::Budgets::BudgetsAction"))["Properties"]
    assert action["BudgetName"] == {"Ref": logical_id(template, "AWS::Budgets::Budget", "CostBudget")}
    assert action["ActionType"] == "APPLY_IAM_POLICY"
    assert action["ActionThreshold"] == {"Type": "PERCENTAGE", "Value": 100}
    assert (action["NotificationType"], action["ApprovalModel"]) == ("ACTUAL", "AUTOMATIC")
    denied = logical_id(template, "AWS::IAM::ManagedPolicy", "Denied")
    scientist = logical_id(template, "AWS::IAM::Role", "Scientist")
    assert action["Definition"]["IamActionDefinition"] == {
        "PolicyArn": {"Ref": denied},
        "Roles": [{"Ref": scientist}, "Train"],
    }
    assert [s["Type"] for s in action["Subscribers"]] == ["SNS", "EMAIL"]


def test_the_execution_role_may_attach_this_policy_to_these_roles_and_nothing_else(
    template: Template,
) -> None:
    (statement,) = statements(template, "AWS::IAM::Policy", "StopExecutionRole")
    assert statement["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    scientist = logical_id(template, "AWS::IAM::Role", "Scientist")
    assert statement["Resource"] == [
        "arn:aws:iam::111122223333:role/pipelines/Train",
        {"Fn::GetAtt": [scientist, "Arn"]},
    ]
    denied = logical_id(template, "AWS::IAM::ManagedPolicy", "Denied")
    assert statement["Condition"] == {"ArnEquals": {"iam:PolicyARN": {"Ref": denied}}}


def test_only_budgets_of_this_account_can_take_the_execution_role(template: Template) -> None:
    (statement,) = statements(template, "AWS::IAM::Role", "StopExecutionRole")
    assert statement["Principal"] == {"Service": "budgets.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert ":budget/*" in str(statement["Condition"]["ArnLike"]["aws:SourceArn"])


def test_the_action_exists_only_after_its_role_may_act(template: Template) -> None:
    action = support.only(support.resources(template, "AWS::Budgets::BudgetsAction"))
    assert any("StopExecutionRoleDefaultPolicy" in name for name in action["DependsOn"])


def test_the_policy_denies_what_starts_instances_and_stays_within_iams_size(template: Template) -> None:
    sagemaker, ec2 = statements(template, "AWS::IAM::ManagedPolicy", "Denied")
    assert sagemaker["Effect"] == ec2["Effect"] == "Deny"
    assert {
        "sagemaker:CreateApp",
        "sagemaker:CreateCluster",
        "sagemaker:CreateEndpointConfig",
        "sagemaker:CreateMonitoringSchedule",
        "sagemaker:CreateTrainingJob",
        "sagemaker:UpdateCluster",
    } <= set(sagemaker["Action"])
    patterns = sagemaker["Condition"]["ForAnyValue:StringLike"]["sagemaker:InstanceTypes"]
    assert any(fnmatch.fnmatchcase("ml.p4d.24xlarge", pattern) for pattern in patterns)
    assert not any(fnmatch.fnmatchcase("ml.g5.xlarge", pattern) for pattern in patterns)
    assert ec2["Action"] == "ec2:RunInstances"
    assert len(json.dumps([sagemaker, ec2], separators=(",", ":"))) < 6144


@pytest.mark.parametrize("allowed", range(16))
def test_patterns_match_exactly_the_types_with_more_accelerators(allowed: int) -> None:
    patterns = patterns_above(allowed)
    types = ec2_types()
    known = {name for name in types if any(name.startswith(f"{family}.") for family in _families())}
    for name in known:
        matched = any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        assert matched == (accelerators(name) > allowed), name


def _families() -> set[str]:
    return {pattern.partition(".")[0] for pattern in patterns_above(0)}


def test_the_numbers_of_accelerators_are_those_that_ec2_reports() -> None:
    types = ec2_types()
    reported = {
        name: max(
            sum(gpu["Count"] for gpu in facts.get("GpuInfo", {}).get("Gpus", [])),
            sum(device["Count"] for device in facts.get("NeuronInfo", {}).get("NeuronDevices", [])),
            sum(
                device["Count"]
                for device in facts.get("InferenceAcceleratorInfo", {}).get("Accelerators", [])
            ),
        )
        for name, facts in types.items()
    }
    not_in_sagemaker = ("g5g.", "dl2q.")
    assert {
        name: (count, accelerators(name))
        for name, count in reported.items()
        if count != accelerators(name) and not name.startswith(not_in_sagemaker)
    } == {}


def test_the_denial_is_lifted_on_the_first_and_armed_again_on_the_second_of_a_month(
    template: Template,
) -> None:
    schedules = {
        json.loads(s["Properties"]["Target"]["Input"])["phase"]: s["Properties"]
        for s in support.resources(template, "AWS::Scheduler::Schedule").values()
    }
    assert {phase: s["ScheduleExpression"] for phase, s in schedules.items()} == {
        "reverse": "cron(0 1,3,5 1 * ? *)",
        "reset": "cron(0 1,3,5 2 * ? *)",
    }
    for schedule in schedules.values():
        assert schedule["ScheduleExpressionTimezone"] == "UTC"
        assert "DeadLetterConfig" in schedule["Target"]


def test_what_lifts_may_do_so_with_this_action_alone(template: Template) -> None:
    lift = [s for s in statements(template, "AWS::IAM::Policy", "LiftHandlerRole") if s.get("Sid") == "Lift"]
    assert lift[0]["Action"] == ["budgets:DescribeBudgetAction", "budgets:ExecuteBudgetAction"]
    action = logical_id(template, "AWS::Budgets::BudgetsAction", "Stop")
    assert {"Fn::GetAtt": [action, "ActionId"]} in lift[0]["Resource"]["Fn::Join"][1]
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "lift.handler",
            "Environment": {"Variables": {"ACTIONS": Match.any_value()}},
        },
    )


def test_a_schedule_can_take_its_role_only_in_its_group(template: Template) -> None:
    (statement,) = statements(template, "AWS::IAM::Role", "LiftSchedulerRole")
    group = logical_id(template, "AWS::Scheduler::ScheduleGroup", "Lift")
    assert {"Ref": group} in statement["Condition"]["StringEquals"]["aws:SourceArn"]["Fn::Join"][1]


def test_people_hear_of_a_denial_that_was_not_lifted(template: Template) -> None:
    topic = logical_id(template, "AWS::SNS::Topic", "Cost")
    template.has_resource_properties("AWS::CloudWatch::Alarm", {"AlarmActions": [{"Ref": topic}]})
    policy = support.only(support.resources(template, "AWS::SNS::TopicPolicy"))
    key = support.only(support.resources(template, "AWS::KMS::Key"))
    for document in (policy, key):
        assert "cloudwatch.amazonaws.com" in str(document)


def test_a_role_of_the_user_is_given_the_permission() -> None:
    stack = support.stack()
    own = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("budgets.amazonaws.com"))
    guarded(stack, execution_role=own)
    template = support.synth(stack)
    (statement,) = statements(template, "AWS::IAM::Policy", "OwnDefaultPolicy")
    assert statement["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    assert not any("StopExecutionRole" in key for key in support.resources(template, "AWS::IAM::Role"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"roles": []}, "given an action on 0 roles; allowed: 1 to 100"),
        ({"at_percent": 0}, "given at_percent=0"),
        ({"at_percent": 1001}, "given at_percent=1001"),
        ({"allowed_accelerators": -1}, "given allowed_accelerators=-1; allowed: 0 to 15"),
        ({"allowed_accelerators": 16}, "no instance type has more than 16"),
        ({"allowed_accelerators": 1.5}, "given allowed_accelerators=1.5; allowed: 0 to 15"),
        ({"at_percent": "80"}, "given at_percent='80'"),
        ({"on": "SPENT"}, "given on='SPENT'; allowed: 'ACTUAL' or 'FORECASTED'"),
        ({"approval": "auto"}, "given approval='auto'; allowed: 'AUTOMATIC' or 'MANUAL'"),
    ],
)
def test_an_action_that_cannot_work_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        guarded(support.stack(), **options)
    assert expected in str(failure.value)


@pytest.mark.parametrize(
    ("arns", "expected"),
    [
        (
            ["arn:aws:iam::999999999999:role/R"],
            "given role R of account 999999999999; allowed: roles of 111122223333",
        ),
        (["arn:aws:iam::111122223333:role/R"] * 2, "each role once"),
        (
            ["arn:aws:iam::111122223333:role/aws-service-role/s.amazonaws.com/R"],
            "service-linked role",
        ),
    ],
)
def test_roles_that_budgets_cannot_attach_a_policy_to_are_refused(arns: list[str], expected: str) -> None:
    stack = in_an_account()
    roles = [iam.Role.from_role_arn(stack, f"Role{n}", arn) for n, arn in enumerate(arns)]
    with pytest.raises(ConfigurationError) as failure:
        guarded(stack, roles=roles)
    assert expected in str(failure.value)


def test_an_execution_role_of_another_account_is_refused() -> None:
    stack = in_an_account()
    role = iam.Role.from_role_arn(stack, "Own", "arn:aws:iam::999999999999:role/Budgets")
    with pytest.raises(ConfigurationError, match=r"execution_role .* of account 999999999999"):
        guarded(stack, execution_role=role)


def test_an_action_needs_a_key_beside_a_given_topic() -> None:
    stack = support.stack()
    role = iam.Role.from_role_name(stack, "Role", "Scientist")
    with pytest.raises(ConfigurationError, match="a topic without a key of the app"):
        CostGuardrails(
            stack,
            "Cost",
            monthly_limit_usd=1,
            topic=sns.Topic(stack, "Topic"),
            stop_accelerators=AcceleratorStop(roles=[role]),
        )


def test_the_action_carries_required_tags_and_has_no_unacknowledged_finding() -> None:
    app = support.app()
    RequiredTags(app, {"owner": "ml@example.com"})
    guarded(support.stack(app))
    assert nag.unacknowledged(app) == []
