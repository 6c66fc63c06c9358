"""What an AutoML job is to learn: one class for each type of problem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from aws_cdk import Duration

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.training.checks import check_number, check_one_of, check_uri, known_seconds

ProblemType = Literal["BinaryClassification", "MulticlassClassification", "Regression"]
_TABULAR_METRICS: dict[str, tuple[str, ...]] = {
    "Regression": ("MSE", "MAE", "R2", "RMSE"),
    "BinaryClassification": ("F1", "Accuracy", "AUC", "BalancedAccuracy", "Precision", "Recall"),
    "MulticlassClassification": (
        "Accuracy",
        "BalancedAccuracy",
        "F1macro",
        "PrecisionMacro",
        "RecallMacro",
    ),
}
_TABULAR_ALGORITHMS = (
    "xgboost", "linear-learner", "mlp", "lightgbm", "catboost", "randomforest", "extra-trees", "nn-torch",
    "fastai",
)  # fmt: skip
_FORECAST_ALGORITHMS = ("cnn-qr", "deepar", "prophet", "npts", "arima", "ets")
_FREQUENCY = re.compile(
    r"1Y|Y|([1-9]|1[0-1])M|M|[1-4]W|W|[1-6]D|D|([1-9]|1[0-9]|2[0-3])H|H|([1-9]|[1-5][0-9])min"
)
_QUANTILE = re.compile(r"p[1-9]\d?")


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateLimits:
    """How long an AutoML job may look for models."""

    max_runtime: Duration
    """Longest time of the whole job. The state machine stops it then, whatever SageMaker does."""
    candidates: int | None = None
    """Models at most, 1 to 750. Default: SageMaker's."""
    max_runtime_each: Duration | None = None
    """Longest time of one training job. Default: SageMaker's."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        check_number(problems, "candidates", self.candidates, 1, 750)
        whole, each = known_seconds(self.max_runtime), known_seconds(self.max_runtime_each)
        if whole is not None:
            check_number(problems, "max_runtime (seconds)", whole, 1)
        if each is not None and whole is not None:
            problems.check(
                1 <= each <= whole,
                given=f"max_runtime_each={each:g} s",
                allowed=f"1 s to max_runtime ({whole:g} s)",
            )

    def render(self) -> dict[str, Any]:
        """Return the ``CompletionCriteria`` of the SageMaker API."""
        criteria: dict[str, Any] = {"MaxAutoMLJobRuntimeInSeconds": self.max_runtime.to_seconds()}
        if self.candidates is not None:
            criteria["MaxCandidates"] = self.candidates
        if self.max_runtime_each is not None:
            criteria["MaxRuntimePerTrainingJobInSeconds"] = self.max_runtime_each.to_seconds()
        return criteria


@dataclass(frozen=True, kw_only=True, slots=True)
class TabularProblem:
    """Classification or regression of the rows of a table."""

    member: ClassVar[str] = "TabularJobConfig"
    target: str
    """Column that is predicted."""
    problem_type: ProblemType | None = None
    """Given together with the job's ``objective``, or neither. Default: SageMaker looks at the target."""
    mode: Literal["AUTO", "ENSEMBLING", "HYPERPARAMETER_TUNING"] | None = None
    """Default: AUTO, which chooses by the size of the data."""
    algorithms: Sequence[str] = ()
    """Those to try. Default: all of the mode."""
    sample_weight: str | None = None
    """Column with the weight of each row; for ENSEMBLING."""
    feature_specification_uri: str | None = None
    """S3 URI of a JSON file with the columns to use and their types."""
    definitions_only: bool = False
    """Make the notebooks and no models."""

    def check(self, problems: Problems, objective: str | None) -> None:
        """Report what SageMaker would refuse."""
        _check_column(problems, "target", self.target, most=None)
        check_one_of(problems, "problem_type", self.problem_type, tuple(_TABULAR_METRICS))
        check_one_of(problems, "mode", self.mode, ("AUTO", "ENSEMBLING", "HYPERPARAMETER_TUNING"))
        check_uri(problems, "feature_specification_uri", self.feature_specification_uri)
        problems.check(
            (self.problem_type is None) == (objective is None),
            given=f"problem_type={self.problem_type!r}, objective={objective!r}",
            allowed="both or neither",
        )
        if self.problem_type in _TABULAR_METRICS:
            check_one_of(problems, "objective", objective, _TABULAR_METRICS[str(self.problem_type)])
        for each in self.algorithms:
            check_one_of(problems, "algorithm", each, _TABULAR_ALGORITHMS)
        problems.check(
            self.sample_weight is None or self.mode == "ENSEMBLING",
            given=f"sample_weight with mode={self.mode!r}",
            allowed="weights in ensembles",
            write='mode="ENSEMBLING"',
        )

    def render(self, limits: CandidateLimits) -> dict[str, Any]:
        """Return the ``TabularJobConfig`` of the SageMaker API."""
        config: dict[str, Any] = {
            "TargetAttributeName": self.target,
            "CompletionCriteria": limits.render(),
            "ProblemType": self.problem_type,
            "Mode": self.mode,
            "SampleWeightAttributeName": self.sample_weight,
            "FeatureSpecificationS3Uri": self.feature_specification_uri,
            "GenerateCandidateDefinitionsOnly": True if self.definitions_only else None,
            "CandidateGenerationConfig": _algorithms(self.algorithms),
        }
        return {name: value for name, value in config.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class TextClassificationProblem:
    """Which class a text is of."""

    member: ClassVar[str] = "TextClassificationJobConfig"
    content: str
    """Column that holds the text."""
    target: str
    """Column that holds the class."""

    def check(self, problems: Problems, objective: str | None) -> None:
        """Report what SageMaker would refuse."""
        _check_column(problems, "content", self.content)
        _check_column(problems, "target", self.target)
        check_one_of(problems, "objective", objective, ("Accuracy",))

    def render(self, limits: CandidateLimits) -> dict[str, Any]:
        """Return the ``TextClassificationJobConfig`` of the SageMaker API."""
        return {
            "ContentColumn": self.content,
            "TargetLabelColumn": self.target,
            "CompletionCriteria": limits.render(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageClassificationProblem:
    """Which class an image is of; the input names images and their classes."""

    member: ClassVar[str] = "ImageClassificationJobConfig"

    def check(self, problems: Problems, objective: str | None) -> None:
        """Report what SageMaker would refuse."""
        check_one_of(problems, "objective", objective, ("Accuracy",))

    def render(self, limits: CandidateLimits) -> dict[str, Any]:
        """Return the ``ImageClassificationJobConfig`` of the SageMaker API."""
        return {"CompletionCriteria": limits.render()}


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastProblem:
    """What comes next in many series over time."""

    member: ClassVar[str] = "TimeSeriesForecastingJobConfig"
    target: str
    """Column that is forecast."""
    timestamp: str
    """Column of the time."""
    item: str
    """Column that tells the series apart."""
    frequency: str
    """Time between two values: ``1D``, ``15min``, ``W``."""
    horizon: int
    """How many values ahead, 1 or more."""
    quantiles: Sequence[str] = ()
    """1 to 5 of ``p1`` to ``p99``. Default: p10, p50 and p90."""
    grouping: Sequence[str] = ()
    """Up to five more columns that tell the series apart."""
    filling: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By column, how gaps are filled: ``{"sales": {"middlefill": "zero"}}``."""
    aggregation: Mapping[str, Literal["sum", "avg", "first", "min", "max"]] = field(default_factory=dict)
    """By column, how values between two points of time are put together."""
    holidays: str | None = None
    """Country code of the holidays that are taken into account."""
    algorithms: Sequence[str] = ()
    """Those to try. Default: all."""
    feature_specification_uri: str | None = None
    """S3 URI of a JSON file with the columns to use and their types."""

    def check(self, problems: Problems, objective: str | None) -> None:
        """Report what SageMaker would refuse."""
        _check_column(problems, "target", self.target, most=None)
        for name in ("timestamp", "item"):
            _check_column(problems, name, getattr(self, name))
        problems.check(
            is_token(self.frequency) or _FREQUENCY.fullmatch(self.frequency) is not None,
            given=f"frequency={self.frequency!r}",
            allowed="1Y, 1 to 11M, 1 to 4W, 1 to 6D, 1 to 23H or 1 to 59min",
            write='frequency="1D"',
        )
        check_number(problems, "horizon", self.horizon, 1)
        problems.check(
            len(self.quantiles) <= 5 and all(_QUANTILE.fullmatch(each) for each in self.quantiles),
            given=f"quantiles={list(self.quantiles)}",
            allowed="up to 5 of p1 to p99",
        )
        problems.check(len(self.grouping) <= 5, given=f"{len(self.grouping)} grouping", allowed="at most 5")
        for each in self.algorithms:
            check_one_of(problems, "algorithm", each, _FORECAST_ALGORITHMS)
        for how in self.aggregation.values():
            check_one_of(problems, "aggregation", how, ("sum", "avg", "first", "min", "max"))
        metrics = ("AverageWeightedQuantileLoss", "RMSE", "WAPE", "MAPE", "MASE")
        check_one_of(problems, "objective", objective, metrics)
        check_uri(problems, "feature_specification_uri", self.feature_specification_uri)

    def render(self, limits: CandidateLimits) -> dict[str, Any]:
        """Return the ``TimeSeriesForecastingJobConfig`` of the SageMaker API."""
        series: dict[str, Any] = {
            "TargetAttributeName": self.target,
            "TimestampAttributeName": self.timestamp,
            "ItemIdentifierAttributeName": self.item,
        }
        if self.grouping:
            series["GroupingAttributeNames"] = list(self.grouping)
        changes = {
            "Filling": {column: dict(how) for column, how in self.filling.items()},
            "Aggregation": dict(self.aggregation),
        }
        config: dict[str, Any] = {
            "ForecastFrequency": self.frequency,
            "ForecastHorizon": self.horizon,
            "TimeSeriesConfig": series,
            "CompletionCriteria": limits.render(),
            "ForecastQuantiles": list(self.quantiles) or None,
            "Transformations": {name: value for name, value in changes.items() if value} or None,
            "HolidayConfig": None if self.holidays is None else [{"CountryCode": self.holidays}],
            "FeatureSpecificationS3Uri": self.feature_specification_uri,
            "CandidateGenerationConfig": _algorithms(self.algorithms),
        }
        return {name: value for name, value in config.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class TextGenerationProblem:
    """Fine-tuning of a language model on prompts and answers."""

    member: ClassVar[str] = "TextGenerationJobConfig"
    base_model: str | None = None
    """Name of the model. Default: SageMaker's."""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    """``epochCount``, ``learningRate``, ``batchSize``, ``learningRateWarmupSteps``; at most 30."""
    accept_licence: bool = False
    """Accept the licence of a model that asks for it."""

    def check(self, problems: Problems, objective: str | None) -> None:
        """Report what SageMaker would refuse."""
        problems.check(
            objective is None,
            given=f"objective={objective!r} for text generation",
            allowed="none: SageMaker compares by cross-entropy loss",
            write="objective=None",
        )
        problems.check(
            len(self.hyperparameters) <= 30,
            given=f"{len(self.hyperparameters)} hyperparameters",
            allowed="at most 30",
        )

    def render(self, limits: CandidateLimits) -> dict[str, Any]:
        """Return the ``TextGenerationJobConfig`` of the SageMaker API."""
        config: dict[str, Any] = {
            "CompletionCriteria": limits.render(),
            "BaseModelName": self.base_model,
            "TextGenerationHyperParameters": dict(self.hyperparameters) or None,
            "ModelAccessConfig": {"AcceptEula": True} if self.accept_licence else None,
        }
        return {name: value for name, value in config.items() if value is not None}


Problem = (
    TabularProblem
    | TextClassificationProblem
    | ImageClassificationProblem
    | ForecastProblem
    | TextGenerationProblem
)


def _algorithms(names: Sequence[str]) -> dict[str, Any] | None:
    return {"AlgorithmsConfig": [{"AutoMLAlgorithms": list(names)}]} if names else None


def _check_column(problems: Problems, name: str, column: str, *, most: int | None = 256) -> None:
    problems.check(
        is_token(column) or (bool(column) and (most is None or len(column) <= most)),
        given=f"{name}={column!r}",
        allowed="the name of a column",
    )
