"""Split the data into what is trained on and what the model is judged by, by group and repeatably."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import IO

import csvdata
import objects
from errors import InvalidConfiguration, InvalidData
from events import Columns, LabelRule, PrepareCounts, PrepareEvent, PrepareResult, S3Object, Split
from telemetry import logger, step

# What train.csv calls these, whatever the data calls them.
_OWN_NAMES = ("id", "group", "label")
# What the labels become, however the data writes them: training and evaluation know these two.
_CLASSES = ("negative", "positive")
_MAXIMUM_ROWS = 5_000_000


@step("Prepare")
def handler(event: PrepareEvent) -> PrepareResult:
    """Write `holdout.csv` and `labels.csv` to the run's folder below `output`, and `train.csv` to that below
    `train_output`, or to the folder `train` beside them without it. Training code may read no other folder.

    A group is on one side, decided by a hash of its name and the salt alone: the same group stays on its side
    when data is added. Rows without a label or without a feature are left out and counted as `skipped`.

    Raises:
        InvalidConfiguration: the split or the columns contradict themselves.
        InvalidData: the data cannot be read, misses a column, has a label that is not understood or out of
            range, has the same id twice, or leaves a side of the split or one of its classes empty.
    """
    _check(event["split"], event["columns"])
    classes = _labels(event.get("label_rule"))

    def output(*names: str) -> S3Object:
        return objects.of_run(event["output"], event["run"], *names)

    apart = event.get("train_output")
    train = objects.of_run(apart, event["run"], "") if apart else output("train", "")
    with ExitStack() as stack:
        files = [stack.enter_context(objects.spooled()) for _ in range(3)]
        counts = _split(event, classes, files)
        # Nothing is stored before the last row was found good.
        targets = (objects.under(train, "train.csv"), output("holdout.csv"), output("labels.csv"))
        for file, target in zip(files, targets, strict=True):
            objects.upload(file, target, "text/csv; charset=utf-8")
    logger.info("split", extra={"counts": counts})
    _, holdout, labels = targets
    return {"train": train, "holdout": holdout, "labels": labels, "counts": counts}


def _check(split: Split, columns: Columns) -> None:
    problems = []
    if not 0 < split["holdout"] < 1:
        problems.append(f"the holdout is a share of the groups between 0 and 1, not {split['holdout']}")
    if not columns["features"]:
        problems.append("no feature column is named")
    if len(set(columns["features"])) != len(columns["features"]):
        problems.append("a feature column is named twice")
    problems += [
        f"a feature cannot be called {name!r}: train.csv has a column of that name"
        for name in _OWN_NAMES
        if name in columns["features"]
    ]
    if columns["label"] in columns["features"]:
        problems.append(f"the label {columns['label']!r} is a feature too: the model would read its answers")
    if problems:
        raise InvalidConfiguration("; ".join(problems))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Labels that are numbers: above a threshold or not."""

    threshold: float
    minimum: float
    maximum: float

    def is_positive(self, text: str, where: str) -> bool:
        try:
            value = float(text)
        except ValueError:
            raise InvalidData(f"{where}: the label {text[:60]!r} is not a number") from None
        if not math.isfinite(value):
            raise InvalidData(f"{where}: the label {text[:60]!r} is not a finite number")
        if not self.minimum <= value <= self.maximum:
            raise InvalidData(
                f"{where}: the label {text[:60]} is outside of {self.minimum:g} to {self.maximum:g}"
            )
        return value > self.threshold


@dataclass(frozen=True, slots=True)
class _Names:
    """Labels that are two words of the data's own."""

    negative: str
    positive: str

    def is_positive(self, text: str, where: str) -> bool:
        if text not in (self.negative, self.positive):
            raise InvalidData(
                f"{where}: the label {text[:60]!r} is neither {self.negative!r} nor {self.positive!r}"
            )
        return text == self.positive


class _Usual:
    """Labels as programs usually write two classes; a column of 0 and 1 with gaps becomes 0.0 and 1.0."""

    NEGATIVE = ("0", "0.0", "false", "negative")
    POSITIVE = ("1", "1.0", "true", "positive")

    def is_positive(self, text: str, where: str) -> bool:
        label = text.lower()
        if label not in (*self.NEGATIVE, *self.POSITIVE):
            known = ", and ".join(
                f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
                for names in (self.NEGATIVE, self.POSITIVE)
            )
            raise InvalidData(
                f"{where}: the label {text[:60]!r} is not understood: {known} are. Name the words of other "
                "data, or the number above which a label is positive"
            )
        return label in self.POSITIVE


def _labels(rule: LabelRule | None) -> _Numbers | _Names | _Usual:
    rule = rule or {}
    names, threshold = rule.get("names"), rule.get("positive_above")
    if names is not None and threshold is not None:
        raise InvalidConfiguration("labels are names or numbers above a threshold, not both")
    if names is not None:
        if len(names) != 2 or names[0] == names[1]:
            raise InvalidConfiguration(f"names are two words, the negative class first, not {names}")
        return _Names(negative=names[0], positive=names[1])
    if threshold is None:
        return _Usual()
    return _Numbers(
        threshold=threshold,
        minimum=rule.get("minimum", -math.inf),
        maximum=rule.get("maximum", math.inf),
    )


@dataclass(slots=True)
class _Side:
    """One side of the split while it is written."""

    rows: int = 0
    positives: int = 0
    groups: set[bytes] = field(default_factory=set)

    def add(self, group: str, *, positive: bool) -> None:
        self.rows += 1
        self.positives += positive
        self.groups.add(_fingerprint(group))


def _split(
    event: PrepareEvent, classes: _Numbers | _Names | _Usual, files: Sequence[IO[bytes]]
) -> PrepareCounts:
    columns, split = event["columns"], event["split"]
    features = columns["features"]
    held_out = _chooser(split)
    train, holdout, skipped = _Side(), _Side(), 0
    ids: set[bytes] = set()
    with csvdata.open_table(event["data"]) as table, ExitStack() as stack:
        to_train, to_holdout, to_labels = (stack.enter_context(csvdata.writer(file)) for file in files)
        to_train.writerow([*_OWN_NAMES, *features])
        to_holdout.writerow(["id", *features])
        to_labels.writerow(["id", "label"])
        id_at, group_at, label_at, *features_at = table.require(
            [columns["id"], split["group_by"], columns["label"], *features]
        )
        for line, row in table.rows:
            where = f"{table.name}, line {line}"
            identity, group = row[id_at], row[group_at]
            if not identity.strip():
                raise InvalidData(f"{where}: no value in the id column {columns['id']!r}")
            if not group.strip():
                raise InvalidData(f"{where}: no value in the group column {split['group_by']!r}")
            _remember(ids, identity, where)
            values = [row[index] for index in features_at]
            if not row[label_at].strip() or not all(value.strip() for value in values):
                skipped += 1
                continue
            positive = classes.is_positive(row[label_at].strip(), where)
            label = _CLASSES[positive]
            if held_out(group):
                holdout.add(group, positive=positive)
                to_holdout.writerow([identity, *values])
                to_labels.writerow([identity, label])
            else:
                train.add(group, positive=positive)
                to_train.writerow([identity, group, label, *values])
        _check_sides(train, holdout, skipped, table.name)
    return {
        "train": train.rows,
        "holdout": holdout.rows,
        "groups_train": len(train.groups),
        "groups_holdout": len(holdout.groups),
        "positives_train": train.positives,
        "positives_holdout": holdout.positives,
        "skipped": skipped,
    }


def _chooser(split: Split) -> Callable[[str], bool]:
    """Whether a group is held out: its hash, read as a number from 0 to 1, is below the share."""
    salt = split.get("salt", "").encode()
    limit = int(split["holdout"] * 2**64)

    def held_out(group: str) -> bool:
        digest = sha256(salt + b"\0" + group.encode()).digest()
        return int.from_bytes(digest[:8], "big") < limit

    return held_out


def _remember(ids: set[bytes], identity: str, where: str) -> None:
    fingerprint = _fingerprint(identity)
    if fingerprint in ids:
        raise InvalidData(f"{where}: the id {identity[:60]!r} occurs twice")
    if len(ids) >= _MAXIMUM_ROWS:
        raise InvalidData(f"{where}: more than {_MAXIMUM_ROWS} rows; split data of this size with a job")
    ids.add(fingerprint)


def _fingerprint(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=12).digest()


def _check_sides(train: _Side, holdout: _Side, skipped: int, name: str) -> None:
    sides = ((train, "training"), (holdout, "holdout"))
    for side, called in sides:
        if side.rows == 0:
            groups = len(train.groups) + len(holdout.groups)
            raise InvalidData(
                f"{name}: the {called} side of the split is empty ({groups} groups in all, {skipped} rows "
                "skipped); more groups, or another share or salt, are needed"
            )
    for side, called in sides:
        if side.positives in (0, side.rows):
            only = "positive" if side.positives else "negative"
            raise InvalidData(
                f"{name}: all {side.rows} rows of the {called} side are {only}; both classes are needed"
            )
