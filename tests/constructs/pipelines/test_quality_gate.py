"""The gate: what it refuses, what judges small and large data, and what each may do."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError, DataLake, Pipeline, QualityResults, QualityRules
from cdk_data_science.pipelines import FUNCTION_LIMIT_BYTES, QualityGate, SparkGate
from cdk_data_science.pipelines.spark import quality_gate as script
from cdk_data_science.security.checks import DataScienceChecks
from tests.compliance import task_parameters
from tests.constructs import nag, support

RULES = QualityRules('Rules = [ RowCount > 0, IsComplete "id" ]')


def build(stack: cdk.Stack) -> Pipeline:
    lake = DataLake(stack, "Lake", zones=["raw", "work", "results"])
    results = QualityResults(stack, "Results", zone=lake.zone("results"))
    gate = QualityGate(RULES, results=results, ruleset="reviews", spark=SparkGate())
    return Pipeline(stack, "Gate", data=lake.raw, prefix="in/", work=lake.zone("work"), steps=[gate])


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = support.stack()
    build(stack)
    return stack


@pytest.fixture(scope="module")
def states(stack: cdk.Stack) -> dict[str, Any]:
    (definition,) = task_parameters.definitions(support.document(stack)).values()
    assert task_parameters.faults(definition) == []
    found: dict[str, Any] = definition["States"]
    return found


def allowed(stack: cdk.Stack, role: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, policy in support.resources(stack, "AWS::IAM::Policy").items():
        if key.startswith(role):
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    found[action] = f"{found.get(action, '')} {json.dumps(statement['Resource'])}"
    return found


def test_the_function_is_told_the_limit_and_large_data_go_to_spark(states: dict[str, Any]) -> None:
    gate = states["QualityGate"]
    assert gate["Arguments"]["Payload"]["largest"] == FUNCTION_LIMIT_BYTES == 256 * 2**20
    assert gate["Assign"]["quality"]["large"] == "{% $states.result.Payload.large %}"
    choice = states[gate["Next"]]
    assert choice["Choices"] == [{"Condition": "{% $quality.large %}", "Next": "QualityBySpark"}]
    assert states["QualityBySpark"]["Next"] == "QualityVerdict"
    assert states["QualityVerdict"]["Next"] == choice["Default"]


def test_both_judge_the_same_rules_and_keep_the_same_results(states: dict[str, Any]) -> None:
    gate, verdict = states["QualityGate"], states["QualityVerdict"]
    spark = states["QualityBySpark"]["Arguments"]["Arguments"]
    assert spark["--rules"] == gate["Arguments"]["Payload"]["rules"] == RULES.text
    assert gate["Arguments"]["Payload"]["results"] == verdict["Arguments"]["Payload"]["results"]
    assert gate["Arguments"]["Payload"]["results"]["ruleset"] == "reviews"
    assert spark["--outcomes_key"] == verdict["Arguments"]["Payload"]["outcomes"]["key"]
    assert {name.removeprefix("--") for name in spark} == set(script.ARGUMENTS)


def test_every_task_fails_into_the_one_failure_path(states: dict[str, Any]) -> None:
    ends = {states[name]["Catch"][0]["Next"] for name in ("QualityGate", "QualityBySpark", "QualityVerdict")}
    assert len(ends) == 1


def test_spark_reads_the_data_and_writes_the_runs_and_the_verdict_reads_no_data(stack: cdk.Stack) -> None:
    spark = allowed(stack, "GateQualityGateSparkAccessRole")
    assert "/in/*" in spark["s3:GetObject"]
    assert "/runs/*" in spark["s3:PutObject"]
    assert "/in/" not in spark["s3:PutObject"]
    verdict = allowed(stack, "GateQualityGateVerdictRole")
    assert "/in/" not in json.dumps(verdict)
    assert "/runs/*" in verdict["s3:GetObject"]
    assert "/quality_results/*" in verdict["s3:PutObject"]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (QualityGate(QualityRules('Rules = [ Entropy "a" > 1 ]')), "a quality gate with Entropy"),
        (QualityGate(RULES, ruleset="x"), "ruleset and without results"),
        (QualityGate(RULES, spark=SparkGate(above_bytes=-1)), "above_bytes=-1"),
        (QualityGate(RULES, spark=SparkGate(above_bytes=3 * 1024**3)), "0 to 2147483648"),
    ],
)
def test_what_a_gate_cannot_do_is_refused(gate: QualityGate, message: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw"])
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Pipeline(stack, "Gate", data=lake.raw, prefix="in/", work=lake.raw, steps=[gate])


def test_no_finding_is_left_open() -> None:
    app = support.app()
    build(support.stack(app))
    # Budget, tags and the mode of the lake are matters of the app.
    apart = ["DataScience-COST3", "DataScience-COST4", "DataScience-LF8"]
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=apart))
    assert nag.unacknowledged(app) == []


# The program, with what Glue has put in place


class Evaluated:
    """Spark and Glue, as far as the program asks them."""

    def __init__(self, versions: list[str]) -> None:
        self.versions, self.read, self.written, self.asked = versions, {}, {}, {}

    def modules(self) -> dict[str, ModuleType]:
        names = ("Rule", "Outcome", "FailureReason", "EvaluatedMetrics")
        rows = [
            dict(zip(names, values, strict=True))
            for values in (
                ("RowCount > 0", "Passed", None, {"n": 3.0}),
                ('IsComplete "id"', "Failed", "Value: 0.5", {}),
            )
        ]
        frame = SimpleNamespace(cache=lambda: None, count=lambda: 3)
        found = SimpleNamespace(collect=lambda: [SimpleNamespace(asDict=lambda row=row: row) for row in rows])

        def read(path: str, **options: Any) -> Any:
            self.read = {"path": path, **options}
            return frame

        def apply(**asked: Any) -> Any:
            self.asked = asked
            return SimpleNamespace(toDF=lambda: found)

        session = SimpleNamespace(read=SimpleNamespace(csv=read))
        s3 = SimpleNamespace(
            head_object=lambda **_: {"VersionId": self.versions.pop(0)},
            put_object=lambda **given: self.written.update(given),
        )
        parts: dict[str, dict[str, Any]] = {
            "boto3": {"client": lambda _: s3},
            "awsglue": {},
            "awsglue.context": {"GlueContext": lambda _: SimpleNamespace(spark_session=session)},
            "awsglue.dynamicframe": {"DynamicFrame": SimpleNamespace(fromDF=lambda frame, *_: frame)},
            "awsglue.utils": {
                "getResolvedOptions": lambda argv, names: {n: argv[argv.index(f"--{n}") + 1] for n in names}
            },
            "awsgluedq": {},
            "awsgluedq.transforms": {"EvaluateDataQuality": SimpleNamespace(apply=apply)},
            "pyspark": {},
            "pyspark.context": {"SparkContext": SimpleNamespace(getOrCreate=lambda: None)},
        }
        made = {}
        for name, members in parts.items():
            made[name] = ModuleType(name)
            vars(made[name]).update(members)
        return made


def run(monkeypatch: pytest.MonkeyPatch, versions: list[str], version: str = "v1") -> Evaluated:
    glue = Evaluated(versions)
    for name, module in glue.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    given = {
        "bucket": "lake", "key": "in/a.csv", "version": version, "rules": RULES.text,
        "outcomes_bucket": "work", "outcomes_key": "runs/r/o.json",
    }  # fmt: skip
    script.main(["script", *(part for name, value in given.items() for part in (f"--{name}", value))])
    return glue


def test_the_program_leaves_the_outcome_of_each_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    glue = run(monkeypatch, ["v1", "v1"])
    assert glue.read["path"] == "s3://lake/in/a.csv"
    assert glue.read["escape"] == glue.read["quote"] == '"'
    assert glue.asked["ruleset"] == RULES.text
    assert (glue.written["Bucket"], glue.written["Key"]) == ("work", "runs/r/o.json")
    assert json.loads(glue.written["Body"]) == {
        "rows": 3,
        "rules": [
            {"rule": "RowCount > 0", "passed": True, "observed": "n=3"},
            {"rule": 'IsComplete "id"', "passed": False, "observed": "Value: 0.5"},
        ],
    }


@pytest.mark.parametrize("versions", [["v2"], ["v1", "v2"]])
def test_the_program_judges_no_other_version(monkeypatch: pytest.MonkeyPatch, versions: list[str]) -> None:
    with pytest.raises(script.Overwritten, match="about version v1, and there is v2"):
        run(monkeypatch, versions)


def test_a_bucket_without_versions_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, ["null", "null"], version="null").written
