"""The rule pack in an app: what it tells, what is acknowledged, and the report for code review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kinesis as kinesis

from cdk_data_science import ConfigurationError
from cdk_data_science.security.checks import RULES, DataScienceChecks
from cdk_data_science.security.checks.rule import judge
from cdk_data_science.security.checks.templates import Templates
from tests.compliance.assembly import Assembly
from tests.constructs import support

REASON = "The stream holds synthetic events of the load test and nothing else."
ENCRYPTED, KEPT, BUDGET = "DataScience-KIN1", "DataScience-KIN2", "DataScience-COST3"


def app_with(folder: Path, context: dict[str, Any] | None = None, **options: Any) -> cdk.App:
    app = support.app({"@aws-cdk/core:strictCfnValidateErrors": False, **(context or {})}, outdir=folder)
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, **options))
    return app


def stream(scope: cdk.Stack, id: str = "Stream", **more: Any) -> kinesis.CfnStream:
    """A stream that is not encrypted and is kept for a day, and otherwise breaks no rule."""
    made = kinesis.CfnStream(scope, id, tags=[cdk.CfnTag(key="owner", value="ml@example.com")], **more)
    made.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return made


def acknowledge(construct: Any, id: str, reason: str = REASON) -> None:
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=id, reason=reason))


def report(app: cdk.App) -> dict[str, Any]:
    """What the pack told: the CDK leaves it out of the report if there was nothing."""
    try:
        app.synth()
    except RuntimeError as failure:
        if "ValidationFailed" not in str(failure):
            raise
    plugins = Assembly(Path(app.outdir)).report.get("pluginReports", [])
    found: dict[str, Any] = next((p for p in plugins if p["pluginName"] == "DataScience"), {})
    return found


def rules(told: dict[str, Any], kind: str = "violations") -> set[tuple[str, str]]:
    """Rules and construct paths."""
    return {
        (violation["ruleName"], construct["constructPath"])
        for violation in told.get(kind, ())
        for construct in violation["violatingConstructs"]
    }


def test_a_finding_names_construct_resource_property_and_fix(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    stream(cdk.Stack(app, "Test"))
    told = report(app)
    assert rules(told) == {(ENCRYPTED, "Test/Stream"), (KEPT, "Test/Stream")}
    [finding] = [violation for violation in told["violations"] if violation["ruleName"] == ENCRYPTED]
    assert finding["severity"] == "error"
    assert finding["description"].startswith(
        "Test/Stream (AWS::Kinesis::Stream): The stream is not encrypted."
    )
    assert finding["suggestedFix"].startswith(
        "Set StreamEncryption with a key. See https://docs.aws.amazon.com"
    )
    [construct] = finding["violatingConstructs"]
    assert construct["cloudFormationResource"] == {
        "templatePath": "Test.template.json",
        "logicalId": "Stream",
        "propertyPaths": ["Properties.StreamEncryption.EncryptionType"],
    }


def test_an_error_fails_the_synthesis_and_says_so_in_the_terminal(tmp_path: Path) -> None:
    app = app_with(tmp_path)
    stream(cdk.Stack(app, "Test"))
    with pytest.raises(RuntimeError, match=r"(?s)ValidationFailed.*Set StreamEncryption.*DataScience-KIN1"):
        app.synth()


@pytest.mark.parametrize("strict", [False, True])
def test_warnings_fail_the_synthesis_only_where_the_app_is_strict(tmp_path: Path, strict: bool) -> None:
    app = app_with(tmp_path, {"@aws-cdk/core:strictCfnValidateErrors": strict})
    encryption = kinesis.CfnStream.StreamEncryptionProperty(encryption_type="KMS", key_id="alias/stream")
    stream(cdk.Stack(app, "Test"), stream_encryption=encryption)
    if strict:
        with pytest.raises(RuntimeError, match="DataScience-KIN2"):
            app.synth()
    else:
        app.synth()


def test_an_app_without_findings_reports_nothing(tmp_path: Path) -> None:
    app = app_with(tmp_path)
    cdk.CfnWaitConditionHandle(cdk.Stack(app, "Test"), "Nothing")
    assert report(app) == {}


@pytest.mark.parametrize("namespace", ["", "DataScience::"])
def test_an_acknowledged_finding_is_recorded_with_its_reason_and_fails_nothing(
    tmp_path: Path, namespace: str
) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    made = stream(cdk.Stack(app, "Test"))
    acknowledge(made, f"{namespace}{ENCRYPTED}")
    acknowledge(made, f"{namespace}{KEPT}")
    app.synth()
    told = report(app)
    assert told["conclusion"] == "success"
    assert rules(told) == set()
    assert {path for _, path in rules(told, "suppressedViolations")} == {"Test/Stream"}
    assert {violation["reason"] for violation in told["suppressedViolations"]} == {REASON}


@pytest.mark.parametrize("on", ["app", "stage", "stack", "construct"])
def test_an_acknowledgement_covers_everything_inside_its_construct(tmp_path: Path, on: str) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET, KEPT])
    stage = cdk.Stage(app, "Stage")
    stack = cdk.Stack(stage, "Test")
    made = stream(stack)
    other = stream(cdk.Stack(app, "Other"))
    acknowledge({"app": app, "stage": stage, "stack": stack, "construct": made}[on], ENCRYPTED)
    told = report(app)
    expected = set() if on == "app" else {(ENCRYPTED, "Other/Stream")}
    assert {found for found in rules(told) if found[0] == ENCRYPTED} == expected
    assert other.node.path == "Other/Stream"


def test_a_finding_says_which_of_several_it_is_about() -> None:
    variants = [{"VariantName": name, "InstanceType": "ml.t3.medium"} for name in ("old", "new")]
    config = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": variants}}
    (rule,) = (each for each in RULES if each.id == "DataScience-SM26")
    found = [finding.message for finding in judge(Templates.of({"Resources": {"Config": config}}), [rule])]
    assert [message.partition(". ")[0] for message in found] == [
        f"{rule.fails} ({n})" for n in ("old", "new")
    ]


def test_an_acknowledgement_of_one_finding_leaves_the_others(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    stack = cdk.Stack(app, "Test")
    acknowledge(stream(stack), ENCRYPTED)
    stream(stack, "Stream2")
    assert rules(report(app)) == {
        (KEPT, "Test/Stream"), (KEPT, "Test/Stream2"), (ENCRYPTED, "Test/Stream2")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("id", "reason", "said"),
    [
        ("DataScience-KIN1", REASON, "is not found here (any more)"),
        ("DataScience-KIN99", REASON, "there is no such rule"),
        ("DataScience-KIN2", " ", "is acknowledged without a reason"),
    ],
)
def test_an_acknowledgement_that_does_nothing_is_a_finding(
    tmp_path: Path, id: str, reason: str, said: str
) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    encryption = kinesis.CfnStream.StreamEncryptionProperty(encryption_type="KMS", key_id="alias/stream")
    acknowledge(stream(cdk.Stack(app, "Test"), stream_encryption=encryption), id, reason)
    told = report(app)
    assert ("DataScience-ACK1", "Test/Stream") in rules(told)
    assert (KEPT, "Test/Stream") in rules(told)
    assert any(said in violation["description"] for violation in told["violations"])


def test_acknowledgements_of_other_packs_are_none_of_ours(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    acknowledge(stream(cdk.Stack(app, "Test")), "AwsSolutions-KDS1")
    assert "DataScience-ACK1" not in {rule for rule, _ in rules(report(app))}


def test_one_task_of_a_state_machine_is_acknowledged_by_its_name(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    stack = cdk.Stack(app, "Test")
    tasks = {
        name: {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Arguments": {}, **following}
        for name, following in (("Ask (first)", {"Next": "Then"}), ("Then", {"End": True}))
    }
    machine = cdk.CfnResource(
        stack,
        "Machine",
        type="AWS::StepFunctions::StateMachine",
        properties={
            "RoleArn": "arn:aws:iam::111122223333:role/machine",
            "DefinitionString": json.dumps({"StartAt": "Ask (first)", "States": tasks}),
        },
    )
    acknowledge(machine, "DataScience-SFN1[Ask-first-]")
    found = {rule for rule, _ in rules(report(app)) if rule.startswith("DataScience-SFN1[")}
    assert found == {"DataScience-SFN1[Then]"}


def test_nested_stacks_are_judged_with_what_their_parent_gives_them(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET])
    stack = cdk.Stack(app, "Test")
    outer = kinesis.CfnStream(stack, "Outer", retention_period_hours=168)
    nested = cdk.NestedStack(stack, "Inner")
    made = stream(nested)
    acknowledge(made, ENCRYPTED)
    inner = cdk.CfnResource(
        nested,
        "Reads",
        type="AWS::Lambda::EventSourceMapping",
        properties={"FunctionName": "score", "EventSourceArn": outer.attr_arn},
    )
    told = report(app)
    paths = {path for _, path in rules(told)}
    assert (KEPT, "Test/Inner/Stream") in rules(told)
    assert (ENCRYPTED, "Test/Inner/Stream") not in rules(told)
    assert ("DataScience-KIN3", inner.node.path) in rules(told), paths


def test_a_rule_that_is_left_out_finds_nothing(tmp_path: Path) -> None:
    app = app_with(tmp_path, leave_out=[BUDGET, ENCRYPTED, KEPT])
    stream(cdk.Stack(app, "Test"))
    assert report(app) == {}


def test_leaving_out_what_is_no_rule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DataScience-KIN99"):
        DataScienceChecks(cdk.App(), leave_out=["DataScience-KIN99"])
    with pytest.raises(ConfigurationError, match="a list of ids"):
        DataScienceChecks(cdk.App(), leave_out="DataScience-KIN1")


def test_only_the_stacks_of_the_scope_are_judged(tmp_path: Path) -> None:
    app = support.app({"@aws-cdk/core:strictCfnValidateErrors": False}, outdir=tmp_path)
    judged = cdk.Stack(app, "Judged")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(judged, leave_out=[BUDGET]))
    stream(judged)
    stream(cdk.Stack(app, "Other"))
    assert {path for _, path in rules(report(app))} == {"Judged/Stream"}


# --- SARIF -------------------------------------------------------------------------------------------------


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(folder: Path, synthesize: bool = True) -> dict[str, Any]:
    app = app_with(folder / "cdk.out", leave_out=[BUDGET], sarif="cdk.out/checks.sarif")
    stack = cdk.Stack(app, "Test")
    stream(stack)
    acknowledge(stream(stack, "Accepted"), ENCRYPTED)
    if synthesize:
        report(app)
    found: dict[str, Any] = json.loads((folder / "cdk.out/checks.sarif").read_text(encoding="utf-8"))
    return found


def test_the_report_for_code_review_tells_rule_place_and_reason(in_folder: Path) -> None:
    [run] = log(in_folder)["runs"]
    told = {
        (result["ruleId"], result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]): result
        for result in run["results"]
    }
    assert set(told) == {
        (rule, f"Test/{name}") for rule in (ENCRYPTED, KEPT) for name in ("Stream", "Accepted")
    }
    plain = told[ENCRYPTED, "Test/Stream"]
    place = plain["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "cdk.out/Test.template.json"
    line = (in_folder / "cdk.out/Test.template.json").read_text(encoding="utf-8").splitlines()
    assert line[place["region"]["startLine"] - 1].strip() == '"Stream": {'
    assert plain["level"] == "error"
    assert "suppressions" not in plain
    [suppression] = told[ENCRYPTED, "Test/Accepted"]["suppressions"]
    assert suppression == {"kind": "inSource", "status": "accepted", "justification": REASON}


def test_the_report_for_code_review_has_what_sarif_requires(in_folder: Path) -> None:
    """The members that the standard requires, and what they refer to (OASIS SARIF 2.1.0, section 3)."""
    document = log(in_folder)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    for run in document["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"]
        ids = [rule["id"] for rule in driver["rules"]]
        assert len(set(ids)) == len(ids)
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"]
            assert rule["fullDescription"]["text"]
            assert rule["helpUri"].startswith("https://")
            assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        for result in run["results"]:
            assert ids[result["ruleIndex"]] == result["ruleId"]
            assert result["message"]["text"]
            assert result["level"] in ("error", "warning", "note")
            assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
            for location in result["locations"]:
                assert location["physicalLocation"]["region"]["startLine"] >= 1
        prints = [result["partialFingerprints"]["finding/v1"] for result in run["results"]]
        assert len(set(prints)) == len(prints)


def test_the_report_is_the_same_each_time_and_may_lie_in_the_assembly(in_folder: Path) -> None:
    first = log(in_folder)
    assert log(in_folder) == first


def test_a_report_of_an_earlier_synthesis_is_not_left_behind(in_folder: Path) -> None:
    log(in_folder)
    with pytest.raises(FileNotFoundError):
        log(in_folder, synthesize=False)
