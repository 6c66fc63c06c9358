"""Python environments for training scripts, as SageMaker's framework containers make them.

A ``requirements.txt`` beside the script is installed before it runs. Here: into a virtual environment of its
own, made once for each content of the requirements and each Python version, kept in the user's cache folder
and shared by all jobs and instances. Not there: the packages that a framework container brings along; what
the script imports, its requirements must name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Run = Callable[[list[str], Path, dict[str, str]], int]
"""Runs a command in a folder with an environment, its output going to the job's log; gives its exit code."""


class InstallError(Exception):
    """The requirements cannot be installed."""


def interpreter(source: Path, run: Run) -> Path:
    """The Python that runs a script of this source folder, with its requirements installed."""
    requirements = source / "requirements.txt"
    if not requirements.is_file():
        return Path(sys.executable)
    folder = cache_folder() / _key(source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    complete = folder / ".complete"
    with _locked(folder.with_suffix(".lock")):
        if not complete.exists():
            _install(folder, python, source, run)
            complete.touch()
    return python


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cdk-data-science" / "training-environments"


def _install(folder: Path, python: Path, source: Path, run: Run) -> None:
    import uv

    tool = uv.find_uv_bin()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "GATEWAY", "MINISTACK")) and name != "VIRTUAL_ENV"
    } | {"UV_COMPILE_BYTECODE": "1"}
    # The base interpreter, not the one of this project's environment: nothing of ours is importable.
    base = str(getattr(sys, "_base_executable", sys.executable))
    steps = (
        [tool, "venv", "--quiet", "--clear", "--python", base, str(folder)],
        [tool, "pip", "install", "--quiet", "--python", str(python), "-r", "requirements.txt"],
    )
    for step in steps:
        code = run(step, source, environment)
        if code != 0:
            message = f"Failed to install requirements.txt (exit code {code}): the job's log says why."
            raise InstallError(message)


def _key(source: Path) -> str:
    digest = hashlib.sha256(f"{sys.version}\0{platform.platform()}".encode())
    for path in sorted(source.glob("*.txt")):  # requirements may include their neighbours
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"py{sys.version_info.major}{sys.version_info.minor}-{digest.hexdigest()[:20]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
