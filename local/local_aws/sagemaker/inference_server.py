"""Serves one model in a process of its own, as SageMaker's inference toolkit does: script mode.

Run as a program by the interpreter of the model's requirements, with nothing but the standard library. The
script's ``model_fn(model_dir)`` loads; ``input_fn(body, content_type)``, ``predict_fn(data, model)`` and
``output_fn(prediction, accept)`` answer, or ``transform_fn(model, body, content_type, accept)`` alone.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class UnsupportedType(Exception):
    """A content type that the model does not read or write."""


def default_input(body: bytes, content_type: str) -> Any:
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json":
        return json.loads(body)
    if kind == "text/csv":
        return [[_number(cell) for cell in row] for row in csv.reader(io.StringIO(body.decode()))]
    if kind == "application/octet-stream":
        return body
    raise UnsupportedType(f"Content type {content_type} is not supported by this model")


def default_predict(data: Any, model: Any) -> Any:
    return model.predict(data) if hasattr(model, "predict") else model(data)


def default_output(prediction: Any, accept: str) -> tuple[Any, str]:
    if hasattr(prediction, "tolist"):
        prediction = prediction.tolist()
    if accept == "text/csv":
        rows = prediction if isinstance(prediction, list) else [prediction]
        lines = [",".join(map(str, row)) if isinstance(row, (list, tuple)) else str(row) for row in rows]
        return "\n".join(lines), "text/csv"
    if accept in ("application/json", "*/*", ""):
        return json.dumps(prediction), "application/json"
    raise UnsupportedType(f"Accept {accept} is not supported by this model")


def _number(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


class Model:
    """A loaded script and its model."""

    def __init__(self, module: Any, model_dir: str) -> None:
        self._module = module
        load = getattr(module, "model_fn", None)
        if load is None:
            message = "the script has no model_fn(model_dir)"
            raise AttributeError(message)
        self._model = load(model_dir)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        whole = getattr(self._module, "transform_fn", None)
        if whole is not None:
            result = whole(self._model, _text(body, content_type), content_type, accept)
        else:
            read = getattr(self._module, "input_fn", None)
            given = body if read is None else _text(body, content_type)
            data = (read or default_input)(given, content_type)
            prediction = getattr(self._module, "predict_fn", default_predict)(data, self._model)
            result = getattr(self._module, "output_fn", default_output)(prediction, accept)
        output, kind = result if isinstance(result, tuple) else (result, accept)
        kind = "application/json" if kind in ("*/*", "") else kind
        return (output.encode() if isinstance(output, str) else bytes(output)), kind


def _text(body: bytes, content_type: str) -> Any:
    """Text types are given to scripts as text, as the toolkit decodes them."""
    readable = content_type.startswith("text/") or "json" in content_type
    return body.decode() if readable else body


class Handler(BaseHTTPRequestHandler):
    """``GET /ping`` and ``POST /invocations``."""

    model: Model
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._send(200, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content_type = self.headers.get("Content-Type") or "application/octet-stream"
        try:
            output, kind = self.model.answer(body, content_type, self.headers.get("Accept") or "*/*")
        except UnsupportedType as error:
            self._send(415, str(error).encode(), "text/plain")
        except Exception as error:  # noqa: BLE001 - the script's own, whatever it is
            traceback.print_exc()
            self._send(500, f"{type(error).__name__}: {error}".encode(), "text/plain")
        else:
            self._send(200, output, kind)

    def log_message(self, *_: object) -> None:
        """Requests are not logged: what the script prints is the log."""

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


def main() -> None:
    program, code_dir, model_dir, port_file = sys.argv[1:]
    sys.path.insert(0, code_dir)
    Handler.model = Model(importlib.import_module(Path(program).stem), model_dir)
    server = Server(("127.0.0.1", 0), Handler)
    waiting = Path(port_file).with_suffix(".writing")
    waiting.write_text(str(server.server_address[1]))
    waiting.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
