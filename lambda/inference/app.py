"""The inference function: Function URL and HTTP API requests, and direct invocations."""

import base64
import binascii
import os
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from contract import Batch, InvalidJson, ValidationError
from emf import Metrics, log
from model import Keeper, Model, ModelUnavailable, NoModel, Prediction, positive
from ort import OrtError

# A synchronous invocation carries 6 MB at most, with the envelope around the body.
DEFAULT_MAX_BODY_BYTES = 6 * 1024 * 1024 - 64 * 1024

_encode = msgspec.json.Encoder().encode
_NO_HEADERS: dict[str, str] = {}


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
    rows: int
    model_ms: float | None


class Function:
    """The handler with what it holds between invocations."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self.metrics = Metrics(environment)
        self.keeper = Keeper(environment)
        self._max_body = _max_body(environment)
        self._version = environment.get("AWS_LAMBDA_FUNCTION_VERSION") or "$LATEST"
        self._failures_reported = 0
        self._load_reported = False

    def prepare(self) -> None:
        """Load the model while the sandbox starts, where time is free and the processor is whole."""
        try:
            self.keeper.get()
        except NoModel as error:
            log("WARNING", "NoModel", str(error))
        except ModelUnavailable as error:
            log("ERROR", "ModelUnavailable", str(error))
        loading = self._loading()
        if loading:
            self.metrics.write(loading)

    def __call__(self, event: Any, context: Any) -> dict[str, object]:
        started = time.perf_counter_ns()
        request_id = getattr(context, "aws_request_id", None)
        http = isinstance(event, dict) and ("requestContext" in event or "body" in event)
        answer = self._answer(self._over_http if http else self._direct, event, request_id)
        result: dict[str, object] = answer.body
        if http:
            result = {
                "statusCode": answer.status,
                "headers": {"content-type": "application/json", **answer.headers},
                "body": _encode(answer.body).decode(),
            }
        self._measure(answer, (time.perf_counter_ns() - started) / 1e6, request_id)
        if answer.status >= 500 and not http:
            raise InferenceFailed.of(answer.body)
        return result

    def _answer(self, read: Callable[[Any, Model], Batch], event: Any, request_id: str | None) -> Answer:
        try:
            model = self._model()
            batch = read(event, model)
            started = time.perf_counter_ns()
            prediction = self._predict(model, batch)
            model_ms = (time.perf_counter_ns() - started) / 1e6
            return Answer(200, self._body(model, prediction), _NO_HEADERS, batch.rows, model_ms)
        except Refusal as refusal:
            if refusal.status >= 500:
                log("ERROR", "Refusal", str(refusal), requestId=request_id)
            return Answer(refusal.status, refusal.body, refusal.headers, 0, None)
        except Exception as error:  # noqa: BLE001 (a client must not see an internal message)
            stack = "".join(traceback.format_exception(error))
            log("ERROR", type(error).__name__, str(error), requestId=request_id, stack=stack)
            internal = Refusal(500, "InternalError", f"internal error, request {request_id}")
            return Answer(500, internal.body, _NO_HEADERS, 0, None)

    def _model(self) -> Model:
        try:
            return self.keeper.get()
        except NoModel as error:
            raise Refusal(503, "NoModel", str(error)) from None
        except ModelUnavailable as error:
            raise Refusal(503, "ModelUnavailable", str(error), headers={"retry-after": "5"}) from None

    def _over_http(self, event: dict[str, Any], model: Model) -> Batch:
        _refuse_other_methods(event)
        try:
            return model.contract.parse(self._body_of(event))
        except InvalidJson as error:
            raise Refusal(400, "InvalidJson", str(error)) from None
        except ValidationError as error:
            raise Refusal(422, "ValidationError", str(error), fields=error.fields) from None

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

    def _direct(self, event: Any, model: Model) -> Batch:
        if not isinstance(event, dict) or "instances" not in event:
            raise Refusal(400, "UnknownEvent", 'expected an HTTP request or {"instances": [{…}, …]}')
        try:
            return model.contract.check(event)
        except ValidationError as error:
            raise Refusal(422, "ValidationError", str(error), fields=error.fields) from None

    def _predict(self, model: Model, batch: Batch) -> Prediction:
        try:
            return model.predict(batch)
        except OrtError as error:
            raise Refusal(500, "InferenceError", f"the model failed on this request: {error}") from error

    def _body(self, model: Model, prediction: Prediction) -> dict[str, object]:
        classes, probabilities = model.classes, prediction.probabilities
        width = len(classes)
        return {
            "predictions": [
                {
                    "label": label,
                    "probabilities": dict(
                        zip(classes, probabilities[row * width : (row + 1) * width], strict=True)
                    ),
                }
                for row, label in enumerate(prediction.labels)
            ],
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
        values.update(self._loading())
        self.metrics.write(values, requestId=request_id, status=answer.status)

    def _loading(self) -> dict[str, float]:
        """What became of attempts to load the model since this was last asked."""
        values: dict[str, float] = {}
        failures = self.keeper.failures - self._failures_reported
        if failures:
            self._failures_reported = self.keeper.failures
            values["ModelLoadFailures"] = failures
        if not self._load_reported and self.keeper.load_ms is not None:
            self._load_reported = True
            values["ModelLoad"] = self.keeper.load_ms
            values.setdefault("ModelLoadFailures", 0)
        return values


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


handler = Function()
handler.prepare()
