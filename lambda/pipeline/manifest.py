"""`model.json`: what a model takes and gives, read from an archive that nobody vouches for."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from errors import ModelRejected

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TYPES = ("string", "float")

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
        *_output_problems(manifest.get("outputs")),
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
    if manifest.get("schema") != 1:
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
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(f"inputs[{position}] has no name")
        elif name in names:
            problems.append(f"inputs[{position}]: the name {name!r} occurs twice")
        elif entry.get("type") not in _TYPES:
            problems.append(f"inputs[{position}]: type {entry.get('type')!r} is not {' or '.join(_TYPES)}")
        names.add(name)
    return problems


def _class_problems(classes: Any) -> list[str]:
    if not isinstance(classes, list) or len(classes) < 2:
        return ["classes is not a list of at least two names"]
    if not all(isinstance(name, str) and name for name in classes):
        return ["classes are not all names"]
    return ["a class is named twice"] if len(set(classes)) != len(classes) else []


def _output_problems(outputs: Any) -> list[str]:
    names = outputs if isinstance(outputs, dict) else {}
    return [
        f"outputs.{name} is missing"
        for name in ("label", "probabilities")
        if not isinstance(names.get(name), str)
    ]


def _metric_problems(metrics: Any) -> list[str]:
    if not isinstance(metrics, dict):
        return ["metrics is not an object"]
    return [
        f"metrics.{name} is not a finite number"
        for name, value in metrics.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    ]
