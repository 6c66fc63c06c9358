"""Source archives for training jobs: the real one, one that waits to be interrupted, and a stand-in that is
quick and can fail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from examples.review_sentiment.uploads import SOURCE, SOURCE_FILES, source_archive
from tests.local.jobs import archive

# Hands over a finished model instead of training one: which one, or which fault, the data's ids tell.
STAND_IN = """
import csv, os, pathlib, shutil

channel = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "train.csv")
with channel.open(encoding="utf-8", newline="") as file:
    mark = next(csv.DictReader(file))["id"].partition("@")[2] or "trained"
if mark == "raises":
    raise RuntimeError("the script was asked to fail")
print("cv_auroc=0.81")
models = pathlib.Path(__file__).parent / "models"
shutil.copytree(models / mark, os.environ["SM_MODEL_DIR"], dirs_exist_ok=True)
"""
# The real script, which waits after its first fold until its machine is taken away.
INTERRUPTIBLE = """
import sys, time
import real

add, on_sigterm = real.Checkpoint.add, real._on_sigterm


def watched():
    global terminated
    terminated = on_sigterm()
    return terminated


def add_and_wait(self, fold):
    add(self, fold)
    while len(self.folds) == 1 and not terminated():
        time.sleep(0.05)


real._on_sigterm, real.Checkpoint.add = watched, add_and_wait
sys.exit(real.main())
"""


@dataclass(frozen=True)
class Model:
    """The two files that training leaves."""

    onnx: bytes
    manifest: dict[str, Any]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.onnx).hexdigest()

    def variant(self, name: str) -> Model:
        """The same model in other bytes: with a comment behind it, field 6 of an ONNX file."""
        comment = name.encode()
        onnx = self.onnx + bytes([0x32, len(comment)]) + comment
        return Model(onnx, self.manifest | {"sha256": hashlib.sha256(onnx).hexdigest()})

    def torn(self) -> Model:
        """Bytes that are not those of which the manifest tells."""
        return Model(self.onnx[:-1000], self.manifest)

    def unusable(self) -> Model:
        """Bytes with the right hash that are no model."""
        onnx = b"this is not a model " * 50
        return Model(onnx, self.manifest | {"sha256": hashlib.sha256(onnx).hexdigest()})

    def fragile(self) -> Model:
        """A model that answers like this one, and with NaN where a text is `poison`."""
        model = onnx.load_from_string(self.onnx)
        for node in model.graph.node:
            node.output[:] = ["calm" if name == "probabilities" else name for name in node.output]
            node.input[:] = ["calm" if name == "probabilities" else name for name in node.input]
        names = helper.make_node(
            "LabelEncoder",
            ["text"],
            ["poisoned"],
            domain="ai.onnx.ml",
            keys_strings=["poison"],
            values_floats=[float("nan")],
            default_float=0.0,
        )
        model.graph.node.extend([names, helper.make_node("Add", ["calm", "poisoned"], ["probabilities"])])
        for opset in model.opset_import:
            if opset.domain == "ai.onnx.ml":
                opset.version = max(opset.version, 2)
        content = model.SerializeToString()
        return Model(content, self.manifest | {"sha256": hashlib.sha256(content).hexdigest()})

    def files(self, folder: str) -> dict[str, str | bytes]:
        return {f"{folder}/model.onnx": self.onnx, f"{folder}/model.json": json.dumps(self.manifest)}


def real() -> bytes:
    return source_archive()


def interruptible() -> bytes:
    files: dict[str, str | bytes] = {name: (SOURCE / name).read_bytes() for name in SOURCE_FILES}
    return archive(files | {"real.py": files["train.py"], "train.py": INTERRUPTIBLE})


def stand_in(model: Model, variants: Iterable[str]) -> bytes:
    """Knows the trained model as `trained`, its variants by their names, one that fails on some texts, and
    two that are spoilt.

    For data without a mark it hands over the trained one.
    """
    files: dict[str, str | bytes] = {"train.py": STAND_IN}
    files |= model.files("models/trained")
    files |= model.fragile().files("models/fragile")
    files |= model.torn().files("models/torn") | model.unusable().files("models/unusable")
    for name in variants:
        files |= model.variant(name).files(f"models/{name}")
    return archive(files)
