"""The metrics against an independent implementation, and the judgement."""

import math
from typing import Any

import numpy as np
import pytest
from handlers.pipeline.asset import errors, evaluate, metrics
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.pipelines import Evaluate

# Few distinct scores: most of them tie.
scored = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda value: value / 20)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@given(scored)
def test_every_metric_is_that_of_scikit_learn(rows: list[tuple[int, float]]) -> None:
    labels, scores = [label for label, _ in rows], [score for _, score in rows]
    predicted = [int(score >= 0.5) for score in scores]
    measured = metrics.measure(labels, scores, predicted)
    assert measured.auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert measured.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert measured.brier == pytest.approx(brier_score_loss(labels, scores))
    assert measured.log_loss == pytest.approx(log_loss(labels, np.clip(scores, 1e-15, 1 - 1e-15)), rel=1e-4)
    assert measured.base_rate == max(labels.count(0), labels.count(1)) / len(labels)
    low, high = measured.auroc_ci95
    assert 0 <= low <= measured.auroc <= high <= 1


@given(scored)
def test_the_variance_is_delongs_as_written_in_his_paper(rows: list[tuple[int, float]]) -> None:
    positives = [score for label, score in rows if label]
    negatives = [score for label, score in rows if not label]
    area, (low, high) = metrics.auroc([label for label, _ in rows], [score for _, score in rows])
    if len(positives) < 2 or len(negatives) < 2:
        assert (low, high) == (0.0, 1.0)
        return
    wins = np.array([[(p > n) + (p == n) / 2 for n in negatives] for p in positives])
    variance = wins.mean(axis=1).var(ddof=1) / len(positives) + wins.mean(axis=0).var(ddof=1) / len(negatives)
    margin = 1.959963984540054 * math.sqrt(variance)
    assert (low, high) == pytest.approx((max(0, area - margin), min(1, area + margin)), abs=1e-9)


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    true_area, held, tries = 0.7602, 0, 400  # of two normal distributions that are one deviation apart
    for _ in range(tries):
        scores = [*random.normal(1, 1, 60), *random.normal(0, 1, 90)]
        _, (low, high) = metrics.auroc([1] * 60 + [0] * 90, scores)
        held += low <= true_area <= high
    assert 0.92 <= held / tries <= 0.98


def test_one_class_has_no_area() -> None:
    with pytest.raises(ValueError, match="needs both classes"):
        metrics.auroc([1, 1], [0.1, 0.2])


LABELS = "id,label\na,positive\nb,negative\nc,positive\nd,negative\n"
SCORES = """\
id,negative,positive,label
d,0.6,0.4,negative
c,0.1,0.9,positive
b,0.4,0.6,positive
a,0.3,0.7,positive
"""


def event(lake: Lake, labels: str = LABELS, scores: str = SCORES, **changes: Any) -> dict[str, Any]:
    return {
        "run": RUN,
        "scores": lake.put("scores.csv", scores),
        "labels": lake.put("labels.csv", labels),
        "positive": "positive",
        "minimum": {"auroc": 0.8},
        "report": {"bucket": BUCKET, "key": f"reports/{RUN}/"},
    } | changes


def test_a_good_model_passes_with_its_metrics_and_a_report(lake: Lake) -> None:
    result = evaluate.handler(event(lake), CONTEXT)
    assert result["metrics"]["auroc"] == 1.0
    assert result["metrics"]["accuracy"] == 0.75
    assert result["metrics"]["base_rate"] == 0.5
    assert result["metrics"]["rows"] == 4
    assert result["report"] == {"bucket": BUCKET, "key": f"reports/{RUN}/evaluation.json"}
    report = lake.json(result["report"])
    assert report["passed"]
    assert report["metrics"] == result["metrics"]


def test_labels_may_be_ones_and_zeros(lake: Lake) -> None:
    labels = LABELS.replace("positive", "1").replace("negative", "0")
    assert evaluate.handler(event(lake, labels), CONTEXT)["metrics"]["auroc"] == 1.0


def test_a_model_below_its_threshold_is_refused_by_metric_value_and_minimum(lake: Lake) -> None:
    request = event(lake, minimum={"auroc": 0.8, "accuracy": 0.9}, maximum={"brier": 0.01})
    with pytest.raises(errors.ModelBelowThreshold) as caught:
        evaluate.handler(request, CONTEXT)
    assert "accuracy is 0.7500, below the minimum of 0.9" in str(caught.value)
    assert "brier is 0.1550, above the maximum of 0.01" in str(caught.value)
    assert "auroc" not in str(caught.value)
    assert not lake.json({"key": f"reports/{RUN}/evaluation.json"})["passed"]


def test_the_same_event_twice_writes_the_same_bytes(lake: Lake) -> None:
    request = event(lake)
    first = evaluate.handler(request, CONTEXT), lake.everything()
    assert (evaluate.handler(request, CONTEXT), lake.everything()) == first


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        (LABELS + "e,positive\n", SCORES, "1 labels without a score ('e')"),
        (LABELS, SCORES + "x,0.5,0.5,positive\n", "1 scores without a label ('x')"),
        (LABELS + "a,positive\n", SCORES, "labels.csv, line 6: the id 'a' occurs twice"),
        (LABELS, SCORES + "a,0.5,0.5,positive\n", "scores.csv, line 6: the id 'a' occurs twice"),
        (LABELS + "e,neutral\n", SCORES, "more than two labels"),
        ("id,label\na,positive\n", SCORES, "all 1 labels are positive"),
        ("id,label\na,negative\n", SCORES, "all 1 labels are negative"),
        ("id,label\n", SCORES, "has a header but no rows"),
        ("", SCORES, "is empty"),
        (LABELS, SCORES.replace("0.7", "1.7"), "'1.7' is not a probability"),
        (LABELS, SCORES.replace("0.7", "nan"), "'nan' is not a probability"),
        (LABELS, SCORES.replace("0.7", ""), "'' is not a probability"),
        (LABELS, SCORES.replace("positive,label", "good,label"), "has no column 'positive'"),
    ],
)  # fmt: skip
def test_scores_and_labels_that_do_not_fit_are_invalid_and_leave_no_report(
    lake: Lake, labels: str, scores: str, message: str
) -> None:
    request = event(lake, labels, scores)
    with pytest.raises(errors.InvalidData) as caught:
        evaluate.handler(request, CONTEXT)
    assert message in str(caught.value)
    assert lake.everything().keys() == {"labels.csv", "scores.csv"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum": {"f1": 0.5}}, "no minimum for the metric 'f1': known are auroc, accuracy"),
        ({"minimum": {"log_loss": 0.5}}, "no minimum for the metric 'log_loss': it needs a maximum"),
        ({"maximum": {"auroc": 0.5}}, "no maximum for the metric 'auroc': it needs a minimum"),
        ({"minimum": {"auroc": 80}}, "from 0 to 1, not 80"),
        ({"minimum": {"auroc": "0.8"}}, "from 0 to 1, not '0.8'"),
        ({"minimum": {"auroc": float("nan")}}, "from 0 to 1, not nan"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(
    lake: Lake, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.InvalidConfiguration, match=message):
        evaluate.handler(event(lake, **changes), CONTEXT)


@pytest.mark.parametrize("kind", ["minimum", "maximum"])
@pytest.mark.parametrize("metric", ["auroc", "accuracy", "log_loss", "brier", "recall"])
@pytest.mark.parametrize("value", [-0.1, 0, 1, 1.5, 100, 100.1])
def test_the_construct_takes_the_limits_that_the_step_takes(
    lake: Lake, kind: str, metric: str, value: float
) -> None:
    problems = Problems("Evaluate")
    limits: dict[str, dict[str, float]] = {"minimum": {}, "maximum": {}, kind: {metric: value}}
    Evaluate(**limits).check(problems)
    taken = True
    try:
        evaluate.handler(event(lake, **limits), CONTEXT)
    except errors.InvalidConfiguration:
        taken = False
    except errors.ModelBelowThreshold:
        pass
    if taken:
        problems.raise_if_any()
    else:
        with pytest.raises(ConfigurationError):
            problems.raise_if_any()
