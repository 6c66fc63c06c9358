"""`model.json`: what a model takes and gives, read from an archive that nobody vouches for.

The function that serves reads it again, by the same rules: what one of the two refuses, the other does.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from errors import ModelRejected

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TYPES = ("string", "float")
_TRANSFORMS = ("lowercase",)
_OF_STRINGS, _OF_FLOATS = ("max_length", "transform"), ("maximum", "minimum")
_INPUT = {"name", "type", *_OF_STRINGS, *_OF_FLOATS}
_OUTPUTS = {"label", "probabilities"}

# A model's bytes are served under one manifest: these parts decide what requests and answers mean.
INTERFACE = ("schema", "inputs", "outputs", "classes", "tensor")


def parse(text: bytes) -> dict[str, Any]:
    """Read a manifest and check it whole.

    Raises:
        ModelRejected: listing everything that is wrong.
    """
    try:
        manifest = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise ModelRejected(f"model.json is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise ModelRejected("model.json is not a JSON object")
    problems = [
        *_identity_problems(manifest),
        *_input_problems(manifest.get("inputs")),
        *_class_problems(manifest.get("classes")),
        *_output_problems(manifest.get("outputs", {})),
        *_tensor_problems(manifest.get("tensor", "input")),
        *_metric_problems(manifest.get("metrics", {})),
    ]
    if problems:
        raise ModelRejected("model.json: " + "; ".join(problems))
    return manifest


def interface(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: manifest.get(name) for name in INTERFACE}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")


def _identity_problems(manifest: dict[str, Any]) -> list[str]:
    problems = []
    if not _is_whole(manifest.get("schema")) or manifest["schema"] != 1:
        problems.append(f"schema is {manifest.get('schema')!r}, known is 1")
    if not isinstance(manifest.get("name"), str) or not manifest["name"]:
        problems.append("name is missing")
    if not isinstance(manifest.get("sha256"), str) or not _SHA256.fullmatch(manifest["sha256"]):
        problems.append("sha256 is not 64 lower-case hexadecimal digits")
    return problems


def _input_problems(inputs: Any) -> list[str]:
    if not isinstance(inputs, list) or not inputs:
        return ["inputs is not a list of at least one input"]
    problems, names = [], set()
    for position, entry in enumerate(inputs):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
            problems.append(f"inputs[{position}] has no name")
            continue
        if entry["name"] in names:
            problems.append(f"inputs[{position}]: the name {entry['name']!r} occurs twice")
        names.add(entry["name"])
        problems += [f"inputs[{position}]: {problem}" for problem in _entry_problems(entry)]
    return problems


def _entry_problems(entry: dict[str, Any]) -> list[str]:
    """A constraint that nobody knows is refused: requests would not be held to it."""
    problems = [f"{name!r} is not known" for name in sorted(entry.keys() - _INPUT)]
    kind = entry.get("type")
    if kind not in _TYPES:
        problems.append(f"type {kind!r} is not {' or '.join(_TYPES)}")
    set_ = {name: value for name, value in entry.items() if value is not None}
    foreign = {"string": _OF_FLOATS, "float": _OF_STRINGS}.get(str(kind), ())
    problems += [f"{name} does not belong to a {kind}" for name in foreign if name in set_]
    if set_.get("transform", _TRANSFORMS[0]) not in _TRANSFORMS:
        problems.append(f"transform {set_['transform']!r} is not {' or '.join(_TRANSFORMS)}")
    longest = set_.get("max_length", 1)
    if not _is_whole(longest) or longest < 1:
        problems.append(f"max_length {longest!r} is not a whole number of at least 1")
    limits = {name: set_[name] for name in _OF_FLOATS if name in set_}
    wrong = [name for name, value in limits.items() if not _is_number(value)]
    problems += [f"{name} is not a finite number" for name in wrong]
    if len(limits) == 2 and not wrong and limits["minimum"] > limits["maximum"]:
        problems.append("minimum is above maximum")
    return problems


def _class_problems(classes: Any) -> list[str]:
    if not isinstance(classes, list) or len(classes) < 2:
        return ["classes is not a list of at least two names"]
    if not all(isinstance(name, str) and name for name in classes):
        return ["classes are not all names"]
    return ["a class is named twice"] if len(set(classes)) != len(classes) else []


def _output_problems(outputs: Any) -> list[str]:
    if not isinstance(outputs, dict):
        return ["outputs is not an object"]
    problems = [f"outputs.{name} is not known" for name in sorted(outputs.keys() - _OUTPUTS)]
    if not isinstance(outputs.get("probabilities", "probabilities"), str):
        problems.append("outputs.probabilities is not a name")
    if not isinstance(outputs.get("label"), str | None):
        problems.append("outputs.label is not a name")
    return problems


def _tensor_problems(tensor: Any) -> list[str]:
    return [] if isinstance(tensor, str) else ["tensor is not a name"]


def _metric_problems(metrics: Any) -> list[str]:
    if not isinstance(metrics, dict):
        return ["metrics is not an object"]
    return [
        f"metrics.{name} is not a finite number" for name, value in metrics.items() if not _is_number(value)
    ]


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
