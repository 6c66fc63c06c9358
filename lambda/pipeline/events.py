"""What the steps hand to each other."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class S3Object(TypedDict):
    """One object, or everything under a prefix if the key ends with a slash."""

    bucket: str
    key: str


class DataObject(S3Object):
    """The uploaded data: this version of it, whatever is uploaded meanwhile."""

    versionId: NotRequired[str]
    checksum: NotRequired[str]


class UploadedData(DataObject):
    """Data with the time of their upload, in ISO 8601."""

    uploaded: str


class StartResult(TypedDict):
    started: bool
    executionArn: NotRequired[str]
    reason: NotRequired[str]


class ResultsPlace(S3Object):
    """The folder of the table of results, and what the ruleset is called there."""

    ruleset: str


class QualityGateEvent(TypedDict):
    run: str
    data: DataObject
    rules: str
    report: S3Object
    results: NotRequired[ResultsPlace | None]
    started: NotRequired[str]
    """When the run was started, in ISO 8601; needed with `results`."""
    largest: NotRequired[int | None]
    """Bytes of the largest object that is evaluated here."""


class QualityVerdictEvent(TypedDict):
    """What Spark found, in an object of its own."""

    run: str
    data: DataObject
    outcomes: S3Object
    report: S3Object
    results: NotRequired[ResultsPlace | None]
    started: NotRequired[str]


class RuleResult(TypedDict):
    rule: str
    passed: bool
    observed: str


class QualityGateResult(TypedDict):
    large: bool
    """Whether it is too large to be evaluated here; nothing was evaluated then."""
    passed: bool
    rows: int
    rules: list[RuleResult]
    report: S3Object


class EvaluationEvent(TypedDict):
    """AWS Glue Data Quality has evaluated a ruleset."""

    time: str
    detail: dict[str, Any]


class EvaluationResult(TypedDict):
    ruleset: str
    rules: int


class OutcomeRow(TypedDict):
    """How one rule came out in one run: a row of the table of results."""

    run: str
    ruleset: str
    source: str
    evaluator: str
    evaluated_at: str
    rule: str
    outcome: str
    observed: str


class Split(TypedDict):
    group_by: str
    holdout: float
    salt: NotRequired[str]


class Columns(TypedDict):
    id: str
    label: str
    features: list[str]


class LabelRule(TypedDict, total=False):
    """How a label of the data becomes `negative` or `positive`.

    With `names` it is one of these two, the negative one first. With `positive_above` it is a number,
    positive above that one, and a mistake outside of `minimum` to `maximum`. With neither it is 0 or 1, false
    or true, negative or positive.
    """

    names: list[str]
    positive_above: float
    minimum: float
    maximum: float


class PrepareEvent(TypedDict):
    run: str
    data: DataObject
    split: Split
    columns: Columns
    label_rule: NotRequired[LabelRule | None]
    output: S3Object
    train_output: NotRequired[S3Object | None]
    """Where the training rows go: what training code may read, apart from what the model is judged by."""


class PrepareCounts(TypedDict):
    train: int
    holdout: int
    groups_train: int
    groups_holdout: int
    positives_train: int
    positives_holdout: int
    skipped: int


class PrepareResult(TypedDict):
    train: S3Object
    holdout: S3Object
    labels: S3Object
    counts: PrepareCounts


class Artifact(TypedDict):
    uri: str


class PackageEvent(TypedDict):
    run: str
    artifact: Artifact
    output: S3Object


class PackageResult(TypedDict):
    model: S3Object
    sha256: str
    manifest: S3Object
    training: dict[str, float]


class EvaluateEvent(TypedDict):
    run: str
    scores: S3Object
    labels: S3Object
    positive: str
    minimum: NotRequired[dict[str, float]]
    maximum: NotRequired[dict[str, float]]
    report: S3Object


class EvaluateResult(TypedDict):
    metrics: dict[str, Any]
    report: S3Object


class TrainedBy(TypedDict):
    """What a training job ran, and when it began to."""

    arn: NotRequired[str]
    image: NotRequired[str]
    parameters: NotRequired[dict[str, str]]
    source: NotRequired[str]
    started: NotRequired[str]


class RegisterEvent(TypedDict):
    run: str
    group: str
    model: S3Object
    sha256: str
    metrics: dict[str, Any]
    data: DataObject
    training_job: str
    trained_by: NotRequired[TrainedBy]
    image: NotRequired[str | None]
    report: NotRequired[S3Object | None]
    approval: NotRequired[Literal["Approved", "PendingManualApproval"]]


class RegisterResult(TypedDict):
    model_package_arn: str
    version: int


class Golden(TypedDict):
    """Rows and the scores that the model gave them before it was deployed."""

    rows: S3Object
    scores: S3Object


class Model(S3Object):
    """A model in the lake, known by the hash of its bytes."""

    sha256: str


class OwnMetrics(TypedDict):
    """Where the function's own metrics are, which it writes with the dimension `FunctionVersion`."""

    namespace: str
    service: str


class Guard(TypedDict):
    """How much worse than the version before a candidate may be; what is missing is not asked."""

    failed_percent: float
    slower_percent: NotRequired[float | None]
    refused_points: NotRequired[float | None]
    confidence_shift: NotRequired[float | None]
    minimum_calls: NotRequired[int]
    """Below so many calls of either version, the two are not compared."""


class Budget(TypedDict):
    """What a candidate has spent of the failures that it is allowed."""

    calls: int
    failed: int
    allowed: int
    percent: float


class DeployEvent(TypedDict):
    """All of the deploy handlers take this; which of the optional members each needs is said there."""

    run: str
    begun: str
    function: str
    alias: str
    model: S3Object
    sha256: str
    manifest: NotRequired[S3Object]
    golden: NotRequired[Golden]
    pointer: NotRequired[S3Object]
    candidate: NotRequired[str]
    previous: NotRequired[str | None]
    baseline: NotRequired[str]
    previous_model: NotRequired[Model | None]
    previous_data: NotRequired[UploadedData | None]
    alias_revision: NotRequired[str | None]
    percent: NotRequired[float]
    alarms: NotRequired[list[str]]
    in_alarm: NotRequired[dict[str, str | None]]
    metrics: NotRequired[OwnMetrics | None]
    guard: NotRequired[Guard | None]
    budget: NotRequired[Budget | None]
    data: NotRequired[DataObject | None]
    uploaded: NotRequired[str | None]
    allow_older_data: NotRequired[bool]


class StageResult(TypedDict):
    unchanged: bool
    candidate: str
    previous: str | None
    baseline: str
    previous_model: Model | None
    previous_data: UploadedData | None
    alias_revision: str | None
    in_alarm: dict[str, str | None]
    """Alarms that had gone off before the deployment, and when."""
    uploaded: str | None
    """When the data were uploaded."""


class ShiftResult(TypedDict):
    candidate: str
    previous: str
    percent: float
    alias_revision: str | None


class CheckResult(TypedDict):
    healthy: bool
    reasons: list[str]
    budget: Budget


class PromoteResult(TypedDict):
    version: str
    pointer: S3Object


class RollbackResult(TypedDict):
    rolled_back: bool
    live: str
    reason: str
    budget: NotRequired[Budget]
