"""The pipeline's search for hyperparameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section
from settings.training import Training

_Number = int | float
_MOST_FALLBACKS = 5


class TuningRange(Section):
    """A hyperparameter that is searched, ``[pipeline.tuning.ranges.<name>]``: numbers from ``least`` to
    ``most``, or one of ``values``."""

    least: _Number | None = None
    most: _Number | None = None
    whole: bool = False
    """Whole numbers only."""
    scaling: Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"] = "Auto"
    """``Logarithmic`` for ranges over several powers of ten, above 0; ``ReverseLogarithmic`` for fractions
    close to 1."""
    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=30)
    ] = ()
    """Texts, one of which a trial gets."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> TuningRange:
        bounds = [bound for bound in (self.least, self.most) if bound is not None]
        if self.values and (bounds or self.whole or self.scaling != "Auto"):
            raise ValueError("values is given, and what belongs to numbers: a range is either")
        if not self.values and (self.least is None or self.most is None):
            raise ValueError("give least and most, or values")
        if self.least is not None and self.most is not None and self.least >= self.most:
            raise ValueError(
                f"least is {self.least} and most is {self.most}: there is nothing to search. A single value "
                "belongs into training.hyperparameters"
            )
        if self.whole and not all(isinstance(bound, int) for bound in bounds):
            raise ValueError(f"whole is true, but the bounds are {bounds}: write them without a point")
        if self.scaling == "Logarithmic" and self.least is not None and self.least <= 0:
            raise ValueError(f"least is {self.least}: a logarithmic scale begins above 0")
        return self


class Tuning(Section):
    """Search for hyperparameters in each run, in place of training once. It costs nothing at rest; a run
    costs its ``trials`` jobs, so that the default is eight times as much as training once. Trials take the
    training's ``fallback_types`` when there is no capacity of its type."""

    objective: Annotated[str, Field(min_length=1, max_length=255)]
    """One of ``training.metrics``, which tells which model is better."""
    direction: Literal["Maximize", "Minimize"] = "Maximize"
    ranges: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=256)], TuningRange],
        Field(min_length=1, max_length=30),
    ]
    strategy: Literal["Bayesian", "Random", "Grid"] = "Bayesian"
    """``Bayesian`` learns from the trials before, ``Random`` does not, ``Grid`` tries every combination of
    ``values``."""
    trials: Annotated[int, Field(ge=1, le=750)] | None = None
    """Training jobs of a run; 8 if not given. A grid has as many as it has points, and takes none."""
    parallel: Annotated[int, Field(ge=1, le=100)] = 2
    """Training jobs at a time, each of which the account's quota counts."""
    max_runtime_minutes: Annotated[int, Field(ge=2, le=182 * 24 * 60)] = 8 * 60
    """Longest time of the whole search; what was not tried by then is left out."""
    early_stopping: bool = False
    """Stop trials that are unlikely to get better than those before."""

    @model_validator(mode="after")
    def _grids_have_points(self) -> Tuning:
        numbers = [name for name, each in self.ranges.items() if not each.values]
        if self.strategy == "Grid" and numbers:
            raise ValueError(
                f"a grid is made of values, but {numbers} are ranges of numbers: give them values"
            )
        if self.strategy == "Grid" and self.trials is not None:
            raise ValueError("trials is given, but a grid tries each of its points: leave it out")
        if self.strategy != "Grid" and self.parallel > self.most_trials:
            raise ValueError(f"parallel is {self.parallel}, more than the {self.most_trials} trials")
        return self

    @property
    def most_trials(self) -> int:
        """How many training jobs a run has, for strategies that are told."""
        return 8 if self.trials is None else self.trials

    def check_training(self, training: Training) -> None:
        """Refuse an objective that the training does not measure, and what trials cannot have of it."""
        if self.objective not in training.metrics:
            known = ", ".join(map(repr, training.metrics)) or "empty"
            raise ValueError(
                f"pipeline.tuning.objective is {self.objective!r}, but training.metrics is {known}: name "
                "one of them, or add its regular expression there"
            )
        given = {
            "tensorboard": training.tensorboard,
            "on_demand_after_minutes": training.on_demand_after_minutes is not None,
            "capacity_rounds": "capacity_rounds" in training.model_fields_set,
        }
        single = [f"training.{name}" for name, there in given.items() if there]
        if single:
            raise ValueError(
                f"{single} belong to single jobs, but [pipeline.tuning] searches with trials, which "
                "SageMaker gives none of these: leave them out, or the search"
            )
        if len(training.fallback_types) > _MOST_FALLBACKS:
            raise ValueError(
                f"training.fallback_types names {len(training.fallback_types)} types, but trials of "
                f"[pipeline.tuning] take {_MOST_FALLBACKS} at most"
            )
