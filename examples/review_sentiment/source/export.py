"""From the trained scikit-learn pipeline to what is served: `model.onnx`, its manifest, and the parity gate.

ONNX holds neither Python code nor a pickle, so a server can load it without trusting who wrote it. But a
conversion can be wrong without a warning (tokenizers are the usual place), so nothing leaves this job before
ONNX Runtime and scikit-learn gave the same probabilities for every training text and for texts made to
differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from skl2onnx import convert_sklearn  # type: ignore[import-untyped]
from skl2onnx.common.data_types import StringTensorType  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]

MAX_TEXT_LENGTH = 5000
# Fixed, not "the newest": the same model bytes from every version of the converter that knows it, and an
# operator set that the inference function's runtime surely has.
OPSET = {"": 18, "com.microsoft": 1, "ai.onnx.ml": 1}
# float32 against float64 is good for about 1e-6; the wrong tokenizer gives 1e-2 and more.
TOLERANCE = 1e-5
# ONNX Runtime's TF-IDF is dense: a row of it has one float for each of some 30,000 words and word pairs.
BATCH = 200

# Where tokenizers and encodings differ: nothing to find, non-ASCII letters and digits, separators of every
# kind, numbers, the longest text that the server lets through.
# ruff: noqa: RUF001 - ambiguous letters and digits are their point
ADVERSARIAL_TEXTS = (
    "",
    " ",
    "?!... --- ***",
    "good",
    "GOOD Good gOOd",
    "naïve café, œuvre, straße, İstanbul, ĳ, ſ",
    "не работает совсем",
    "質問があります。とても良い",
    "😀 great 👍🏽 product 👩‍👩‍👧",
    "１２３ ４５ ²³ ½ ٣",
    "mp3 30gb 1/2 $200 3.5 4300",
    "first line\nsecond line\r\nthird\tcolumn",
    "no\u00a0break\u2003space\u200bzero\ufeffwidth\x00nul\x1f",
    "don't can't it's 'quoted' \"twice\" back`tick",
    "snake_case kebab-case under__score C++ a.b.c",
    "\u0301combining e\u0301 \u202eright to left\u202c",
    "not good not bad not good not bad",
    "the " * (MAX_TEXT_LENGTH // 4),
    "x" * MAX_TEXT_LENGTH,
    " ".join(f"word{i}" for i in range(MAX_TEXT_LENGTH // 10)),
)


class ParityError(RuntimeError):
    """The exported model does not give what the trained model gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """The largest difference of a probability, over how many texts."""

    max_abs_diff: float
    rows: int


def to_onnx(pipeline: Pipeline) -> bytes:
    """The fitted pipeline (TF-IDF, then logistic regression) as ONNX: one string input `text` of [n, 1]."""
    classifier = pipeline.steps[-1][1]
    model = convert_sklearn(
        pipeline,
        name="review-sentiment",
        initial_types=[("text", StringTensorType([None, 1]))],
        options={id(classifier): {"zipmap": False}},
        target_opset=OPSET,
    )
    # The converter lists the operator sets in the order of a Python set, another one in each process.
    operator_sets = sorted(model.opset_import, key=lambda operator_set: str(operator_set.domain))
    del model.opset_import[:]
    model.opset_import.extend(operator_sets)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def check_parity(pipeline: Pipeline, onnx_model: bytes, texts: list[str]) -> Parity:
    """Compare both models on the training texts and the adversarial ones.

    Raises:
        ParityError: a probability differs by more than `TOLERANCE`; names the worst text.
    """
    # As in serving: the text is lower-cased in Python, because ONNX's own lower-casing asks for a locale.
    texts = [text.lower() for text in (*texts, *ADVERSARIAL_TEXTS)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # as in serving; more would only wait for one another
    session = onnxruntime.InferenceSession(onnx_model, options, providers=["CPUExecutionProvider"])
    served = np.concatenate(
        [
            session.run(["probabilities"], {"text": np.array(batch, dtype=object).reshape(-1, 1)})[0]
            for batch in batched(texts, BATCH)
        ]
    )
    trained = pipeline.predict_proba(texts)
    differences = np.abs(served.astype(np.float64) - trained).max(axis=1)
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:  # written so that NaN fails as well
        raise ParityError(
            f"The exported model differs from the trained one by {differences[worst]:.2g} (allowed: "
            f"{TOLERANCE:g}) for the text {texts[worst][:200]!r}: probabilities {served[worst].tolist()} "
            f"instead of {trained[worst].tolist()}. Nothing was exported."
        )
    return Parity(max_abs_diff=float(differences[worst]), rows=len(texts))


def batched(texts: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def write_model(
    folder: Path, pipeline: Pipeline, *, name: str, texts: list[str], metrics: dict[str, float]
) -> dict[str, Any]:
    """Write `model.onnx` and `model.json` when the parity gate is passed; returns the manifest.

    The bytes depend on the trained model alone: no time, no host, no path.
    """
    content = to_onnx(pipeline)
    parity = check_parity(pipeline, content, texts)
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "inputs": [
            {"name": "text", "type": "string", "transform": "lowercase", "max_length": MAX_TEXT_LENGTH}
        ],
        "outputs": {"label": "label", "probabilities": "probabilities"},
        "classes": [str(label) for label in pipeline.classes_],
        "metrics": metrics,
        "parity": {"max_abs_diff": parity.max_abs_diff, "rows": parity.rows},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest
