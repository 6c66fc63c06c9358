"""One folder of a zone: a place that jobs read from or write to."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_data_science._validation import FOLDER, ConfigurationError, Problems, is_token
from cdk_data_science.data_lake.zone_base import ZoneBase


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoneFolder:
    """A folder of a zone, for jobs that need no more of it.

    Raises:
        ConfigurationError: For a prefix that is no folder.
    """

    zone: ZoneBase
    """The zone, built or imported."""

    prefix: str
    """The folder, relative to the bucket and ending in ``/``."""

    def __post_init__(self) -> None:
        """Refuse what is no folder."""
        problems = Problems("ZoneFolder")
        problems.check_kind("zone", self.zone, ZoneBase, write='lake.zone("raw")')
        problems.raise_if_any()
        if not is_token(self.prefix) and not FOLDER.fullmatch(self.prefix):
            raise ConfigurationError(
                f"ZoneFolder in {self.zone.node.path}: given prefix={self.prefix!r}; allowed: a folder "
                "relative to the bucket, of the characters that S3 recommends, ending in /; "
                f'write: prefix="{self.prefix.strip("/") or "reviews"}/"'
            )

    @property
    def uri(self) -> str:
        """The ``s3://`` address of the folder."""
        return self.zone.uri(self.prefix)
