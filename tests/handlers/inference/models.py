"""Small ONNX models with their manifests."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline


@dataclass(frozen=True)
class Artifact:
    model: bytes
    manifest: dict[str, Any]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model).hexdigest()

    def manifest_json(self, **changes: object) -> bytes:
        return json.dumps({**self.manifest, "sha256": self.sha256, **changes}).encode()


TEXTS = ["a great phone", "great sound and great price", "bad battery", "a bad, bad screen"]


@cache
def tabular(weight: float = 1.0) -> Artifact:
    """Two numbers in; the probability of `yes` is the logistic function of weight x (age + income)."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "tabular",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [numpy_helper.from_array(np.array([[0, weight], [0, weight]], dtype=np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return Artifact(
        model.SerializeToString(),
        {
            "schema": 1,
            "name": "tabular",
            "inputs": [
                {"name": "age", "type": "float", "minimum": 0, "maximum": 120},
                {"name": "income (k$)", "type": "float"},
            ],
            "outputs": {"label": "label", "probabilities": "probabilities"},
            "classes": ["no", "yes"],
            "metrics": {"auroc": 0.9},
        },
    )


@cache
def text_pipeline() -> Pipeline:
    vectorizer = TfidfVectorizer(lowercase=False, token_pattern="[a-z0-9]+")
    return make_pipeline(vectorizer, LogisticRegression()).fit(
        TEXTS, ["positive", "positive", "negative", "negative"]
    )


@cache
def text() -> Artifact:
    """A text model as the example workload trains and exports it."""
    model = to_onnx(
        text_pipeline(),
        initial_types=[("text", StringTensorType([None, 1]))],
        options={"zipmap": False},
    )
    return Artifact(
        model.SerializeToString(),
        {
            "schema": 1,
            "name": "review-sentiment",
            "inputs": [{"name": "text", "type": "string", "transform": "lowercase", "max_length": 50}],
            "outputs": {"label": "label", "probabilities": "probabilities"},
            "classes": ["negative", "positive"],
            "metrics": {},
        },
    )


@cache
def mixed() -> Artifact:
    """One text and one number, each an ONNX input of its own; answers 1 where the text is `vip`."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node(
                "LabelEncoder",
                ["tier"],
                ["known"],
                domain="ai.onnx.ml",
                keys_strings=["vip"],
                values_floats=[1.0],
                default_float=0.0,
            ),
            helper.make_node("Mul", ["known", "share"], ["yes"]),
            helper.make_node("Sub", ["unit", "yes"], ["no"]),
            helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        ],
        "mixed",
        [value("tier", TensorProto.STRING, [None, 1]), value("share", TensorProto.FLOAT, [None, 1])],
        [value("probabilities", TensorProto.FLOAT, [None, 2])],
        [
            numpy_helper.from_array(np.array([[1]], dtype=np.float32), "unit"),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)], ir_version=8
    )
    return Artifact(
        model.SerializeToString(),
        {
            "schema": 1,
            "name": "mixed",
            "inputs": [
                {"name": "tier", "type": "string", "transform": "lowercase"},
                {"name": "share", "type": "float", "minimum": 0, "maximum": 1},
            ],
            "outputs": {"probabilities": "probabilities"},
            "classes": ["no", "yes"],
        },
    )
