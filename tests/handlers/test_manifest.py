"""A manifest means the same to the pipeline, which stores the model, and to the function, which serves it."""

import json
from typing import Any

import pytest
from handlers.inference.asset import manifest as serving
from handlers.pipeline.asset import errors
from handlers.pipeline.asset import manifest as storing

GOOD: dict[str, Any] = {
    "schema": 1,
    "name": "review-sentiment",
    "sha256": "0" * 64,
    "inputs": [
        {"name": "text", "type": "string", "transform": "lowercase", "max_length": 5000},
        {"name": "stars", "type": "float", "minimum": 1, "maximum": 5.0},
    ],
    "outputs": {"label": "label", "probabilities": "probabilities"},
    "classes": ["negative", "positive"],
}


def field(kind: str = "float", **changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "a", "type": kind, **changes}]}


def text(changes: dict[str, Any]) -> bytes:
    return json.dumps(GOOD | changes).encode()


def without(*names: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name not in names}).encode()


@pytest.mark.parametrize(
    "content",
    [
        text({}),
        text({"metrics": {"auroc": 0.8}, "parity": {"rows": 9}, "trained_by": ["somebody"]}),
        text({"tensor": "features"}),
        without("outputs"),
        text({"outputs": {}}),
        text({"outputs": {"probabilities": "scores"}}),
        text({"outputs": {"label": None}}),
        text(field(minimum=None, maximum=None, max_length=None, transform=None)),
        text(field(minimum=-1, maximum=-1)),
        text(field("string", max_length=1)),
        text({"classes": ["0", "1", "2"]}),
    ],
)
def test_both_take_what_is_right(content: bytes) -> None:
    assert storing.parse(content)["classes"] == serving.read(content).classes


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"{nope",
        *(without(name) for name in ("schema", "name", "sha256", "inputs", "classes")),
        *(text({"schema": value}) for value in (2, "1", 1.5, True, None)),
        *(text({"name": value}) for value in ("", None, 5)),
        *(text({"sha256": value}) for value in ("", "0" * 63, "A" * 64, 5)),
        *(text({"inputs": value}) for value in ([], {}, None, "text", ["text"], [None], 5)),
        text({"inputs": [{"type": "string"}]}),
        text({"inputs": [{"name": "a"}]}),
        text({"inputs": [{"name": "", "type": "float"}]}),
        text({"inputs": [{"name": 5, "type": "float"}]}),
        text({"inputs": [{"name": "a", "type": "float"}] * 2}),
        *(text(field(kind)) for kind in ("tensor", "Float", "")),
        text({"inputs": [{"name": "a", "type": 5}]}),
        text({"inputs": [{"name": "a", "type": ["float"]}]}),
        # A constraint that is misspelt or not known would be kept by nobody.
        text(field(maximun=5)),
        text(field("string", pattern="[a-z]+")),
        text(field("string", minimum=1)),
        text(field("string", maximum=1)),
        text(field(max_length=1)),
        text(field(transform="lowercase")),
        *(text(field("string", transform=value)) for value in ("stem", "", 5, ["lowercase"])),
        *(text(field("string", max_length=value)) for value in (0, -1, 1.5, True, "9")),
        *(text(field(minimum=value)) for value in ("1", True, [1], float("nan"), float("inf"))),
        text({}).replace(b'"maximum": 5.0', b'"maximum": 1e999'),
        text(field(minimum=2, maximum=1)),
        *(text({"classes": value}) for value in ([], ["one"], ["a", "a"], ["a", ""], ["a", 2], "ab", None)),
        *(text({"outputs": value}) for value in ([], "label", None, {"probabilties": "p"})),
        *(text({"outputs": {"probabilities": value}}) for value in (None, 5)),
        text({"outputs": {"label": 5}}),
        *(text({"tensor": value}) for value in (None, 5)),
    ],
)
def test_both_refuse_what_is_wrong(content: bytes) -> None:
    refused = []
    for read, error in ((storing.parse, errors.ModelRejected), (serving.read, serving.InvalidModel)):
        try:
            read(content)
        except error:
            refused.append(error)
    assert refused == [errors.ModelRejected, serving.InvalidModel]
