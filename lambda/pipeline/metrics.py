"""How good are probabilities of one class? Exact numbers, in the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NORMAL_97_5 = 1.959963984540054  # that quantile of the standard normal distribution
_EPSILON = 1e-15  # keeps the log loss of a confident mistake finite


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measured on held-out rows. `base_rate` is the accuracy of always answering the commoner class."""

    auroc: float
    auroc_ci95: tuple[float, float]
    accuracy: float
    log_loss: float
    brier: float
    base_rate: float
    rows: int
    positives: int

    def as_dict(self) -> dict[str, float | int | list[float]]:
        return {
            "auroc": self.auroc,
            "auroc_ci95": list(self.auroc_ci95),
            "accuracy": self.accuracy,
            "log_loss": self.log_loss,
            "brier": self.brier,
            "base_rate": self.base_rate,
            "rows": self.rows,
            "positives": self.positives,
        }


def measure(labels: Sequence[int], scores: Sequence[float], predicted: Sequence[int]) -> Metrics:
    """Compare labels (0 or 1, both must occur) with the probability of 1 and the predicted label."""
    rows, positives = len(labels), sum(labels)
    area, interval = auroc(labels, scores)
    return Metrics(
        auroc=area,
        auroc_ci95=interval,
        accuracy=sum(label == guess for label, guess in zip(labels, predicted, strict=True)) / rows,
        log_loss=math.fsum(map(_loss, labels, scores)) / rows,
        brier=math.fsum((score - label) ** 2 for label, score in zip(labels, scores, strict=True)) / rows,
        base_rate=max(positives, rows - positives) / rows,
        rows=rows,
        positives=positives,
    )


def auroc(labels: Sequence[int], scores: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The area under the ROC curve, ties counted half, and its 95 % confidence interval.

    The area is the Mann-Whitney statistic, from ranks. The interval is DeLong's: the variance comes from how
    the place of each positive among the negatives varies, and of each negative among the positives (in the
    fast form of Sun and Xu, 2014, which needs ranks only).
    """
    positives = [score for label, score in zip(labels, scores, strict=True) if label]
    negatives = [score for label, score in zip(labels, scores, strict=True) if not label]
    many, few = len(positives), len(negatives)
    if not many or not few:
        raise ValueError("the area under the ROC curve needs both classes")
    ranks = midranks([*positives, *negatives])
    own_positive, own_negative = midranks(positives), midranks(negatives)
    # Ranks are multiples of one half: these sums are exact.
    area = (math.fsum(ranks[:many]) - many * (many + 1) / 2) / (many * few)
    if many < 2 or few < 2:
        return area, (0.0, 1.0)  # one row of a class tells nothing of its spread
    places_positive = [(rank - own) / few for rank, own in zip(ranks[:many], own_positive, strict=True)]
    places_negative = [1 - (rank - own) / many for rank, own in zip(ranks[many:], own_negative, strict=True)]
    variance = _variance(places_positive, area) / many + _variance(places_negative, area) / few
    margin = _NORMAL_97_5 * math.sqrt(variance)
    return area, (max(0.0, area - margin), min(1.0, area + margin))


def midranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            ranks[position] = (start + 1 + end) / 2
        start = end
    return ranks


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _loss(label: int, score: float) -> float:
    likelihood = score if label else 1 - score
    return -math.log(min(max(likelihood, _EPSILON), 1 - _EPSILON))
