"""SnapStart: what a snapshot holds, and what is looked for again after it was restored."""

import ast
import json
from pathlib import Path

from handlers.inference import models
from handlers.inference.asset import FOLDER, restore, shelf
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3
from handlers.inference.test_app import post
from handlers.inference.test_shelf import NUMBERS, following, point

from benchmarks.inference_runtime import Sandbox


def test_a_restored_function_serves_what_was_promoted_since_its_snapshot(
    built: Path, s3: FakeS3, tmp_path: Path
) -> None:
    # GIVEN a function that was started for a snapshot, of Lambda's own runtime client
    point(s3, models.tabular())
    environment = following(s3, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    with Sandbox(built, "app.handler", environment, log=tmp_path / "log.txt") as function:
        function.snapshot()
        assert len(s3.requests) == 3  # pointer, manifest, model: they are in the snapshot
        # WHEN another model is promoted before the snapshot is restored
        point(s3, models.tabular(2.0))
        function.restore()
        answer, _ = function.invoke(post(NUMBERS))
        # THEN the first request has that model
        assert json.loads(answer["body"])["model"]["sha256"] == models.tabular(2.0).sha256


def test_a_restored_version_with_a_model_of_its_own_asks_nobody(
    built: Path, s3: FakeS3, tmp_path: Path
) -> None:
    environment = {**put(s3, models.tabular()), "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    with Sandbox(built, "app.handler", environment, log=tmp_path / "log.txt") as function:
        function.snapshot()
        s3.requests.clear()
        function.restore()
        answer, _ = function.invoke(post(NUMBERS))
    assert answer["statusCode"] == 200
    assert s3.requests == []


def test_a_snapshot_without_a_model_looks_for_one_at_once(s3: FakeS3) -> None:
    known = shelf.Shelf(following(s3))
    restore.before_snapshot(known)
    point(s3, models.tabular())
    restore.after_restore(known)
    assert known.get().sha256 == models.tabular().sha256


def test_a_model_that_refuses_empty_rows_is_no_failed_start(s3: FakeS3, capsys: object) -> None:
    known = shelf.Shelf(put(s3, models.mixed()))
    restore.before_snapshot(known)
    known.get().contract.inputs.clear()  # a model that an empty row does not fit
    restore.before_snapshot(known)
    assert "NotWarmedUp" in capsys.readouterr().out  # type: ignore[attr-defined]


def test_no_module_draws_random_numbers_that_a_snapshot_would_repeat() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"random", "uuid", "secrets"} & set(names), path.name
