"""What every table of a settings file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

FOLDER = r"([A-Za-z0-9!_.()=-]+/)+"
"""A folder of a zone or bucket, as a pattern: no slash at the start, one at the end."""


class Section(BaseModel):
    """One table of the file: unknown keys are mistakes, and values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)
