"""The table ``[lake]``: zones, the catalog, and the quality of its tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.places import Entries
from settings.section import Section
from settings.sources import Partner
from settings.zones import Days, Zone


class Table(Section):
    """A table of the lake's catalog, ``[lake.tables.<name>]``."""

    zone: Literal["raw", "curated", "features", "models"]
    """The zone that holds its objects."""
    columns: Annotated[dict[str, str], Field(min_length=1)]
    """Types by name, as Athena writes them; for CSV in the file's order."""
    format: Literal["parquet", "csv", "json", "iceberg"] = "parquet"
    """What the objects are. CSV has quotes, doubled within quotes, and one line of names."""
    field_ids: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Of an Iceberg table: a number for each column, by which Iceberg finds its data for ever."""
    snapshot_days: Days | None = None
    """Of an Iceberg table: Glue compacts it, keeps its snapshots so long and removes files of none, at 0.44
    USD for each hour of a processing unit (us-east-1, November 2026). Without it, nobody does."""
    prefix: str | None = None
    """Folder of the objects, ending in ``/``; without it, the table's name."""
    description: str | None = None
    """What the table holds."""
    rules: Annotated[str, Field(min_length=1)] | None = None
    """Quality rules in DQDL that Glue evaluates on the whole table (docs/quality-rules.md). Their outcomes go
    to the table of ``[lake.quality]``."""
    rules_schedule: str | None = None
    """When they are evaluated, such as ``cron(30 4 * * ? *)`` in UTC; without it, when somebody starts it."""
    rules_late_hours: Annotated[int, Field(ge=1, le=168)] | None = None
    """Hours without a result that set an alarm off: longer than from one evaluation to the next; without it,
    none does."""

    @model_validator(mode="after")
    def _only_iceberg_has_ids_and_snapshots(self) -> Table:
        if self.format != "iceberg" and (self.field_ids or self.snapshot_days is not None):
            raise ValueError(
                f"field_ids and snapshot_days are of Iceberg tables, and format is {self.format!r}"
            )
        if self.format == "iceberg" and set(self.field_ids) != set(self.columns):
            raise ValueError(
                f"field_ids names {sorted(self.field_ids)}, but the columns are {sorted(self.columns)}: "
                "an Iceberg table needs a number for each"
            )
        return self

    @model_validator(mode="after")
    def _rules_come_before_their_schedule(self) -> Table:
        if self.rules_schedule is not None and self.rules is None:
            raise ValueError("rules_schedule is given and there are no rules: add rules")
        if self.rules_late_hours is not None and self.rules_schedule is None:
            raise ValueError(
                "rules_late_hours is given and nothing is evaluated by itself: add rules_schedule"
            )
        return self


class Quality(Section):
    """Outcomes of quality rules, ``[lake.quality]``: a table of the lake, metrics and alarms. Alarms cost
    0.10 USD a month each."""

    zone: Literal["raw", "curated", "features", "models"] = "curated"
    """The zone that holds the table."""
    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,254}$")] = "quality_results"
    """The table's name."""


class Lake(Section):
    """The data lake."""

    administrators: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+")], ...] = ()
    """ARNs of roles that administer Lake Formation beside the role that deploys."""
    lake_formation: bool = True
    """Register the zones with Lake Formation and give its permissions with every grant."""
    encrypt_catalog: bool = False
    """Encrypt the account's Data Catalog in this region: definitions, partitions and passwords of connections
    of everybody in it. One stack of an account says so."""
    governed: bool = False
    """Let Lake Formation alone decide who queries tables: without it IAM does, and filters, groups and
    tags of ``[access]`` are refused, since nothing would apply them. Who queries needs a grant then."""
    zones: dict[Literal["raw", "curated", "features", "models"], Zone] = Field(default_factory=dict)
    """How long zones keep what."""
    tables: dict[str, Table] = Field(default_factory=dict)
    """Tables of the catalog, by name; they are in the stack of the lake and are kept with it."""
    partners: Entries[Partner] = Field(default_factory=dict)
    """Third parties that put objects into a folder each."""
    quality: Quality | None = None
    """Keep the outcome of every quality rule, of the pipeline's gate and of tables with rules."""
    runs_expire_days: Days | None = None
    """Age at which what the pipeline's runs leave (``runs/`` and ``runs-train/`` of the features zone:
    prepared data, scores, reports of the quality gate) is deleted; without it, never. Evaluations, which the
    registry's versions name, are kept."""
    checkpoints_expire_days: Days | None = None
    """Age at which checkpoints (``checkpoints/`` of the models zone) are deleted; without it, never. Longer
    than all tries of a run may take, each up to ``training.max_wait_minutes``: they share one folder."""

    @model_validator(mode="after")
    def _administrators_have_something_to_administer(self) -> Lake:
        if self.administrators and not self.lake_formation:
            raise ValueError(
                "administrators are given, but lake_formation is false: there is nothing to administer; "
                "leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _lake_formation_governs(self) -> Lake:
        if self.governed and not self.lake_formation:
            raise ValueError("governed is given, but lake_formation is false: leave one of the two out")
        return self

    @model_validator(mode="after")
    def _outcomes_of_rules_are_kept(self) -> Lake:
        with_rules = sorted(name for name, table in self.tables.items() if table.rules is not None)
        if with_rules and self.quality is None:
            raise ValueError(
                f"tables {with_rules} have rules, but nothing keeps their outcomes: add [lake.quality]"
            )
        if self.quality is not None and self.quality.table in self.tables:
            raise ValueError(
                f"lake.tables has {self.quality.table!r}, which is the name of lake.quality.table"
            )
        return self
