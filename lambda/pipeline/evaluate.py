"""Judge the model by rows that it never saw, and refuse it if it is not good enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import csvdata
import metrics
import objects
from errors import InvalidConfiguration, InvalidData, ModelBelowThreshold
from events import EvaluateEvent, EvaluateResult, S3Object
from telemetry import logger, step
from telemetry import metrics as published

# Which way is better decides which kind of threshold makes sense.
_HIGHER_IS_BETTER = ("auroc", "accuracy")
_LOWER_IS_BETTER = ("log_loss", "brier")
_SHOWN_IDS = 5


@step("Evaluate")
def handler(event: EvaluateEvent) -> EvaluateResult:
    """Compare `scores` with `labels`; the report is written whether the thresholds are met or not.

    Raises:
        InvalidConfiguration: a threshold on an unknown metric, or not between 0 and 1.
        InvalidData: scores and labels are not of the same rows, are unreadable, or of one class only.
        ModelBelowThreshold: a metric is below `minimum` or above `maximum`.
    """
    minimum, maximum = event.get("minimum") or {}, event.get("maximum") or {}
    _check_thresholds("minimum", minimum, _HIGHER_IS_BETTER)
    _check_thresholds("maximum", maximum, _LOWER_IS_BETTER)
    measured = _measure(event)
    values = measured.as_dict()
    failures = _failures(values, minimum, maximum)
    report = objects.put_json(
        objects.of_run(event["report"], event["run"], "evaluation.json"),
        {
            "run": event["run"],
            "positive": event["positive"],
            "scores": event["scores"],
            "labels": event["labels"],
            "metrics": values,
            "minimum": minimum,
            "maximum": maximum,
            "passed": not failures,
        },
    )
    logger.info("evaluated", extra={"metrics": values})
    published.add_metric("Auroc", "None", measured.auroc)
    published.add_metric("Accuracy", "None", measured.accuracy)
    if failures:
        raise ModelBelowThreshold(f"{'; '.join(failures)} (report: {objects.uri(report)})")
    return {"metrics": values, "report": report}


def _check_thresholds(kind: str, thresholds: Mapping[str, float], known: tuple[str, ...]) -> None:
    for name, value in thresholds.items():
        if name not in known:
            other = "maximum" if kind == "minimum" else "minimum"
            wrong_way = name in (*_HIGHER_IS_BETTER, *_LOWER_IS_BETTER)
            hint = f"it needs a {other}" if wrong_way else f"known are {', '.join(known)}"
            raise InvalidConfiguration(f"there can be no {kind} for the metric {name!r}: {hint}")
        if not _is_between(value, 0, _largest(name)):
            raise InvalidConfiguration(
                f"the {kind} of {name} is a number from 0 to {_largest(name)}, not {value!r}"
            )


def _is_between(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _largest(name: str) -> float:
    return 100 if name == "log_loss" else 1


def _failures(
    values: Mapping[str, Any], minimum: Mapping[str, float], maximum: Mapping[str, float]
) -> list[str]:
    below = [
        f"{name} is {values[name]:.4f}, below the minimum of {least}"
        for name, least in minimum.items()
        if values[name] < least
    ]
    above = [
        f"{name} is {values[name]:.4f}, above the maximum of {most}"
        for name, most in maximum.items()
        if values[name] > most
    ]
    return below + above


def _measure(event: EvaluateEvent) -> metrics.Metrics:
    positive = event["positive"]
    labels = _labels(event["labels"], positive)
    name = objects.uri(event["labels"])
    positives = sum(labels.values())
    if positives in (0, len(labels)):
        only = "positive" if positives else "negative"
        raise InvalidData(f"{name}: all {len(labels)} labels are {only}; both classes are needed")
    scores = _scores(event["scores"], positive)
    _check_same_ids(labels, scores)
    return metrics.measure(
        list(labels.values()),
        [scores[identity][0] for identity in labels],
        [scores[identity][1] for identity in labels],
    )


def _labels(reference: S3Object, positive: str) -> dict[str, int]:
    """The true label of each id: 1 for the positive class, written as 1 or by its name."""
    labels: dict[str, int] = {}
    seen: set[str] = set()
    with csvdata.open_table(reference) as table:
        id_at, label_at = table.require(["id", "label"])
        for line, row in table.rows:
            identity, label = row[id_at], row[label_at]
            if identity in labels:
                raise InvalidData(f"{table.name}, line {line}: the id {identity[:60]!r} occurs twice")
            seen.add(label)
            labels[identity] = int(label in ("1", positive))
            if len(seen) > 2:
                found = ", ".join(map(repr, sorted(seen)))
                raise InvalidData(f"{table.name}, line {line}: more than two labels: {found}")
    if not labels:
        raise InvalidData(f"{table.name} has a header but no rows")
    return labels


def _scores(reference: S3Object, positive: str) -> dict[str, tuple[float, int]]:
    """The probability of the positive class for each id, and whether it was the answer."""
    scores: dict[str, tuple[float, int]] = {}
    with csvdata.open_table(reference) as table:
        id_at, score_at, label_at = table.require(["id", positive, "label"])
        for line, row in table.rows:
            where = f"{table.name}, line {line}"
            identity = row[id_at]
            if identity in scores:
                raise InvalidData(f"{where}: the id {identity[:60]!r} occurs twice")
            scores[identity] = (_probability(row[score_at], where), int(row[label_at] == positive))
    return scores


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InvalidData(f"{where}: {text[:60]!r} is not a probability from 0 to 1")
    return value


def _check_same_ids(labels: Mapping[str, int], scores: Mapping[str, object]) -> None:
    problems = []
    for ids, message in (
        (labels.keys() - scores.keys(), "labels without a score"),
        (scores.keys() - labels.keys(), "scores without a label"),
    ):
        if ids:
            shown = ", ".join(repr(identity[:60]) for identity in sorted(ids)[:_SHOWN_IDS])
            problems.append(f"{len(ids)} {message} ({shown}{', …' if len(ids) > _SHOWN_IDS else ''})")
    if problems:
        raise InvalidData(f"scores and labels are not of the same rows: {'; '.join(problems)}")
