"""A SageMaker endpoint of the platform, which costs its instances day and night."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)


class WorkingTimes(BaseModel):
    """When the endpoint is there. It is deleted at the end, and made again when a working day starts, with
    what scales it."""

    model_config = _STRICT

    time_zone: str
    """A name of the time zone database: Europe/Berlin."""
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "08:00"
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "19:00"


class Endpoint(BaseModel):
    """A model on instances of its own, for what a Lambda function is too small or too slow for. Two
    ml.m6i.large, which is the default, cost about 0.23 USD an hour (us-east-1, November 2026)."""

    model_config = _STRICT

    image: Annotated[str, Field(min_length=1, max_length=255)]
    """URI of the container. SageMaker takes it from the platform's region only."""
    artifact: Annotated[str, Field(pattern=r"^([A-Za-z0-9!_.()=-]+/)*[A-Za-z0-9!_.()=-]+(\.tar\.gz|/)$")]
    """Key in the zone of models: a .tar.gz archive, or a folder that ends in a slash."""
    variables: dict[str, str] = {}
    """Of the container."""
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")] = "ml.m6i.large"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 2
    """To begin with, and the fewest."""
    max_instances: Annotated[int, Field(ge=1, le=100)] | None = None
    """The most; without it, the number stays."""
    peak_per_second: Annotated[float, Field(gt=0)] | None = None
    """Requests a second that one instance bore in a load test; half of that is aimed at."""
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 20
    """Share of requests and answers that is kept in ``captured/`` of the curated zone; 0 keeps none."""
    slow_ms: Annotated[float, Field(gt=0, le=60_000)] = 1000
    """99th percentile of the container's time that sets off the alarm, and rolls an update back."""
    canary_percent: Annotated[int, Field(ge=1, le=50)] = 10
    bake_minutes: Annotated[int, Field(ge=0, le=60)] = 10
    dashboard: bool = False
    """Draw requests, latency, errors, saturation and cost. Beyond three in an account, one costs 3 USD a
    month."""
    hourly_usd: Annotated[float, Field(gt=0)] | None = None
    """Price of an instance for an hour, to draw what a thousand requests cost."""
    working_hours: WorkingTimes | None = None

    @model_validator(mode="after")
    def _scaling_has_a_measure(self) -> Endpoint:
        if (self.max_instances is None) != (self.peak_per_second is None):
            raise ValueError(
                "max_instances and peak_per_second belong together: the number of instances follows what a "
                "load test of one found"
            )
        if self.max_instances is not None and self.max_instances < self.instance_count:
            raise ValueError(
                f"max_instances is {self.max_instances}, but there are {self.instance_count} to begin with"
            )
        return self

    @model_validator(mode="after")
    def _a_price_is_shown(self) -> Endpoint:
        if self.hourly_usd is not None and not self.dashboard:
            raise ValueError("hourly_usd is given, but dashboard is false: nothing would show it")
        return self
