"""What every table of a settings file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the file: unknown keys are mistakes, and values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)
