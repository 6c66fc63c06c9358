"""The table ``[containers]``: repositories for images of one's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.places import told_apart
from settings.section import Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]


class Repository(Section):
    """An ECR repository, ``[containers.repositories.<name>]``: scanned, immutable, cleared up. It costs 0.10
    USD a month for each GB of images (us-east-1, November 2026)."""

    push: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+")], ...] = ()
    """Roles of builds that may push, by ARN. They replace and delete no image."""
    readers: tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...] = ()
    """Accounts whose roles may pull, where their own policies let them: that of production."""
    images: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Newest images with a tag that are kept."""
    untagged_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """Days after which images without a tag go."""
    findings: Annotated[
        tuple[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"], ...],
        Field(min_length=1),
    ] = ("CRITICAL", "HIGH")
    """Severities of what a scan found that people are told of."""


class Containers(Section):
    """Repositories by name. ``training.image`` and ``endpoint.image`` name what was pushed into one."""

    repositories: Annotated[dict[Name, Repository], AfterValidator(told_apart), Field(min_length=1)]
