"""The training script as SageMaker runs it, and small data for it."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from examples.review_sentiment.uploads import SOURCE

sys.path.insert(0, str(SOURCE))  # as the training container does: the scripts import one another by name

import train

Row = tuple[str, str, str, str]
# The signal comes between the third fold and the fourth: from another process it would come some time.
_INTERRUPTED = """
import os, pathlib, runpy, signal, sys

def told(text, write=sys.stdout.write):
    written = write(text)
    if "fold=2" in text:
        os.kill(os.getpid(), signal.SIGTERM)
    return written

sys.stdout.write = told
del sys.argv[0]
sys.path[0] = str(pathlib.Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Job:
    """A training job's folders, in the layout of SageMaker's contract under a folder of its own."""

    def __init__(self, root: Path, rows: Iterable[Row]) -> None:
        self.root = root
        train = root / "input" / "data" / "train"
        train.mkdir(parents=True)
        with (train / "train.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "group", "label", "text"))
            writer.writerows(rows)

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(SOURCE / "train.py")]

    @property
    def interrupted(self) -> list[str]:
        """The same, of which the instance is taken away as soon as it has told of its third fold."""
        return [sys.executable, "-c", _INTERRUPTED, str(SOURCE / "train.py")]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SM_")}
        return {**kept, "SAGEMAKER_BASE_DIR": str(self.root), **more}

    def run(
        self, *arguments: str, interrupted: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(self.interrupted if interrupted else self.command), *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=900,  # for a job that hangs
            check=False,
        )

    def file(self, name: str) -> Path:
        return self.root / name

    def run_here(self, *arguments: str) -> int:
        """In this process, which spares the imports; its handler of SIGTERM is taken back."""
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name in [name for name in os.environ if name.startswith("SM_")]:
                    patch.delenv(name)
                patch.setenv("SAGEMAKER_BASE_DIR", str(self.root))
                return train.main(arguments)
        finally:
            signal.signal(signal.SIGTERM, handler)


def small_data(reviews: int = 24) -> list[Row]:
    """Sentences whose words tell the label, mostly; three for each review."""
    rows = []
    for number in range(reviews * 3):
        positive = int(hashlib.sha256(str(number).encode()).hexdigest(), 16) % 2 == 0
        words = "great love it" if positive and number % 7 else "bad broken thing"
        label = "positive" if positive else "negative"
        rows.append((f"s{number}", f"r{number // 3}", label, f"{words} number {number}"))
    return rows
