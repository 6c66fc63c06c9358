"""A SageMaker endpoint that takes requests from the lake and answers into it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from settings.hosting import HostedModel, InstanceType


class AsyncEndpoint(HostedModel):
    """A model for requests of up to 1 GB and an hour. Requests are objects below ``async/requests/`` of the
    raw zone; answers lie below ``async/answers/``, failures below ``async/failures/`` of the curated zone.
    Without instances, which is the default while nothing waits, it costs about 1.50 USD a month."""

    instance_type: InstanceType = "ml.m6i.large"
    min_instances: Annotated[int, Field(ge=0, le=100)] = 0
    """The fewest; with 0 the first request after a pause waits until an instance has started."""
    max_instances: Annotated[int, Field(ge=1, le=100)] = 2
    waiting_per_instance: Annotated[float, Field(gt=0)] = 5
    """Requests that may wait for each instance before another one is started."""
    concurrent_requests: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Requests that an instance works on at once; without it, SageMaker's choice."""
    slow_minutes: Annotated[float, Field(gt=0, le=60)] = 30
    """99th percentile of the container's time that sets off the alarm, and rolls an update back."""
    waiting_minutes: Annotated[float, Field(gt=0)] = 60
    """Age of the oldest request that sets off the alarm."""

    @model_validator(mode="after")
    def _minimum_is_below_maximum(self) -> AsyncEndpoint:
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"min_instances is {self.min_instances}, which is more than max_instances "
                f"({self.max_instances})"
            )
        return self
