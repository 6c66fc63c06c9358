"""The inference function: Function URL and HTTP API requests, direct invocations, and batches."""

import base64
import binascii
import os
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import batch
import msgspec
import restore
from contract import Batch, InvalidJson, ValidationError
from emf import Metrics, log
from model import Model, ModelUnavailable, NoModel, Prediction, UnknownModel, positive
from ort import OrtError
from reference import NoObject, NotAReference, Reference, References
from shelf import Shelf

# A synchronous invocation carries 6 MB at most, with the envelope around the body.
DEFAULT_MAX_BODY_BYTES = 6 * 1024 * 1024 - 64 * 1024

_encode = msgspec.json.Encoder().encode
_NO_HEADERS: dict[str, str] = {}
_PATH_OF_NAMES = "/models/"
# What clients call a body that they know nothing of; the first is curl's word.
_UNTOLD = ("application/x-www-form-urlencoded", "application/octet-stream", "text/plain")
# Of an answer as Lambda takes it, with its envelope.
_LONGEST_ANSWER = 6 * 1024 * 1024 - 64 * 1024


class Refusal(Exception):
    """An answer that is an error: its HTTP status, type, message, and the fields at fault."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        fields: list[dict[str, str]] | None = None,
        headers: dict[str, str] = _NO_HEADERS,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        error: dict[str, object] = {"type": kind, "message": message}
        if fields is not None:
            error["fields"] = fields
        self.body: dict[str, object] = {"error": error}


class InferenceFailed(Exception):
    """The error of a direct invocation that is the function's fault and not the caller's.

    It is raised, so that Lambda counts it and an asynchronous event is tried again and then kept in the
    dead-letter queue. An answer over HTTP has a status for it.
    """

    @classmethod
    def of(cls, body: dict[str, Any]) -> "InferenceFailed":
        error = body["error"]
        return cls(f"{error['type']}: {error['message']}")


class Answer(NamedTuple):
    status: int
    body: dict[str, object]
    headers: dict[str, str]
    rows: int = 0
    model_ms: float | None = None
    confidence: float | None = None


# What a request asks of which model, and the object that it came from.
Read: TypeAlias = tuple[Model, Batch, Reference | None]


class Function:
    """The handler with what it holds between invocations."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self.metrics = Metrics(environment)
        self.shelf = Shelf(environment)
        self._environment = environment
        self._max_body = _max_body(environment)
        self._version = environment.get("AWS_LAMBDA_FUNCTION_VERSION") or "$LATEST"
        self._references: References | None = None
        self._batches = batch.Batches(self.shelf, self.metrics, environment)

    def prepare(self) -> None:
        """Load the model while the sandbox starts, where time is free and the processor is whole."""
        try:
            self.shelf.get()
        except NoModel as error:
            log("WARNING", "NoModel", str(error))
        except ModelUnavailable as error:
            log("ERROR", "ModelUnavailable", str(error))
        loading = self._loading()
        if loading:
            self.metrics.write(loading)
        restore.register(self.shelf, self._environment)

    def __call__(self, event: Any, context: Any) -> dict[str, object]:
        started = time.perf_counter_ns()
        request_id = getattr(context, "aws_request_id", None)
        if _is_batch(event):
            return self._batch(event, request_id)
        http = isinstance(event, dict) and ("requestContext" in event or "body" in event)
        answer = self._answer(self._over_http if http else self._direct, event, request_id)
        result: dict[str, object] = answer.body
        if http:
            body = _encode(answer.body)
            if _escaped(body) > _LONGEST_ANSWER:
                answer = _too_much(answer)
                body = _encode(answer.body)
            result = {
                "statusCode": answer.status,
                "headers": {"content-type": "application/json", **answer.headers},
                "body": body.decode(),
            }
        self._measure(answer, (time.perf_counter_ns() - started) / 1e6, request_id)
        if answer.status >= 500 and not http:
            raise InferenceFailed.of(answer.body)
        return result

    def _answer(self, read: Callable[[Any], Read], event: Any, request_id: str | None) -> Answer:
        try:
            model, rows, reference = read(event)
            started = time.perf_counter_ns()
            prediction = self._predict(model, rows)
            model_ms = (time.perf_counter_ns() - started) / 1e6
            body = self._body(model, prediction)
            if reference is not None:
                body = self._stored(reference, model, body, rows.rows)
            return Answer(200, body, _NO_HEADERS, rows.rows, model_ms, model.confidence(prediction))
        except Refusal as refusal:
            if refusal.status >= 500:
                log("ERROR", "Refusal", str(refusal), requestId=request_id)
            return Answer(refusal.status, refusal.body, refusal.headers)
        except Exception as error:  # noqa: BLE001 (a client must not see an internal message)
            stack = "".join(traceback.format_exception(error))
            log("ERROR", type(error).__name__, str(error), requestId=request_id, stack=stack)
            internal = Refusal(500, "InternalError", f"internal error, request {request_id}")
            return Answer(500, internal.body, _NO_HEADERS)

    def _batch(self, event: dict[str, Any], request_id: str | None) -> dict[str, object]:
        try:
            return self._batches(event, request_id)
        except (NoModel, ModelUnavailable) as error:
            self.metrics.write({"Invocations": 1, "ServerErrors": 1, **self._loading()}, requestId=request_id)
            raise InferenceFailed(f"{type(error).__name__}: {error}") from None

    def _model(self, name: str | None) -> Model:
        try:
            return self.shelf.get(name)
        except UnknownModel as error:
            raise Refusal(404, "UnknownModel", str(error)) from None
        except NoModel as error:
            raise Refusal(503, "NoModel", str(error)) from None
        except ModelUnavailable as error:
            raise Refusal(503, "ModelUnavailable", str(error), headers={"retry-after": "5"}) from None

    def _over_http(self, event: dict[str, Any]) -> Read:
        _refuse_other_methods(event)
        model = self._model(_name_in_path(event))
        body = self._body_of(event)
        try:
            return model, model.contract.parse(body), None
        except InvalidJson as error:
            _refuse_other_content(event)
            raise Refusal(400, "InvalidJson", str(error)) from None
        except ValidationError as error:
            # Only what is refused can be a reference, so that no other request pays for the question.
            return self._referenced(model, msgspec.json.decode(body), error)

    def _direct(self, event: Any) -> Read:
        if not isinstance(event, dict) or not ("instances" in event or "instances_from" in event):
            raise Refusal(400, "UnknownEvent", 'expected an HTTP request or {"instances": [{…}, …]}')
        name = None
        if "model" in event:
            name, event = event["model"], {key: value for key, value in event.items() if key != "model"}
            if not isinstance(name, str):
                raise Refusal(400, "UnknownEvent", "model must be the name of a model")
        model = self._model(name)
        try:
            return model, model.contract.check(event), None
        except ValidationError as error:
            return self._referenced(model, event, error)

    def _referenced(self, model: Model, request: object, refused: ValidationError) -> Read:
        """Read the rows from the object that the request names, if it names one."""
        if self._references is None:
            self._references = References(self._environment)
        references = self._references
        try:
            found = references.of(request)
            if found is None:
                raise refused
            rows = model.contract_of(references.max_rows).check(references.read(found))
        except NotAReference as error:
            fields = [{"path": "instances_from", "message": str(error)}]
            raise Refusal(422, "ValidationError", "the request has 1 problem", fields=fields) from None
        except NoObject as error:
            raise Refusal(404, "NoObject", str(error)) from None
        except InvalidJson as error:
            raise Refusal(400, "InvalidJson", str(error)) from None
        except ValidationError as error:
            raise Refusal(422, "ValidationError", str(error), fields=error.fields) from None
        return model, rows, found

    def _stored(
        self, reference: "Reference", model: Model, body: dict[str, object], rows: int
    ) -> dict[str, object]:
        assert self._references is not None
        stored = self._references.write(reference, model.sha256, body)
        return {"predictions_at": stored, "rows": rows, "model": body["model"]}

    def _body_of(self, event: dict[str, Any]) -> bytes | str:
        body = event.get("body") or ""
        if not isinstance(body, str):
            raise Refusal(400, "InvalidJson", "the body of the event is not text")
        # Its size is looked at before anything is made of it: a character is at least a byte, and four
        # characters of base64 are three.
        encoded = bool(event.get("isBase64Encoded"))
        if (len(body) * 3 // 4 - 2 if encoded else len(body)) > self._max_body:
            raise self._too_large()
        try:
            content = base64.b64decode(body, validate=True) if encoded else body
        except (binascii.Error, ValueError) as error:
            raise Refusal(400, "InvalidJson", f"the body is not base64: {error}") from None
        if isinstance(content, str) and content.isascii():
            return content
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        if len(content) > self._max_body:
            raise self._too_large()
        return content

    def _too_large(self) -> Refusal:
        return Refusal(413, "PayloadTooLarge", f"the body has more than {self._max_body} bytes")

    def _predict(self, model: Model, rows: Batch) -> Prediction:
        try:
            return model.predict(rows)
        except OrtError as error:
            raise Refusal(500, "InferenceError", f"the model failed on this request: {error}") from error

    def _body(self, model: Model, prediction: Prediction) -> dict[str, object]:
        return {
            "predictions": model.described(prediction),
            "model": {"sha256": model.sha256, "version": self._version},
        }

    def _measure(self, answer: Answer, total_ms: float, request_id: str | None) -> None:
        values = {
            "Invocations": 1,
            "Rows": answer.rows,
            "Latency": total_ms,
            "ValidationErrors": int(400 <= answer.status < 500),
            "ServerErrors": int(answer.status >= 500),
        }
        if answer.model_ms is not None:
            values["ModelLatency"] = answer.model_ms
        if answer.confidence is not None:
            values["Confidence"] = answer.confidence
        values.update(self._loading())
        self.metrics.write(values, requestId=request_id, status=answer.status)

    def _loading(self) -> dict[str, float]:
        """What became of attempts to load models since this was last asked."""
        values: dict[str, float] = {}
        for keeper in self.shelf.keepers:
            loads, failures = keeper.told
            if (keeper.loads, keeper.failures) == (loads, failures):
                continue
            keeper.told = (keeper.loads, keeper.failures)
            values["ModelLoadFailures"] = values.get("ModelLoadFailures", 0) + keeper.failures - failures
            if keeper.loads > loads and keeper.load_ms is not None:
                values["ModelLoad"] = max(values.get("ModelLoad", 0.0), keeper.load_ms)
        return values


def _escaped(body: bytes) -> int:
    """How long an answer is inside the answer to Lambda, at most; exact where it matters."""
    length = len(body)
    # Quotes and backslashes are two characters there; all of a short one may be.
    return length if 2 * length <= _LONGEST_ANSWER else length + body.count(b'"') + body.count(b"\\")


def _too_much(answer: Answer) -> Answer:
    """Lambda would end such an answer with an error that tells the caller nothing."""
    told = (
        f"the predictions of {answer.rows} rows are more than an answer may have (6 MB): ask for fewer at a "
        "time, or for an object of rows"
    )
    refusal = Refusal(413, "AnswerTooLarge", told)
    return Answer(refusal.status, refusal.body, _NO_HEADERS, answer.rows, answer.model_ms)


def _is_batch(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        return False
    return records[0].get("eventSource") in batch.SOURCES


def _name_in_path(event: dict[str, Any]) -> str | None:
    """The model that is asked for as /models/<name>; every other path asks for the version's own."""
    path = event.get("rawPath")
    if not isinstance(path, str) or not path.startswith(_PATH_OF_NAMES):
        return None
    from urllib.parse import unquote

    return unquote(path.removeprefix(_PATH_OF_NAMES).rstrip("/"))


def _max_body(environment: "os._Environ[str] | dict[str, str]") -> int:
    try:
        return positive(environment, "MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES)
    except ModelUnavailable as error:
        log("ERROR", "Configuration", f"{error}; using {DEFAULT_MAX_BODY_BYTES}")
        return DEFAULT_MAX_BODY_BYTES


def _refuse_other_methods(event: dict[str, Any]) -> None:
    context = event.get("requestContext")
    request = context.get("http") if isinstance(context, dict) else None
    method = request.get("method", "POST") if isinstance(request, dict) else "POST"
    if method != "POST":
        raise Refusal(
            405, "MethodNotAllowed", f"send a POST request, not {method}", headers={"allow": "POST"}
        )


def _refuse_other_content(event: dict[str, Any]) -> None:
    """Say what a body was meant to be that is no JSON. One that is JSON is taken, whatever it is called."""
    given = event.get("headers")
    headers = {str(name).lower(): value for name, value in given.items()} if isinstance(given, dict) else {}
    encoding, kind = (str(headers.get(name) or "") for name in ("content-encoding", "content-type"))
    if encoding not in ("", "identity"):
        told = f"send the body as it is, not as {encoding[:80]!r}"
        raise Refusal(415, "UnsupportedMediaType", told, headers={"accept-encoding": "identity"})
    kind = kind.partition(";")[0].strip()
    if kind and not kind.endswith("json") and kind not in _UNTOLD:
        told = f"send application/json, not {kind[:80]!r}"
        raise Refusal(415, "UnsupportedMediaType", told, headers={"accept": "application/json"})


handler = Function()
handler.prepare()
