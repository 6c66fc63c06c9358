"""The model of this function: found, fetched, verified, opened, and kept."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import NamedTuple

import manifest as manifests
import ort
from contract import Batch, Contract
from manifest import InvalidModel, Manifest
from s3 import Client, S3Error

DEFAULT_MAX_ROWS = 1000
_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 60.0


class NoModel(Exception):
    """This version was published without a model, and no pointer names one."""


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
        self._label_by_text = all(name.lstrip("-").isdecimal() for name in manifest.classes)
        inputs = [manifest.tensor] if manifest.tabular else [field.name for field in manifest.inputs]
        outputs = [manifest.outputs.probabilities]
        if manifest.outputs.label is not None:
            outputs.append(manifest.outputs.label)
        self._run = session.bind(inputs, outputs)

    def predict(self, batch: Batch) -> Prediction:
        """Score a batch.

        Raises:
            ort.OrtError: the model refused the batch, or its answer is no set of probabilities.
        """
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
    faults = [f"the model has an input {name!r} that model.json lacks" for name in inputs.keys() - expected]
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


def find(environment: "os._Environ[str] | dict[str, str]", client: Client) -> Location:
    """Find the model of this version: what it was published with, else what the pointer names.

    Raises:
        NoModel: neither is there.
    """
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
    try:
        pointer = json.loads(client.get(pointer_bucket, pointer_key))
        return Location(pointer["bucket"], pointer["key"], pointer["sha256"])
    except S3Error as error:
        if error.status in (403, 404):
            raise NoModel(f"no model has been deployed yet: {error}") from error
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(
            f"s3://{pointer_bucket}/{pointer_key} is no pointer (bucket, key, sha256): {error!r}"
        ) from error


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


def load(location: Location, client: Client, *, max_rows: int, threads: int = 1) -> Model:
    """Fetch, verify and open a model.

    Raises:
        InvalidModel, S3Error, ort.OrtError: each says what is wrong.
    """
    engine = start_engine()
    manifest = manifests.read(client.get(location.bucket, location.manifest_key))
    content = client.get(location.bucket, location.key)
    actual = hashlib.sha256(content).hexdigest()
    where = f"s3://{location.bucket}/{location.key}"
    if actual != location.sha256:
        raise InvalidModel(f"{where} has the SHA-256 {actual}, expected {location.sha256}")
    if manifest.sha256 != location.sha256:
        raise InvalidModel(f"the model.json beside {where} belongs to another model ({manifest.sha256})")
    return Model(manifest, ort.Session(engine.wait(), content, threads=threads), max_rows=max_rows)


class Keeper:
    """Keeps the model of this process. A load that fails is remembered, and tried again after a pause."""

    def __init__(
        self,
        environment: "os._Environ[str] | dict[str, str]" = os.environ,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._now = now
        self._lock = Lock()
        self._model: Model | None = None
        self._failure: NoModel | ModelUnavailable | None = None
        self._backoff = _FIRST_BACKOFF_SECONDS
        self._retry_at = 0.0
        self.load_ms: float | None = None
        self.failures = 0

    def get(self) -> Model:
        """Return the model, loading it if need be.

        Raises:
            NoModel, ModelUnavailable: it is not there now.
        """
        model = self._model
        if model is not None:
            return model
        with self._lock:
            if self._model is None:
                self._try_to_load()
            if self._model is not None:
                return self._model
        raise self._failure or NoModel("no model")

    def _try_to_load(self) -> None:
        if self._failure is not None and self._now() < self._retry_at:
            return
        client = Client(self._environment)
        started = time.perf_counter()
        try:
            location = find(self._environment, client)
            self._model = load(
                location,
                client,
                max_rows=positive(self._environment, "MAX_ROWS", DEFAULT_MAX_ROWS),
                threads=positive(self._environment, "OMP_NUM_THREADS", 1),
            )
        except NoModel as error:
            self._remember(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, the function answers 503 and lives)
            self._remember(ModelUnavailable(f"{type(error).__name__}: {error}"))
        else:
            self._failure = None
            self.load_ms = (time.perf_counter() - started) * 1000
        finally:
            client.close()

    def _remember(self, failure: NoModel | ModelUnavailable) -> None:
        self._failure = failure
        self.failures += 1
        self._retry_at = self._now() + self._backoff
        self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF_SECONDS)


def positive(environment: "os._Environ[str] | dict[str, str]", name: str, default: int) -> int:
    """Read a positive whole number from the environment."""
    text = environment.get(name)
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ModelUnavailable(f"the variable {name} must be a positive whole number, got {text!r}")
    return int(text)
