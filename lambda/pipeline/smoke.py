"""Ask a deployed version for scores that are known, and see that it gives the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

import csvdata
import objects
from botocore.exceptions import ClientError
from clients import lambda_
from errors import DeploymentFailed, InvalidData
from events import Golden, S3Object

_ROWS = 8
_TOLERANCE = 1e-5
_SHOWN_CHARACTERS = 500


def test(function: str, version: str, digest: str, manifest: S3Object, golden: Golden) -> None:
    """Invoke the version with the first held-out rows.

    Raises:
        DeploymentFailed: it fails, serves another model, or differs from the known scores by more than 1e-5.
        InvalidData: there are no known scores to compare with.
    """
    described = objects.get_json(manifest)
    if described is None:
        raise DeploymentFailed(f"the manifest {objects.uri(manifest)} does not exist")
    ids, instances = _instances(golden["rows"], described)
    expected = _expected(golden["scores"], ids, described["classes"])
    answer = _invoke(function, version, {"instances": instances})
    served = answer.get("model", {}).get("sha256")
    if served != digest:
        raise DeploymentFailed(f"version {version} of {function} serves the model {served}, not {digest}")
    predictions = answer.get("predictions", [])
    if len(predictions) != len(ids):
        raise DeploymentFailed(
            f"version {version} of {function} gave {len(predictions)} predictions for {len(ids)} rows"
        )
    for identity, prediction in zip(ids, predictions, strict=True):
        _compare(identity, prediction, expected[identity], f"version {version} of {function}")


def _instances(reference: S3Object, manifest: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    inputs = [(entry["name"], entry["type"]) for entry in manifest["inputs"]]
    ids, instances = [], []
    with csvdata.open_table(reference) as table:
        id_at, *positions = table.require(["id", *(name for name, _ in inputs)])
        for line, row in islice(table.rows, _ROWS):
            ids.append(row[id_at])
            instances.append(
                {
                    name: _value(row[position], kind, f"{table.name}, line {line}, column {name!r}")
                    for (name, kind), position in zip(inputs, positions, strict=True)
                }
            )
    if not ids:
        raise InvalidData(f"{objects.uri(reference)} has no rows to test with")
    return ids, instances


def _value(text: str, kind: str, where: str) -> str | float:
    if kind == "string":
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidData(f"{where}: {text[:60]!r} is not a number") from None


def _expected(reference: S3Object, ids: list[str], classes: list[str]) -> dict[str, dict[str, float]]:
    wanted, found = set(ids), {}
    with csvdata.open_table(reference) as table:
        id_at, *positions = table.require(["id", *classes])
        for _, row in table.rows:
            if row[id_at] in wanted:
                values = (float(row[position]) for position in positions)
                found[row[id_at]] = dict(zip(classes, values, strict=True))
                if len(found) == len(wanted):
                    break
    if missing := wanted - found.keys():
        raise InvalidData(f"{objects.uri(reference)} has no score for the id {min(missing)!r}")
    return found


def _invoke(function: str, version: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    try:
        response = lambda_().invoke(
            FunctionName=function, Qualifier=version, Payload=json.dumps(payload).encode()
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            raise DeploymentFailed(f"version {version} of {function} does not exist any more") from error
        raise
    text = response["Payload"].read().decode("utf-8", "replace")
    if response.get("FunctionError"):
        raise DeploymentFailed(f"version {version} of {function} failed: {text[:_SHOWN_CHARACTERS]}")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "error" in answer or not isinstance(answer.get("predictions"), list):
        raise DeploymentFailed(f"version {version} of {function} answered {text[:_SHOWN_CHARACTERS]}")
    return answer


def _compare(identity: str, prediction: Any, expected: Mapping[str, float], who: str) -> None:
    probabilities = prediction.get("probabilities") if isinstance(prediction, dict) else None
    for name, value in expected.items():
        given = probabilities.get(name) if isinstance(probabilities, dict) else None
        if not isinstance(given, int | float) or not abs(given - value) <= _TOLERANCE:
            raise DeploymentFailed(
                f"{who} gives the row {identity[:60]!r} {name}={given}, but it was evaluated with {value}"
            )
