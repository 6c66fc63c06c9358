"""Starts and ends an instance of the local AWS in the background.

The emulator is one process in its own session. It gets a scrubbed environment: nothing of the caller's
AWS configuration, credentials or Python settings reaches it or the functions and jobs that it starts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_aws import processes, tracking
from local_aws.settings import HOST, MARKER, STATE_DIR_VARIABLE, Settings, sources_hash

STATUS_PATH = "/_local_aws/status"
START_SECONDS = 180.0
ANSWER_SECONDS = 3.0
"""How long a port of whatever program is given to say that it is one of ours."""
PATIENCE_SECONDS = 120.0
"""How long one of ours is given, on a machine that is busy."""
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "XDG_CACHE_HOME")
_KEPT_FOR_INSTALLS = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
_KEPT_PREFIXES = ("UV_", "PIP_")


class LaunchError(Exception):
    """The instance cannot be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Launched:
    settings: Settings
    started: bool
    """False when an instance was there already."""
    seconds: float
    outdated: bool = False
    """The instance that was there already runs other code than this."""
    left: list[Ended] = field(default_factory=list)
    """What instances that were killed had left behind, and was ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance of which processes were ended."""

    state_dir: Path | None
    processes: int

    def __str__(self) -> str:
        plural = "" if self.processes == 1 else "es"
        return f"{self.processes} process{plural} of {self.state_dir or 'an unknown state folder'}"


def up(settings: Settings) -> Launched:
    """Start the instance, or find that one of ours listens on its port already."""
    began = time.monotonic()
    running = status_at(settings.port)
    if running is not None:
        there = Settings.load(Path(running["state_dir"]))
        if there is not None:
            if settings.mlflow_port and not there.mlflow_port:
                message = (
                    f"the local AWS is up at {there.endpoint} without MLflow, which is started with it only. "
                    "End it (what is deployed is lost) and start it anew: "
                    f"local-aws down --state-dir {there.state_dir} && local-aws up --mlflow"
                )
                raise LaunchError(message)
            seconds = time.monotonic() - began
            outdated = there.sources != sources_hash()
            return Launched(there, started=False, seconds=seconds, outdated=outdated)
    _refuse_taken_state_dir(settings)
    left = end_leftovers()
    for port in filter(None, (settings.port, settings.mlflow_port)):
        _refuse_taken_port(port)
    clean(settings.state_dir)
    settings = replace(settings, sources=sources_hash())
    _start(settings)
    return Launched(settings, started=True, seconds=time.monotonic() - began, left=left)


def down(state_dir: Path) -> int:
    """End the instance of this folder and everything that it started. Returns how many processes ended."""
    return clean(state_dir)


def down_all() -> list[Ended]:
    """End every instance of this user, of whatever state folder."""
    return [_end(running) for running in processes.instances()]


def end_leftovers() -> list[Ended]:
    """End what instances left behind whose emulator was killed, of whatever state folder."""
    left = {each.instance for each in processes.instances() if not each.served}
    # Looked at twice: an emulator that started while we looked is not taken for one that was killed.
    return [_end(each) for each in processes.instances() if each.instance in left and not each.served]


def _end(running: processes.Running) -> Ended:
    state_dir = running.state_dir
    settings = Settings.load(state_dir) if state_dir is not None else None
    if state_dir is not None and settings is not None and settings.instance == running.instance:
        clean(state_dir)
    else:  # the folder is gone, or another instance's by now
        processes.end_all(running.instance)
    return Ended(state_dir, len(running.pids))


def clean(state_dir: Path) -> int:
    """End what is left of an instance, by its marker, and remove its temporary folders."""
    ended = 0
    settings = Settings.load(state_dir)
    if settings is not None:
        ended = processes.end_all(settings.instance)
        settings.pid_file.unlink(missing_ok=True)
        for folder in (
            settings.temp_dir,
            settings.jobs_dir,
            settings.file_systems_dir,
            settings.mlflow_dir,
        ):
            shutil.rmtree(folder, ignore_errors=True)
    return ended


def status(state_dir: Path) -> dict[str, Any] | None:
    """What the instance of this folder says of itself; None when it does not run."""
    settings = Settings.load(state_dir)
    if settings is None:
        return None
    answer = status_at(settings.port)
    return answer if answer is not None and answer["instance"] == settings.instance else None


def status_at(port: int) -> dict[str, Any] | None:
    """What the instance on this port says of itself; None when nothing of ours listens there."""
    try:
        try:
            status, answer = _request(port, "GET", STATUS_PATH, seconds=ANSWER_SECONDS)
        except TimeoutError:
            if not _is_served(port):
                return None
            status, answer = _request(port, "GET", STATUS_PATH)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return answer if status == 200 and "instance" in answer else None


def _is_served(port: int) -> bool:
    """Whether the emulator of one of our instances lives that was given this port."""
    for each in processes.instances():
        settings = Settings.load(each.state_dir) if each.state_dir is not None else None
        if each.served and settings is not None and settings.port == port:
            return True
    return False


def running(state_dir: Path) -> dict[str, Any]:
    """The status of the instance of this folder; an error where it is not up."""
    there = status(state_dir)
    if there is None:
        message = f"no local AWS is up for {state_dir}: start it with local-aws up"
        raise LaunchError(message)
    return there


def ask(state_dir: Path, route: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the instance of this folder to do something that is not AWS."""
    return admin(running(state_dir)["port"], route, request)


def admin(port: int, route: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask a running instance to do something that is not AWS."""
    status, answer = _request(port, "POST", f"/_local_aws/{route}", json.dumps(request))
    if status != 200:
        raise LaunchError(answer["error"])
    return answer


def _request(
    port: int, method: str, path: str, body: str | None = None, *, seconds: float = PATIENCE_SECONDS
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if not isinstance(answer, dict):
            message = "not an answer of the local AWS"
            raise ValueError(message)
        return response.status, answer
    finally:
        connection.close()


def _refuse_taken_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = (
                f"Port {port} is in use by another program. "
                f"Choose another one: local-aws up --port {port + 1 if port < 65535 else port - 1}"
            )
            raise LaunchError(message) from error


def _refuse_taken_state_dir(settings: Settings) -> None:
    running = status(settings.state_dir)
    if running is not None:
        message = (
            f"{settings.state_dir} belongs to the instance on port {running['port']}, which is up. "
            f"End it (local-aws down --state-dir {settings.state_dir}) or give this one its own --state-dir."
        )
        raise LaunchError(message)


def _start(settings: Settings) -> None:
    settings.save()
    for folder in (settings.jobs_dir, settings.temp_dir):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with settings.log_file.open("wb") as log, processes.interruptions_later():
            server = subprocess.Popen(
                [sys.executable, "-m", "local_aws.server", str(settings.state_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(settings),
                cwd=settings.state_dir,
                start_new_session=True,
            )
        settings.pid_file.write_text(f"{server.pid}\n")
        _wait_until_ready(settings, server)
        if settings.mlflow_port:
            tracking.start(settings, _environment(settings))
    except tracking.TrackingError as error:
        clean(settings.state_dir)
        raise LaunchError(str(error)) from error
    except BaseException:  # Ctrl-C and SIGTERM included: leave nothing running
        clean(settings.state_dir)
        raise


def _wait_until_ready(settings: Settings, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            message = f"The emulator ended while starting:\n{_tail(settings.log_file)}"
            raise LaunchError(message)
        if _accepts_connections(settings.port):
            answer = status_at(settings.port)
            if answer is not None and answer["instance"] == settings.instance:
                return
        time.sleep(0.05)
    message = f"The emulator was not ready after {START_SECONDS:.0f} s:\n{_tail(settings.log_file)}"
    raise LaunchError(message)


def _accepts_connections(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _environment(settings: Settings) -> dict[str, str]:
    """The whole environment of the emulator, and so of everything that it starts."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name in _KEPT_FOR_INSTALLS or name.startswith(_KEPT_PREFIXES)
    }
    return kept | {
        MARKER: settings.instance,
        STATE_DIR_VARIABLE: str(settings.state_dir),
        "TMPDIR": str(settings.temp_dir),
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
        "PYTHONUNBUFFERED": "1",
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _tail(log: Path, lines: int = 20) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return "(no log)"
