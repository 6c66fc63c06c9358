"""A SageMaker endpoint of the platform, which costs its instances day and night."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from settings.hosting import Artifact, HostedModel, Image, InstanceType
from settings.section import Section


class WorkingTimes(Section):
    """When the endpoint is there. It is deleted at the end, and made again when a working day starts, with
    what scales it."""

    time_zone: str
    """A name of the time zone database: Europe/Berlin."""
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "08:00"
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "19:00"


class Shadow(Section):
    """SageMaker's shadow test: another model gets copies of the requests, whose answers nobody sees. It
    begins and ends by itself, and costs the instances of the other model in between. While it runs SageMaker
    has given the endpoint a configuration of its own: deploy no change of the endpoint then."""

    artifact: Artifact
    image: Image | None = None
    """URI of the container; without it, the endpoint's."""
    variables: dict[str, str] = Field({})
    """Of the container, beside the endpoint's."""
    instance_type: InstanceType | None = None
    """Without it, the endpoint's."""
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Share of the requests that is copied."""
    start: datetime | None = None
    """An offset date-time, such as 2026-12-01T08:00:00Z; without it, at once."""
    end: datetime | None = None
    """Without it, seven days after the start."""

    @field_validator("start", "end")
    @classmethod
    def _the_hour_is_known(cls, time: datetime | None) -> datetime | None:
        if time is not None and time.tzinfo is None:
            raise ValueError("the time has no offset: write 2026-12-01T08:00:00Z")
        return time

    @model_validator(mode="after")
    def _it_ends_after_its_start(self) -> Shadow:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start is {self.start} and end {self.end}: the end has to be later")
        return self


class Endpoint(HostedModel):
    """A model on instances of its own, for what a Lambda function is too small or too slow for. Two
    ml.m6i.large, which is the default, cost about 0.23 USD an hour (us-east-1, November 2026)."""

    instance_type: InstanceType = "ml.m6i.large"
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
    shadow: Shadow | None = None

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
    def _a_shadow_has_something_to_follow(self) -> Endpoint:
        if self.shadow is not None and self.working_hours is not None:
            raise ValueError(
                "shadow and working_hours are given: a shadow test ends with the endpoint, which is deleted "
                "every evening; leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _a_price_is_shown(self) -> Endpoint:
        if self.hourly_usd is not None and not self.dashboard:
            raise ValueError("hourly_usd is given, but dashboard is false: nothing would show it")
        return self
