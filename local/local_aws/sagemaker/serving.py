"""One served model: its archive fetched in the model's role, its script in a child process, its answers."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_aws import context, identity
from local_aws.sagemaker import children, environments, inference_server, script_mode
from local_aws.sagemaker.logs import JobLog
from local_aws.sagemaker.storage import JobStorage, Location, unpack

_START_SECONDS = 300.0
_ANSWER_SECONDS = 60.0
_ATTEMPTS = 6
_KEPT_CONNECTIONS = 64


class Gone(Exception):
    """The model is served no more: another one has taken over, or none."""


class ServingError(Exception):
    """The model cannot be served; the message is the endpoint's FailureReason."""


class ModelError(Exception):
    """The model answered with an error, or not at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Served:
    """A model in its process, from ``start`` to ``end``."""

    def __init__(self, model: dict[str, Any], group: str, stream: str) -> None:
        self._model = model
        self._container = model.get("PrimaryContainer") or (model.get("Containers") or [{}])[0]
        self._layout = script_mode.Layout(context.settings().jobs_dir / f"served-{uuid.uuid4().hex[:16]}")
        role = model.get("ExecutionRoleArn", "")
        self._role = role
        self._credentials = identity.assume(role, "sagemaker", "SageMaker")
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._free: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._calls = 0
        self._ended = False
        self._quiet = threading.Condition(self._lock)
        self._layout.root.mkdir(parents=True)
        logs = context.client("logs", self._credentials, attempts=_ATTEMPTS)
        self._log = JobLog(logs, stream, self._layout.root / "server.log", [], group=group)

    def start(self, stop: threading.Event) -> None:
        """Fetch the model and wait until it answers. Raises ServingError where it does not."""
        program = self._fetch()
        python = environments.interpreter(self._layout.code, self._install)
        port_file = self._layout.root / "port"
        # -P: the server's own folder is not on the script's path.
        command = [str(python), "-P", inference_server.__file__, program, str(self._layout.code)]
        command += [str(self._layout.model), str(port_file)]
        self._process, reader = children.start(command, self._layout.code, self._variables(), self._log.write)
        deadline = time.monotonic() + _START_SECONDS
        while not port_file.exists():
            if self._process.poll() is not None:
                reader.join(timeout=60)
                raise ServingError(
                    "The primary container for the production variant did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint. {self._last_words()}"
                )
            if stop.is_set() or time.monotonic() > deadline:
                raise ServingError("The model was not ready in time.")
            time.sleep(0.02)
        self._port = int(port_file.read_text())

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Keep the model for the time of a call. Raises Gone where it has ended."""
        with self._lock:
            if self._ended:
                raise Gone
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                self._quiet.notify_all()

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        connection = self._connection()
        headers = {"Content-Type": content_type, "Accept": accept, "Content-Length": str(len(body))}
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            answer, kind = response.read(), response.getheader("Content-Type", "application/json")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ModelError(500, f"Invocation failed: {type(error).__name__} {error}".strip()) from error
        with self._lock:
            if len(self._free) < _KEPT_CONNECTIONS:
                self._free.append(connection)
            else:
                connection.close()
        if response.status != 200:
            raise ModelError(response.status, answer.decode(errors="replace"))
        return answer, kind

    def end(self) -> None:
        """End the model once the calls are answered that it has begun to answer."""
        with self._lock:
            self._ended = True
            self._quiet.wait_for(lambda: self._calls == 0, _ANSWER_SECONDS)
        if self._process is not None:
            children.end(self._process)
        with self._lock:
            for connection in self._free:
                connection.close()
            self._free.clear()
        self._log.close()
        shutil.rmtree(self._layout.root, ignore_errors=True)

    def client(self, service: str) -> Any:
        """A service as the model's role sees it."""
        return context.client(service, self._credentials, attempts=_ATTEMPTS)

    def storage(self, kms_key: str | None = None) -> JobStorage:
        """S3 as the model's role sees it."""
        return JobStorage(self.client("s3"), self._role, kms_key)

    def _connection(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._free:
                return self._free.pop()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _fetch(self) -> str:
        """The model's files and its script; gives the script's name."""
        self._layout.create()
        storage = self.storage()
        source = self._container.get("ModelDataSource", {}).get("S3DataSource", {})
        uri = self._container.get("ModelDataUrl") or source.get("S3Uri")
        if uri and source.get("CompressionType") == "None":
            storage.fetch_prefix(Location.parse(uri), self._layout.model)
        elif uri:
            archive = self._layout.root / "model.tar.gz"
            storage.fetch_object(Location.parse(uri), archive)
            unpack(archive, self._layout.model)
        packed = self._layout.model / "code"
        if packed.is_dir():
            shutil.copytree(packed, self._layout.code, dirs_exist_ok=True)
        given = self._container.get("Environment", {})
        submitted = given.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            archive = self._layout.root / "source.tar.gz"
            storage.fetch_object(Location.parse(submitted), archive)
            unpack(archive, self._layout.code)
        program = str(given.get("SAGEMAKER_PROGRAM", "inference.py"))
        if not (self._layout.code / program).is_file():
            raise ServingError(
                f"The local AWS runs no container images: the model has no code/{program}, and its variables "
                "SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY name no script."
            )
        return program

    def _variables(self) -> dict[str, str]:
        given = self._container.get("Environment", {})
        return (
            script_mode.base_environment(
                self._layout, self._credentials, context.settings().endpoint, context.settings().region
            )
            | {"SM_MODEL_DIR": str(self._layout.model)}
            | {name: self._layout.translate(value) for name, value in given.items()}
        )

    def _install(self, command: list[str], folder: Path, variables: dict[str, str]) -> int:
        return children.supervise(command, folder, variables, self._log.write, lambda: None)[1]

    def _last_words(self) -> str:
        lines = (self._layout.root / "server.log").read_text(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-3:])[-500:]
