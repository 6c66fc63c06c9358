"""The training job as SageMaker runs it: a process with folders, arguments, signals and an exit code."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import signal
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import export
import numpy as np
import onnxruntime
import pytest
import train
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from examples.review_sentiment.data import Reviews
from examples.review_sentiment.uploads import SOURCE
from tests.examples.support import Job, Row, small_data

MakeJob = Callable[[Sequence[Row]], Job]


def test_a_model_of_the_real_reviews_ranks_held_out_ones(reviews: Reviews, job: MakeJob) -> None:
    with reviews.path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = {r["review_id"] for r in rows if hashlib.sha256(r["review_id"].encode()).digest()[0] < 51}
    labelled = [
        (r["sentence_id"], r["review_id"], "positive" if float(r["rating"]) > 0 else "negative", r["text"])
        for r in rows
        if float(r["rating"]) != 0
    ]
    work = job([row for row in labelled if row[1] not in held_out])
    finished = work.run()
    assert finished.returncode == 0, finished.stderr
    probabilities = _serve(work.file("model/model.onnx"), [r[3] for r in labelled if r[1] in held_out])
    truth = [r[2] == "positive" for r in labelled if r[1] in held_out]
    assert roc_auc_score(truth, probabilities) >= 0.80
    manifest = json.loads(work.file("model/model.json").read_text())
    assert manifest["parity"]["max_abs_diff"] <= 1e-5
    assert manifest["parity"]["rows"] == len(labelled) - len(truth) + len(export.ADVERSARIAL_TEXTS)


def test_the_manifest_describes_the_model_that_lies_beside_it(job: MakeJob) -> None:
    work = job(small_data())
    assert work.run_here("--name", "tiny", "--folds", "3") == 0
    content, manifest = work.file("model/model.onnx").read_bytes(), work.file("model/model.json").read_text()
    described = json.loads(manifest)
    assert described["sha256"] == hashlib.sha256(content).hexdigest()
    assert described["schema"] == 1
    assert described["name"] == "tiny"
    assert described["classes"] == ["negative", "positive"]
    assert described["inputs"] == [
        {"name": "text", "type": "string", "transform": "lowercase", "max_length": 5000}
    ]
    session = onnxruntime.InferenceSession(content)
    assert [(i.name, i.shape[1]) for i in session.get_inputs()] == [("text", 1)]
    assert [o.name for o in session.get_outputs()] == [
        described["outputs"]["label"],
        described["outputs"]["probabilities"],
    ]


def test_metric_lines_are_found_by_the_jobs_expression(
    job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    work = job(small_data())
    assert work.run_here("--folds", "3") == 0
    output = capsys.readouterr().out
    values = [float(value) for value in re.findall(r"cv_auroc=([0-9.]+)", output)]
    assert len(values) == 4  # one a fold, then the mean
    assert re.findall(r"cv_auroc=[0-9.]+ fold=(\d)", output) == ["0", "1", "2"]
    metrics = json.loads(work.file("model/model.json").read_text())["metrics"]
    assert values[-1] == pytest.approx(metrics["cv_auroc"], abs=1e-6)


def test_an_interrupted_job_goes_on_to_the_same_bytes(job: MakeJob) -> None:
    undisturbed, interrupted = job(small_data(90)), job(small_data(90))
    assert undisturbed.run("--folds", "20").returncode == 0

    ended = interrupted.run("--folds", "20", interrupted=True)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert "goes on from the last checkpoint" in ended.stdout
    checkpoint = json.loads(interrupted.file("checkpoints/cross-validation.json").read_text())
    assert len(checkpoint["folds"]) == 3
    assert not interrupted.file("model").exists()
    assert not interrupted.file("output/failure").exists()

    # Another seed of hashes and another number of threads: neither may reach the model.
    resumed = interrupted.run("--folds", "20", PYTHONHASHSEED="7", OPENBLAS_NUM_THREADS="1")
    assert resumed.returncode == 0
    assert "Resuming after 3 folds" in resumed.stdout
    for name in ("model/model.onnx", "model/model.json"):
        assert interrupted.file(name).read_bytes() == undisturbed.file(name).read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [("not JSON", "cannot be read"), ('{"fingerprint": "of other data", "folds": []}', "of other data")],
)
def test_a_checkpoint_that_does_not_fit_is_not_used(
    job: MakeJob, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work = job(small_data())
    work.file("checkpoints").mkdir()
    work.file("checkpoints/cross-validation.json").write_text(content)
    assert work.run_here("--folds", "3") == 0
    output = capsys.readouterr().out
    assert said in output
    assert "fold=0" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--folds", "1"), "folds is 1; write a whole number from 2 to 20"),
        (("--ngrams", "9"), "ngrams is 9"),
        (("--regularization", "1,-1"), "regularization"),
        (("--unheard-of", "1"), "unrecognized arguments: --unheard-of 1"),
    ],
)
def test_a_wrong_hyperparameter_fails_the_job_by_name(
    job: MakeJob, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work = job(small_data())
    assert work.run_here(*arguments) == 1
    assert said in work.file("output/failure").read_text()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("1", "a", "excellent", "x")], "train.csv, line 2: label 'excellent'"),
        ([(str(i), str(i), "positive", "x") for i in range(9)], "needs both labels"),
        ([("1", "a", "positive", "x"), ("2", "b", "negative", "y")], "2 groups cannot be divided into 5"),
    ],
)
def test_wrong_data_fails_the_job_with_its_place(job: MakeJob, rows: list[Row], said: str) -> None:
    work = job(rows)
    assert work.run_here() == 1
    assert said in work.file("output/failure").read_text()


def test_a_missing_column_and_a_missing_file_are_told(job: MakeJob) -> None:
    work = job(small_data())
    data = work.file("input/data/train/train.csv")
    data.write_text("id,label\n1,positive\n")
    assert work.run_here() == 1
    assert "has no column group, text" in work.file("output/failure").read_text()
    data.unlink()
    assert work.run_here() == 1
    assert "holds no CSV file" in work.file("output/failure").read_text()


def test_an_unexpected_failure_leaves_its_traceback_where_sagemaker_reads_it(job: MakeJob) -> None:
    work = job(small_data())
    work.file("input/data/train/train.csv").write_bytes(b"id,group,label,text\n1,a,positive,\xff\xfe\n")
    assert work.run().returncode == 1
    failure = work.file("output/failure").read_text()
    assert "Traceback" in failure
    assert "UnicodeDecodeError" in failure


def test_all_sentences_of_a_review_are_in_one_fold_and_folds_are_even() -> None:
    groups = [f"r{number // 5}" for number in range(200)]
    folds = train.assign_folds(groups, 4)
    assert sorted(list(folds.values()).count(fold) for fold in range(4)) == [10, 10, 10, 10]
    assert train.assign_folds(groups[::-1], 4) == folds


def test_of_equally_good_models_the_simplest_is_chosen() -> None:
    fold = {"auroc": 0.9, "accuracy": 0.8, "log_loss": 0.4}
    assert train.choose({"8": [fold], "2": [fold], "1": [{**fold, "auroc": 0.8}]}) == (2.0, fold)


def test_the_parity_gate_stops_a_tokenizer_that_onnx_splits_otherwise(tmp_path: Path) -> None:
    # scikit-learn's own pattern leaves out words of one letter, so that "what a player" has "what player".
    texts = [f"{row[3].split()[0]} a player" for row in small_data()]
    pipeline = Pipeline(
        [("tfidf", TfidfVectorizer(lowercase=False, ngram_range=(1, 2))), ("c", LogisticRegression())]
    ).fit(texts, [row[2] for row in small_data()])
    with pytest.raises(
        export.ParityError, match=r"differs .* \(allowed: 1e-05\) for the text '.*Nothing was"
    ):
        export.write_model(tmp_path, pipeline, name="x", texts=texts, metrics={})
    assert list(tmp_path.iterdir()) == []


def test_the_parity_gate_stops_what_only_unusual_texts_show(tmp_path: Path) -> None:
    texts = [row[3] for row in small_data()]
    pipeline = Pipeline(
        [("tfidf", TfidfVectorizer(lowercase=False, token_pattern=r"\w+")), ("c", LogisticRegression())]
    ).fit([*texts, "na caf uvre"], [*(row[2] for row in small_data()), "positive"])
    with pytest.raises(export.ParityError, match="naïve café"):
        export.write_model(tmp_path, pipeline, name="x", texts=texts, metrics={})


def test_the_parity_gate_fails_on_numbers_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def predict_proba(self, texts: list[str]) -> object:
            return np.full((len(texts), 2), np.nan)

    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self, _outputs: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.full((len(inputs["text"]), 2), 0.5, dtype=np.float32)]

    monkeypatch.setattr(export.onnxruntime, "InferenceSession", Session)
    with pytest.raises(export.ParityError):
        export.check_parity(Broken(), b"", [])


def test_the_pinned_requirements_are_those_that_the_project_is_tested_with() -> None:
    lock = tomllib.loads((SOURCE.parents[2] / "uv.lock").read_text())
    locked = {(package["name"], package["version"]) for package in lock["package"]}
    pins = re.findall(r"^([a-z0-9-]+)==([^ ]+)", (SOURCE / "requirements.txt").read_text(), re.MULTILINE)
    assert {"onnxruntime", "scikit-learn", "skl2onnx"} <= {name for name, _ in pins}
    assert [pin for pin in pins if pin not in locked] == []


def _serve(model: Path, texts: list[str]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.read_bytes())
    inputs = np.array([text.lower() for text in texts], dtype=object).reshape(-1, 1)
    (probabilities,) = session.run(["probabilities"], {"text": inputs})
    return np.asarray(probabilities)[:, 1]
