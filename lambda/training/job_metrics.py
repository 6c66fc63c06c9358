"""Metrics of training jobs, of which SageMaker publishes none that an alarm could know before: how they end,
how often capacity is taken away, and what Spot saves.

EventBridge sends the changes of jobs. A line in CloudWatch's embedded metric format becomes the metrics. An
event that comes twice within one execution environment counts once; after that it would count twice.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_ENDS = {"Completed": "Completed", "Failed": "Failed", "Stopped": "Stopped"}
# How SageMaker begins the failure reason of a job that it had no instances for.
_NO_CAPACITY = ("CapacityError", "InsufficientCapacity", "InsufficientInstanceCapacity")
_REMEMBERED = 500
_seen: OrderedDict[str, None] = OrderedDict()


class UnknownEventError(ValueError):
    """The event is no change of a training job."""


@cache
def _sagemaker() -> SageMakerClient:
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3)
    return boto3.client("sagemaker", config=config)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, float]:
    """Publish what one change of a job says; the answer holds the metrics.

    Raises:
        UnknownEventError: The event is no change of a training job.
    """
    detail = event.get("detail")
    if not isinstance(detail, Mapping) or "TrainingJobName" not in detail:
        raise UnknownEventError(f"no training job in the event: {json.dumps(event, default=str)[:500]}")
    number = str(event.get("id", ""))
    if number and number in _seen:
        return {}
    status = str(detail.get("TrainingJobStatus", ""))
    values: dict[str, float]
    if status in _ENDS:
        # The event lacks the billed seconds.
        values = ended(dict(_sagemaker().describe_training_job(TrainingJobName=detail["TrainingJobName"])))
    elif detail.get("SecondaryStatus") == "Interrupted":
        values = {"Interrupted": 1}
    else:
        values = {}
    if values:
        timestamp = _milliseconds(detail.get("LastModifiedTime"))
        print(line(values, str(detail["TrainingJobName"]), timestamp))  # noqa: T201 (CloudWatch reads it)
    if number:
        _seen[number] = None
        while len(_seen) > _REMEMBERED:
            _seen.popitem(last=False)
    return values


def ended(job: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a job that has ended: one way in which it did, and its instances' seconds."""
    status = str(job["TrainingJobStatus"])
    reason, secondary = str(job.get("FailureReason", "")), str(job.get("SecondaryStatus", ""))
    values = dict.fromkeys(("Completed", "Failed", "Stopped", "LostCapacity"), 0.0)
    if secondary == "MaxWaitTimeExceeded" or (status == "Failed" and reason.startswith(_NO_CAPACITY)):
        # Whoever asked for the job tries other capacity: that is no failure of the job.
        values["LostCapacity"] = 1
    elif status in _ENDS:
        values[_ENDS[status]] = 1
    if "TrainingTimeInSeconds" in job:
        instances = _instances(job.get("ResourceConfig", {}))
        ran = float(job["TrainingTimeInSeconds"]) * instances
        billed = float(job.get("BillableTimeInSeconds", job["TrainingTimeInSeconds"])) * instances
        values |= {"Seconds": ran, "BilledSeconds": billed, "SavedSeconds": max(0.0, ran - billed)}
    return values


def line(values: Mapping[str, float], job: str, timestamp: int) -> str:
    """A line that CloudWatch makes metrics of (its embedded metric format)."""
    metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("Seconds") else "Count"} for name in values]
    directive = {
        "Namespace": os.environ["METRICS_NAMESPACE"],
        "Dimensions": [["Jobs"]],
        "Metrics": metrics,
    }
    return json.dumps(
        {
            "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [directive]},
            "Jobs": os.environ["JOBS"],
            "job": job,
            **values,
        }
    )


def _instances(config: Mapping[str, Any]) -> int:
    groups = config.get("InstanceGroups")
    if groups:
        return sum(int(group["InstanceCount"]) for group in groups)
    return int(config.get("InstanceCount", 1))


def _milliseconds(value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value if value > 100_000_000_000 else value * 1000)
    return int(time.time() * 1000)
