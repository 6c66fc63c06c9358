"""Where one instance of the local AWS lives and how it is reached.

An instance is a state folder. The folder holds ``instance.json`` (this settings object), ``emulator.pid``,
``emulator.log``, ``jobs/`` (one work folder a training job), ``file-systems/`` (one folder a
file system that jobs mount), ``mlflow/`` (its database and files, with its log beside) and ``tmp/`` (unpacked
functions). Nothing of what is deployed is kept: the state of the emulated services lives in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_PORT = 4566
HOST = "127.0.0.1"
MARKER = "LOCAL_AWS_INSTANCE"
"""Environment variable that every process of an instance carries, so that none can be left behind."""

STATE_DIR_VARIABLE = "LOCAL_AWS_STATE_DIR"


def default_state_dir() -> Path:
    """``$LOCAL_AWS_STATE_DIR``, or ``.local/aws`` in the current folder."""
    return Path(os.environ.get(STATE_DIR_VARIABLE) or Path(".local") / "aws").absolute()


def sources_hash() -> str:
    """A hash of this package's code, by which an instance of older code is known."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that the processes of one instance must agree on."""

    state_dir: Path
    port: int = DEFAULT_PORT
    account: str = "000000000000"
    region: str = "us-east-1"
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    spot_notice_seconds: float = 120.0
    """Seconds between SIGTERM and SIGKILL when a job is stopped or its Spot capacity is taken away."""
    checkpoint_sync_seconds: float = 1.0
    mlflow_port: int = 0
    """Port of MLflow beside it; 0 where none was asked for."""
    schedules: bool = True
    """Whether rules and schedules with a time fire by the clock of this machine."""
    sources: str = ""
    """Which code of ours started it: see ``sources_hash``."""

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def mlflow_url(self) -> str | None:
        return f"http://{HOST}:{self.mlflow_port}" if self.mlflow_port else None

    @property
    def mlflow_dir(self) -> Path:
        return self.state_dir / "mlflow"

    @property
    def settings_file(self) -> Path:
        return self.state_dir / "instance.json"

    @property
    def pid_file(self) -> Path:
        return self.state_dir / "emulator.pid"

    @property
    def log_file(self) -> Path:
        return self.state_dir / "emulator.log"

    @property
    def jobs_dir(self) -> Path:
        return self.state_dir / "jobs"

    @property
    def file_systems_dir(self) -> Path:
        return self.state_dir / "file-systems"

    @property
    def temp_dir(self) -> Path:
        return self.state_dir / "tmp"

    def save(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / ".gitignore").write_text("*\n")  # nothing in here is anybody's source
        values = asdict(self) | {"state_dir": str(self.state_dir)}
        self.settings_file.write_text(json.dumps(values, indent=2) + "\n")

    @classmethod
    def load(cls, state_dir: Path) -> Settings | None:
        """The settings of the instance in this folder; None where there is none that can be read."""
        try:
            values = json.loads((state_dir / "instance.json").read_text())
            return cls(**(values | {"state_dir": state_dir.absolute()}))
        except (OSError, ValueError, TypeError):
            return None
