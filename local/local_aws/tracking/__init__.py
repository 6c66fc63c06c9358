"""MLflow beside the emulator: its own page, for the runs of this machine's jobs.

Runs: MLflow's server from PyPI, in an environment of its own that is made the first time and kept in the
user's cache folder; runs, metrics and parameters in SQLite, files in a folder, both in the instance's state
folder and gone with it. It listens on the loopback and tells nobody of itself. It is one more process of the
instance: what ends the instance ends it.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from pathlib import Path

from local_aws.sagemaker import environments
from local_aws.settings import HOST, Settings

START_SECONDS = 120.0
_ANSWER_SECONDS = 2.0


class TrackingError(Exception):
    """MLflow cannot be started; the message says why."""


def start(settings: Settings, environment: dict[str, str]) -> None:
    """Start MLflow's server, and return when it answers.

    Args:
        settings: The instance, with a port for MLflow.
        environment: The variables of the instance's processes.

    Raises:
        TrackingError: it cannot be installed, ends, or does not answer in time.
    """
    folder = settings.mlflow_dir
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    python = _install(log)
    variables = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    variables |= {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its own jobs judge prompts of language models, which nobody sends here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [str(python), "-m", "mlflow", "server", "--host", HOST, "--port", str(settings.mlflow_port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=folder,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(f"MLflow ended while starting:\n{_tail(log)}")
        if _healthy(settings.mlflow_port):
            return
        time.sleep(0.2)
    raise TrackingError(f"MLflow was not ready after {START_SECONDS:.0f} s:\n{_tail(log)}")


def _install(log: Path) -> Path:
    def run(command: list[str], folder: Path, variables: dict[str, str]) -> int:
        with log.open("ab") as output:
            return subprocess.run(
                command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT, check=False
            ).returncode

    try:
        return environments.interpreter(Path(__file__).parent, run)
    except environments.InstallError as error:
        raise TrackingError(f"MLflow cannot be installed:\n{_tail(log)}") from error


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
