"""Measures whole processes: how long they took, and how much memory they and their children held at once."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

_SAMPLE_SECONDS = 0.02
_PROC = Path("/proc")


@dataclass(frozen=True)
class Run:
    """One process from start to end."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class ProcessFailed(Exception):
    """What was to be measured did not succeed."""


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> Run:
    """Run a command to its end and measure it and all of its children."""
    begin = perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    watch = _Memory(process.pid)
    assert process.stderr is not None
    with watch:
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProcessFailed(f"{' '.join(command)} failed:\n{told.decode(errors='replace')[-4000:]}")
    # Without /proc, the largest single process is all that the system tells.
    largest = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, max(watch.peak_mb, largest))


class _Memory(threading.Thread):
    """Samples the memory of a process tree, because the system keeps the peak of single processes only."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._root = pid
        self._ended = threading.Event()

    def __enter__(self) -> _Memory:
        if _PROC.is_dir():
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, resident_mb(self._root))


def resident_mb(pid: int) -> float:
    """The memory that a process and all below it hold now."""
    page_mb = os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
    return sum(_resident_pages(member) for member in _tree(pid)) * page_mb


def _tree(pid: int) -> list[int]:
    try:
        text = " ".join(file.read_text() for file in _PROC.glob(f"{pid}/task/*/children"))
    except OSError:  # it ended meanwhile
        return [pid]
    return [pid, *(below for child in text.split() for below in _tree(int(child)))]


def _resident_pages(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:  # it ended meanwhile
        return 0


def medians(runs: Sequence[Run]) -> dict[str, float]:
    """The middle of several runs, and the fastest of them."""
    return {
        "seconds": round(statistics.median(run.seconds for run in runs), 3),
        "fastest_seconds": round(min(run.seconds for run in runs), 3),
        "cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 3),
        "peak_mb": round(statistics.median(run.peak_mb for run in runs), 1),
    }


def machine() -> dict[str, str | int | None]:
    """What the numbers were measured on; they compare within one run, hardly between machines."""
    return {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be: the first to the left, numbers to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
