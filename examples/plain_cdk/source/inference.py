"""Serves the line that `train.py` fitted: `[1, 2]` is answered with the values at 1 and at 2."""

import json
from pathlib import Path


def model_fn(model_dir: str) -> dict[str, float]:
    model: dict[str, float] = json.loads((Path(model_dir) / "model.json").read_text())
    return model


def input_fn(body: str, content_type: str) -> list[float]:
    if content_type != "application/json":
        raise ValueError(f"{content_type} is not application/json")
    return [float(value) for value in json.loads(body)]


def predict_fn(data: list[float], model: dict[str, float]) -> list[float]:
    return [model["slope"] * value + model["intercept"] for value in data]


def output_fn(prediction: list[float], accept: str) -> tuple[str, str]:
    if accept not in ("application/json", "*/*"):
        raise ValueError(f"{accept} is not application/json")
    return json.dumps(prediction), "application/json"
