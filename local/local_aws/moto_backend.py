"""moto, as a child process that starts with the first call that needs it.

State only: what SageMaker's API holds beside training jobs and model packages, and Lake Formation. A
process of its own, because importing moto costs a second and 100 MB that most sessions never need.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
from urllib.parse import urlencode

from local_aws import context
from local_aws.settings import HOST

_ANSWER_SECONDS = 300.0
_lock = threading.Lock()
_child: list[tuple[subprocess.Popen[bytes], int]] = []
_NOT_FORWARDED = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"}
_KEPT_IN_ANSWERS = {"content-type", "x-amzn-requestid", "x-amzn-errortype"}

Answer = tuple[int, dict[str, str], bytes]


def port() -> int | None:
    """The port that moto listens on, if it has been started."""
    return _child[0][1] if _child and _child[0][0].poll() is None else None


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> Answer:
    """A service handler for the emulator: the same request, answered by moto."""
    return await asyncio.to_thread(forward, method, path, headers, body, query)


def forward(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> Answer:
    target = path + (f"?{urlencode(query, doseq=True)}" if query else "")
    connection = http.client.HTTPConnection(HOST, _started(), timeout=_ANSWER_SECONDS)
    try:
        sent = {name: value for name, value in headers.items() if name.lower() not in _NOT_FORWARDED}
        connection.request(method, target, body, sent | {"host": _host(headers)})
        response = connection.getresponse()
        answer = {n: v for n, v in response.getheaders() if n.lower() in _KEPT_IN_ANSWERS}
        return response.status, answer, response.read()
    finally:
        connection.close()


def shut_down() -> None:
    with _lock:
        for process, _ in _child:
            process.kill()
        _child.clear()


def _started() -> int:
    with _lock:
        running = port()
        if running is None:
            _child[:] = [_start()]
            running = _child[0][1]
        return running


def _start() -> tuple[subprocess.Popen[bytes], int]:
    """Start moto on a socket that listens already: its port cannot be taken, and who calls early waits."""
    with socket.create_server((HOST, 0), backlog=512) as listening:
        chosen = int(listening.getsockname()[1])
        with (context.settings().state_dir / "moto.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(chosen)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listening.fileno()],
                env=dict(os.environ)
                | {
                    "MOTO_ACCOUNT_ID": context.settings().account,
                    # How Werkzeug, which serves moto, is handed a socket.
                    "WERKZEUG_RUN_MAIN": "true",
                    "WERKZEUG_SERVER_FD": str(listening.fileno()),
                },
            )
    return process, chosen


def _host(headers: dict[str, str]) -> str:
    """moto chooses the service by host name, which the credential scope of the request tells."""
    scope = re.search(r"Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/", headers.get("authorization", ""))
    return f"{scope.group(2)}.{scope.group(1)}.amazonaws.com" if scope else HOST
