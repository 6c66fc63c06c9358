"""Feature Store: groups of features, and what brings rows into them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from settings.section import FOLDER, Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]


class FeatureGroup(Section):
    """A group, ``[features.groups.<name>]``. Its offline store is a table of the features zone."""

    columns: Annotated[dict[str, str], Field(min_length=2)]
    """Types by name, as Athena writes them: whole numbers, fractions and texts."""
    record_id: str
    """The feature that identifies a record."""
    event_time: str
    """The feature that says since when a record is true: a ``timestamp``, or seconds as ``double``."""
    online: bool = False
    """Keep the newest record of each identifier for predictions; what is stored is billed."""
    ttl_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """A record leaves the online store so long after its event time; without it, never."""
    ingest: Annotated[str, Field(pattern=rf"^(raw|curated|features|models)/{FOLDER}$")] | None = None
    """New objects of this folder are written into the group: ``curated/products/``. Without it, none are."""

    @model_validator(mode="after")
    def _only_what_is_online_expires(self) -> FeatureGroup:
        if self.ttl_days is not None and not self.online:
            raise ValueError("ttl_days is given, but online is false: the offline store keeps every record")
        return self


class Features(Section):
    """Feature Store. Groups cost what they store; each ingestion 1.10 USD a month for its key and alarm."""

    groups: Annotated[dict[Name, FeatureGroup], Field(min_length=1)]
