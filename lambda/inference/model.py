"""A model of this function: found, fetched, verified and opened."""

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from threading import Thread
from typing import NamedTuple

import manifest as manifests
import ort
from contract import Batch, Contract
from manifest import InvalidModel, Manifest
from s3 import Client, S3Error

DEFAULT_MAX_ROWS = 1000
# A model lies in memory as bytes and as what the engine makes of them, at least.
_TIMES_IN_MEMORY = 2
_TEXTS_AT_ONCE = 100
_VERSION = re.compile(r"[0-9a-f]{64}")


class NoModel(Exception):
    """This version was published without a model, and no pointer names one."""


class UnknownModel(Exception):
    """The function has no model of this name."""


class ModelUnavailable(Exception):
    """There is a model, and it could not be loaded; the message says why."""


class Location(NamedTuple):
    bucket: str
    key: str
    sha256: str

    @property
    def manifest_key(self) -> str:
        folder, slash, _ = self.key.rpartition("/")
        return f"{folder}{slash}model.json"


class Prediction(NamedTuple):
    labels: list[str]
    probabilities: list[float]  # row by row, in the order of the classes


class Model:
    """A model that serves. Nothing in it changes after it is made."""

    def __init__(self, manifest: Manifest, session: ort.Session, *, max_rows: int) -> None:
        _refuse_misfit(manifest, session)
        self.sha256 = manifest.sha256
        self.classes = manifest.classes
        self.contract = Contract(manifest, max_rows=max_rows)
        # A text becomes a row as wide as the vocabulary, zeros and all: many of them at once take gigabytes.
        self._rows_at_once = sys.maxsize if manifest.tabular else _TEXTS_AT_ONCE
        self._manifest = manifest
        self._larger: Contract | None = None
        self._label_by_text = all(name.lstrip("-").isdecimal() for name in manifest.classes)
        inputs = [manifest.tensor] if manifest.tabular else [field.name for field in manifest.inputs]
        outputs = [manifest.outputs.probabilities]
        if manifest.outputs.label is not None:
            outputs.append(manifest.outputs.label)
        self._run = session.bind(inputs, outputs)

    def contract_of(self, rows: int) -> Contract:
        """The contract of requests that may hold other numbers of rows than those over HTTP."""
        if self._larger is None or self._larger.max_rows != rows:
            self._larger = Contract(self._manifest, max_rows=rows)
        return self._larger

    def warm_up(self) -> None:
        """Run the model once on a row of nothing, so that what it allocates first is there."""
        empty = [b"" if field.type == "string" else 0.0 for field in self.contract.inputs]
        self._run(self.contract.columns_of(empty), 1)

    def predict(self, batch: Batch) -> Prediction:
        """Score a batch.

        Raises:
            ort.OrtError: the model refused the batch, or its answer is no set of probabilities.
        """
        if batch.rows > self._rows_at_once:
            return self._predict_in_parts(batch)
        probabilities, *rest = self._run(batch.columns, batch.rows)
        width = len(self.classes)
        if len(probabilities) != batch.rows * width:
            raise ort.OrtError(f"{len(probabilities)} probabilities for {batch.rows} rows of {width} classes")
        if not math.isfinite(sum(probabilities)):  # type: ignore[arg-type]
            raise ort.OrtError("the model answered with NaN or infinity")
        if rest:
            labels = [self._label(value) for value in rest[0]]
        else:
            labels = [
                self.classes[_largest(probabilities[at : at + width])]  # type: ignore[arg-type]
                for at in range(0, len(probabilities), width)
            ]
        if len(labels) != batch.rows:
            raise ort.OrtError(f"{len(labels)} labels for {batch.rows} rows")
        return Prediction(labels, probabilities)  # type: ignore[arg-type]

    def _predict_in_parts(self, batch: Batch) -> Prediction:
        labels: list[str] = []
        probabilities: list[float] = []
        for at in range(0, batch.rows, self._rows_at_once):
            end = min(at + self._rows_at_once, batch.rows)
            part = self.predict(Batch([column[at:end] for column in batch.columns], end - at))
            labels += part.labels
            probabilities += part.probabilities
        return Prediction(labels, probabilities)

    def described(self, prediction: Prediction) -> list[dict[str, object]]:
        """Predictions as callers see them, row by row."""
        classes, probabilities, width = self.classes, prediction.probabilities, len(self.classes)
        return [
            {
                "label": label,
                "probabilities": dict(
                    zip(classes, probabilities[row * width : (row + 1) * width], strict=True)
                ),
            }
            for row, label in enumerate(prediction.labels)
        ]

    def confidence(self, prediction: Prediction) -> float:
        """The mean of the likeliest class' probability, over all rows."""
        width = len(self.classes)
        columns = [prediction.probabilities[at::width] for at in range(width)]
        total: float = sum(map(max, *columns))
        return total / len(prediction.labels)

    def _label(self, value: float | str) -> str:
        """Name a class: models answer with its name, or with its index when the names are no numbers."""
        if isinstance(value, str) or self._label_by_text:
            return str(value)
        index = int(value)
        if not 0 <= index < len(self.classes):
            raise ort.OrtError(f"the model answered with class {index} of {len(self.classes)}")
        return self.classes[index]


def _largest(values: Sequence[float]) -> int:
    return values.index(max(values))


def _refuse_misfit(manifest: Manifest, session: ort.Session) -> None:
    """Compare what the manifest promises with what the model has."""
    inputs = {port.name: port for port in session.inputs}
    if manifest.tabular:
        expected = {manifest.tensor: ("float", len(manifest.inputs))}
    else:
        expected = {field.name: (field.type, 1) for field in manifest.inputs}
    faults = [
        f"the model has an input {name!r} that model.json lacks" for name in sorted(inputs.keys() - expected)
    ]
    for name, (kind, width) in expected.items():
        if name not in inputs:
            faults.append(f"model.json has an input {name!r} that the model lacks")
        else:
            faults += _port_faults(inputs[name], kind, width)
    outputs = {port.name: port for port in session.outputs}
    probabilities = outputs.get(manifest.outputs.probabilities)
    if probabilities is None:
        faults.append(f"the model has no output {manifest.outputs.probabilities!r}")
    else:
        faults += _port_faults(probabilities, "float", len(manifest.classes))
    label = manifest.outputs.label
    if label is not None and label not in outputs:
        faults.append(f"the model has no output {label!r}")
    elif label is not None and outputs[label].element not in (ort.INT64, ort.STRING):
        faults.append(f"{label!r} must be a tensor of int64 or string")
    if faults:
        raise InvalidModel("model.json and the model differ: " + "; ".join(sorted(faults)))


def _port_faults(port: ort.Port, kind: str, width: int) -> list[str]:
    if port.element is None:
        return [f"{port.name!r} is no tensor (export classifiers with zipmap off)"]
    faults = []
    found = ort.TYPE_NAMES.get(port.element, f"type {port.element}")
    if found != kind:
        faults.append(f"{port.name!r} is of {found}, expected {kind}")
    # An export without shapes is fine: what comes out is counted at each call.
    if port.shape and (len(port.shape) != 2 or port.shape[1] not in (-1, width)):
        faults.append(f"{port.name!r} has the shape {list(port.shape)}, expected [rows, {width}]")
    return faults


def find(
    environment: "os._Environ[str] | dict[str, str]", client: Client, name: str | None = None
) -> Location:
    """Find a model of this function version.

    Without a name, it is what the version was published with, else what the pointer names. That of a name is
    what the pointer in the name's own folder says, or the one with the hash in `name@hash`.

    Raises:
        NoModel: neither is there.
    """
    if name is None:
        bucket, key = environment.get("MODEL_BUCKET"), environment.get("MODEL_KEY")
        if bucket and key:
            sha256 = environment.get("MODEL_SHA256")
            if not sha256:
                raise NoModel("MODEL_SHA256 is not set: a model that cannot be verified is not loaded")
            return Location(bucket, key, sha256)
    pointer_bucket = environment.get("MODEL_POINTER_BUCKET")
    pointer_key = environment.get("MODEL_POINTER_KEY")
    if not (pointer_bucket and pointer_key):
        raise NoModel("no model is configured: set MODEL_BUCKET, MODEL_KEY and MODEL_SHA256")
    if name is not None:
        folder, slash, pointer = pointer_key.rpartition("/")
        name, at, version = name.partition("@")
        if at:
            return Location(pointer_bucket, f"{folder}{slash}{name}/{version}/model.onnx", version)
        pointer_key = f"{folder}{slash}{name}/{pointer}"
    try:
        pointed = json.loads(client.get(pointer_bucket, pointer_key))
        return Location(pointed["bucket"], pointed["key"], pointed["sha256"])
    except S3Error as error:
        if error.status in (403, 404):
            raise NoModel(f"no model has been deployed yet: {error}") from error
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(
            f"s3://{pointer_bucket}/{pointer_key} is no pointer (bucket, key, sha256): {error!r}"
        ) from error


def is_pinned(environment: "os._Environ[str] | dict[str, str]", name: str | None) -> bool:
    """Whether it is always the same model: that of the version, or one that is named by its hash."""
    if name is None:
        return bool(environment.get("MODEL_BUCKET") and environment.get("MODEL_KEY"))
    return "@" in name


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise UnknownModel unless this is the name of a model, or one with the hash of a version."""
    base, at, version = name.partition("@")
    if base not in known or (at and not _VERSION.fullmatch(version)):
        names = ", ".join(known) or "none but the one without a name"
        raise UnknownModel(
            f"there is no model {name[:80]!r} (there are: {names}; a version is name@<its SHA-256>)"
        )


class EngineStart:
    """Starts the engine in a thread of its own, while the model is on its way."""

    def __init__(self) -> None:
        self._engine: ort.Engine | None = None
        self._failure: Exception | None = None
        self._thread = Thread(target=self._start, name="engine", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        try:
            self._engine = ort.Engine()
        except Exception as error:  # noqa: BLE001 (raised where it is waited for)
            self._failure = error

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def wait(self) -> ort.Engine:
        self._thread.join()
        if self._engine is None:
            raise self._failure or ort.OrtError("the engine did not start")
        return self._engine


_engine: EngineStart | None = None


def start_engine() -> EngineStart:
    """Start the engine, or return the one that this process has."""
    global _engine
    if _engine is None or _engine.failed:
        _engine = EngineStart()
    return _engine


def load(
    location: Location, client: Client, *, max_rows: int, threads: int = 1, memory_mb: int | None = None
) -> Model:
    """Fetch, verify and open a model.

    Raises:
        InvalidModel, S3Error, ort.OrtError: each says what is wrong.
    """
    engine = start_engine()
    manifest = manifests.read(client.get(location.bucket, location.manifest_key))
    content = _content(location, client, memory_mb)
    actual = hashlib.sha256(content).hexdigest()
    where = f"s3://{location.bucket}/{location.key}"
    if actual != location.sha256:
        raise InvalidModel(f"{where} has the SHA-256 {actual}, expected {location.sha256}")
    if manifest.sha256 != location.sha256:
        raise InvalidModel(f"the model.json beside {where} belongs to another model ({manifest.sha256})")
    return Model(manifest, ort.Session(engine.wait(), content, threads=threads), max_rows=max_rows)


def _content(location: Location, client: Client, memory_mb: int | None) -> bytes:
    """Read the model, unless the function could not hold it: Lambda would end the process without a word."""
    limit = None if memory_mb is None else memory_mb * 1024 * 1024 // _TIMES_IN_MEMORY
    try:
        return client.get(location.bucket, location.key, limit=limit)
    except S3Error as error:
        if error.status != 413:
            raise
        raise InvalidModel(
            f"{error}: in memory a model takes at least {_TIMES_IN_MEMORY} times its size, and the function "
            f"has {memory_mb} MB"
        ) from None


def positive(environment: "os._Environ[str] | dict[str, str]", name: str, default: int) -> int:
    """Read a positive whole number from the environment."""
    text = environment.get(name)
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ModelUnavailable(f"the variable {name} must be a positive whole number, got {text!r}")
    return int(text)
