"""What makes tables of what arrives: jobs, crawlers, copies of other buckets, and where people query."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import FOLDER, Section

_ZONE = r"(raw|curated|features|models)"

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,39}$")]
Folder = Annotated[str, Field(pattern=rf"^{_ZONE}/{FOLDER}$")]
"""A folder of a zone: ``raw/reviews/``."""
Place = Annotated[str, Field(pattern=rf"^{_ZONE}(/{FOLDER}|\.[a-z][a-z0-9_]*)$")]
"""A folder of a zone, or a table: ``curated.reviews``."""
Cron = Annotated[str, Field(pattern=r"^cron\(.+\)$")]
"""``cron(Minutes Hours Day-of-month Month Day-of-week Year)``."""


class _Scheduled(Section):
    schedule: Cron | None = None
    """When it is started; without it, by hand alone."""
    time_zone: str = "UTC"
    """Of the schedule."""


class Job(_Scheduled):
    """A Spark job on Glue. It costs nothing while it does not run, and 0.44 USD an hour for each processing
    unit while it does (us-east-1, November 2026)."""

    script: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+\.py$")]
    """The Python file, relative to the project's folder. It is deployed with the platform."""
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    """What it may write, and read."""
    arguments: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")], str] = Field(
        default_factory=dict
    )
    """Of the script, by names without the hyphens in front."""
    worker_type: str = "G.1X"
    workers: Annotated[int, Field(ge=2, le=1000)] = 2
    flex: bool = False
    """Use spare capacity: cheaper, and late at times."""
    bookmarks: bool = False
    """Go on behind what earlier runs have read."""
    timeout_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 120
    glue_version: str = "5.0"
    table_formats: tuple[Literal["iceberg", "delta", "hudi"], ...] = ()


class Crawler(_Scheduled):
    """A crawler that finds tables in folders of a zone, at 0.44 USD an hour while it runs."""

    folders: Annotated[tuple[Folder, ...], Field(min_length=1)]
    """Folders of one zone, where no table is defined otherwise."""
    table_prefix: str = ""
    recrawl: Literal["everything", "new_folders"] = "everything"

    @model_validator(mode="after")
    def _one_zone(self) -> Crawler:
        zones = sorted({folder.partition("/")[0] for folder in self.folders})
        if len(zones) > 1:
            raise ValueError(f"folders are in {zones}: a crawler writes to the database of one zone")
        return self


class Copy(_Scheduled):
    """Copies of what is new in another bucket of this account, at 0.55 USD each and 0.015 USD a GB."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Its name."""
    prefix: Annotated[str, Field(pattern=rf"^{FOLDER}$")] | None = None
    """A folder of it; without it, all of it."""
    key_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:.+:key/.+$")] | None = None
    """The key of that bucket, if it has one of yours."""
    to: Folder


class Workgroup(Section):
    """An Athena workgroup for people. It costs 1.30 USD a month at rest, and queries 5 USD a terabyte."""

    query_limit_gb: Annotated[float, Field(ge=0.01, le=100_000)] = 100
    """A query that scans more is cancelled."""
    hourly_limit_gb: Annotated[float, Field(ge=0.01, le=1_000_000)] | None = None
    """All queries of an hour together that set the alarm off; without it, ten times the limit of one."""
    results_days: Annotated[int, Field(ge=1, le=3650)] = 30


class Etl(Section):
    """Each part is off unless its table is there."""

    jobs: dict[Name, Job] = Field(default_factory=dict)
    crawlers: dict[Name, Crawler] = Field(default_factory=dict)
    copies: dict[Name, Copy] = Field(default_factory=dict)
    workgroup: Workgroup | None = None

    @model_validator(mode="after")
    def _there_is_something(self) -> Etl:
        if not (self.jobs or self.crawlers or self.copies or self.workgroup):
            raise ValueError("the table is empty: name jobs, crawlers, copies or a workgroup")
        return self
