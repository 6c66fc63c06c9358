"""Jobs of every kind by their name, for who waits for their end."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from local_aws.sagemaker import processing, training, transform, tuning


class Waitable(Protocol):
    done: threading.Event

    def describe(self) -> dict[str, Any]: ...


def find(noun: str, name: str) -> Waitable:
    """A job by its kind, for example ``ProcessingJob``, and its name."""
    if noun == "TrainingJob":
        return training.find(name)
    kinds = (processing.JOBS, transform.JOBS, tuning.JOBS)
    jobs = next(kind for kind in kinds if kind.kind.noun == noun)
    return jobs.find(name)


def counts() -> dict[str, dict[str, int]]:
    """How many jobs of each kind are in each status."""
    return {"training": training.counts()} | {
        name: kind.counts()
        for name, kind in (
            ("processing", processing.JOBS),
            ("transform", transform.JOBS),
            ("tuning", tuning.JOBS),
        )
    }
