"""Scripts as child processes, each leading a process group of its own: run to their end, or ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from local_aws import context, processes

_POLL = 0.1
_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
Reason = TypeVar("Reason")


def start(
    command: list[str], folder: Path, variables: dict[str, str], write: Callable[[str], None]
) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    """Start a command whose output goes line by line to a log; the process, and the thread that reads it."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with _lock:
        _running.add(process)
    reader = threading.Thread(target=_read, args=(process, write), daemon=True)
    reader.start()
    return process, reader


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it started and left behind."""
    processes.end_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    with _lock:
        _running.discard(process)


def end_all() -> None:
    with _lock:
        for process in _running:
            processes.end_group(process.pid, signal.SIGKILL)


def supervise(
    command: list[str],
    folder: Path,
    variables: dict[str, str],
    write: Callable[[str], None],
    wanted: Callable[[], Reason | None],
) -> tuple[Reason | None, int]:
    """Run a command until it ends, or until there is a reason to end it: SIGTERM, the notice, SIGKILL."""
    process, reader = start(command, folder, variables, write)
    reason: Reason | None = None
    kill_at = float("inf")
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)
                break
            if reason is None:
                reason = wanted()
                if reason is not None:
                    kill_at = time.monotonic() + context.settings().spot_notice_seconds
                    processes.end_group(process.pid, signal.SIGTERM)
            elif time.monotonic() > kill_at:
                processes.end_group(process.pid, signal.SIGKILL)
    finally:
        end(process)
    reader.join(timeout=60)
    return reason, process.returncode


def _read(process: subprocess.Popen[bytes], write: Callable[[str], None]) -> None:
    assert process.stdout is not None  # asked for above
    for line in process.stdout:
        write(line.decode(errors="replace"))
