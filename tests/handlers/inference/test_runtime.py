"""The built asset in the Lambda runtime client, as it is deployed: slimmed, in a process of its own."""

import json
from pathlib import Path

from handlers.inference import models
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3
from handlers.inference.test_app import post

from benchmarks.inference_runtime import Sandbox


def sandbox(built: Path, environment: dict[str, str], tmp_path: Path) -> Sandbox:
    return Sandbox(built, "app.handler", environment, log=tmp_path / "log.txt")


def test_the_slimmed_asset_starts_loads_its_model_and_answers(
    built: Path, s3: FakeS3, tmp_path: Path
) -> None:
    assert not (built / "onnxruntime" / "__init__.py").exists()

    with sandbox(built, put(s3, models.text()), tmp_path) as function:
        function.ready()
        assert len(s3.requests) == 2  # the model came during the init phase
        answer, _ = function.invoke(post({"instances": [{"text": "Great phone"}, {"text": "bad"}]}))
        refusal, _ = function.invoke(post({"instances": [{"text": 1}]}))
        direct, _ = function.invoke({"instances": [{"text": "Great phone"}]})

    labels = [each["label"] for each in json.loads(answer["body"])["predictions"]]
    assert (answer["statusCode"], labels) == (200, ["positive", "negative"])
    assert refusal["statusCode"] == 422
    assert direct["predictions"] == json.loads(answer["body"])["predictions"][:1]
    assert json.loads(function.output().splitlines()[0])["ModelLoad"] > 0


def test_a_missing_model_does_not_keep_the_function_from_starting(built: Path, tmp_path: Path) -> None:
    with sandbox(built, {}, tmp_path) as function:
        function.ready()
        answer, _ = function.invoke(post({"instances": [{"text": "Great phone"}]}))
    assert answer["statusCode"] == 503


def test_the_scoring_step_runs_as_a_function_of_its_own(built: Path, s3: FakeS3, tmp_path: Path) -> None:
    artifact = models.text()
    environment = put(s3, artifact)
    s3.objects["lake/holdout.csv"] = b"id,text\n1,great phone\n"
    event = {
        "run": "run-1",
        "model": {"bucket": environment["MODEL_BUCKET"], "key": environment["MODEL_KEY"]},
        "sha256": artifact.sha256,
        "rows": {"bucket": "lake", "key": "holdout.csv"},
        "output": {"bucket": "lake", "key": "scores.csv"},
    }
    with Sandbox(built, "score.handler", s3.environment(), log=tmp_path / "log.txt") as function:
        function.ready()
        answer, _ = function.invoke(event)
    assert answer == {"scores": {"bucket": "lake", "key": "scores.csv"}, "rows": 1}
    assert s3.objects["lake/scores.csv"].startswith(b"id,negative,positive,label\n1,")
