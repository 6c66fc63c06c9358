"""Predictions of whole folders of the lake, by SageMaker's batch transform."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.hosting import HostedModel, InstanceType
from settings.places import Scheduled

_PLACE = r"^(raw|curated|features|models)/([A-Za-z0-9!_.()=-]+(\{day\})?/)+$"
_JOINABLE = ("text/csv", "application/json", "application/jsonlines")

BatchFolder = Annotated[str, Field(pattern=_PLACE)]
"""A folder of a zone, in which ``{day}`` is the day of the run in UTC: ``curated/customers/day={day}/``."""


class BatchPrediction(HostedModel, Scheduled):
    """A folder that a model predicts, ``[batch_transform.<name>]``. It costs its instances while it runs, and
    1.40 USD a month at rest."""

    data: BatchFolder
    predictions: BatchFolder
    """Each object's predictions are called as it is, with .out behind."""
    instance_type: InstanceType = "ml.m5.xlarge"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    max_runtime_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 120
    content_type: Annotated[str, Field(min_length=1)] = "text/csv"
    split: Literal["None", "Line", "RecordIO", "TFRecord"] = "Line"
    """Where an object is cut into records."""
    join_input: bool = False
    """Put input and output of each record together."""

    @model_validator(mode="after")
    def _what_is_joined_has_records(self) -> BatchPrediction:
        if self.join_input and self.content_type.partition(";")[0].strip() not in _JOINABLE:
            raise ValueError(
                f"join_input is true, but content_type is {self.content_type!r}: SageMaker joins "
                f"{', '.join(_JOINABLE)}"
            )
        return self
