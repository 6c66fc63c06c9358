"""What the tables of SageMaker's hosting have in common: a model, and the type of its instances."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.section import Section

Artifact = Annotated[str, Field(pattern=r"^([A-Za-z0-9!_.()=-]+/)*[A-Za-z0-9!_.()=-]+(\.tar\.gz|/)$")]
"""Key in the zone of models: a .tar.gz archive, or a folder that ends in a slash."""
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
Image = Annotated[str, Field(min_length=1, max_length=255)]
"""URI of the container. SageMaker takes it from the platform's region only."""
HostedName = Annotated[str, Field(pattern=r"^[a-z](-?[a-z0-9]){0,21}$")]
"""Name of one of several: 1 to 22 small letters, digits and single hyphens."""


class HostedModel(Section):
    """A container of SageMaker with what it loads."""

    image: Image
    artifact: Artifact
    variables: dict[str, str] = Field({})
    """Of the container."""
