"""Training jobs: CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob.

Runs: the script as a child process in its own process group, channels, checkpoints, archives, logs, metrics,
StopTrainingJob, maximum run time and waiting time, managed Spot with interruptions on demand, and types of
which there is no capacity (a fault of ``ec2:RunInstances`` on the type). The job acts in its role's name
throughout. State: VPC, encryption of volumes, warm pools, tags, profiler and debugger settings.
Not there: container images (the script runs in a Python environment of this machine), more than one host,
and the discount of Spot: billable seconds are the seconds in which the job had capacity.
"""

from __future__ import annotations

import contextvars
import logging
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from local_aws import context, faults
from local_aws.sagemaker import events, file_systems, validation
from local_aws.sagemaker.errors import ApiError, in_use, invalid, not_found
from local_aws.sagemaker.jobs import JobFailed
from local_aws.sagemaker.run import Attempt, Ending

_log = logging.getLogger("local_aws.sagemaker")

_FINAL = {"Completed", "Failed", "Stopped"}
_DEFAULT_RUNTIME = 86_400
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Interrupted": "The training job was interrupted: its managed spot capacity was taken back",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job exceeded its maximum run time",
    "MaxWaitTimeExceeded": "Training job exceeded its maximum waiting time",
}
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type."
)
_KEPT_MEMBERS = (
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "DebugHookConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "Environment",
    "RetryStrategy",
)


class TrainingJob:
    """One job: its request, where it stands, and the thread that runs it."""

    def __init__(self, request: dict[str, Any], arn: str) -> None:
        self.name: str = request["TrainingJobName"]
        self.arn = arn
        self.request = request
        self.created = time.time()
        self.modified = self.created
        self.started: float | None = None
        self.ended: float | None = None
        self.status = "InProgress"
        self.secondary = "Starting"
        self.transitions: list[dict[str, Any]] = []
        self.failure: str | None = None
        self.artifacts = ""
        self.metrics: list[dict[str, Any]] = []
        self.capacity_seconds = 0.0
        self.stop_requested = threading.Event()
        self.interruption_requested = threading.Event()
        self.done = threading.Event()
        self._lock = threading.Lock()

    def enter(self, secondary: str, *, status: str | None = None, message: str | None = None) -> None:
        """Move to a secondary status, close the one before, and tell EventBridge."""
        now = time.time()
        with self._lock:
            if self.status in _FINAL:
                return  # a stop that came too late
            if self.transitions:
                self.transitions[-1].setdefault("EndTime", now)
            text = message or _MESSAGES.get(secondary, secondary)
            self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": text})
            self.secondary = secondary
            self.modified = now
            if status in _FINAL:
                self.ended = now
                self.transitions[-1]["EndTime"] = now
            self.status = status or self.status
        events.training_job_changed(self.arn, self.describe())

    def describe(self) -> dict[str, Any]:
        with self._lock:
            return self._described()

    def _described(self) -> dict[str, Any]:
        known = {name: self.request[name] for name in _KEPT_MEMBERS if name in self.request}
        return known | {
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "SecondaryStatusTransitions": [dict(transition) for transition in self.transitions],
            "ModelArtifacts": {"S3ModelArtifacts": self.artifacts},
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            **_present(
                TrainingStartTime=self.started,
                TrainingEndTime=self.ended,
                FailureReason=self.failure,
                FinalMetricDataList=self.metrics or None,
                TrainingTimeInSeconds=self._training_seconds(),
                BillableTimeInSeconds=self._billable_seconds(),
            ),
        }

    def summary(self) -> dict[str, Any]:
        return {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
        } | _present(TrainingEndTime=self.ended)

    @property
    def spot(self) -> bool:
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def max_runtime(self) -> float:
        return float(self.request["StoppingCondition"].get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME))

    @property
    def max_wait(self) -> float:
        return float(self.request["StoppingCondition"].get("MaxWaitTimeInSeconds", self.max_runtime))

    def _training_seconds(self) -> int | None:
        if self.started is None or self.ended is None:
            return None
        return max(1, round(self.ended - self.started))

    def _billable_seconds(self) -> int | None:
        whole = self._training_seconds()
        return None if whole is None else min(whole, max(1, round(self.capacity_seconds)))


_jobs: dict[tuple[str, str], TrainingJob] = {}
_jobs_lock = threading.Lock()


def create(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateTrainingJob", request)
    _check_consistency(request)
    name = request["TrainingJobName"]
    arn = f"{_arn_prefix()}training-job/{name.lower()}"
    with _jobs_lock:
        if (_region(), name) in _jobs:
            message = (
                "Training job names must be unique within an AWS account and region, "
                f"but a job with this name already exists ({arn})"
            )
            raise in_use(message)
        job = _jobs[_region(), name] = TrainingJob(request, arn)
    job.enter("Starting")
    ctx = contextvars.copy_context()
    threading.Thread(target=ctx.run, args=(_run, job), daemon=True, name=f"training-{name}").start()
    return {"TrainingJobArn": arn}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeTrainingJob", request)
    return find(request["TrainingJobName"]).describe()


def stop(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("StopTrainingJob", request)
    job = find(request["TrainingJobName"])
    if job.status in _FINAL:
        message = f"The request was rejected because the training job is in status {job.status}."
        raise invalid(message)
    if not job.stop_requested.is_set():
        job.enter("Stopping", status="Stopping")
        job.stop_requested.set()
    return {}


def list_jobs(request: dict[str, Any]) -> dict[str, Any]:
    from local_aws.sagemaker.paging import page

    validation.check("ListTrainingJobs", request)
    with _jobs_lock:
        jobs = [job.summary() for (region, _), job in _jobs.items() if region == _region()]
    return page(
        jobs,
        request,
        member="TrainingJobSummaries",
        name="TrainingJobName",
        filters={"StatusEquals": "TrainingJobStatus"},
        sort={"Name": "TrainingJobName", "CreationTime": "CreationTime", "Status": "TrainingJobStatus"},
    )


def find(name: str) -> TrainingJob:
    job = _jobs.get((_region(), name))
    if job is None:
        raise not_found()
    return job


def interrupt(name: str) -> None:
    """Take the Spot capacity of a running job away, as EC2 would."""
    with _jobs_lock:
        job = next((job for (_, known), job in _jobs.items() if known == name), None)
    if job is None:
        message = f"there is no training job {name!r}"
        raise ApiError("ValidationException", message)
    if not job.spot:
        message = f"training job {name!r} does not use managed Spot training: it cannot be interrupted"
        raise ApiError("ValidationException", message)
    if job.status != "InProgress":
        message = f"training job {name!r} is {job.status}: there is nothing to interrupt"
        raise ApiError("ValidationException", message)
    job.interruption_requested.set()


def counts() -> dict[str, int]:
    with _jobs_lock:
        return dict(Counter(job.status for job in _jobs.values()))


def arns() -> set[str]:
    with _jobs_lock:
        return {job.arn for job in _jobs.values()}


def _run(job: TrainingJob) -> None:
    root = context.settings().jobs_dir / job.name
    try:
        ending = _run_until_it_ends(job, root)
        if ending is Ending.COMPLETED:
            job.enter("Completed", status="Completed")
        elif ending is Ending.STOPPED:
            job.enter("Stopped", status="Stopped")
        else:
            job.enter(ending.value, status="Stopped")
    except JobFailed as error:
        job.failure = str(error)[:1024]
        job.enter("Failed", status="Failed", message=f"Training job failed: {job.failure}"[:512])
    except Exception as error:  # noqa: BLE001
        _log.exception("Training job %s ended by an error of the emulator", job.name)
        job.failure = f"InternalServerError: {error}"[:1024]
        job.enter("Failed", status="Failed")
    finally:
        job.done.set()
        shutil.rmtree(root, ignore_errors=True)


def _run_until_it_ends(job: TrainingJob, root: Path) -> Ending:
    """Attempts, one after the other, until one of them ends for another reason than lost Spot capacity."""
    wait_until = job.created + job.max_wait
    number = 0
    while True:
        number += 1
        _provision(job)
        job.interruption_requested.clear()
        attempt = Attempt(job, root / f"attempt-{number}", wait_until)
        began = time.time()
        try:
            ending = attempt.run()
        finally:
            job.capacity_seconds += time.time() - began
            shutil.rmtree(attempt.layout.root, ignore_errors=True)
        if ending is not Ending.INTERRUPTED:
            return ending
        job.enter("Interrupted")
        if time.time() >= wait_until:
            return Ending.MAX_WAIT
        job.enter("Starting", message="Launching new managed spot capacity for the training job")


def _provision(job: TrainingJob) -> None:
    """SageMaker takes its instances from EC2: a fault of `ec2:RunInstances` on the type leaves it without."""
    kind = job.request["ResourceConfig"].get("InstanceType", "")
    fault = faults.take(faults.FAIL, api="ec2:RunInstances", resource=kind)
    if fault is not None and fault.code:
        raise JobFailed(_NO_CAPACITY)


def _check_consistency(request: dict[str, Any]) -> None:
    """What the API refuses beyond the shapes of its model."""
    stopping = request["StoppingCondition"]
    spot = request.get("EnableManagedSpotTraining", False)
    wait, runtime = (
        stopping.get("MaxWaitTimeInSeconds"),
        stopping.get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME),
    )
    if spot and wait is None:
        raise invalid("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true.")
    if wait is not None and not spot:
        raise invalid("MaxWaitTimeInSeconds can be given only when EnableManagedSpotTraining is true.")
    if wait is not None and wait < runtime:
        raise invalid(f"MaxWaitTimeInSeconds ({wait}) must be at least MaxRuntimeInSeconds ({runtime}).")
    resources = request["ResourceConfig"]
    if resources.get("InstanceCount", 1) > 1 or resources.get("InstanceGroups"):
        raise invalid("ResourceConfig: more than one host does not run on the local AWS.")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(names) != len(set(names)):
        raise invalid("Channel names must be unique within a training job.")
    for channel in request.get("InputDataConfig", []):
        sources = channel["DataSource"].keys() & {"S3DataSource", "FileSystemDataSource"}
        if len(channel["DataSource"]) != 1 or not sources:
            name = channel["ChannelName"]
            raise invalid(f"Channel {name}: give either an S3DataSource or a FileSystemDataSource.")
        if "FileSystemDataSource" in sources:
            file_systems.check(channel, request)
        if channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]) == "Pipe":
            name = channel["ChannelName"]
            raise invalid(f"Channel {name}: Pipe mode does not run on the local AWS; use File or FastFile.")


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _region() -> str:
    from ministack.core.responses import get_region

    return str(get_region())


def _arn_prefix() -> str:
    from ministack.core.responses import get_account_id

    return f"arn:aws:sagemaker:{_region()}:{get_account_id()}:"
