"""Tuning jobs: child training jobs with drawn hyperparameters, and the best of them by its objective.

Runs: random search (Bayesian and Hyperband draw at random, too) and grid search, parallel and total limits,
scaling of ranges, the target value and the count without improvement as ends, StopHyperParameterTuningJob.
Not there: early stopping of a child, warm starts, several definitions, Autotune.
"""

from __future__ import annotations

import itertools
import math
import random
import time
import uuid
from typing import Any

from local_aws.sagemaker import jobs, training, validation
from local_aws.sagemaker.errors import ApiError
from local_aws.sagemaker.paging import page

_POLL = 0.1
_COUNTERS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_OBJECTIVES = ("Succeeded", "Pending", "Failed")
_DEFAULT_TRIALS = 20
_NOT_THERE = {"WarmStartConfig", "Autotune"}


def run(job: jobs.Job) -> str:
    definition = job.request.get("TrainingJobDefinition")
    if definition is None:
        raise jobs.JobFailed("ClientError: the local AWS runs one TrainingJobDefinition")
    for member in _NOT_THERE & job.request.keys():
        raise jobs.JobFailed(f"ClientError: {member} does not run on the local AWS")
    return _Search(job, definition).run()


class _Search:
    def __init__(self, job: jobs.Job, definition: dict[str, Any]) -> None:
        self._job, self._definition = job, definition
        self._config = job.request["HyperParameterTuningJobConfig"]
        self._objective = _objective(job)
        self._trials: list[training.TrainingJob] = []
        self._children: list[dict[str, Any]] = job.extra.setdefault("_children", [])

    def run(self) -> str:
        limits = self._config["ResourceLimits"]
        points = self._points(limits.get("MaxNumberOfTrainingJobs", _DEFAULT_TRIALS))
        ends = time.time() + limits.get("MaxRuntimeInSeconds", math.inf)
        began = time.time()
        over = False
        while True:
            running = [trial for trial in self._trials if not trial.done.is_set()]
            self._tell(began)
            stopped = self._job.stop_requested.is_set() or time.time() > ends
            over = over or stopped or self._reached()
            if stopped:
                for trial in running:
                    trial.stop_requested.set()
            while not over and len(running) < limits["MaxParallelTrainingJobs"]:
                point = next(points, None)
                if point is None:
                    over = True
                    break
                running.append(self._start(point))
            if over and not running:
                break
            time.sleep(_POLL)
        self._tell(began)
        if self._job.stop_requested.is_set():
            return "Stopped"
        if not self._ranked():
            raise jobs.JobFailed("No training job reported the objective metric.")
        return "Completed"

    def _points(self, count: int) -> Any:
        config, definition = self._config, self._definition
        ranges = config.get("ParameterRanges") or definition.get("HyperParameterRanges") or {}
        if config["Strategy"] == "Grid":
            categories = ranges.get("CategoricalParameterRanges", [])
            names = [given["Name"] for given in categories]
            products = itertools.product(*(given["Values"] for given in categories))
            return (dict(zip(names, values, strict=True)) for values in products)
        draw = random.Random(config.get("RandomSeed"))  # noqa: S311 - a search, not a secret
        return (_drawn(ranges, draw) for _ in range(count))

    def _start(self, tuned: dict[str, str]) -> training.TrainingJob:
        number = len(self._trials) + 1
        name = f"{self._job.name[:40]}-{number:03d}-{uuid.uuid4().hex[:8]}"
        static = self._definition.get("StaticHyperParameters", {})
        objective = {"_tuning_objective_metric": self._objective["MetricName"]}
        left_out = {"DefinitionName", "TuningObjective", "HyperParameterRanges", "StaticHyperParameters"}
        request = {n: v for n, v in self._definition.items() if n not in left_out}
        request |= {"TrainingJobName": name, "HyperParameters": static | tuned | objective}
        try:
            training.create(request)
        except ApiError as error:
            raise jobs.JobFailed(f"ClientError: {error.message}") from error
        trial = training.find(name)
        self._trials.append(trial)
        self._children.append({"name": name, "tuned": tuned})
        return trial

    def _value(self, trial: training.TrainingJob) -> float | None:
        metrics = {metric["MetricName"]: metric["Value"] for metric in trial.metrics}
        value = metrics.get(self._objective["MetricName"])
        return value if trial.status == "Completed" else None

    def _ranked(self) -> list[tuple[float, training.TrainingJob]]:
        sign = -1 if self._objective["Type"] == "Maximize" else 1
        valued = [(value, trial) for trial in self._trials if (value := self._value(trial)) is not None]
        return sorted(valued, key=lambda pair: sign * pair[0])

    def _reached(self) -> bool:
        """Whether a completion criterion ends the search."""
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        ranked = self._ranked()
        target = criteria.get("TargetObjectiveMetricValue")
        if ranked and target is not None:
            best = ranked[0][0]
            return bool(best >= target if self._objective["Type"] == "Maximize" else best <= target)
        patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        if ranked and patience is not None:
            ended = [trial for trial in self._trials if trial.done.is_set()]
            return bool(len(ended) - 1 - ended.index(ranked[0][1]) >= patience)
        return False

    def _tell(self, began: float) -> None:
        counters = dict.fromkeys(_COUNTERS, 0)
        objectives = dict.fromkeys(_OBJECTIVES, 0)
        for trial in self._trials:
            status = {"Failed": "NonRetryableError", "Stopping": "InProgress"}.get(trial.status, trial.status)
            counters[status] += 1
            succeeded = self._value(trial) is not None
            done = "Succeeded" if succeeded else "Failed" if trial.done.is_set() else "Pending"
            objectives[done] += 1
        extra = {
            "TrainingJobStatusCounters": counters,
            "ObjectiveStatusCounters": objectives,
            "ConsumedResources": {"RuntimeInSeconds": round(time.time() - began)},
        }
        ranked = self._ranked()
        if ranked:
            extra["BestTrainingJob"] = child_summary(self._job, ranked[0][1].name)
        self._job.tell(**extra)


def child_summary(job: jobs.Job, name: str) -> dict[str, Any]:
    trial = training.find(name)
    tuned = next(child["tuned"] for child in job.extra["_children"] if child["name"] == name)
    described = trial.describe()
    members = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
        "TrainingJobStatus",
        "FailureReason",
    )
    objective = _objective(job)
    metrics = {metric["MetricName"]: metric["Value"] for metric in trial.metrics}
    summary = {name: described[name] for name in members if name in described} | {
        "TunedHyperParameters": tuned
    }
    if objective["MetricName"] in metrics:
        value = metrics[objective["MetricName"]]
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = objective | {"Value": value}
        summary["ObjectiveStatus"] = "Succeeded"
    else:
        summary["ObjectiveStatus"] = "Failed" if trial.done.is_set() else "Pending"
    return summary


def _objective(job: jobs.Job) -> dict[str, Any]:
    config, definition = job.request["HyperParameterTuningJobConfig"], job.request["TrainingJobDefinition"]
    objective: dict[str, Any] = (
        config.get("HyperParameterTuningJobObjective") or definition["TuningObjective"]
    )
    return objective


def list_children(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListTrainingJobsForHyperParameterTuningJob", request)
    job = JOBS.find(request["HyperParameterTuningJobName"])
    summaries = [child_summary(job, child["name"]) for child in job.extra.get("_children", [])]
    return page(
        summaries,
        {name: value for name, value in request.items() if name != "SortBy"},
        member="TrainingJobSummaries",
        name="TrainingJobName",
        filters={"StatusEquals": "TrainingJobStatus"},
        sort={"CreationTime": "CreationTime"},
    )


def _drawn(ranges: dict[str, Any], draw: random.Random) -> dict[str, str]:
    point = {}
    for given in ranges.get("IntegerParameterRanges", []):
        point[given["Name"]] = str(round(_scaled(given, draw)))
    for given in ranges.get("ContinuousParameterRanges", []):
        point[given["Name"]] = repr(_scaled(given, draw))
    for given in ranges.get("CategoricalParameterRanges", []):
        point[given["Name"]] = draw.choice(given["Values"])
    return point


def _scaled(given: dict[str, Any], draw: random.Random) -> float:
    low, high = float(given["MinValue"]), float(given["MaxValue"])
    scaling = given.get("ScalingType", "Auto")
    if scaling == "Logarithmic" and low > 0:
        return math.exp(draw.uniform(math.log(low), math.log(high)))
    if scaling == "ReverseLogarithmic" and high < 1:
        return 1 - math.exp(draw.uniform(math.log(1 - high), math.log(1 - low)))
    return draw.uniform(low, high)


JOBS = jobs.Jobs(
    jobs.Kind(
        noun="HyperParameterTuningJob",
        arn="hyper-parameter-tuning-job",
        event="SageMaker HyperParameter Tuning Job State Change",
        start_member=None,
        end_member="HyperParameterTuningEndTime",
        extra={
            "TrainingJobStatusCounters": dict.fromkeys(_COUNTERS, 0),
            "ObjectiveStatusCounters": dict.fromkeys(_OBJECTIVES, 0),
        },
    ),
    run,
)
