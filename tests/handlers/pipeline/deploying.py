"""What the tests of deployment have in common: models, and the inference function that answers."""

from collections.abc import Callable
from typing import Any

Request = Callable[..., dict[str, Any]]

MANIFEST = {
    "schema": 1,
    "inputs": [{"name": "text", "type": "string"}, {"name": "stars", "type": "float"}],
    "classes": ["negative", "positive"],
}
DIGESTS = {"A": "a" * 64, "B": "b" * 64, "C": "c" * 64}


def answer(variables: dict[str, str], payload: dict[str, Any]) -> dict[str, Any]:
    """The inference function, as far as its contract goes."""
    if "MODEL_SHA256" not in variables:
        return {"error": {"type": "NoModel", "message": "no model"}}
    scores = [len(row["text"]) / 100 + row["stars"] / 1000 for row in payload["instances"]]
    return {
        "predictions": [
            {"label": "negative", "probabilities": {"negative": 1 - score, "positive": score}}
            for score in scores
        ],
        "model": {"sha256": variables["MODEL_SHA256"], "version": "?"},
    }


def off(variables: dict[str, str], payload: dict[str, Any]) -> Any:
    right = answer(variables, payload)
    right["predictions"][3]["probabilities"]["positive"] += 2e-5
    return right
