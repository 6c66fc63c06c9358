"""The table ``[files]``: a file system that jobs and clusters share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.places import told_apart
from settings.section import Section

Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$")]
_Id = Annotated[int, Field(ge=1, le=2**32 - 1)]
_Age = Literal[0, 1, 7, 14, 30, 60, 90, 180, 270, 365]


class SharedFolder(Section):
    """A folder with an access point of its own, ``[files.folders.<name>]``."""

    uid: _Id
    """POSIX user of its files; nobody is root."""
    gid: _Id
    """POSIX group of its files."""
    permissions: Annotated[str, Field(pattern=r"^[0-7]{3,4}$")] = "0750"
    """Of the folder when it is made, in octal digits."""
    channel: bool = False
    """The pipeline's training finds it under ``/opt/ml/input/data/<name>``, to read."""

    @model_validator(mode="after")
    def _jobs_can_read_it(self) -> SharedFolder:
        if self.channel and int(self.permissions[-1]) & 5 != 5:
            raise ValueError(
                f"channel is true, but permissions are {self.permissions}: a job is none of its users, so "
                'write permissions = "0755"'
            )
        return self


class Files(Section):
    """An EFS file system in the network. It costs 0.30 USD a month for each GB, 0.016 for what nobody opened
    in a while, each read and write (0.03 and 0.06 USD a GB), backups, and 0.10 USD for an alarm (us-east-1,
    November 2026)."""

    folders: Annotated[dict[Name, SharedFolder], AfterValidator(told_apart), Field(min_length=1)]
    throughput: Literal["elastic", "bursting"] = "elastic"
    """``elastic`` is billed by what is read and written, ``bursting`` follows the size."""
    infrequent_after_days: _Age = 30
    """Move files that nobody opened for so long to cheaper storage; 0 leaves them."""
    archive_after_days: _Age = 0
    """Move them on into the archive, later than that; 0 is never."""
    backups: bool = True
    """Back it up every day, for 35 days, by AWS Backup's default plan."""

    @property
    def channels(self) -> list[str]:
        """The folders that training reads."""
        return [name for name, folder in self.folders.items() if folder.channel]

    def check_places(self, *, network: tuple[str, ...] | None, pipeline: bool) -> None:
        """Refuse a file system without a network, and channels that no job can mount."""
        if network is None:
            raise ValueError("files needs a table [network]: a file system is reached in a VPC alone")
        if self.channels and not pipeline:
            raise ValueError(
                f"files.folders {self.channels} are channels of a [pipeline], which there is not"
            )
        if self.channels and "training" not in network:
            raise ValueError(
                f"files.folders {self.channels} are channels, but training is outside of the network: write "
                '"training" into network.inside'
            )
