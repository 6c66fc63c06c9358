"""What a training job is made of: its source code and its input channels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.training.checks import check_uri

_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")


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
class FileSystem:
    """A directory of a file system that a job mounts; it needs a VPC that reaches the file system."""

    file_system_id: str
    """``fs-`` and its number, or a JSONata expression that gives one."""
    directory: str
    """A path that begins with a slash, or a JSONata expression that gives one. On Lustre it begins with the
    file system's mount name."""
    kind: Literal["FSxLustre", "EFS"] = "FSxLustre"
    read_only: bool = True

    def render(self) -> dict[str, Any]:
        """Return the source as the SageMaker API has it."""
        return {
            "FileSystemDataSource": {
                "FileSystemId": self.file_system_id,
                "FileSystemType": self.kind,
                "FileSystemAccessMode": "ro" if self.read_only else "rw",
                "DirectoryPath": self.directory,
            }
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One input of a job, from S3 or from a file system; the container finds it under
    ``/opt/ml/input/data/<name>``."""

    name: str
    """1 to 64 letters, digits, dots, hyphens and underscores."""
    uri: str | None = None
    """An S3 prefix, or a JSONata expression in ``{% %}`` that gives one."""
    file_system: FileSystem | None = None
    """Where the data lies if not in S3."""
    input_mode: Literal["File", "FastFile", "Pipe"] | None = None
    """How the data reaches the container; without it, as the job's own mode says (File)."""
    content_type: str | None = None
    sharded: bool = False
    """Give each instance its own share of the objects instead of all of them."""
    data_type: Literal["S3Prefix", "ManifestFile", "AugmentedManifestFile"] = "S3Prefix"
    """What ``uri`` names: a prefix, a manifest of objects, or one whose lines hold attributes, too."""
    attribute_names: Sequence[str] = ()
    """1 to 16 attributes of an augmented manifest, in the order in which the container gets them."""
    compressed: bool = False
    """The objects are compressed with gzip, and SageMaker unpacks them; for Pipe mode."""
    record_wrapper: bool = False
    """Wrap each object as a RecordIO record, for algorithms that read nothing else; for Pipe mode."""
    shuffle_seed: int | None = None
    """Shuffle the objects, differently in each epoch, from this seed. Default: as S3 lists them."""
    instance_groups: Sequence[str] = ()
    """Groups of a cluster of unlike instances that get the channel. Default: all of them."""

    def check(self, problems: Problems, *, in_vpc: bool) -> None:
        """Report what SageMaker would refuse."""
        problems.check(
            _NAME.fullmatch(self.name) is not None,
            given=f"channel {self.name!r}",
            allowed="1 to 64 letters, digits, dots, hyphens and underscores",
        )
        problems.check(
            (self.uri is None) != (self.file_system is None),
            given=f"channel {self.name!r} with {'neither' if self.uri is None else 'both'}",
            allowed="exactly one of uri and file_system",
        )
        if self.file_system is None:
            self._check_objects(problems)
            return
        problems.check(
            in_vpc,
            given=f"channel {self.name!r} on a file system, for a job without a VPC",
            allowed="a job in the file system's VPC",
            write="vpc=vpc",
        )
        problems.check(
            self.input_mode in (None, "File") and not self._how_objects_are_read(),
            given=f"channel {self.name!r} on a file system with input_mode={self.input_mode!r}"
            + "".join(f", {name}" for name in self._how_objects_are_read()),
            allowed="file systems are mounted whole: no other input mode, no shares",
        )
        problems.check(
            is_token(self.file_system.directory) or self.file_system.directory.startswith(("/", "{%")),
            given=f"channel {self.name!r} with directory={self.file_system.directory!r}",
            allowed="a path that begins with a slash",
            write=f'directory="/{self.file_system.directory}"',
        )

    def _how_objects_are_read(self) -> list[str]:
        """The options that are given, of those that objects alone have."""
        given = {
            "sharded": self.sharded,
            "data_type": self.data_type != "S3Prefix",
            "attribute_names": self.attribute_names,
            "compressed": self.compressed,
            "record_wrapper": self.record_wrapper,
            "shuffle_seed": self.shuffle_seed is not None,
            "instance_groups": self.instance_groups,
        }
        return [name for name, value in given.items() if value]

    def _check_objects(self, problems: Problems) -> None:
        check_uri(problems, f"uri of channel {self.name!r}", self.uri)
        augmented = self.data_type == "AugmentedManifestFile"
        problems.check(
            augmented == bool(self.attribute_names) and len(self.attribute_names) <= 16,
            given=f"channel {self.name!r} with data_type={self.data_type!r} and "
            f"{len(self.attribute_names)} attribute_names",
            allowed="1 to 16 names with AugmentedManifestFile, and none without",
        )
        problems.check(
            not (self.compressed or self.record_wrapper) or self.input_mode in (None, "Pipe"),
            given=f"channel {self.name!r}: compressed or record_wrapper with input_mode={self.input_mode!r}",
            allowed="Pipe mode: in other modes the container gets the objects as they are",
            write='input_mode="Pipe"',
        )

    def render(self) -> dict[str, Any]:
        """Return the channel as the SageMaker API has it."""
        channel: dict[str, Any] = {"ChannelName": self.name}
        if self.file_system is not None:
            channel["DataSource"] = self.file_system.render()
        else:
            objects: dict[str, Any] = {
                "S3DataType": self.data_type,
                "S3Uri": self.uri,
                "S3DataDistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
            }
            if self.attribute_names:
                objects["AttributeNames"] = list(self.attribute_names)
            if self.instance_groups:
                objects["InstanceGroupNames"] = list(self.instance_groups)
            channel["DataSource"] = {"S3DataSource": objects}
        if self.compressed:
            channel["CompressionType"] = "Gzip"
        if self.record_wrapper:
            channel["RecordWrapperType"] = "RecordIO"
        if self.shuffle_seed is not None:
            channel["ShuffleConfig"] = {"Seed": self.shuffle_seed}
        if self.input_mode is not None:
            channel["InputMode"] = self.input_mode
        if self.content_type is not None:
            channel["ContentType"] = self.content_type
        return channel
