"""Channels of file systems: a directory of FSx for Lustre with what its links to S3 hold, or one of EFS.

Each file system is a folder of this machine, ``file-systems/ID`` of the state folder, which lives as long as
the file system. What FSx links to S3 is imported into it when a job mounts it and, where the link exports,
sent back when the job ends: FSx does so in its own name, not in the job's role. A channel that is mounted
read-write is that folder; a read-only one is a copy without the permission to write. Not there: imports and
exports while a job runs, security groups, and file system policies of EFS.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from local_aws import context, fsx
from local_aws.sagemaker.errors import invalid
from local_aws.sagemaker.storage import DataError, JobStorage, Location

_lock = threading.Lock()
_imported: dict[Path, str] = {}
"""The files that came from S3, each with its object's ETag."""
_exported: dict[Path, tuple[int, int]] = {}
"""What S3 is known to hold of a file: its size and time of change."""


def check(channel: dict[str, Any], request: dict[str, Any]) -> None:
    """Raise what the API refuses of a channel that reads a file system."""
    name = channel["ChannelName"]
    if not request.get("VpcConfig"):
        message = f"Channel {name}: VpcConfig is required for a FileSystemDataSource."
        raise invalid(message)
    if not channel["DataSource"]["FileSystemDataSource"]["DirectoryPath"].startswith("/"):
        message = f"Channel {name}: DirectoryPath must be an absolute path."
        raise invalid(message)


@contextlib.contextmanager
def mounted(source: dict[str, Any], channel: Path, credentials: dict[str, str]) -> Iterator[None]:
    """The directory at the channel's place, while a job runs."""
    number = source["FileSystemId"]
    root = context.settings().file_systems_dir / number
    lustre = source["FileSystemType"] == "FSxLustre"
    path = _lustre_path(source, credentials) if lustre else _efs_path(source, credentials)
    root.mkdir(parents=True, exist_ok=True)
    directory = _inside(root, path)
    if lustre:
        with _lock:
            _import(number, root, path)
    if not directory.is_dir():
        raise DataError(_no_directory(number, path, root, lustre=lustre))
    if source["FileSystemAccessMode"] == "ro":
        with _read_only(directory, channel):
            yield
        return
    channel.symlink_to(directory, target_is_directory=True)
    try:
        yield
    finally:
        if lustre:
            with _lock:
                _export(number, root)


def _lustre_path(source: dict[str, Any], credentials: dict[str, str]) -> str:
    """The directory below the mount name, with which every path of a Lustre file system begins."""
    number, given = source["FileSystemId"], PurePosixPath(source["DirectoryPath"])
    client = context.client("fsx", credentials)
    with _explained("fsx:DescribeFileSystems", number):
        (described,) = client.describe_file_systems(FileSystemIds=[number])["FileSystems"]
    mount = fsx.mount_name(described)
    if given.parts[1:2] != (mount,):
        message = f"ClientError: DirectoryPath {given} of {number} must begin with its mount name: /{mount}"
        raise DataError(message)
    return "/" + "/".join(given.parts[2:])


def _efs_path(source: dict[str, Any], credentials: dict[str, str]) -> str:
    number = source["FileSystemId"]
    client = context.client("efs", credentials)
    with _explained("elasticfilesystem:DescribeMountTargets", number):
        targets = client.describe_mount_targets(FileSystemId=number)["MountTargets"]
    if not targets:
        message = f"ClientError: the file system {number} has no mount target in the subnets of the job"
        raise DataError(message)
    return str(source["DirectoryPath"])


@contextlib.contextmanager
def _explained(action: str, number: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        message = f"ClientError: {code} for the file system {number} ({action}): {text}"
        raise DataError(message) from error


def _import(number: str, root: Path, path: str) -> None:
    """Bring the files of a directory to where its links to S3 are now."""
    storage = _storage()
    for link in fsx.links(number):
        if not link.imports or not (fsx.is_below(path, link.path) or fsx.is_below(link.path, path)):
            continue
        below = path.removeprefix(link.path).strip("/") if fsx.is_below(path, link.path) else ""
        folder, prefix = _inside(root, link.path), _prefix(link.uri)
        _import_link(storage, link, folder, prefix, below)


def _import_link(storage: JobStorage, link: fsx.Link, folder: Path, prefix: Location, below: str) -> None:
    seen = set()
    start = Location(prefix.bucket, f"{prefix.key}{below}/" if below else prefix.key)
    for key, etag in storage.objects(start):
        file = _inside(folder, key.removeprefix(prefix.key))
        seen.add(file)
        known = _imported.get(file)
        new, changed = known is None and not file.exists(), known not in (None, etag)
        if (new and "NEW" in link.imports) or (changed and "CHANGED" in link.imports):
            storage.fetch_object(Location(prefix.bucket, key), file)
            _remember(file, etag)
    if "DELETED" in link.imports:
        for file in [each for each in _imported if each.is_relative_to(folder / below) and each not in seen]:
            file.unlink(missing_ok=True)
            del _imported[file]


def _export(number: str, root: Path) -> None:
    """Send what changed in directories whose links export: new and changed files, and deletions."""
    storage = _storage()
    try:
        linked = fsx.links(number)
    except KeyError:  # deleted while the job ran, and its files with it
        return
    for link in linked:
        folder, prefix = _inside(root, link.path), _prefix(link.uri)
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            event = "CHANGED" if file in _exported else "NEW"
            if _state(file) != _exported.get(file) and event in link.exports:
                etag = storage.put_file(file, prefix.child(file.relative_to(folder).as_posix()))
                _remember(file, etag)
        if "DELETED" in link.exports:
            for file in [f for f in _imported if f.is_relative_to(folder) and not f.exists()]:
                storage.delete(prefix.child(file.relative_to(folder).as_posix()))
                del _imported[file], _exported[file]


def _remember(file: Path, etag: str) -> None:
    _imported[file], _exported[file] = etag, _state(file)


def _state(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _storage() -> JobStorage:
    return JobStorage(context.client("s3", attempts=6), "of FSx for Lustre", None)


def _prefix(uri: str) -> Location:
    location = Location.parse(uri)
    return Location(location.bucket, f"{location.key.rstrip('/')}/" if location.key else "")


def _no_directory(number: str, path: str, root: Path, *, lustre: bool) -> str:
    said = f"ClientError: the file system {number} has no directory {path}."
    if not lustre:
        return f"{said} Its files lie in {root}."
    served = [f"{link.path} -> {link.uri}" for link in fsx.links(number) if link.imports]
    silent = [f"{link.path} -> {link.uri}" for link in fsx.links(number) if not link.imports]
    linked = ", ".join(served) or "none"
    asleep = (
        f" These import nothing, neither by BatchImportMetaDataOnCreate nor by an AutoImportPolicy: "
        f"{', '.join(silent)}."
        if silent
        else ""
    )
    return f"{said} Data repository associations that import: {linked}.{asleep}"


@contextlib.contextmanager
def _read_only(directory: Path, channel: Path) -> Iterator[None]:
    shutil.copytree(directory, channel)
    _let_write(channel, may=False)
    try:
        yield
    finally:
        _let_write(channel, may=True)  # so that it can be removed


def _let_write(folder: Path, *, may: bool) -> None:
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o755 if may else 0o555)
        for name in files:
            Path(place, name).chmod(0o644 if may else 0o444)


def _inside(root: Path, path: str) -> Path:
    target = (root / path.strip("/")).resolve()
    if not target.is_relative_to(root.resolve()):
        message = f"ClientError: {path!r} would leave the file system"
        raise DataError(message)
    return target
