"""Quality in the settings: rules of tables, and the outcomes of those of the pipeline's gate."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from settings.model import FOLDER, Settings
from stacks import checks
from stacks.platform import compose
from tests.compliance import task_parameters
from tests.compliance.assembly import Assembly
from tests.constructs import support

QUALITY = """
[lake.quality]
zone = "features"

[lake.tables.reviews]
zone = "curated"
columns = { review_id = "string", stars = "int" }
rules = 'Rules = [ IsUnique "review_id", Entropy "stars" > 1 ]'
rules_schedule = "cron(30 4 * * ? *)"
rules_late_hours = 26

[lake.tables.orders]
zone = "raw"
columns = { order_id = "string" }
"""
NAME = "ds-prod"


def settings(text: str = QUALITY) -> dict[str, Any]:
    content = tomllib.loads((FOLDER / "prod.toml").read_text(encoding="utf-8"))
    content["lake"] |= tomllib.loads(text)["lake"]
    return {"environment": "prod", **content}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    folder = tmp_path_factory.mktemp("quality")
    app = support.app(outdir=folder)
    compose(app, Settings.model_validate(settings()))
    checks.attach(app)
    app.synth()  # four packs and ours: a finding fails it
    return Assembly(folder)


def of_type(composed: Assembly, stack: str, type: str) -> list[dict[str, Any]]:
    resources = composed.templates[f"{NAME}-{stack}"]["Resources"].values()
    return [resource["Properties"] for resource in resources if resource["Type"] == type]


def test_tables_with_rules_have_a_ruleset_and_a_schedule(composed: Assembly) -> None:
    (ruleset,) = of_type(composed, "quality", "AWS::Glue::DataQualityRuleset")
    assert ruleset["TargetTable"]["TableName"] == "reviews"
    assert "Entropy" in ruleset["Ruleset"]
    (schedule,) = of_type(composed, "quality", "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(30 4 * * ? *)"
    alarms = of_type(composed, "quality", "AWS::CloudWatch::Alarm")
    assert [alarm["EvaluationPeriods"] for alarm in alarms if alarm["TreatMissingData"] == "breaching"] == [
        26
    ]


def test_the_outcomes_are_a_table_of_the_zone_that_was_chosen(composed: Assembly) -> None:
    (table,) = of_type(composed, "quality", "AWS::Glue::Table")
    assert table["TableInput"]["Name"] == "quality_results"
    assert "Features" in json.dumps(table["DatabaseName"])


def test_the_gate_keeps_its_outcomes_there_too(composed: Assembly) -> None:
    (definition,) = task_parameters.definitions(composed.templates[f"{NAME}-pipeline"]).values()
    payload = definition["States"]["QualityGate"]["Arguments"]["Payload"]
    assert payload["results"]["key"] == "quality_results/"
    assert payload["results"]["ruleset"]
    assert payload["started"] == "{% $states.context.Execution.StartTime %}"
    policies = json.dumps(of_type(composed, "pipeline", "AWS::IAM::Policy"))
    assert "/quality_results/*" in policies


def test_without_the_table_there_is_neither_stack_nor_outcome(composed: Assembly) -> None:
    content = settings()
    del content["lake"]["quality"], content["lake"]["tables"]
    app = support.app()
    names = [stack.stack_name for stack in compose(app, Settings.model_validate(content))]
    assert f"{NAME}-quality" in composed.templates
    assert f"{NAME}-quality" not in names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[lake.quality]\nzone = "features"', "", "add [lake.quality]"),
        ('zone = "features"', 'zone = "gold"', "'raw', 'curated', 'features' or 'models'"),
        ('zone = "features"', 'table = "orders"', "the name of lake.quality.table"),
        ('rules_schedule = "cron(30 4 * * ? *)"', "", "add rules_schedule"),
        ('rules = \'Rules = [ IsUnique "review_id", Entropy "stars" > 1 ]\'', "", "add rules"),
        ("rules_late_hours = 26", "rules_late_hours = 200", "less than or equal to 168"),
    ],
)
def test_contradictions_are_told(old: str, new: str, message: str) -> None:
    assert old in QUALITY
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(settings(QUALITY.replace(old, new)))
    assert message in str(caught.value)


def test_somebody_has_to_hear_of_rules_that_fail() -> None:
    content = settings()
    for part in ("alert_emails", "inference", "pipeline", "cost", "studio", "endpoint"):
        content.pop(part, None)
    with pytest.raises(ValidationError, match=r"alerts of \['lake.quality'\]"):
        Settings.model_validate(content)
