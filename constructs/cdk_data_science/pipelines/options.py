"""How data is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdk_data_science._validation import Problems, is_token


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """What is in the data, and how it is divided into training and held-out rows.

    Groups are divided by a hash of their name, so that the rows of one group never stand on both sides, and
    the same data is always divided in the same way.
    """

    id_column: str
    """Names each row."""
    group_column: str
    """Rows with the same value stay together: all sentences of a review, all orders of a customer."""
    label_column: str
    feature_columns: Sequence[str]
    holdout: float = 0.2
    """Share of the groups that is held out: more than 0, less than 1."""
    salt: str = ""
    """Another salt gives another division."""
    label_names: tuple[str, str] | None = None
    """The words that the data has for the negative and the positive class, in this order. Without them and
    without ``positive_above`` a label is 0 or 1, false or true, negative or positive. Training and evaluation
    see ``negative`` and ``positive`` in any case."""
    positive_above: float | None = None
    """Labels are numbers, and positive above this one."""
    label_minimum: float | None = None
    """Labels below it are mistakes in the data; needs ``positive_above``."""
    label_maximum: float | None = None
    """Labels above it are mistakes in the data; needs ``positive_above``."""

    def check(self, problems: Problems) -> None:
        """Report what the prepare step would refuse."""
        problems.check(
            is_token(self.holdout) or 0 < self.holdout < 1,
            given=f"holdout={self.holdout}",
            allowed="more than 0, less than 1",
            write="holdout=0.2",
        )
        for name in ("id_column", "group_column", "label_column"):
            problems.check(bool(getattr(self, name)), given=f"{name}=''", allowed="the name of a column")
        features = list(self.feature_columns)
        problems.check(
            not isinstance(self.feature_columns, str)
            and bool(features)
            and len(set(features)) == len(features),
            given=f"feature_columns={self.feature_columns!r}",
            allowed="a list with one name or more, each once",
            write='feature_columns=["text"]',
        )
        problems.check(
            self.label_column not in features,
            given=f"the label {self.label_column!r} among the features",
            allowed="features that do not hold the answer",
        )
        problems.check(
            self.positive_above is not None or (self.label_minimum is None and self.label_maximum is None),
            given="label_minimum or label_maximum without positive_above",
            allowed="limits of labels that are numbers",
            write="positive_above=0",
        )
        names = self.label_names
        distinct = set(names or ())
        problems.check(
            names is None or (names == tuple(names) and len(distinct) == 2 and "" not in distinct),
            given=f"label_names={names!r}",
            allowed="a tuple of two words, that of the negative class first",
            write='label_names=("ham", "spam")',
        )
        problems.check(
            names is None or self.positive_above is None,
            given="label_names and positive_above",
            allowed="labels that are words, or labels that are numbers",
        )

    def render(self) -> dict[str, Any]:
        """Return the members of the prepare step's event."""
        event: dict[str, Any] = {
            "split": {"group_by": self.group_column, "holdout": self.holdout, "salt": self.salt},
            "columns": {
                "id": self.id_column,
                "label": self.label_column,
                "features": list(self.feature_columns),
            },
        }
        if self.label_names is not None:
            event["label_rule"] = {"names": list(self.label_names)}
        if self.positive_above is not None:
            limits = {"minimum": self.label_minimum, "maximum": self.label_maximum}
            event["label_rule"] = {
                "positive_above": self.positive_above,
                **{name: value for name, value in limits.items() if value is not None},
            }
        return event
