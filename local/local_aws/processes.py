"""Finding and ending every process of an instance, whoever started it and whether its parent still lives.

Each process carries ``LOCAL_AWS_INSTANCE=<id>`` in its environment, and children inherit it. A process id
alone is never trusted: ids are reused.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from local_aws.settings import MARKER

_PROC = Path("/proc")


def carrying(instance: str) -> set[int]:
    """The ids of the living processes that belong to this instance."""
    mark = f"{MARKER}={instance}"
    found = _from_proc(mark) if _PROC.is_dir() else _from_ps(mark)
    return found - {os.getpid()}


def belongs_to(pid: int, instance: str) -> bool:
    return pid in carrying(instance)


def end_all(instance: str, grace_seconds: float = 5.0) -> int:
    """Ask every process of the instance to end, then kill what is left. Returns how many there were."""
    ended = carrying(instance)
    _signal(ended, signal.SIGTERM)
    if not wait_until(lambda: not carrying(instance), grace_seconds):
        # A process that is starting while we look can fork once more: look until none is left.
        for _ in range(20):
            left = carrying(instance)
            if not left:
                break
            ended |= left
            _signal(left, signal.SIGKILL)
            time.sleep(0.05)
    return len(ended)


def end_group(pid: int, sig: signal.Signals) -> None:
    """Signal the process group that this process leads; nothing happens when it has ended already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, sig)


def wait_until(condition: Callable[[], bool], seconds: float, step: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(step)
    return condition()


def _signal(pids: Iterable[int], sig: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sig)


def _from_proc(mark: str) -> set[int]:
    wanted = mark.encode()
    found = set()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile, or it is another user's
            if wanted in (entry / "environ").read_bytes().split(b"\0") and not _is_zombie(entry):
                found.add(int(entry.name))
    return found


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _from_ps(mark: str) -> set[int]:
    """Systems without /proc, such as macOS: ``ps`` shows the environment of the user's own processes."""
    listing = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,command="],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line.strip() for line in listing.stdout.splitlines())
    return {int(line.split(None, 1)[0]) for line in lines if f" {mark}" in line}
