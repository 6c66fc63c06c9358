"""What the tables of work on the lake have in common: places of the lake, names and schedules."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.section import FOLDER, Section

_ZONE = r"(raw|curated|features|models)"
_TABLE = r"\.[a-z][a-z0-9_]*"

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,39}$")]
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
