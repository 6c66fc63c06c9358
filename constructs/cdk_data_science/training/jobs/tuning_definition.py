"""The training jobs that a tuning job makes: what they share, and what is searched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_kms as kms

from cdk_data_science._validation import Problems, is_token, shown
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training import checks
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.jobs.training_places import check_channels, places
from cdk_data_science.training.jobs.tuning_values import (
    AutomaticRange,
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    Objective,
    Range,
    Search,
)
from cdk_data_science.training.values import Channel

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}")
_SCRIPT = "sagemaker_program"
"""The hyperparameter of jobs in script mode, of whose programs SageMaker knows no metric by itself."""
_MOST_RANGES = 30
_USE = InstanceUse.TUNING


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningDefinition:
    """One make of training job, and what is searched with it."""

    job: TrainingJob
    """What is the same in every trial. ``max_wait`` makes them managed Spot jobs."""
    objective: Objective
    ranges: Sequence[Range]
    """1 to 30 hyperparameters."""
    channels: Sequence[Channel]
    output_uri: str
    """S3 prefix for the model archives: ``<output_uri><trial>/output/model.tar.gz``."""
    output_key: kms.IKey | None = None
    checkpoint_uri: str | None = None
    """S3 prefix of the checkpoints. AWS does not say that each trial has a folder of its own in it: a program
    has to tell whose a checkpoint is, by the hyperparameters that it was made with or by the job's name
    (``TRAINING_JOB_NAME``), which stays the same when Spot capacity is taken away."""
    checkpoint_path: str = "/opt/ml/checkpoints"
    fallback_types: Sequence[str] = ()
    """Up to five types that trials take, in order, when SageMaker has no capacity of the job's; with Spot,
    too."""
    name: str | None = None
    """Needed where there are several definitions: 1 to 64 letters, digits and hyphens."""

    def check(self, problems: Problems, *, region: str, search: Search) -> None:
        """Report every value that SageMaker would refuse in a region."""
        job = self.job
        given: object = job
        if not isinstance(given, TrainingJob):
            problems.check(
                False,
                given=f"job={shown(given)}",
                allowed="a TrainingJob",
                write="job=training.job, of a SpotTraining",
            )
            return
        job.check(problems, region=region)
        check_channels(problems, self.channels, job)
        objective: object = self.objective
        if not isinstance(objective, Objective):
            problems.check(
                False,
                given=f"objective={self.objective!r}",
                allowed="an Objective",
                write=f'objective=Objective("{self.objective}")',
            )
            return
        self.objective.check(problems)
        problems.check(
            bool(job.metrics) or _SCRIPT not in job.hyperparameters,
            given=f"objective {self.objective.metric!r} of a program that has no metrics",
            allowed="a metric with the expression that finds it in the program's output",
            write=f'metrics={{"{self.objective.metric}": r"{self.objective.metric}=([0-9.]+)"}}',
        )
        problems.check(
            not job.metrics or self.objective.metric in job.metrics,
            given=f"objective {self.objective.metric!r}",
            allowed=f"one of the job's metrics: {', '.join(job.metrics)}",
        )
        checks.check_uri(problems, "output_uri", self.output_uri)
        checks.check_uri(problems, "checkpoint_uri", self.checkpoint_uri)
        self._check_ranges(problems, search)
        self._check_types(problems)
        self._check_what_tuning_lacks(problems)
        checks.check_environment(problems, job.environment, entries=48)

    def render(self, *, several: bool) -> dict[str, Any]:
        """Return the ``TrainingJobDefinition`` of the SageMaker API."""
        whole = self.job.render()
        static = dict(self.job.hyperparameters)
        definition = {
            name: value for name, value in whole.items() if name not in ("HyperParameters", "ResourceConfig")
        }
        definition |= places(
            self.channels,
            output=self.job.render_output(self.output_uri, self.output_key),
            checkpoint_uri=self.checkpoint_uri,
            checkpoint_path=self.checkpoint_path,
        )
        if static:
            definition["StaticHyperParameters"] = static
        if self.fallback_types:
            definition["HyperParameterTuningResourceConfig"] = self._prioritized()
        else:
            definition["ResourceConfig"] = whole["ResourceConfig"]
        if several:
            definition |= {
                "TuningObjective": self.objective.render(),
                "HyperParameterRanges": self.render_ranges(),
            }
        if self.name is not None:
            definition["DefinitionName"] = self.name
        return definition

    def render_ranges(self) -> dict[str, Any]:
        """Return the ``ParameterRanges`` of the SageMaker API."""
        found: dict[str, Any] = {}
        for each in self.ranges:
            member, value = each.render()
            found.setdefault(member, []).append(value)
        return found

    def _prioritized(self) -> dict[str, Any]:
        job = self.job
        config: dict[str, Any] = {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": [
                {
                    "InstanceType": kind,
                    "InstanceCount": job.instance_count,
                    "VolumeSizeInGB": job.volume_size_gb,
                }
                for kind in (job.instance_type, *self.fallback_types)
            ],
        }
        if job.volume_key is not None:
            config["VolumeKmsKeyId"] = job.volume_key.key_arn
        return config

    def _check_ranges(self, problems: Problems, search: Search) -> None:
        kinds: Mapping[type, str] = {
            IntegerRange: "IntegerRange",
            ContinuousRange: "ContinuousRange",
            CategoricalRange: "CategoricalRange",
            AutomaticRange: "AutomaticRange",
        }
        ranges = checks.listed(problems, "ranges", self.ranges, write='[ContinuousRange("alpha", 0.1, 10)]')
        names = [each.name for each in ranges]
        problems.check(
            (len(names) >= 1 or search.autotune) and len(names) <= _MOST_RANGES,
            given=f"{len(names)} ranges",
            allowed=f"1 to {_MOST_RANGES}",
            write='ranges=[ContinuousRange("learning_rate", 1e-4, 1e-1, "Logarithmic")]',
        )
        problems.check(len(set(names)) == len(names), given=f"ranges {names}", allowed="each name once")
        for each in ranges:
            each.check(problems)
            problems.check(
                0 < len(each.name) <= 256,
                given=f"a range named {each.name!r}",
                allowed="a hyperparameter of 1 to 256 characters",
            )
            problems.check(
                each.name not in self.job.hyperparameters,
                given=f"range {each.name!r}, which is a hyperparameter of the job, too",
                allowed="either a fixed value or a range",
            )
            problems.check(
                search.strategy != "Grid" or isinstance(each, CategoricalRange),
                given=f"{kinds[type(each)]} {each.name!r} with strategy='Grid'",
                allowed="categories: a grid is made of single values",
                write=f'CategoricalRange("{each.name}", ["1", "2", "4"])',
            )
            problems.check(
                search.autotune or not isinstance(each, AutomaticRange),
                given=f"AutomaticRange {each.name!r} without autotune",
                allowed="ranges with bounds or values",
                write="autotune=True",
            )

    def _check_types(self, problems: Problems) -> None:
        job = self.job
        checks.check_type(problems, job.instance_type, _USE)
        for kind in checks.listed(problems, "fallback_types", self.fallback_types, write='["ml.m5.2xlarge"]'):
            checks.check_type(problems, kind, _USE, name="fallback_types")
            checks.check_volume_key(problems, kind, _USE, job.volume_key)
        problems.check(
            len(self.fallback_types) <= 5,
            given=f"{len(self.fallback_types)} fallback_types",
            allowed="at most 5",
        )
        problems.check(
            not self.fallback_types or not (job.instance_groups or job.keep_alive or job.training_plan_arn),
            given="fallback_types with instance_groups, keep_alive or training_plan_arn",
            allowed="jobs on one type that come and go",
        )

    def _check_what_tuning_lacks(self, problems: Problems) -> None:
        job = self.job
        given = {
            "private_registry": job.private_registry is not None,
            "entrypoint": bool(job.entrypoint),
            "arguments": bool(job.arguments),
            "tensorboard_uri": job.tensorboard_uri is not None,
            "profiler": job.profiler is not None,
            "infrastructure_check": job.infrastructure_check,
            "remote_debug": job.remote_debug,
            "job.fallback_types": bool(job.fallback_types),
        }
        problems.check(
            not any(given.values()),
            given=f"a job with {', '.join(name for name, there in given.items() if there)}",
            allowed="what a tuning job's definition has: the API takes none of these for its trials",
        )
        problems.check(
            self.name is None or is_token(self.name) or _NAME.fullmatch(self.name) is not None,
            given=f"TuningDefinition(name={self.name!r})",
            allowed="1 to 64 letters, digits and hyphens",
        )
