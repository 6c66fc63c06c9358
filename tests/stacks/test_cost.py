"""The cost stack with everything that its settings can ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from settings.model import SettingsError, load
from stacks.cost import CostStack
from stacks.operations import OperationsStack
from stacks.platform import compose
from tests.constructs import nag, support

ENV = support.environment()
COST = """
[cost]
monthly_limit_usd = 500
tag_keys = ["environment"]
savings_plans_coverage_percent = 70
savings_plans_utilization_percent = 90

[cost.budgets.search-team]
monthly_limit_usd = 50
tags = { team = ["search"] }
services = ["Amazon SageMaker"]

[cost.stop_accelerators]
roles = ["arn:aws:iam::111122223333:role/DataScientist"]
allowed_accelerators = 1

[cost.slack]
workspace_id = "T0123ABCD"
channel_id = "C0123ABCD"
"""
BASE = """
alert_emails = ["ml@example.com"]
required_tags = ["owner", "environment"]
[platform]
name = "ds-test"
[tags]
owner = "me"
environment = "test"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> CostStack:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "test.toml").write_text(BASE + COST, encoding="utf-8")
    settings = load("test", folder=folder)
    assert settings.cost is not None
    app = support.app()
    operations = OperationsStack(app, "operations", settings=settings, env=ENV)
    made = CostStack(app, "cost", settings=settings, cost=settings.cost, alerts=operations.alerts, env=ENV)
    assert nag.unacknowledged(app) == []
    return made


@pytest.fixture(scope="module")
def template(stack: CostStack) -> Template:
    return support.synth(stack)


def budgets(template: Template) -> list[dict[str, Any]]:
    found = support.resources(template, "AWS::Budgets::Budget").values()
    return [budget["Properties"]["Budget"] for budget in found]


def test_each_budget_of_the_settings_is_there(template: Template) -> None:
    found = sorted((b["BudgetType"], b["BudgetLimit"]["Amount"]) for b in budgets(template))
    assert found == [
        ("COST", 50),
        ("COST", 500),
        ("SAVINGS_PLANS_COVERAGE", 100),
        ("SAVINGS_PLANS_UTILIZATION", 100),
    ]
    assert "search" in json.dumps(budgets(template))


def test_the_roles_of_the_settings_are_denied_accelerators(template: Template) -> None:
    action = support.only(support.resources(template, "AWS::Budgets::BudgetsAction"))["Properties"]
    assert action["Definition"]["IamActionDefinition"]["Roles"] == ["DataScientist"]


def test_personas_of_the_platform_are_denied_too(tmp_path: Any) -> None:
    text = BASE + COST.replace("roles =", 'personas = ["data-scientist"]\nroles =') + "[security]\n"
    (tmp_path / "test.toml").write_text(text, encoding="utf-8")
    app = support.app()
    stacks = compose(app, load("test", folder=tmp_path))
    template = support.synth(stacks[-1])
    action = support.only(support.resources(template, "AWS::Budgets::BudgetsAction"))["Properties"]
    persona, role = action["Definition"]["IamActionDefinition"]["Roles"]
    assert "Fn::GetStackOutput" in persona
    assert role == "DataScientist"


def test_personas_in_studio_are_denied_in_each_of_their_teams(tmp_path: Any) -> None:
    """They start what is large from there."""
    studio = """
[network]
zones = ["us-east-1a", "us-east-1b"]
features = ["studio"]
[studio]
home_file_system = false
[studio.teams]
reviews.cost_center = "1"
search.cost_center = "2"
[studio.users]
ann.team = "reviews"
ben = { team = "search", persona = "ml-engineer" }
cay.team = "search"
"""
    text = BASE + COST.replace("roles =", 'personas = ["data-scientist"]\n# roles =') + studio
    (tmp_path / "test.toml").write_text(text, encoding="utf-8")
    stacks = compose(support.app(), load("test", folder=tmp_path))
    template = support.synth(stacks[-1])
    action = support.only(support.resources(template, "AWS::Budgets::BudgetsAction"))["Properties"]
    roles = action["Definition"]["IamActionDefinition"]["Roles"]
    assert [json.dumps(role).split("ds-test-studio-")[1].split('"')[0] for role in roles] == [
        "reviews",
        "search",
    ]
    assert all("DataScientist" in json.dumps(role) for role in roles)


def test_people_are_told_what_lets_the_budgets_count(template: Template) -> None:
    # Until its keys are active, a budget by tag sees nothing: no alert, and no action.
    outputs = template.to_json()["Outputs"]
    assert outputs["ActivateTags"]["Value"] == (
        "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
        "TagKey=environment,Status=Active TagKey=team,Status=Active"
    )


def test_the_platforms_one_topic_carries_the_alerts(template: Template) -> None:
    assert support.resources(template, "AWS::SNS::Topic") == {}
    channel = support.only(support.resources(template, "AWS::Chatbot::SlackChannelConfiguration"))
    assert len(channel["Properties"]["SnsTopicArns"]) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("= 500", '= "500 EUR"', ["cost.monthly_limit_usd", "500 EUR"]),
        ("= 70", "= 101", ["cost.savings_plans_coverage_percent"]),
        ("[cost.budgets.search-team]", "[cost.budgets.search_team]", ["cost.budgets.search_team"]),
        ('tags = { team = ["search"] }\nservices = ["Amazon SageMaker"]', "", ["give tags or services"]),
        ("services =", "service =", ["cost.budgets.search-team.service: unknown key", "services"]),
        ("role/DataScientist", "user/ada", ["cost.stop_accelerators.roles"]),
        ("roles =", "personas = []\n# roles =", ["name the personas or the roles"]),
        (
            "roles =",
            'personas = ["auditor"]\n# roles =',
            ["names ['auditor'], of whom there are roles only with a table [security] or users"],
        ),
        ("allowed_accelerators = 1", "allowed_accelerators = 16", ["less than or equal to 15"]),
        ('"C0123ABCD"', '"general"', ["cost.slack.channel_id"]),
    ],
)
def test_settings_that_aws_would_refuse_are_refused(
    tmp_path: Any, old: str, new: str, expected: list[str]
) -> None:
    assert old in COST
    (tmp_path / "test.toml").write_text(BASE + COST.replace(old, new), encoding="utf-8")
    with pytest.raises(SettingsError) as failure:
        load("test", folder=tmp_path)
    for text in expected:
        assert text in str(failure.value)
