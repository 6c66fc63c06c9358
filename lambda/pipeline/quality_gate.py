"""Stop bad data before anything is spent on it: evaluate the rules, write the report, refuse by name."""

from __future__ import annotations

from datetime import datetime

import csvdata
import dqdl
import objects
import quality_results
from errors import InvalidConfiguration, InvalidData, QualityGateFailed
from events import QualityGateEvent, QualityGateResult, RuleResult
from telemetry import logger, step

# An error's message travels in the state machine's history, which holds 256 KiB.
_NAMED_FAILURES = 20


@step("QualityGate")
def handler(event: QualityGateEvent) -> QualityGateResult:
    """Evaluate `rules` over `data`; the report is written whether they hold or not.

    Raises:
        InvalidConfiguration: the rules are not understood.
        InvalidData: the data cannot be read, or holds no rows.
        QualityGateFailed: a rule does not hold.
    """
    rules = _parsed(event["rules"])
    evaluation = _evaluated(rules, event)
    results: list[RuleResult] = [
        {"rule": outcome.rule, "passed": outcome.passed, "observed": outcome.observed}
        for outcome in evaluation.outcomes
    ]
    report = objects.put_json(
        objects.of_run(event["report"], event["run"], "quality.json"),
        {
            "run": event["run"],
            "data": dict(event["data"]),
            "passed": evaluation.passed,
            "rows": evaluation.rows,
            "rules": results,
        },
    )
    _keep(results, event)
    logger.info("evaluated", extra={"rows": evaluation.rows, "passed": evaluation.passed})
    if not evaluation.passed:
        raise QualityGateFailed(_failure(results, objects.uri(report)))
    return {"passed": True, "rows": evaluation.rows, "rules": results, "report": report}


def _keep(results: list[RuleResult], event: QualityGateEvent) -> None:
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
            evaluator="function",
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
        try:
            evaluation = dqdl.evaluate(rules, table.header, table.rows)
        except dqdl.TooManyDistinctValuesError as error:
            raise InvalidData(f"{table.name}: {error}") from None
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
