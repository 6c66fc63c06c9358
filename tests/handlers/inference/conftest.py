import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from handlers.inference import models
from handlers.inference.asset import FOLDER, app
from handlers.inference.asset import s3 as s3_module
from handlers.inference.fake_s3 import FakeS3, serve

SITE_PACKAGES = Path(np.__file__).parents[1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The asset as the builder makes it, with the packages of this Python linked instead of downloaded."""
    folder = tmp_path_factory.mktemp("asset")
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, folder)
    # Other processes may be writing bytecode, under names that are gone a moment later.
    without_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SITE_PACKAGES / "msgspec", folder / "msgspec", ignore=without_bytecode)
    shutil.copytree(
        SITE_PACKAGES / "onnxruntime",
        folder / "onnxruntime",
        ignore=without_bytecode,
        copy_function=lambda source, target: Path(target).symlink_to(source),
    )
    for pattern in (FOLDER / "exclude.txt").read_text().splitlines():
        for path in folder.glob(pattern) if pattern and not pattern.startswith("#") else []:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    return folder


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """A store that answers on loopback; waiting between attempts takes no time."""
    monkeypatch.setattr(s3_module, "_BACKOFF_SECONDS", 0.0)
    with serve() as store:
        yield store


def put(
    store: FakeS3, artifact: models.Artifact, *, prefix: str = "models/", **manifest: object
) -> dict[str, str]:
    """Store a model as the pipeline does; return the environment of a version that serves it."""
    folder = f"lake/{prefix}{artifact.sha256}"
    store.objects[f"{folder}/model.onnx"] = artifact.model
    store.objects[f"{folder}/model.json"] = artifact.manifest_json(**manifest)
    return store.environment(
        MODEL_BUCKET="lake",
        MODEL_KEY=f"{prefix}{artifact.sha256}/model.onnx",
        MODEL_SHA256=artifact.sha256,
        AWS_LAMBDA_FUNCTION_VERSION="7",
        SERVICE="reviews",
        METRICS_NAMESPACE="Tests",
    )


@pytest.fixture
def tabular(s3: FakeS3) -> app.Function:
    return app.Function(put(s3, models.tabular()))


@pytest.fixture
def text(s3: FakeS3) -> app.Function:
    return app.Function(put(s3, models.text()))
