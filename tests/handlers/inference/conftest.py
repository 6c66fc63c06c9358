from collections.abc import Iterator

import pytest
from handlers.inference import models
from handlers.inference.asset import app
from handlers.inference.asset import s3 as s3_module
from handlers.inference.fake_s3 import FakeS3, serve


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
