"""The gate as the state machine sees it: a result, a report, or a named error."""

import json
from typing import Any

import pytest
from handlers.pipeline.asset import dqdl, errors, quality_gate
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake

RULES = 'Rules = [ RowCount > 1, IsComplete "text", ColumnValues "rating" between -5 and 5 ]'
GOOD = "id,text,rating\n1,fine,2\n2,bad,-3\n"


def event(data: dict[str, str], rules: str = RULES) -> dict[str, Any]:
    return {"run": RUN, "data": data, "rules": rules, "report": {"bucket": BUCKET, "key": "reports/"}}


def test_good_data_pass_and_the_report_says_why(lake: Lake) -> None:
    result = quality_gate.handler(event(lake.put("in.csv", GOOD)), CONTEXT)
    assert result["passed"]
    assert result["rows"] == 2
    assert [rule["passed"] for rule in result["rules"]] == [True, True, True]
    assert result["report"] == {"bucket": BUCKET, "key": f"reports/{RUN}/quality.json"}
    report = lake.json(result["report"])
    assert report["rules"] == result["rules"]
    assert report["data"] == {"bucket": BUCKET, "key": "in.csv"}


def test_bad_data_fail_with_every_failed_rule_named_and_a_report(lake: Lake) -> None:
    data = lake.put("in.csv", "id,text,rating\n1,,2\n2,bad,-9\n")
    with pytest.raises(errors.QualityGateFailed) as caught:
        quality_gate.handler(event(data), CONTEXT)
    message = str(caught.value)
    assert "2 of 3 rules failed" in message
    assert 'IsComplete "text": 0.5 of 2 rows have a value; the first without is line 2' in message
    assert "line 3 with '-9'" in message
    assert "RowCount" not in message
    report = lake.json({"key": f"reports/{RUN}/quality.json"})
    assert not report["passed"]
    assert len(report["rules"]) == 3


def test_the_error_stays_small_however_many_rules_fail(lake: Lake) -> None:
    rules = ", ".join(f'ColumnValues "text" = "{"x" * 2000}{number}"' for number in range(200))
    with pytest.raises(errors.QualityGateFailed, match="and 180 more") as caught:
        quality_gate.handler(event(lake.put("in.csv", GOOD), f"Rules = [ {rules} ]"), CONTEXT)
    assert len(str(caught.value)) < 32_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"id,text,rating\n", "has a header but no rows"),
        (b"id,text,rating\n1,a\n", "line 2"),
        (b"id,text,rating\n1,\xe9,1\n", "byte 18"),
    ],
)
def test_what_cannot_be_read_is_invalid_and_leaves_no_report(
    lake: Lake, content: bytes, message: str
) -> None:
    data = lake.put("in.csv", content)
    with pytest.raises(errors.InvalidData, match=message):
        quality_gate.handler(event(data), CONTEXT)
    assert lake.everything().keys() == {"in.csv"}


def test_rules_that_are_not_understood_are_refused_before_the_data_are_read(lake: Lake) -> None:
    with pytest.raises(
        errors.InvalidConfiguration, match=r"line 1, column 11: CustomSql is a rule type of AWS Glue"
    ):
        quality_gate.handler(
            event({"bucket": BUCKET, "key": "gone.csv"}, 'Rules = [ CustomSql "x" ]'), CONTEXT
        )


def test_the_same_event_twice_writes_the_same_bytes(lake: Lake) -> None:
    request = event(lake.put("in.csv", GOOD))
    first = quality_gate.handler(request, CONTEXT), lake.everything()
    assert (quality_gate.handler(request, CONTEXT), lake.everything()) == first


def test_each_end_is_counted_and_logged_with_its_run(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    quality_gate.handler(event(lake.put("in.csv", GOOD)), CONTEXT)
    with pytest.raises(errors.InvalidData):
        quality_gate.handler(event(lake.put("in.csv", "")), CONTEXT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line for line in lines if "_aws" in line]
    assert [line["step"] for line in counted] == ["QualityGate", "QualityGate"]
    assert "Succeeded" in counted[0]
    assert "Refused" in counted[1]
    assert all(line["run"] == RUN == line["correlation_id"] for line in lines if "_aws" not in line)


def test_data_above_the_limit_are_left_to_spark_unread(lake: Lake) -> None:
    data = lake.put("in.csv", GOOD)
    assert not quality_gate.handler(event(data) | {"largest": len(GOOD)}, CONTEXT)["large"]
    result = quality_gate.handler(event(data) | {"largest": len(GOOD) - 1}, CONTEXT)
    assert result["large"]
    assert result["rules"] == []
    # Nor is what could not be read at all looked at.
    broken = lake.put("broken.csv", b"\xff" * 100)
    assert quality_gate.handler(event(broken) | {"largest": 99}, CONTEXT)["large"]


def test_the_size_is_that_of_the_version_that_started_the_run(lake: Lake) -> None:
    data = lake.put("in.csv", GOOD)
    version = lake.s3.head_object(Bucket=BUCKET, Key="in.csv")["VersionId"]
    lake.put("in.csv", GOOD * 100)
    request = event({**data, "versionId": version}) | {"largest": len(GOOD)}
    assert not quality_gate.handler(request, CONTEXT)["large"]


def test_more_distinct_values_than_are_counted_are_left_to_spark_where_there_is_one(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dqdl.evaluation, "MAXIMUM_DISTINCT_VALUES", 1)
    request = event(lake.put("in.csv", GOOD), 'Rules = [ IsUnique "id" ]')
    assert quality_gate.handler(request | {"largest": 1_000}, CONTEXT)["large"]
    with pytest.raises(errors.InvalidData, match="more than 1 distinct values up to line 3"):
        quality_gate.handler(request, CONTEXT)


def test_data_that_are_gone_are_invalid(lake: Lake) -> None:
    with pytest.raises(errors.InvalidData, match="there is no object"):
        quality_gate.handler(event({"bucket": BUCKET, "key": "gone.csv"}) | {"largest": 1}, CONTEXT)


def verdict_event(lake: Lake, outcomes: Any) -> dict[str, Any]:
    place = lake.put("runs/outcomes.json", json.dumps(outcomes))
    report = {"bucket": BUCKET, "key": "reports/"}
    results = {"bucket": BUCKET, "key": "quality_results/", "ruleset": "gate"}
    return {
        "run": RUN,
        "data": {"bucket": BUCKET, "key": "big.csv"},
        "outcomes": place,
        "report": report,
        "results": results,
        "started": "2026-11-27T01:02:03Z",
    }


HELD = {"rule": "RowCount > 1", "passed": True, "observed": ""}
BROKEN = {"rule": 'IsComplete "text"', "passed": False, "observed": "Value: 0.5"}


def test_what_spark_found_ends_as_what_the_function_finds(lake: Lake) -> None:
    passed = quality_gate.verdict(verdict_event(lake, {"rows": 9, "rules": [HELD]}), CONTEXT)
    assert (passed["passed"], passed["large"], passed["rows"]) == (True, False, 9)
    with pytest.raises(errors.QualityGateFailed, match="1 of 2 rules failed") as caught:
        quality_gate.verdict(verdict_event(lake, {"rows": 9, "rules": [HELD, BROKEN]}), CONTEXT)
    assert 'IsComplete "text": Value: 0.5' in str(caught.value)
    assert not lake.json({"key": f"reports/{RUN}/quality.json"})["passed"]
    kept = lake.get(f"quality_results/day=2026-11-27/gate-{RUN}.json").decode().splitlines()
    assert [json.loads(line)["evaluator"] for line in kept] == ["spark", "spark"]


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (None, "left no outcome"),
        ({"rows": 9, "rules": []}, "left no outcome"),
        ({"rows": 0, "rules": [HELD]}, "no rows"),
    ],
)
def test_what_spark_did_not_find_is_invalid(lake: Lake, outcomes: Any, message: str) -> None:
    with pytest.raises(errors.InvalidData, match=message):
        quality_gate.verdict(verdict_event(lake, outcomes), CONTEXT)
