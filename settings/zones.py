"""The table ``[lake.zones]``: how long a zone keeps what, and where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.places import KeyArn
from settings.section import FOLDER, Section

Days = Annotated[int, Field(ge=1, le=36_500)]
Never = Literal["never"]


class Zone(Section):
    """One zone, ``[lake.zones.<name>]``. What is not given is as in the library: versions of 90 days, and
    Intelligent-Tiering at once."""

    intelligent_tiering_days: Annotated[int, Field(ge=0, le=36_500)] | Never | None = None
    """Age at which objects move to Intelligent-Tiering; 0 is at once."""
    infrequent_access_days: Annotated[int, Field(ge=30, le=36_500)] | None = None
    """Age at which they move to infrequent access, in place of Intelligent-Tiering."""
    archive_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    """Age at which they are archived."""
    archive_depth: Literal["instant", "flexible", "deep"] = "instant"
    """What is archived flexible or deep, no query reads any more."""
    expire_days: Days | None = None
    """Age at which they are deleted; without it, never."""
    expire_folders: dict[Annotated[str, Field(pattern=rf"^{FOLDER}$")], Days] = Field(default_factory=dict)
    """Folders whose objects are deleted earlier, with their ages."""
    noncurrent_expire_days: Days | Never | None = None
    """Days that a replaced or deleted version can be had back."""
    inventory: Literal["daily", "weekly"] | None = None
    """Lists of the objects, at 0.0025 USD for a million."""
    lock_days: Days | None = None
    """Days that nobody deletes a new version. A lock can never be taken away."""
    lock_mode: Literal["governance", "compliance"] = "governance"
    copy_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """A bucket, with versions, that gets a copy of each object."""
    copy_key_arn: KeyArn | None = None
    """What encrypts the copies, in the region of that bucket."""

    @model_validator(mode="after")
    def _modes_have_their_days(self) -> Zone:
        for option, days in (("archive_depth", "archive_days"), ("lock_mode", "lock_days")):
            if option in self.model_fields_set and getattr(self, days) is None:
                raise ValueError(f"{option} is given, but {days} is not: add it, or leave {option} out")
        return self

    @model_validator(mode="after")
    def _copies_have_a_bucket_and_a_key(self) -> Zone:
        if (self.copy_bucket is None) != (self.copy_key_arn is None):
            raise ValueError("copy_bucket and copy_key_arn belong together: copies are encrypted too")
        return self
