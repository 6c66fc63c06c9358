"""Quality rules on tables: the ruleset, who evaluates it and when, its results, and who is told."""

from __future__ import annotations

import json
import re
from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from aws_cdk import aws_iam as iam
from botocore.validate import ParamValidator

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.data_lake import (
    DataLake,
    LakeFormation,
    QualityResults,
    QualityRules,
    TableQuality,
)
from cdk_data_science.security.checks import DataScienceChecks
from tests.constructs import nag, support

RULES = QualityRules('Rules = [ IsUnique "id", Entropy "stars" > 1 ]')


class Home:
    """A table with rules that are evaluated each night, and an operator who may evaluate them too."""

    def __init__(self, stack: cdk.Stack) -> None:
        self.lake = DataLake(
            stack,
            "Lake",
            zones=["raw", "curated"],
            lake_formation=LakeFormation(hybrid=False, administer=True),
        )
        self.alerts = AlertTopic(stack, "Alerts")
        self.results = QualityResults(stack, "Results", zone=self.lake.curated, alerts=self.alerts)
        self.table = self.lake.raw.add_table("reviews", schema={"id": "string", "stars": "int"})
        self.quality = self.table.add_quality_rules(
            RULES,
            results=self.results,
            schedule="cron(30 4 * * ? *)",
            timezone="Europe/Berlin",
            name="reviews",
            workers=10,
            timeout=cdk.Duration.minutes(30),
            expect_within=cdk.Duration.hours(26),
        )
        operator = iam.Role(stack, "Operator", assumed_by=iam.AccountRootPrincipal())
        acknowledge_inline_policy(operator)
        self.quality.grant_evaluate(operator)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    Home(stack)
    return stack


def properties(stack: cdk.Stack, type: str, part: str = "") -> dict[str, Any]:
    found = {key: value for key, value in support.resources(stack, type).items() if part in key}
    chosen: dict[str, Any] = support.only(found)["Properties"]
    return chosen


def allowed(stack: cdk.Stack, role: str) -> dict[str, str]:
    """Where each action of a role is allowed, as text."""
    found: dict[str, str] = {}
    for statement in properties(stack, "AWS::IAM::Policy", role)["PolicyDocument"]["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            found[action] = f"{found.get(action, '')} {json.dumps(statement['Resource'])}"
    return found


def test_the_ruleset_is_glues_and_on_the_table(stack: cdk.Stack) -> None:
    ruleset = support.only(support.resources(stack, "AWS::Glue::DataQualityRuleset"))
    assert ruleset["Properties"]["Name"] == "reviews"
    assert ruleset["Properties"]["Ruleset"] == RULES.text
    assert ruleset["Properties"]["TargetTable"]["TableName"] == "reviews"
    assert any("Reviews" in name or "reviews" in name for name in ruleset["DependsOn"])


def test_the_schedule_starts_an_evaluation_that_glue_would_take(stack: cdk.Stack) -> None:
    schedule = properties(stack, "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(30 4 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    target = schedule["Target"]
    assert target["Arn"]["Fn::Join"][1][-1] == (
        ":scheduler:::aws-sdk:glue:startDataQualityRulesetEvaluationRun"
    )
    parts = target["Input"]["Fn::Join"][1]
    sent = json.loads("".join(part if isinstance(part, str) else "token" for part in parts))
    model = botocore.session.get_session().get_service_model("glue")
    shape = model.operation_model("StartDataQualityRulesetEvaluationRun").input_shape
    assert not ParamValidator().validate(sent, shape).has_errors()
    assert sent["RulesetNames"] == ["reviews"]
    assert (sent["NumberOfWorkers"], sent["Timeout"]) == (10, 30)


def test_the_starter_starts_this_ruleset_and_passes_this_role_alone(stack: cdk.Stack) -> None:
    found = allowed(stack, "QualityStarter")
    assert set(found) == {"glue:StartDataQualityRulesetEvaluationRun", "iam:PassRole"}
    assert ":dataQualityRuleset/reviews" in found["glue:StartDataQualityRulesetEvaluationRun"]
    assert re.search(r'"[^"]*QualityRole[^"]*", "Arn"', found["iam:PassRole"])


def test_the_evaluator_reads_its_table_and_publishes_its_result_and_nothing_else(stack: cdk.Stack) -> None:
    found = allowed(stack, "QualityRole")
    assert '"/reviews/*"' in found["s3:GetObject"]
    assert "aws-glue-ml-data-quality-assets-" in found["s3:GetObject"]
    assert ":dataQualityRuleset/reviews" in found["glue:PublishDataQuality"]
    assert "/reviews" in found["glue:GetTable"]
    assert "*" not in found["glue:GetTable"]
    assert not [
        action for action in found if re.search("Put(?!LogEvents|MetricData)|Delete|Update|Pass", action)
    ]
    policy = json.dumps(properties(stack, "AWS::IAM::Policy", "QualityRole"))
    assert '{"StringEquals": {"cloudwatch:namespace": "Glue Data Quality"}}' in policy
    assert "LakeCuratedBucket" not in policy


def test_the_evaluator_may_select_the_table_by_lake_formation(stack: cdk.Stack) -> None:
    granted = [
        grant["Properties"]
        for grant in support.resources(stack, "AWS::LakeFormation::PrincipalPermissions").values()
        if "QualityRole" in json.dumps(grant["Properties"]["Principal"])
    ]
    assert [
        (grant["Permissions"], grant["Resource"]["Table"]["Name"])
        for grant in granted
        if "Name" in grant["Resource"].get("Table", {})
    ] == [(["SELECT"], "reviews")]


def test_its_logs_are_encrypted_and_go_with_it(stack: cdk.Stack) -> None:
    groups = {
        group["Properties"]["LogGroupName"]: group
        for group in support.resources(stack, "AWS::Logs::LogGroup").values()
        if "LogGroupName" in group["Properties"]
    }
    assert set(groups) == {
        "/aws-glue/data-quality/reviews/error",
        "/aws-glue/data-quality/reviews/output",
    }
    for group in groups.values():
        assert "KmsKeyId" in group["Properties"]
        assert group["Properties"]["RetentionInDays"] == 365
        assert group["DeletionPolicy"] == "Delete"


def test_an_alarm_tells_of_failed_rules_and_another_one_of_silence(stack: cdk.Stack) -> None:
    failed = properties(stack, "AWS::CloudWatch::Alarm", "QualityFailed")
    assert (failed["Namespace"], failed["MetricName"]) == ("DataScience/Quality", "RulesFailed")
    assert failed["Dimensions"] == [{"Name": "ruleset", "Value": "reviews"}]
    assert failed["TreatMissingData"] == "notBreaching"
    silent = properties(stack, "AWS::CloudWatch::Alarm", "QualitySilent")
    assert (silent["Statistic"], silent["Period"], silent["EvaluationPeriods"]) == ("SampleCount", 3600, 26)
    assert (silent["ComparisonOperator"], silent["Threshold"]) == ("LessThanThreshold", 1)
    assert silent["TreatMissingData"] == "breaching"
    for alarm in (failed, silent):
        assert "Alerts" in json.dumps(alarm["AlarmActions"])


def test_who_may_evaluate_starts_this_ruleset_as_its_role(stack: cdk.Stack) -> None:
    found = allowed(stack, "OperatorDefault")
    assert set(found) == {
        "glue:GetDataQualityResult",
        "glue:GetDataQualityRulesetEvaluationRun",
        "glue:StartDataQualityRulesetEvaluationRun",
        "iam:PassRole",
    }
    assert ":dataQualityRuleset/reviews" in found["glue:StartDataQualityRulesetEvaluationRun"]


def test_the_results_are_a_table_by_day_of_one_row_for_each_rule(stack: cdk.Stack) -> None:
    table = properties(stack, "AWS::Glue::Table", "Results")["TableInput"]
    columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    assert columns == [
        "run", "ruleset", "source", "evaluator", "evaluated_at", "rule", "outcome", "observed",
    ]  # fmt: skip
    assert table["PartitionKeys"] == [{"Name": "day", "Type": "string"}]
    assert table["Parameters"]["projection.day.type"] == "date"
    assert table["Parameters"]["classification"] == "json"


def test_the_function_writes_rows_and_reads_results_alone(stack: cdk.Stack) -> None:
    found = allowed(stack, "ResultsFetchRole")
    assert "/quality_results/*" in found["s3:PutObject"]
    assert ":dataQualityRuleset/*" in found["glue:GetDataQualityResult"]
    assert "s3:GetObject" not in found
    function = properties(stack, "AWS::Lambda::Function", "ResultsFetch")
    assert function["Handler"] == "quality_results.handler"
    assert function["Environment"]["Variables"]["RESULTS_PREFIX"] == "quality_results/"
    rule = properties(stack, "AWS::Events::Rule", "ResultsEvaluated")
    assert rule["EventPattern"] == {
        "source": ["aws.glue-dataquality"],
        "detail-type": ["Data Quality Evaluation Results Available"],
    }
    (target,) = rule["Targets"]
    assert "DeadLetters" in json.dumps(target["DeadLetterConfig"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rules": QualityRules('Rules = [ IsUnique "Id", Mean "star" > 1 ]')},
            "rules on 'Id', 'star'; allowed: columns of 'reviews': id, stars",
        ),
        ({"schedule": "cron(61 4 * * ? *)"}, "cron(61"),
        ({"schedule": "rate(1 day)"}, "rate(1 day)"),
        ({"workers": 1}, "workers=1; allowed: 2 to 299"),
        ({"name": "x" * 256}, "256 characters"),
        ({"timeout": cdk.Duration.seconds(90)}, "timeout of 1.5 minutes"),
        ({"timeout": cdk.Duration.days(3)}, "timeout of 4320 minutes"),
        ({"expect_within": cdk.Duration.hours(3)}, "expect_within without a schedule"),
        ({"expect_within": cdk.Duration.days(8), "schedule": "cron(0 4 * * ? *)"}, "192 hours"),
    ],
)  # fmt: skip
def test_what_glue_would_refuse_is_refused(home: Home, options: dict[str, Any], message: str) -> None:
    given = {"rules": RULES, "results": home.results, **options}
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        home.table.add_quality_rules(**given)


@pytest.fixture(scope="module")
def home() -> Home:
    return Home(support.stack())


def test_a_table_may_have_several_rulesets_and_no_schedule() -> None:
    stack = support.stack()
    home = Home(stack)
    second = home.table.add_quality_rules(RULES, results=home.results)
    third = TableQuality(stack, "Third", table=home.table, rules=RULES, results=home.results)
    assert len({home.quality.ruleset_name, second.ruleset_name, third.ruleset_name}) == 3
    assert second.silent is None
    assert second.node.try_find_child("Schedule") is None


@pytest.mark.parametrize("references", ["weak", "strong"])
def test_no_finding_is_left_open(references: str) -> None:
    app = support.app({"@aws-cdk/core:defaultCrossStackReferences": references})
    home = Home(support.stack(app, "Home"))
    away = support.stack(app, "Away")
    results = QualityResults(away, "Results", zone=home.lake.curated, name="more", alerts=home.alerts)
    TableQuality(away, "Quality", table=home.table, rules=RULES, results=results)
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    assert nag.unacknowledged(app) == []
