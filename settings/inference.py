"""Predictions from a Lambda function: what it is, how it is reached, and what it may cost. All of what is
beside the function itself is off unless its table is there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section

Time = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Day = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


class ReadyTimes(Section):
    """When environments are kept ready; at other times there are none."""

    time_zone: str
    """A name of the time zone database: Europe/Berlin."""
    start: Time = "08:00"
    end: Time = "19:00"
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = ("MON", "TUE", "WED", "THU", "FRI")

    @model_validator(mode="after")
    def _it_ends_after_its_start(self) -> ReadyTimes:
        if self.start >= self.end:
            raise ValueError(f"start is {self.start} and end {self.end}: the end has to be later that day")
        return self


class ProvisionedConcurrency(Section):
    """Environments that are kept ready, for 0.012 USD a GB and hour on arm64, 0.015 on x86_64 (us-east-1,
    November 2026)."""

    minimum: Annotated[int, Field(ge=1, le=1000)] = 1
    maximum: Annotated[int, Field(ge=1, le=1000)]
    utilization_percent: Annotated[int, Field(ge=10, le=90)] = 70
    """How much of them is aimed to be in use, between minimum and maximum."""
    working_times: ReadyTimes | None = None
    """Without it, day and night."""

    @model_validator(mode="after")
    def _minimum_is_below_maximum(self) -> ProvisionedConcurrency:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum}, which is more than maximum ({self.maximum})")
        return self


class Tokens(Section):
    """Callers who bring tokens of an OpenID Connect provider, instead of IAM credentials."""

    issuer: Annotated[str, Field(pattern=r"^https://\S+$")]
    audience: Annotated[tuple[str, ...], Field(min_length=1)]
    scopes: tuple[str, ...] = ()


class HttpApi(Section):
    """An HTTP API in front of the function, for 1 USD a million requests (us-east-1, November 2026)."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 100
    burst: Annotated[int, Field(ge=1, le=5_000)] = 200
    tokens: Tokens | None = None
    """Whose tokens are taken; without it, requests are signed with IAM credentials."""
    origins: tuple[Annotated[str, Field(pattern=r"^https://[^/\s]+$")], ...] = ()
    """Web pages that may call it from a browser: https://shop.example.com."""


class Payloads(Section):
    """Requests and answers in S3: requests below `inference/requests/` of the raw zone, answers below
    `inference/answers/` of the curated zone."""

    max_mib: Annotated[int, Field(ge=1, le=256)] = 32
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000


class Queue(Section):
    """A queue whose messages are predicted into `inference/predictions/` of the curated zone."""

    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    window_seconds: Annotated[int, Field(ge=1, le=300)] = 5
    """How long messages are collected for one invocation."""
    tries: Annotated[int, Field(ge=1, le=1000)] = 3
    """How often a message is tried before it lies in the dead letters."""
    max_concurrency: Annotated[int, Field(ge=2, le=1000)] | None = None


class Guard(Section):
    """How much worse than the live version a canary may be. The last three compare the two."""

    failed_percent: Annotated[float, Field(ge=0, lt=100)] = 0
    """Share of its calls that it may fail."""
    slower_percent: Annotated[float, Field(gt=0, le=10_000)] | Literal[False] = 100
    """How much longer its slowest hundredth may take; false does not compare."""
    refused_points: Annotated[float, Field(gt=0, le=100)] | Literal[False] = 5
    """How many percentage points more of its requests it may refuse; false does not compare."""
    confidence_shift: Annotated[float, Field(gt=0, le=1)] | Literal[False] = 0.2
    """How far the mean probability of its answers may lie from the live version's; false does not compare."""
    minimum_calls: Annotated[int, Field(ge=1)] = 100
    """Calls of each version below which they are not compared."""


class Inference(Section):
    """Predictions from a Lambda function."""

    memory_mb: Annotated[int, Field(ge=256, le=10_240)] = 1024
    timeout_seconds: Annotated[int, Field(ge=1, le=900)] = 10
    reserved_concurrency: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Upper bound of parallel executions, taken from the account's pool; none reserves nothing. Lambda keeps
    100 of the pool unreserved, and a new account may have a pool of 10: ask for a higher quota first."""
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Rows of one request."""
    function_url: bool = True
    """A URL for requests that are signed with IAM credentials."""
    snap_start: bool = False
    """Restore new environments from a snapshot that has the model. Each version that is published costs about
    4 USD a GB and month for its snapshot until it is deleted, and takes minutes to publish."""
    named_models: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")], ...] = ()
    """Further models, asked for at /models/<name>: what `models/<name>/current.json` points to."""
    max_loaded_models: Annotated[int, Field(ge=1, le=50)] = 4
    """How many of them are in memory at once."""
    refresh_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """How often models that a pointer names are looked for again; without it, by new environments alone."""
    provisioned: ProvisionedConcurrency | None = None
    http_api: HttpApi | None = None
    payloads: Payloads | None = None
    queue: Queue | None = None

    @model_validator(mode="after")
    def _one_way_to_start(self) -> Inference:
        if self.snap_start and self.provisioned is not None:
            raise ValueError("snap_start and provisioned exclude each other: leave one of the two out")
        most = self.provisioned.maximum if self.provisioned is not None else 0
        if self.reserved_concurrency is not None and most > self.reserved_concurrency:
            raise ValueError(
                f"provisioned.maximum is {most}, which is more than reserved_concurrency "
                f"({self.reserved_concurrency})"
            )
        return self

    @model_validator(mode="after")
    def _answers_arrive(self) -> Inference:
        if self.http_api is not None and self.timeout_seconds > 30:
            raise ValueError(
                f"timeout_seconds is {self.timeout_seconds}, but an HTTP API waits 30 s: lower it, or leave "
                "http_api out"
            )
        if self.payloads is not None and self.payloads.max_mib * 8 > self.memory_mb:
            raise ValueError(
                f"payloads.max_mib is {self.payloads.max_mib}, whose rows need {self.payloads.max_mib * 8} "
                f"MB, but memory_mb is {self.memory_mb}"
            )
        return self
