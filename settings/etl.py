"""What makes tables of what arrives: jobs, crawlers, copies of other buckets, and where people query."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.databrew import Profile, Recipe
from settings.places import Entries, Folder, LakeTable, Name, Place, Scheduled
from settings.section import Section
from settings.sources import Arguments, Connection, Copy, Script, Stream

_LONGEST_WITH_A_ROLE = 38
"""Of the name of a copy from another account: it is part of the role's, which has 64 characters at most."""


class Job(Scheduled):
    """A Spark job on Glue. It costs nothing while it does not run, and 0.44 USD an hour for each processing
    unit while it does (us-east-1, November 2026)."""

    script: Script
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    """What it may write, and read."""
    arguments: Arguments = Field({})
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
    connections: tuple[Name, ...] = ()
    """Names of ``[etl.connections]``: the job runs in the network then."""


class Crawler(Scheduled):
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


class Workgroup(Section):
    """An Athena workgroup for people. It costs 1.30 USD a month at rest, and queries 5 USD a terabyte."""

    query_limit_gb: Annotated[float, Field(ge=0.01, le=100_000)] = 100
    """A query that scans more is cancelled."""
    hourly_limit_gb: Annotated[float, Field(ge=0.01, le=1_000_000)] | None = None
    """All queries of an hour together that set the alarm off; without it, ten times the limit of one."""
    results_days: Annotated[int, Field(ge=1, le=3650)] = 30


class Notebooks(Section):
    """An Athena workgroup for Spark, ``[etl.notebooks.<name>]``: notebooks as a role of what is named here.
    It costs nothing at rest, and 0.35 USD for each hour of a processing unit (us-east-1, November 2026)."""

    results: Folder
    """Where results go, apart from tables."""
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    """What notebooks may write, and read."""


class Export(Section):
    """Training data from a snapshot of an Iceberg table, ``[etl.exports.<name>]``. It costs what its queries
    scan, in the workgroup of ``[etl.workgroup]``, and 0.10 USD a month for its alarm."""

    table: LakeTable
    """An Iceberg table."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """In the order of the CSV."""
    order_by: Annotated[tuple[str, ...], Field(min_length=1)]
    """What puts rows in one order and no other, so that a snapshot is always the same bytes."""
    to: Folder
    """Where exports go; that of the pipeline starts it."""


class Etl(Section):
    """Each part is off unless its table is there."""

    jobs: Entries[Job] = Field({})
    streams: Entries[Stream] = Field({})
    connections: Entries[Connection] = Field({})
    crawlers: Entries[Crawler] = Field({})
    copies: Entries[Copy] = Field({})
    profiles: Entries[Profile] = Field({})
    recipes: Entries[Recipe] = Field({})
    exports: Entries[Export] = Field({})
    notebooks: Entries[Notebooks] = Field({})
    workgroup: Workgroup | None = None

    @model_validator(mode="after")
    def _there_is_something(self) -> Etl:
        if not any(getattr(self, part) for part in type(self).model_fields):
            raise ValueError(f"the table is empty: name one of {', '.join(type(self).model_fields)}")
        return self

    @model_validator(mode="after")
    def _connections_are_known(self) -> Etl:
        for kind, jobs in (("jobs", self.jobs), ("streams", self.streams)):
            for name, job in jobs.items():
                unknown = sorted(set(job.connections) - set(self.connections))
                if unknown:
                    raise ValueError(
                        f"{kind}.{name} has connections {unknown}, but [etl.connections] has only "
                        f"{sorted(self.connections)}"
                    )
        return self

    @model_validator(mode="after")
    def _exports_have_a_workgroup(self) -> Etl:
        if self.exports and self.workgroup is None:
            raise ValueError(f"exports {sorted(self.exports)} are queries of Athena: add [etl.workgroup]")
        return self

    @model_validator(mode="after")
    def _roles_have_short_names(self) -> Etl:
        for name, copy in self.copies.items():
            if copy.account is not None and len(name) > _LONGEST_WITH_A_ROLE:
                raise ValueError(
                    f"copies.{name} is of another account and has {len(name)} characters: "
                    f"{_LONGEST_WITH_A_ROLE} are the most, since its role is named by it"
                )
        return self
