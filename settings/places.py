"""What the tables of work on the lake have in common: places of the lake, names and schedules."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, model_validator

from settings.section import FOLDER, Section

_ZONE = r"(raw|curated|features|models)"
_TABLE = r"\.[a-z][a-z0-9_]*"

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,39}$")]
Entry = TypeVar("Entry", bound=Section)


def squeezed(name: str) -> str:
    """The name as part of an id: ``CleanReviews`` of ``clean-reviews``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


def told_apart(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Refuse names of which ids would be the same."""
    seen: dict[str, str] = {}
    for name in entries:
        other = seen.setdefault(squeezed(name), name)
        if other != name:
            raise ValueError(
                f"{other!r} and {name!r} differ by hyphens and capitals alone: rename one of them"
            )
    return entries


Entries = Annotated[dict[Name, Entry], AfterValidator(told_apart)]
"""Tables by name, whose names are told apart without hyphens too: resources are called so."""
Folder = Annotated[str, Field(pattern=rf"^{_ZONE}/{FOLDER}$")]
"""A folder of a zone: ``raw/reviews/``."""
LakeTable = Annotated[str, Field(pattern=rf"^{_ZONE}{_TABLE}$")]
"""A table of ``[lake.tables]`` with its zone: ``curated.reviews``."""
Place = Annotated[str, Field(pattern=rf"^{_ZONE}(/{FOLDER}|{_TABLE})$")]
"""A folder of a zone, or a table."""
Cron = Annotated[str, Field(pattern=r"^cron\(.+\)$")]
"""``cron(Minutes Hours Day-of-month Month Day-of-week Year)``."""
KeyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:.+:key/.+$")]
"""A KMS key that something outside of the platform is encrypted with."""


class Scheduled(Section):
    """What is started by the clock."""

    schedule: Cron | None = None
    """When it is started; without it, by hand alone."""
    time_zone: str = "UTC"
    """Of the schedule."""

    @model_validator(mode="after")
    def _a_time_zone_is_of_a_schedule(self) -> Scheduled:
        if self.schedule is None and "time_zone" in self.model_fields_set:
            raise ValueError("time_zone is given, but there is no schedule: leave it out, or add schedule")
        return self
