"""What a training job is made of: its source code and its input channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cdk_data_science.data_lake import IZone


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceCode:
    """A script-mode source archive (``sourcedir.tar.gz``) in a zone, and the script in it that trains."""

    zone: IZone
    key: str
    """Key of the archive in the zone's bucket, for example ``source/sourcedir.tar.gz``."""
    entry_point: str
    """The Python file at the archive's top level that the container runs."""

    @property
    def uri(self) -> str:
        """The archive's S3 URI."""
        return self.zone.uri(self.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One input of a job; the container finds it under ``/opt/ml/input/data/<name>``."""

    name: str
    """1 to 64 letters, digits, dots, hyphens and underscores."""
    uri: str
    """An S3 prefix, or a JSONata expression in ``{% %}`` that gives one."""
    input_mode: Literal["File", "FastFile", "Pipe"] | None = None
    """How the data reaches the container; without it, as the job's own mode says (File)."""
    content_type: str | None = None
    sharded: bool = False
    """Give each instance its own share of the objects instead of all of them."""

    def render(self) -> dict[str, Any]:
        """Return the channel as the SageMaker API has it."""
        channel: dict[str, Any] = {
            "ChannelName": self.name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": self.uri,
                    "S3DataDistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
                }
            },
        }
        if self.input_mode is not None:
            channel["InputMode"] = self.input_mode
        if self.content_type is not None:
            channel["ContentType"] = self.content_type
        return channel
