"""What a tuning job searches: ranges of hyperparameters, an objective, and when it has searched enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import Duration

from cdk_data_science._validation import Problems, is_whole
from cdk_data_science.training.checks import check_number, check_one_of, check_time, listed

Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
_SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
_MOST_VALUES = 30


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """Whole numbers from one to another, both included."""

    name: str
    least: int
    most: int
    scaling: Scaling = "Auto"
    """``Logarithmic`` for ranges over several powers of ten, above 0."""

    def check(self, problems: Problems) -> None:
        """Report a range that is empty, and a scaling that it cannot have."""
        _check_bounds(problems, self)
        problems.check(
            self.scaling != "ReverseLogarithmic",
            given=f"IntegerRange({self.name!r}, scaling='ReverseLogarithmic')",
            allowed="Auto, Linear or Logarithmic for whole numbers",
        )

    def render(self) -> tuple[str, dict[str, Any]]:
        """Return the member of the API that the range is in, and the range."""
        return "IntegerParameterRanges", _bounds(self)


@dataclass(frozen=True, slots=True)
class ContinuousRange:
    """Numbers from one to another."""

    name: str
    least: float
    most: float
    scaling: Scaling = "Auto"
    """``Logarithmic`` above 0 only, ``ReverseLogarithmic`` from 0 to below 1."""

    def check(self, problems: Problems) -> None:
        """Report a range that is empty, and a scaling that it cannot have."""
        if not _check_bounds(problems, self):
            return
        problems.check(
            self.scaling != "ReverseLogarithmic" or 0 <= self.least < self.most < 1,
            given=f"ContinuousRange({self.name!r}, {self.least:g}, {self.most:g}, 'ReverseLogarithmic')",
            allowed="a range from 0 to below 1",
        )

    def render(self) -> tuple[str, dict[str, Any]]:
        """Return the member of the API that the range is in, and the range."""
        return "ContinuousParameterRanges", _bounds(self)


@dataclass(frozen=True, slots=True)
class CategoricalRange:
    """One of some values."""

    name: str
    values: Sequence[str]
    """1 to 30 texts."""

    def check(self, problems: Problems) -> None:
        """Report a range without values."""
        if isinstance(self.values, str):
            listed(problems, "values", self.values, write=f'["{self.values}", "…"]')
            return
        problems.check(
            1 <= len(self.values) <= _MOST_VALUES and len(set(self.values)) == len(self.values),
            given=f"CategoricalRange({self.name!r}, {list(self.values)})",
            allowed=f"1 to {_MOST_VALUES} values, each once",
        )
        for value in self.values:
            problems.check(
                isinstance(value, str),
                given=f"CategoricalRange({self.name!r}) with {value!r} ({type(value).__name__})",
                allowed="text: SageMaker passes every hyperparameter as a string",
                write=f'"{value}"',
            )

    def render(self) -> tuple[str, dict[str, Any]]:
        """Return the member of the API that the range is in, and the range."""
        return "CategoricalParameterRanges", {"Name": self.name, "Values": list(self.values)}


@dataclass(frozen=True, slots=True)
class AutomaticRange:
    """A range that SageMaker chooses around a value, where it knows the algorithm's hyperparameter; with
    ``autotune``."""

    name: str
    hint: str
    """A value that worked."""

    def check(self, problems: Problems) -> None:
        """Report a hint that is empty."""
        problems.check(
            0 < len(self.hint) <= 256,
            given=f"AutomaticRange({self.name!r}, {self.hint!r})",
            allowed="a text of 1 to 256 characters",
        )

    def render(self) -> tuple[str, dict[str, Any]]:
        """Return the member of the API that the range is in, and the range."""
        return "AutoParameters", {"Name": self.name, "ValueHint": self.hint}


Range = IntegerRange | ContinuousRange | CategoricalRange | AutomaticRange


@dataclass(frozen=True, slots=True)
class Objective:
    """The metric that tells which model is better."""

    metric: str
    """Name of one of the job's ``metrics``, or of a built-in algorithm's own."""
    type: Literal["Maximize", "Minimize"] = "Maximize"

    def check(self, problems: Problems) -> None:
        """Report what is no objective."""
        check_one_of(problems, "Objective type", self.type, ("Maximize", "Minimize"))
        problems.check(
            1 <= len(self.metric) <= 255,
            given=f"Objective({self.metric!r})",
            allowed="the name of a metric, 1 to 255 characters",
        )

    def render(self) -> dict[str, Any]:
        """Return the objective as the SageMaker API has it."""
        return {"Type": self.type, "MetricName": self.metric}


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmStart:
    """Earlier tuning jobs that a new one learns from."""

    parents: Sequence[str]
    """Names of 1 to 5 tuning jobs, or expressions for them."""
    type: Literal["IdenticalDataAndAlgorithm", "TransferLearning"] = "IdenticalDataAndAlgorithm"
    """Whether they had the same data and image."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        problems.check(
            1 <= len(self.parents) <= 5 and len(set(self.parents)) == len(self.parents),
            given=f"WarmStart(parents={list(self.parents)})",
            allowed="1 to 5 tuning jobs, each once",
        )
        check_one_of(problems, "WarmStart type", self.type, ("IdenticalDataAndAlgorithm", "TransferLearning"))

    def render(self) -> dict[str, Any]:
        """Return the ``WarmStartConfig`` of the SageMaker API."""
        parents = [{"HyperParameterTuningJobName": name} for name in self.parents]
        return {"ParentHyperParameterTuningJobs": parents, "WarmStartType": self.type}


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """When a tuning job has searched enough, before its trials are used up."""

    target: float | None = None
    """Value of the objective that is good enough."""
    not_improving: int | None = None
    """Trials without a better one, 3 or more."""
    convergence: bool = False
    """Whether SageMaker ends it when it sees no more to find."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        check_number(problems, "Completion not_improving", self.not_improving, 3)

    def render(self) -> dict[str, Any]:
        """Return the ``TuningJobCompletionCriteria`` of the SageMaker API."""
        criteria: dict[str, Any] = {}
        if self.target is not None:
            criteria["TargetObjectiveMetricValue"] = self.target
        if self.not_improving is not None:
            criteria["BestObjectiveNotImproving"] = {
                "MaxNumberOfTrainingJobsNotImproving": self.not_improving
            }
        if self.convergence:
            criteria["ConvergenceDetected"] = {"CompleteOnConvergence": "Enabled"}
        return criteria


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How a tuning job searches: its strategy, its limits and its end."""

    strategy: Literal["Bayesian", "Random", "Grid", "Hyperband"] = "Bayesian"
    """``Bayesian`` learns from the trials before, ``Random`` does not, ``Grid`` tries every combination of
    categories, ``Hyperband`` stops trials that fall behind and gives their time to others."""
    trials: int | None = None
    """Training jobs at most, 1 or more. A grid has as many as it has points and takes none; all other
    strategies need it."""
    parallel: int = 1
    """Training jobs at a time. A Bayesian search learns more from fewer."""
    max_runtime: Duration
    """Longest time of the whole search, 120 seconds to 182.5 days."""
    early_stopping: bool = False
    """Stop trials that are unlikely to get better than those before. Not for Hyperband, which has its own."""
    completion: Completion | None = None
    """Default: the trials and the time are the only limits."""
    warm_start: WarmStart | None = None
    """Default: it begins anew."""
    random_seed: int | None = None
    """0 or more; the same seed gives the same trials, as far as the strategy's own results allow."""
    least_resource: int | None = None
    """Hyperband: the resource, such as epochs, before which no trial is stopped; 1 or more."""
    most_resource: int | None = None
    """Hyperband: the resource that a trial may use; above ``least_resource``."""
    autotune: bool = False
    """Let SageMaker choose ranges, strategy and limits of its own where none are given."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        check_one_of(problems, "strategy", self.strategy, ("Bayesian", "Random", "Grid", "Hyperband"))
        grid, hyperband = self.strategy == "Grid", self.strategy == "Hyperband"
        problems.check(
            (self.trials is None) == grid,
            given=f"strategy={self.strategy!r} with trials={self.trials}",
            allowed="trials for every strategy but Grid, which tries each of its points",
            write="trials=None" if grid else "trials=20",
        )
        check_number(problems, "trials", self.trials, 1)
        check_number(problems, "parallel", self.parallel, 1)
        if is_whole(self.trials, 1) and is_whole(self.parallel, 1) and self.trials is not None:
            problems.check(
                self.parallel <= self.trials,
                given=f"parallel={self.parallel} of {self.trials} trials",
                allowed="at most as many at a time as there are",
                write=f"parallel={self.trials}",
            )
        check_time(problems, "max_runtime", self.max_runtime, shortest=120, longest=15_768_000)
        problems.check(
            not (self.early_stopping and hyperband),
            given="early_stopping with Hyperband",
            allowed="its own way of stopping trials",
            write="early_stopping=False",
        )
        problems.check(
            hyperband or (self.least_resource is None and self.most_resource is None),
            given=f"least_resource or most_resource with {self.strategy}",
            allowed="both are Hyperband's",
        )
        check_number(problems, "least_resource", self.least_resource, 1)
        check_number(problems, "most_resource", self.most_resource, 1)
        if self.least_resource is not None and self.most_resource is not None:
            problems.check(
                self.least_resource < self.most_resource,
                given=f"least_resource={self.least_resource}, most_resource={self.most_resource}",
                allowed="less at least than at most",
            )
        check_number(problems, "random_seed", self.random_seed, 0)
        for part in (self.completion, self.warm_start):
            if part is not None:
                part.check(problems)

    def render(self) -> dict[str, Any]:
        """Return the search's part of the ``HyperParameterTuningJobConfig``."""
        limits: dict[str, Any] = {
            "MaxParallelTrainingJobs": self.parallel,
            "MaxRuntimeInSeconds": self.max_runtime.to_seconds(),
        }
        if self.trials is not None:
            limits["MaxNumberOfTrainingJobs"] = self.trials
        config: dict[str, Any] = {
            "Strategy": self.strategy,
            "ResourceLimits": limits,
            "TrainingJobEarlyStoppingType": "Auto" if self.early_stopping else "Off",
        }
        resource = {"MinResource": self.least_resource, "MaxResource": self.most_resource}
        if known := {name: value for name, value in resource.items() if value is not None}:
            config["StrategyConfig"] = {"HyperbandStrategyConfig": known}
        if self.completion is not None and (criteria := self.completion.render()):
            config["TuningJobCompletionCriteria"] = criteria
        if self.random_seed is not None:
            config["RandomSeed"] = self.random_seed
        return config


def _bounds(range: IntegerRange | ContinuousRange) -> dict[str, Any]:
    return {
        "Name": range.name,
        "MinValue": repr(range.least),
        "MaxValue": repr(range.most),
        "ScalingType": range.scaling,
    }


def _check_bounds(problems: Problems, range: IntegerRange | ContinuousRange) -> bool:
    """Report bounds that hold nothing; whether they are numbers at all."""
    kind = type(range).__name__
    given = f"{kind}({range.name!r}, {range.least!r}, {range.most!r})"
    numbers = int if isinstance(range, IntegerRange) else int | float
    if not all(isinstance(bound, numbers) for bound in (range.least, range.most)):
        problems.check(
            False,
            given=given,
            allowed="whole numbers" if isinstance(range, IntegerRange) else "numbers",
            write=f"{kind}({range.name!r}, 1, 10)",
        )
        return False
    problems.check(
        range.least < range.most,
        given=given,
        allowed="a range that holds more than one value; what has one value is a hyperparameter of the job",
        write=f"{kind}({range.name!r}, {range.most!r}, {range.least!r})"
        if range.least > range.most
        else f'hyperparameters={{"{range.name}": "{range.least}"}}',
    )
    check_one_of(problems, "scaling", range.scaling, _SCALINGS)
    problems.check(
        range.scaling != "Logarithmic" or range.least > 0,
        given=f"{given} with scaling='Logarithmic'",
        allowed="a range above 0",
    )
    return True
