"""Outcomes of quality rules become rows of a table, and metrics."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.session import get_session
from botocore.stub import Stubber
from handlers.pipeline.asset import errors, quality_gate, quality_results
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake

EVENT = {
    "source": "aws.glue-dataquality",
    "detail-type": "Data Quality Evaluation Results Available",
    "time": "2026-11-28T23:59:58Z",
    "detail": {"resultID": "dqresult-1", "rulesetNames": ["reviews"], "state": "FAILED", "score": 0.5},
}
RESULT: dict[str, Any] = {
    "ResultId": "dqresult-1",
    "RulesetName": "reviews",
    "RulesetEvaluationRunId": "dqrun-1",
    "CompletedOn": datetime(2026, 11, 28, 23, 59, 57, 120_000, tzinfo=UTC),
    "DataSource": {"GlueTable": {"DatabaseName": "lake", "TableName": "reviews"}},
    "RuleResults": [
        {"Name": "Rule_1", "Description": 'IsUnique "id"', "Result": "PASS", "EvaluatedMetrics": {"u": 1.0}},
        {"Name": "Rule_2", "Description": "RowCount > 9", "Result": "FAIL", "EvaluationMessage": "Value: 3"},
        {"Name": "Rule_3", "Result": "ERROR", "EvaluationMessage": "column gone"},
    ],
}


@pytest.fixture
def glue(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Glue as botocore's model knows it: what it would not answer is refused."""
    monkeypatch.setenv("RESULTS_BUCKET", BUCKET)
    monkeypatch.setenv("RESULTS_PREFIX", "quality_results/")
    client = get_session().create_client("glue", region_name="us-east-1")
    monkeypatch.setattr(quality_results, "glue", lambda: client)
    with Stubber(client) as stub:
        yield stub


def rows(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.decode().splitlines()]


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """The metrics of rulesets that were written to the log."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        name: line[name][0]
        for line in lines
        if "ruleset" in line and "_aws" in line
        for name in ("RulesPassed", "RulesFailed")
        if name in line
    }


def test_each_rule_of_a_result_is_a_row_and_the_rest_is_counted(
    lake: Lake, glue: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    glue.add_response("get_data_quality_result", RESULT, {"ResultId": "dqresult-1"})
    assert quality_results.handler(EVENT, CONTEXT) == {"ruleset": "reviews", "rules": 3}
    ((key, body),) = lake.everything().items()
    assert key == "quality_results/day=2026-11-28/reviews-dqresult-1.json"
    first, second, third = rows(body)
    assert first == {
        "run": "dqrun-1",
        "ruleset": "reviews",
        "source": "lake.reviews",
        "evaluator": "glue",
        "evaluated_at": "2026-11-28 23:59:58.000",
        "rule": 'IsUnique "id"',
        "outcome": "PASS",
        "observed": "u=1",
    }
    assert (second["outcome"], second["observed"]) == ("FAIL", "Value: 3")
    assert (third["rule"], third["outcome"]) == ("Rule_3", "ERROR")
    assert counted(capsys) == {"RulesPassed": 1, "RulesFailed": 2}


def test_the_same_event_twice_writes_one_object(lake: Lake, glue: Stubber) -> None:
    for _ in range(2):
        glue.add_response("get_data_quality_result", RESULT)
        quality_results.handler(EVENT, CONTEXT)
    assert len(lake.everything()) == 1


def test_an_evaluation_in_a_job_is_named_by_its_context_and_the_events_time(
    lake: Lake, glue: Stubber
) -> None:
    of_job = {
        "JobName": "clean",
        "JobRunId": "jr_1",
        "EvaluationContext": "reviews in",
        "RuleResults": RESULT["RuleResults"],
    }
    glue.add_response("get_data_quality_result", of_job)
    quality_results.handler(EVENT | {"detail": {"resultId": "dqresult/2"}}, CONTEXT)
    ((key, body),) = lake.everything().items()
    assert key == "quality_results/day=2026-11-28/reviews_in-dqresult_2.json"
    assert {(row["run"], row["ruleset"], row["evaluator"]) for row in rows(body)} == {
        ("jr_1", "reviews in", "spark")
    }
    assert rows(body)[0]["evaluated_at"] == "2026-11-28 23:59:58.000"


def test_an_event_without_a_result_is_refused(lake: Lake, glue: Stubber) -> None:
    with pytest.raises(errors.InvalidEvent, match=r"names no result: \['state'\]"):
        quality_results.handler(EVENT | {"detail": {"state": "FAILED"}}, CONTEXT)


def test_long_rules_and_observations_are_cut() -> None:
    made = quality_results.row(
        run="r", ruleset="s", source="", evaluator="glue", at=datetime(2026, 1, 1, tzinfo=UTC),
        rule="x" * 9_999, outcome="PASS", observed="y" * 9_999,
    )  # fmt: skip
    assert (len(made["rule"]), len(made["observed"])) == (4_000, 4_000)


def gate_event(data: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "run": RUN,
        "data": data,
        "rules": 'Rules = [ RowCount > 1, IsComplete "text" ]',
        "report": {"bucket": BUCKET, "key": "reports/"},
        "results": {"bucket": BUCKET, "key": "quality_results/", "ruleset": "gate"},
    } | more


def test_the_gate_keeps_its_rows_before_it_refuses(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    data = lake.put("in.csv", "id,text\n1,\n2,b\n")
    with pytest.raises(errors.QualityGateFailed):
        quality_gate.handler(gate_event(data, started="2026-11-27T01:02:03.456Z"), CONTEXT)
    kept = rows(lake.get(f"quality_results/day=2026-11-27/gate-{RUN}.json"))
    assert [row["outcome"] for row in kept] == ["PASS", "FAIL"]
    assert {row["evaluator"] for row in kept} == {"function"}
    assert {row["source"] for row in kept} == {f"s3://{BUCKET}/in.csv"}
    assert kept[1]["observed"] == "0.5 of 2 rows have a value; the first without is line 2"
    assert counted(capsys) == {"RulesPassed": 1, "RulesFailed": 1}


def test_results_without_the_time_of_the_run_are_a_mistake_of_the_pipeline(lake: Lake) -> None:
    with pytest.raises(errors.InvalidConfiguration, match="when the run was started"):
        quality_gate.handler(gate_event(lake.put("in.csv", "id,text\n1,a\n2,b\n")), CONTEXT)
