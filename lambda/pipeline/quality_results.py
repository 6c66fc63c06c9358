"""Outcomes of quality rules as rows of a table in the lake, and as metrics.

One object holds one evaluation, a line for each rule. Its key follows from the day and the run, so that a
redelivered event writes the same bytes to the same place.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from clients import glue, s3
from errors import InvalidEvent
from events import EvaluationEvent, EvaluationResult, OutcomeRow, S3Object
from telemetry import logger, step

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import GetDataQualityResultResponseTypeDef

NAMESPACE = "DataScience/Quality"
# A rule may be a query of many lines; a row is for people.
_TEXT_CHARACTERS = 4_000
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.=-]+")


@step("QualityResults")
def handler(event: EvaluationEvent) -> EvaluationResult:
    """Fetch what Glue found in an evaluation and keep it.

    Raises:
        InvalidEvent: the event names no result.
    """
    detail = event.get("detail") or {}
    # Documented as resultID, and seen as resultId too.
    identifier = detail.get("resultID") or detail.get("resultId")
    if not identifier:
        raise InvalidEvent(f"the event names no result: {sorted(detail)}")
    result = glue().get_data_quality_result(ResultId=identifier)
    ruleset = (
        result.get("RulesetName") or result.get("EvaluationContext") or result.get("JobName") or "unnamed"
    )
    rows = [
        row(
            run=result.get("RulesetEvaluationRunId") or result.get("JobRunId") or identifier,
            ruleset=ruleset,
            source=_source(result),
            evaluator="glue" if result.get("RulesetEvaluationRunId") else "spark",
            at=datetime.fromisoformat(event["time"]),
            rule=found.get("Description") or found.get("Name", ""),
            outcome=found.get("Result", "ERROR"),
            observed=_observed(found.get("EvaluationMessage"), found.get("EvaluatedMetrics")),
        )
        for found in result.get("RuleResults", [])
    ]
    keep(
        rows,
        {"bucket": os.environ["RESULTS_BUCKET"], "key": os.environ["RESULTS_PREFIX"]},
        ruleset=ruleset,
        evaluation=identifier,
    )
    return {"ruleset": ruleset, "rules": len(rows)}


def row(
    *,
    run: str,
    ruleset: str,
    source: str,
    evaluator: str,
    at: datetime,
    rule: str,
    outcome: str,
    observed: str,
) -> OutcomeRow:
    """A row of the table; the time as Athena's JSON reader takes it."""
    return {
        "run": run,
        "ruleset": ruleset,
        "source": source,
        "evaluator": evaluator,
        "evaluated_at": at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "rule": rule[:_TEXT_CHARACTERS],
        "outcome": outcome,
        "observed": observed[:_TEXT_CHARACTERS],
    }


def keep(rows: Sequence[OutcomeRow], folder: S3Object, *, ruleset: str, evaluation: str) -> None:
    """Write the rows of one evaluation, and count them."""
    if rows:
        name = _NOT_IN_KEYS.sub("_", f"{ruleset[:200]}-{evaluation[:200]}")
        s3().put_object(
            Bucket=folder["bucket"],
            Key=f"{folder['key']}day={rows[0]['evaluated_at'][:10]}/{name}.json",
            Body="".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode(),
            ContentType="application/x-ndjson",
        )
    passed = sum(row["outcome"] == "PASS" for row in rows)
    for metric, value in (("RulesPassed", passed), ("RulesFailed", len(rows) - passed)):
        with single_metric(name=metric, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as single:
            single.add_dimension("ruleset", ruleset)
    logger.info("kept", extra={"ruleset": ruleset, "rules": len(rows), "passed": passed})


def _source(result: GetDataQualityResultResponseTypeDef) -> str:
    source = result.get("DataSource", {})
    table = source.get("GlueTable") or source.get("DataQualityGlueTable")
    return "" if not table else f"{table['DatabaseName']}.{table['TableName']}"


def _observed(message: str | None, metrics: dict[str, float] | None) -> str:
    measured = ", ".join(f"{name}={value:.6g}" for name, value in sorted((metrics or {}).items()))
    return "; ".join(part for part in (message, measured) if part)
