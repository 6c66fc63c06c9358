"""What processing, transform and tuning jobs have in common: their life, their answers and their lists."""

from __future__ import annotations

import contextvars
import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws import context
from local_aws.sagemaker import events, validation
from local_aws.sagemaker.errors import in_use, invalid, not_found

_log = logging.getLogger("local_aws.sagemaker")
FINAL = {"Completed", "Failed", "Stopped"}


class JobFailed(Exception):
    """The job ends as Failed; the message is its FailureReason."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the API calls jobs of one kind."""

    noun: str
    """For example ``ProcessingJob``, of which the names of operations and members are made."""
    arn: str
    event: str
    start_member: str | None
    end_member: str
    extra: dict[str, Any] = field(default_factory=dict)
    """Members of a description, with what they are before the job has done anything."""

    @property
    def name(self) -> str:
        return f"{self.noun}Name"


class Job:
    """One job: its request, where it stands, and what asks it to stop."""

    def __init__(self, kind: Kind, request: dict[str, Any], arn: str) -> None:
        self.kind, self.request, self.arn = kind, request, arn
        self.name: str = request[kind.name]
        self.created = self.modified = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.status = "InProgress"
        self.extra = dict(kind.extra)
        self.stop_requested = threading.Event()
        self.done = threading.Event()
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        return context.settings().jobs_dir / f"{self.kind.arn}-{self.name}"

    def enter(self, status: str) -> None:
        """Go on to a status and tell EventBridge; what is over stays over."""
        with self._lock:
            if self.status in FINAL:
                return
            self.modified = time.time()
            if status in FINAL:
                self.ended = self.modified
            self.status = status
        events.send(self.kind.event, self.arn, self.describe())

    def tell(self, **extra: Any) -> None:
        """Add to what is described."""
        with self._lock:
            self.extra.update(extra)

    def describe(self) -> dict[str, Any]:
        known = validation.members(f"Describe{self.kind.noun}")
        shown = {name: value for name, value in self.request.items() if name in known}
        with self._lock:
            status, extra = self.status, dict(self.extra)
            times = {"LastModifiedTime": self.modified, self.kind.end_member: self.ended}
            if self.kind.start_member is not None:
                times[self.kind.start_member] = self.started
        return (
            shown
            | {name: value for name, value in times.items() if value is not None and name in known}
            | {
                f"{self.kind.noun}Arn": self.arn,
                f"{self.kind.noun}Status": status,
                "CreationTime": self.created,
            }
            | {name: value for name, value in extra.items() if name in known}
        )


class Jobs:
    """All jobs of a kind, and the operations of the API on them."""

    def __init__(self, kind: Kind, run: Callable[[Job], str]) -> None:
        self.kind = kind
        self._run_job = run
        self._jobs: dict[tuple[str, str], Job] = {}
        self._lock = threading.Lock()

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Create{self.kind.noun}", request)
        name = request[self.kind.name]
        arn = f"{arn_prefix()}{self.kind.arn}/{name.lower()}"
        with self._lock:
            if (region(), name) in self._jobs:
                raise in_use(f"Job name must be unique within an AWS account and region ({arn})")
            job = self._jobs[region(), name] = Job(self.kind, request, arn)
        job.enter("InProgress")
        ctx = contextvars.copy_context()
        threading.Thread(target=ctx.run, args=(self._run, job), daemon=True, name=job.name).start()
        return {f"{self.kind.noun}Arn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Describe{self.kind.noun}", request)
        return self.find(request[self.kind.name]).describe()

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Stop{self.kind.noun}", request)
        job = self.find(request[self.kind.name])
        if job.status in FINAL:
            raise invalid(f"The request was rejected because the job is in status {job.status}.")
        if not job.stop_requested.is_set():
            job.enter("Stopping")
            job.stop_requested.set()
        return {}

    def list_jobs(self, request: dict[str, Any]) -> dict[str, Any]:
        from local_aws.sagemaker.paging import page

        noun = self.kind.noun
        validation.check(f"List{noun}s", request)
        with self._lock:
            jobs = [job for (where, _), job in self._jobs.items() if where == region()]
        return page(
            [self._summary(job) for job in jobs],
            request,
            member=f"{noun}Summaries",
            name=self.kind.name,
            filters={"StatusEquals": f"{noun}Status"},
            sort={"Name": self.kind.name, "CreationTime": "CreationTime", "Status": f"{noun}Status"},
        )

    def find(self, name: str) -> Job:
        job = self._jobs.get((region(), name))
        if job is None:
            raise not_found(f"Could not find requested job with name: {name}")
        return job

    def arns(self) -> set[str]:
        with self._lock:
            return {job.arn for job in self._jobs.values()}

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(Counter(job.status for job in self._jobs.values()))

    def _summary(self, job: Job) -> dict[str, Any]:
        wanted = {
            self.kind.name,
            f"{self.kind.noun}Arn",
            f"{self.kind.noun}Status",
            "CreationTime",
            "LastModifiedTime",
            "FailureReason",
            self.kind.end_member,
        }
        summary = {name: value for name, value in job.describe().items() if name in wanted}
        if self.kind.noun == "HyperParameterTuningJob":
            summary.pop("FailureReason", None)  # a description has it, a summary has not
            counters = ("TrainingJobStatusCounters", "ObjectiveStatusCounters")
            summary |= {name: job.extra[name] for name in counters}
            summary["Strategy"] = job.request["HyperParameterTuningJobConfig"]["Strategy"]
        return summary

    def _run(self, job: Job) -> None:
        try:
            status = self._run_job(job)
        except JobFailed as error:
            job.tell(FailureReason=str(error)[:1024])
            status = "Failed"
        except Exception as error:  # noqa: BLE001
            _log.exception("%s %s ended by an error of the emulator", self.kind.noun, job.name)
            job.tell(FailureReason=f"InternalServerError: {error}"[:1024])
            status = "Failed"
        finally:
            shutil.rmtree(job.root, ignore_errors=True)
        job.enter(status)
        job.done.set()


def region() -> str:
    from ministack.core.responses import get_region

    return str(get_region())


def arn_prefix() -> str:
    from ministack.core.responses import get_account_id

    return f"arn:aws:sagemaker:{region()}:{get_account_id()}:"
