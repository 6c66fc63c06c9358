"""The training job, in SageMaker's script mode: TF-IDF and logistic regression, chosen by cross-validation.

Reads `train.csv` (columns `id`, `group`, `label`, `text`) from the channel `train`, writes `model.onnx` and
`model.json` to the model folder. Cross-validation is the long part, so each finished fold is a checkpoint: on
Spot capacity an interrupted job goes on from the last one, and its model has the same bytes as that of a job
that was never interrupted.

Lines such as `cv_auroc=0.8312 fold=2` are for the job's metric definitions (`cv_auroc=([0-9.]+)`): one for
each fold, and the mean at the end. Where `MLFLOW_TRACKING_URI` is set, the run is recorded in MLflow, too.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np
import onnx
import sklearn  # type: ignore[import-untyped]
from export import write_model
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tracking import Recorder

COLUMNS = ("id", "group", "label", "text")
LABELS = ("negative", "positive")
CHECKPOINT = "cross-validation.json"
EXIT_TERMINATED = 128 + signal.SIGTERM

Metrics = dict[str, float]


class TrainingError(RuntimeError):
    """What a person has to correct: a hyperparameter or the data."""


class TerminatedError(Exception):
    """SageMaker takes the instance away; the checkpoints are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Where SageMaker's contract puts things; a job that runs outside a container moves all of it."""

    train: Path
    model: Path
    output_data: Path
    checkpoints: Path
    failure: Path

    @classmethod
    def from_environment(cls) -> Folders:
        base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        return cls(
            train=Path(os.environ.get("SM_CHANNEL_TRAIN", base / "input" / "data" / "train")),
            model=Path(os.environ.get("SM_MODEL_DIR", base / "model")),
            output_data=Path(os.environ.get("SM_OUTPUT_DATA_DIR", base / "output" / "data")),
            checkpoints=base / "checkpoints",
            failure=base / "output" / "failure",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameters:
    folds: int
    regularization: tuple[float, ...]
    ngrams: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """Sentences, whether each is positive, and the group (review) that each belongs to."""

    texts: list[str]
    labels: list[str]
    groups: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    folders = Folders.from_environment()
    terminated = _on_sigterm()
    recorder = Recorder.from_environment()
    try:
        # The order of a sum must not depend on the number of cores, or equal data gives unequal models. And
        # vectors of this size are added faster than threads are woken.
        with threadpool_limits(limits=1):
            train(parse_hyperparameters(arguments), folders, terminated=terminated, recorder=recorder)
    except TerminatedError:
        recorder.end("KILLED")
        print("Terminated: the next attempt goes on from the last checkpoint.", flush=True)
        return EXIT_TERMINATED
    except Exception as error:  # noqa: BLE001 - whatever it was, the failure file is how the job tells it
        expected = isinstance(error, TrainingError)
        _write_atomically(folders.failure, str(error) if expected else traceback.format_exc())
        print(error if expected else traceback.format_exc(), file=sys.stderr, flush=True)
        recorder.end("FAILED")
        return 1
    recorder.end()
    return 0


def parse_hyperparameters(arguments: Sequence[str] | None) -> Hyperparameters:
    """SageMaker passes each hyperparameter as `--key value`."""
    parser = _Parser(prog="train.py", description=__doc__)
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation, 2 to 20")
    parser.add_argument("--regularization", type=_numbers, default="1,2,4,8,16", help="values of C to try")
    parser.add_argument("--ngrams", type=int, default=2, help="longest sequence of words, 1 to 3")
    parser.add_argument("--name", default="review-sentiment", help="of the model, in its manifest")
    given = parser.parse_args(arguments)
    if not 2 <= given.folds <= 20:
        raise TrainingError(f"Hyperparameter folds is {given.folds}; write a whole number from 2 to 20.")
    if not 1 <= given.ngrams <= 3:
        raise TrainingError(f"Hyperparameter ngrams is {given.ngrams}; write 1, 2 or 3.")
    return Hyperparameters(
        folds=given.folds, regularization=given.regularization, ngrams=given.ngrams, name=given.name
    )


def train(
    parameters: Hyperparameters, folders: Folders, *, terminated: Callable[[], bool], recorder: Recorder
) -> None:
    """Cross-validate, fit the best on everything, export."""
    examples = read_examples(folders.train)
    positives = examples.labels.count("positive")
    groups = len(set(examples.groups))
    print(f"rows={len(examples.texts)} groups={groups} positives={positives}", flush=True)
    if groups < parameters.folds:
        raise TrainingError(f"{groups} groups cannot be divided into {parameters.folds} folds.")
    tried = " ".join(f"{c:g}" for c in parameters.regularization)
    recorder.begin(
        {"folds": parameters.folds, "ngrams": parameters.ngrams, "regularization": tried},
        {"rows": str(len(examples.texts)), "groups": str(groups), "positives": str(positives)},
    )

    checkpoint = Checkpoint.load(
        folders.checkpoints / CHECKPOINT, fingerprint=_fingerprint(parameters, examples)
    )
    results = cross_validate(parameters, examples, checkpoint, terminated=terminated, recorder=recorder)
    best, metrics = choose(results)
    print(f"regularization={best:g} " + " ".join(f"cv_{k}={v:.6f}" for k, v in metrics.items()), flush=True)

    model = build_model(parameters, best)
    model.fit([text.lower() for text in examples.texts], examples.labels)
    if terminated():
        raise TerminatedError
    found = {**{f"cv_{key}": value for key, value in metrics.items()}, "regularization": best}
    manifest = write_model(
        folders.model,
        model,
        name=parameters.name,
        texts=examples.texts,
        metrics=found,
    )
    _write_atomically(folders.output_data / CHECKPOINT, json.dumps(results, indent=2, sort_keys=True) + "\n")
    recorder.file(folders.output_data / CHECKPOINT)
    recorder.model(
        folders.model, name=parameters.name, version=onnx.__version__, metrics=found, step=parameters.folds
    )
    print(
        f"parity_max_abs_diff={manifest['parity']['max_abs_diff']:.2e} sha256={manifest['sha256']}",
        flush=True,
    )


def read_examples(folder: Path) -> Examples:
    """The CSV files of the channel; every mistake in them is told with file and line."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise TrainingError(f"The channel train ({folder}) holds no CSV file.")
    examples = Examples(texts=[], labels=[], groups=[])
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise TrainingError(
                    f"{path.name} has no column {', '.join(missing)}; it has {reader.fieldnames}."
                )
            for row in reader:
                if row["label"] not in LABELS or row["text"] is None:
                    raise TrainingError(
                        f"{path.name}, line {reader.line_num}: label {row['label']!r}, text {row['text']!r}; "
                        f"write one of the labels {', '.join(LABELS)} and a text."
                    )
                examples.texts.append(row["text"])
                examples.labels.append(row["label"])
                examples.groups.append(row["group"])
    if len(set(examples.labels)) < 2:
        raise TrainingError(
            f"The training data needs both labels; it has only {sorted(set(examples.labels))}."
        )
    return examples


def build_model(parameters: Hyperparameters, regularization: float) -> Pipeline:
    """The pipeline as it is exported."""
    return Pipeline(
        [
            ("tfidf", _vectorizer(parameters)),
            ("classifier", _classifier(regularization)),
        ]
    )


def _vectorizer(parameters: Hyperparameters) -> TfidfVectorizer:
    return TfidfVectorizer(
        lowercase=False,  # done before: the exported model gets lower-cased text, too
        # The one pattern that ONNX's tokenizer splits in the same way.
        token_pattern=r"[a-z0-9]+",  # noqa: S106 - not a password
        ngram_range=(1, parameters.ngrams),
        sublinear_tf=False,
    )


def _classifier(regularization: float) -> LogisticRegression:
    # liblinear: a hundredth of a second for this size, on one thread, with the same bytes every time.
    return LogisticRegression(C=regularization, solver="liblinear", random_state=0, max_iter=1000)


def cross_validate(
    parameters: Hyperparameters,
    examples: Examples,
    checkpoint: Checkpoint,
    *,
    terminated: Callable[[], bool],
    recorder: Recorder,
) -> dict[str, list[Metrics]]:
    """For each value of C the metrics of each fold. All sentences of a review are in the same fold."""
    fold_of = assign_folds(examples.groups, parameters.folds)
    folds = np.array([fold_of[group] for group in examples.groups])
    texts = np.array([text.lower() for text in examples.texts], dtype=object)
    labels = np.array(examples.labels)
    for fold in range(parameters.folds):
        if fold < len(checkpoint.folds):
            print(f"fold={fold} was done before the interruption", flush=True)
            continue
        inside, outside = folds != fold, folds == fold
        if len(set(labels[inside])) < 2 or len(set(labels[outside])) < 2:
            raise TrainingError(f"Fold {fold} of {parameters.folds} has only one label; use fewer folds.")
        vectorizer = _vectorizer(parameters)
        words, unseen = vectorizer.fit_transform(texts[inside]), vectorizer.transform(texts[outside])
        metrics = {}
        for regularization in parameters.regularization:
            classifier = _classifier(regularization).fit(words, labels[inside])
            metrics[f"{regularization:g}"] = _metrics(labels[outside], classifier.predict_proba(unseen)[:, 1])
        checkpoint.add(metrics)
        best = max(m["auroc"] for m in metrics.values())
        print(f"cv_auroc={best:.6f} fold={fold}", flush=True)
        recorder.metrics({"cv_auroc": best}, step=fold)
        if terminated():
            raise TerminatedError
    return {c: [fold[c] for fold in checkpoint.folds] for c in checkpoint.folds[0]}


def assign_folds(groups: Sequence[str], folds: int) -> dict[str, int]:
    """Deal the groups out in the order of their hashes: even, and the same whatever the order of the rows."""
    ordered = sorted(set(groups), key=lambda group: hashlib.sha256(group.encode()).digest())
    return {group: index % folds for index, group in enumerate(ordered)}


def choose(results: dict[str, list[Metrics]]) -> tuple[float, Metrics]:
    """The value of C with the best mean AUROC (of equals the simplest model) and its mean metrics."""
    means = {
        float(c): {key: float(np.mean([fold[key] for fold in folds])) for key in folds[0]}
        for c, folds in results.items()
    }
    best = max(means, key=lambda c: (means[c]["auroc"], -c))
    return best, means[best]


def _metrics(labels: Any, probabilities: Any) -> Metrics:
    positive = labels == "positive"
    return {
        "auroc": float(roc_auc_score(positive, probabilities)),
        "accuracy": float(accuracy_score(positive, probabilities > 0.5)),
        "log_loss": float(log_loss(positive, probabilities)),
    }


@dataclass(kw_only=True, slots=True)
class Checkpoint:
    """The folds done so far. It is valid only for the data and hyperparameters that it was made with."""

    path: Path
    fingerprint: str
    folds: list[dict[str, Metrics]]

    @classmethod
    def load(cls, path: Path, *, fingerprint: str) -> Checkpoint:
        folds: list[dict[str, Metrics]] = []
        if path.exists():
            try:
                content = json.loads(path.read_text())
                if content["fingerprint"] == fingerprint:
                    folds = content["folds"]
                    print(f"Resuming after {len(folds)} folds.", flush=True)
                else:
                    print("The checkpoint is of other data or hyperparameters: starting anew.", flush=True)
            except (ValueError, KeyError, TypeError) as error:
                print(f"The checkpoint cannot be read ({error!r}): starting anew.", flush=True)
        return cls(path=path, fingerprint=fingerprint, folds=folds)

    def add(self, fold: dict[str, Metrics]) -> None:
        self.folds.append(fold)
        content = {"fingerprint": self.fingerprint, "folds": self.folds}
        # SageMaker uploads this folder while the job runs, so a half-written file must never be seen in it.
        _write_atomically(self.path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _fingerprint(parameters: Hyperparameters, examples: Examples) -> str:
    content = [sklearn.__version__, repr(parameters), examples.texts, examples.labels, examples.groups]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _on_sigterm() -> Callable[[], bool]:
    """A Spot interruption is a SIGTERM two minutes ahead: finish what is begun, leave between two folds."""
    received = False

    def remember(_signal: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = True

    signal.signal(signal.SIGTERM, remember)
    return lambda: received


def _write_atomically(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, not in it: whatever lies in the checkpoint folder is uploaded.
    temporary = path.parent.with_name(f".{path.parent.name}-{path.name}.part")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(","))
    if not all(0 < number < float("inf") for number in numbers):
        raise ValueError(text)
    return numbers


class _Parser(argparse.ArgumentParser):
    """Mistakes end in the failure file, not in a usage text that nobody sees."""

    def error(self, message: str) -> NoReturn:
        raise TrainingError(f"Hyperparameters: {message}.")


if __name__ == "__main__":
    sys.exit(main())
