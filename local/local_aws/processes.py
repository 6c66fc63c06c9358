"""Finding and ending every process of an instance, whoever started it and whether its parent still lives.

Each process carries ``LOCAL_AWS_INSTANCE=<id>`` in its environment, and children inherit it. A process id
alone is never trusted: ids are reused.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local_aws.settings import MARKER, STATE_DIR_VARIABLE

_PROC = Path("/proc")
_SERVER = "local_aws.server"
_KILLED_SECONDS = 60.0


@dataclass(slots=True)
class Running:
    """The living processes of one instance."""

    instance: str
    state_dir: Path | None = None
    served: bool = False
    """Whether its emulator is among them; without it, the others were left behind."""
    pids: set[int] = field(default_factory=set)


def instances() -> list[Running]:
    """Every instance of this user, of whatever state folder, that has a living process."""
    found: dict[str, Running] = {}
    for pid, instance, state_dir, served in _from_proc() if _PROC.is_dir() else _from_ps():
        if pid != os.getpid():
            known = found.setdefault(instance, Running(instance))
            known.pids.add(pid)
            known.served |= served
            known.state_dir = known.state_dir or (Path(state_dir) if state_dir else None)
    return list(found.values())


def carrying(instance: str) -> set[int]:
    """The ids of the living processes that belong to this instance."""
    return next((each.pids for each in instances() if each.instance == instance), set())


def end_all(instance: str, grace_seconds: float = 5.0) -> int:
    """Ask every process of the instance to end, then kill what is left. Returns how many there were."""
    ended = carrying(instance)
    _signal(ended, signal.SIGTERM)
    if not wait_until(lambda: not carrying(instance), grace_seconds):
        # A process that is starting while we look can fork once more, and on a busy machine one that was
        # killed takes a while to be gone: look until none is left.
        deadline = time.monotonic() + _KILLED_SECONDS
        while (left := carrying(instance)) and time.monotonic() < deadline:
            ended |= left
            _signal(left, signal.SIGKILL)
            time.sleep(0.05)
    return len(ended)


@contextlib.contextmanager
def interruptions_later() -> Iterator[None]:
    """Let an interruption wait until a process that is being started is known, so that it can be ended."""
    seen: list[int] = []
    before = {
        number: signal.signal(number, lambda found, _: seen.append(found))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if seen:
        raise KeyboardInterrupt


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


def _from_proc() -> Iterator[tuple[int, str, str, bool]]:
    wanted, user = f"{MARKER}=".encode(), os.getuid()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile
            if entry.stat().st_uid != user:
                continue
            raw = (entry / "environ").read_bytes()
            if wanted not in raw or _is_zombie(entry):
                continue
            variables = dict(pair.partition(b"=")[::2] for pair in raw.split(b"\0"))
            if MARKER.encode() in variables:
                served = _SERVER.encode() in (entry / "cmdline").read_bytes().split(b"\0")
                instance, state_dir = (
                    variables.get(name.encode(), b"").decode() for name in (MARKER, STATE_DIR_VARIABLE)
                )
                yield int(entry.name), instance, state_dir, served


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _from_ps() -> Iterator[tuple[int, str, str, bool]]:
    """Systems without /proc, such as macOS: ``ps`` shows the environment of the user's own processes."""
    listing = subprocess.run(
        ["ps", "-xEww", "-o", "pid=,command="],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listing.stdout.splitlines():
        instance = re.search(rf" {MARKER}=(\S+)", line)
        if instance is not None:
            state_dir = re.search(rf" {STATE_DIR_VARIABLE}=(\S+)", line)
            served = f" -m {_SERVER} " in line
            yield int(line.split(None, 1)[0]), instance[1], state_dir[1] if state_dir else "", served
