"""Stop bad data before anything is spent on it: evaluate the rules, write the report, refuse by name."""

from __future__ import annotations

from datetime import datetime

import csvdata
import dqdl
import objects
import quality_results
from errors import InvalidConfiguration, InvalidData, QualityGateFailed
from events import QualityGateEvent, QualityGateResult, QualityVerdictEvent, RuleResult
from telemetry import logger, step

# An error's message travels in the state machine's history, which holds 256 KiB.
_NAMED_FAILURES = 20


@step("QualityGate")
def handler(event: QualityGateEvent) -> QualityGateResult:
    """Evaluate `rules` over `data`; the report is written whether they hold or not.

    An object of more than `largest` bytes, or with more distinct values than are counted here, is left to
    Spark, and `large` says so.

    Raises:
        InvalidConfiguration: the rules are not understood.
        InvalidData: the data cannot be read, or holds no rows.
        QualityGateFailed: a rule does not hold.
    """
    rules = _parsed(event["rules"])
    largest = event.get("largest")
    if largest is not None and (size := objects.size(event["data"])) > largest:
        logger.info("left to Spark", extra={"bytes": size, "largest": largest})
        return _left(event)
    try:
        evaluation = _evaluated(rules, event)
    except dqdl.TooManyDistinctValuesError as error:
        if largest is None:
            raise InvalidData(f"{objects.uri(event['data'])}: {error}") from None
        logger.info("left to Spark", extra={"reason": str(error)})
        return _left(event)
    results: list[RuleResult] = [
        {"rule": outcome.rule, "passed": outcome.passed, "observed": outcome.observed}
        for outcome in evaluation.outcomes
    ]
    return _concluded(event, evaluation.rows, results, evaluator="function")


def _left(event: QualityGateEvent) -> QualityGateResult:
    return {"large": True, "passed": False, "rows": 0, "rules": [], "report": event["report"]}


@step("QualityVerdict")
def verdict(event: QualityVerdictEvent) -> QualityGateResult:
    """Judge what Spark has evaluated, with the same report and the same end as `handler`.

    Raises:
        InvalidData: the data hold no rows, or Spark left nothing.
        QualityGateFailed: a rule does not hold.
    """
    found = objects.get_json(event["outcomes"])
    if found is None or not found["rules"]:
        raise InvalidData(f"Spark left no outcome of {objects.uri(event['data'])}")
    if found["rows"] == 0:
        raise InvalidData(f"{objects.uri(event['data'])} has a header but no rows")
    return _concluded(event, found["rows"], found["rules"], evaluator="spark")


def _concluded(
    event: QualityGateEvent | QualityVerdictEvent, rows: int, results: list[RuleResult], *, evaluator: str
) -> QualityGateResult:
    """Write the report and the rows of the results, and refuse where a rule does not hold."""
    passed = all(result["passed"] for result in results)
    report = objects.put_json(
        objects.of_run(event["report"], event["run"], "quality.json"),
        {
            "run": event["run"],
            "data": dict(event["data"]),
            "passed": passed,
            "rows": rows,
            "rules": results,
        },
    )
    _keep(results, event, evaluator)
    logger.info("evaluated", extra={"rows": rows, "passed": passed, "evaluator": evaluator})
    if not passed:
        raise QualityGateFailed(_failure(results, objects.uri(report)))
    return {"large": False, "passed": True, "rows": rows, "rules": results, "report": report}


def _keep(results: list[RuleResult], event: QualityGateEvent | QualityVerdictEvent, evaluator: str) -> None:
    """Beside the report of the run, a row for each rule in the table of all results."""
    place = event.get("results")
    if place is None:
        return
    if "started" not in event:
        raise InvalidConfiguration("results are wanted, but the event does not say when the run was started")
    rows = [
        quality_results.row(
            run=event["run"],
            ruleset=place["ruleset"],
            source=objects.uri(event["data"]),
            evaluator=evaluator,
            at=datetime.fromisoformat(event["started"]),
            rule=result["rule"],
            outcome="PASS" if result["passed"] else "FAIL",
            observed=result["observed"],
        )
        for result in results
    ]
    quality_results.keep(rows, place, ruleset=place["ruleset"], evaluation=event["run"])


def _parsed(text: str) -> list[dqdl.Rule]:
    try:
        return dqdl.parse(text)
    except dqdl.RulesError as error:
        raise InvalidConfiguration(f"the quality rules are not understood: {error}") from None


def _evaluated(rules: list[dqdl.Rule], event: QualityGateEvent) -> dqdl.Evaluation:
    with csvdata.open_table(event["data"]) as table:
        evaluation = dqdl.evaluate(rules, table.header, table.rows)
        if evaluation.rows == 0:
            raise InvalidData(f"{table.name} has a header but no rows")
    return evaluation


def _failure(results: list[RuleResult], report: str) -> str:
    failed = [result for result in results if not result["passed"]]
    named = [f"{result['rule'][:500]}: {result['observed'][:500]}" for result in failed[:_NAMED_FAILURES]]
    if len(failed) > len(named):
        named.append(f"and {len(failed) - len(named)} more")
    listed = "\n".join(f"- {line}" for line in named)
    return f"{len(failed)} of {len(results)} rules failed (report: {report}):\n{listed}"
