"""What other constructs need of a zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3


class IZone(Protocol):
    """What other constructs need of a zone, whether it was built here or imported."""

    @property
    def name(self) -> str:
        """The zone's name in its lake."""

    @property
    def bucket(self) -> s3.IBucket:
        """Where the zone's objects are."""

    @property
    def key(self) -> kms.IKey | None:
        """What encrypts them. Writers that name a key must name this one."""

    @property
    def database_name(self) -> str:
        """The zone's Glue database."""

    @property
    def unnamed_key_prefixes(self) -> Sequence[str] | None:
        """Folders where an upload may leave out the key's name; None if it is not known."""

    def uri(self, key: str = "") -> str:
        """The ``s3://`` address of a key or prefix."""

    def grant_read(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal read."""

    def grant_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal write."""

    def grant_read_write(self, grantee: iam.IGrantable, prefix: str | None = None) -> iam.Grant:
        """Let a principal read and write."""
