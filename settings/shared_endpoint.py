"""A SageMaker endpoint whose instances many models share, as inference components."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from settings.hosting import HostedModel, HostedName, InstanceType
from settings.places import told_apart
from settings.section import Section


class SharedModel(HostedModel):
    """One of the models, ``[shared_endpoint.models.<name>]``: what a copy of it has to itself, and how many
    copies there are."""

    memory_mb: Annotated[int, Field(ge=128)]
    """Memory of a copy. It is placed where that much is left."""
    cpus: Annotated[float, Field(ge=0.25)] | None = None
    """Processors of a copy; without them, they are shared."""
    accelerators: Annotated[int, Field(ge=1)] | None = None
    """GPUs or Neuron devices of a copy."""
    min_copies: Annotated[int, Field(ge=0, le=1000)] = 0
    """The fewest; with 0 the first request after a pause is refused and starts a copy."""
    max_copies: Annotated[int, Field(ge=1, le=1000)] = 1
    requests_per_copy: Annotated[float, Field(gt=0)] = 4
    """Requests at once that are aimed at for each copy."""
    slow_ms: Annotated[float, Field(gt=0, le=60_000)] = 30_000
    """99th percentile of the container's time that sets off the alarm, and rolls an update back."""

    @model_validator(mode="after")
    def _minimum_is_below_maximum(self) -> SharedModel:
        if self.min_copies > self.max_copies:
            raise ValueError(
                f"min_copies is {self.min_copies}, which is more than max_copies ({self.max_copies})"
            )
        return self


class SharedEndpoint(Section):
    """Instances for many models. There are none while no model has a copy, unless ``min_instances`` says so;
    then it costs about 1 USD a month for its key and 0.40 USD for the alarms of each model."""

    instance_type: InstanceType = "ml.m6i.xlarge"
    """Not M5, C5 or P2, which SageMaker places no components on."""
    min_instances: Annotated[int, Field(ge=0, le=100)] = 0
    max_instances: Annotated[int, Field(ge=1, le=100)] = 2
    models: Annotated[dict[HostedName, SharedModel], AfterValidator(told_apart), Field(min_length=1)]

    @model_validator(mode="after")
    def _minimum_is_below_maximum(self) -> SharedEndpoint:
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"min_instances is {self.min_instances}, which is more than max_instances "
                f"({self.max_instances})"
            )
        return self
