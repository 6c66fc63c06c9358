"""DataBrew: what is in a table, and a table cleaned without a script.

Nothing of it costs anything while it does not run, and 0.48 USD for each hour of a node while it does
(us-east-1, November 2026).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.places import Folder, LakeTable, Place, Scheduled
from settings.section import Section

Operation = Annotated[str, Field(pattern=r"^[A-Z_]{1,128}$")]


class _Run(Scheduled):
    """What both kinds have in common."""

    table: LakeTable
    """What is read."""
    nodes: Annotated[int, Field(ge=1, le=149)] = 5
    """The most that a run uses."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0


class Profile(_Run):
    """A profile, ``[etl.profiles.<name>]``: types, missing and distinct values, distributions, outliers."""

    output: Folder
    """Where profiles go, as JSON, apart from tables."""
    columns: tuple[str, ...] = ()
    """Which columns; without any, all."""
    rows: Annotated[int, Field(ge=1)] | Literal["all"] = 20_000
    """How many rows are looked at."""
    personal_data: tuple[Operation, ...] = ()
    """What is looked for in the columns, by DataBrew's names: EMAIL, USA_SSN."""
    timeout_minutes: Annotated[int, Field(ge=1, le=2880)] = 60


class Condition(Section):
    """When a step of a recipe applies to a row."""

    condition: Operation
    """IS_MISSING, GREATER_THAN."""
    column: str
    value: str | None = None
    """What it is compared with, if the condition compares."""


class Step(Section):
    """One step of a recipe, by DataBrew's names."""

    operation: Operation
    """REMOVE_MISSING, TRIM."""
    parameters: dict[str, str] = Field({})
    """sourceColumn and the like."""
    conditions: tuple[Condition, ...] = ()
    """All of which have to hold."""


class Recipe(_Run):
    """A table cleaned step by step, ``[etl.recipes.<name>]``."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    """In order."""
    output: Place
    """A folder, or another table, whose objects each run replaces."""
    format: Literal["parquet", "csv", "json"] = "parquet"
    """Of the output."""
    timeout_minutes: Annotated[int, Field(ge=1, le=2880)] = 120
