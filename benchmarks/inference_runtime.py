"""A Lambda sandbox on this machine: AWS's own runtime client against a Runtime API on loopback."""

import http.server
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import awslambdaric  # type: ignore[import-untyped]

ARN = "arn:aws:lambda:us-east-1:000000000000:function:benchmark"


class SandboxError(RuntimeError):
    """The function did not start or did not answer; the message holds what it wrote."""


@dataclass(frozen=True)
class _Message:
    kind: str  # "next" (ready for an event), "snapshot" (ready for that), "response", "error"
    at: float
    body: bytes = b""


class _RuntimeApi(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self.messages: queue.Queue[_Message] = queue.Queue()
        self.restored = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A function that is ended in the middle of a request is no error here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _RuntimeApi
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.endswith("/restore/next"):
            self._hold_snapshot()
            return
        self.server.messages.put(_Message("next", time.perf_counter()))
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def _hold_snapshot(self) -> None:
        """The function is ready for its snapshot: it goes on when that is restored."""
        self.server.messages.put(_Message("snapshot", time.perf_counter()))
        self.server.restored.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = "response" if self.path.endswith("/response") else "error"
        self.server.messages.put(_Message(kind, time.perf_counter(), body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Sandbox:
    """One execution environment of a function whose built code lies in `folder`."""

    def __init__(
        self,
        folder: Path,
        handler: str,
        environment: Mapping[str, str],
        *,
        log: Path,
        python: str = sys.executable,
        timeout: float = 300.0,
    ) -> None:
        self._api = _RuntimeApi()
        self._timeout = timeout
        self._log = log
        threading.Thread(target=self._api.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        # Only the runtime client comes from this environment; all else from the folder, as in Lambda.
        client = log.parent / "runtime-client"
        link_runtime_client(client)
        with log.open("wb") as output:
            self._started = time.perf_counter()
            self._process = subprocess.Popen(
                [python, "-S", "-m", "awslambdaric", handler],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": "/usr/bin:/bin",
                    "PYTHONPATH": f"{folder}:{client}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
                    "LAMBDA_TASK_ROOT": str(folder),
                    "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
                    "AWS_LAMBDA_FUNCTION_VERSION": "1",
                    "AWS_REGION": "us-east-1",
                    "OMP_NUM_THREADS": "1",
                    **environment,
                },
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._api.events.put(None)
        self._api.restored.set()
        self._api.shutdown()
        self._api.server_close()

    def ready(self) -> float:
        """Wait until the function asks for its first event; return the seconds since it was started."""
        return self._expect("next").at - self._started

    def snapshot(self) -> float:
        """Wait until a function with SnapStart is ready for its snapshot; return the seconds since it was
        started."""
        return self._expect("snapshot").at - self._started

    def restore(self) -> float:
        """Let a function go on from its snapshot; return the seconds until it asks for an event."""
        begun = time.perf_counter()
        self._api.restored.set()
        return self._expect("next").at - begun

    def invoke(self, event: object) -> tuple[Any, float]:
        """Send an event to a function that is ready; return its answer and the seconds that it took."""
        payload = json.dumps(event).encode()
        sent = time.perf_counter()
        self._api.events.put(payload)
        answer = self._expect("response")
        self._expect("next")
        return json.loads(answer.body), answer.at - sent

    @property
    def peak_memory_mb(self) -> float:
        """The most memory that the process has held so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    @property
    def returncode(self) -> int | None:
        """How the process ended; None while it goes on."""
        return self._process.poll()

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def _expect(self, kind: str) -> _Message:
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            try:
                message = self._api.messages.get(timeout=0.2)
            except queue.Empty:
                if self._process.poll() is not None:
                    raise SandboxError(f"the function ended: {self.output()}") from None
                continue
            if message.kind == kind:
                return message
            raise SandboxError(
                f"expected {kind}, got {message.kind}: {message.body.decode()} {self.output()}"
            )
        raise SandboxError(f"no {kind} within {self._timeout:g} s: {self.output()}")


def link_runtime_client(folder: Path) -> None:
    """Make a folder that offers the runtime client and its own needs, and nothing else of this Python."""
    packages = Path(awslambdaric.__file__).parents[1]
    folder.mkdir(exist_ok=True)
    for path in packages.iterdir():
        if path.name.startswith(("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")):
            link = folder / path.name
            if not link.exists():
                link.symlink_to(path)
