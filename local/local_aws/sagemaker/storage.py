"""What SageMaker does with S3 for a job, in the role's name: channels, checkpoints and artifacts."""

from __future__ import annotations

import json
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

_CHUNK = 8 * 1024 * 1024
_TICK_NANOSECONDS = 100_000_000
"""Longer than the clock of any file system stands still."""
_ACCESS_CODES = {"403", "AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException"}


_URIS = (
    r"s3://([^/]+)/?(.*)",
    # The AWS CDK writes S3 locations as URLs, which SageMaker takes as well.
    r"https://s3[.-][^/]*amazonaws\.com/([^/]+)/?(.*)",
    r"https://([^/]+)\.s3[.-][^/]*amazonaws\.com/?(.*)",
)


class DataError(Exception):
    """Data cannot be read or written; the message is the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class Location:
    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Location:
        match = next(filter(None, (re.fullmatch(form, uri, re.DOTALL) for form in _URIS)), None)
        if match is None:
            message = f"ClientError: {uri!r} is not an S3 URI"
            raise DataError(message)
        return cls(match[1], match[2])

    def child(self, name: str) -> Location:
        return Location(self.bucket, f"{self.key.rstrip('/')}/{name}" if self.key else name)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class JobStorage:
    """S3 as one job sees it: with its role's credentials and its output's encryption."""

    def __init__(self, client: Any, role_arn: str, kms_key: str | None) -> None:
        self._s3 = client
        self._role_arn = role_arn
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    def fetch_channel(self, source: dict[str, Any], folder: Path) -> None:
        """Put the objects of a channel's S3DataSource into the folder, as File mode lays them out."""
        kind, uri = source["S3DataType"], source["S3Uri"]
        if kind == "S3Prefix":
            if not self.fetch_prefix(Location.parse(uri), folder):
                raise DataError(self._nothing_found(uri))
        elif kind == "ManifestFile":
            self._fetch_manifest(Location.parse(uri), folder)
        else:
            message = (
                f"ClientError: S3DataType {kind} does not run on the local AWS: use S3Prefix or ManifestFile"
            )
            raise DataError(message)

    def fetch_prefix(self, prefix: Location, folder: Path) -> int:
        """Download everything under a prefix; returns how many objects there were."""
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for key, _ in self.objects(prefix):
            self.fetch_object(Location(prefix.bucket, key), folder / _relative(key, prefix.key))
            count += 1
        return count

    def objects(self, prefix: Location) -> Iterator[tuple[str, str]]:
        """The keys below a prefix, and their ETags."""
        with self._explained(prefix, "download"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=prefix.bucket, Prefix=prefix.key
            )
            for page in pages:
                for found in page.get("Contents", []):
                    if not found["Key"].endswith("/"):
                        yield found["Key"], found["ETag"]

    def fetch_object(self, location: Location, path: Path) -> None:
        with self._explained(location, "download"):
            self._download(location.bucket, location.key, path)

    def put_file(self, path: Path, location: Location) -> str:
        """Store a file; its ETag."""
        with self._explained(location, "upload"), path.open("rb") as body:
            given = {"Bucket": location.bucket, "Key": location.key} | self._encryption
            return str(self._s3.put_object(Body=body, **given)["ETag"])

    def put_bytes(self, body: bytes, location: Location) -> None:
        with self._explained(location, "upload"):
            self._s3.put_object(Bucket=location.bucket, Key=location.key, Body=body, **self._encryption)

    def delete(self, location: Location) -> None:
        with self._explained(location, "delete"):
            self._s3.delete_object(Bucket=location.bucket, Key=location.key)

    def put_archive(self, folder: Path, archive: Path, location: Location) -> None:
        """The folder's content as a gzipped tar, made on disk so that its size does not matter."""
        with tarfile.open(archive, "w:gz") as tar:
            for entry in sorted(folder.iterdir()):
                tar.add(entry, arcname=entry.name)
        self.put_file(archive, location)
        archive.unlink()

    def put_folder(self, folder: Path, location: Location) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put_file(path, location.child(path.relative_to(folder).as_posix()))

    def _fetch_manifest(self, manifest: Location, folder: Path) -> None:
        local = folder.parent / f"{folder.name}-manifest"
        self.fetch_object(manifest, local)
        try:
            head, *keys = json.loads(local.read_text())
            prefix = Location.parse(head["prefix"])
        except (ValueError, KeyError, TypeError) as error:
            message = f'ClientError: {manifest.uri} is not a manifest: [{{"prefix": "s3://..."}}, "key", ...]'
            raise DataError(message) from error
        folder.mkdir(parents=True, exist_ok=True)
        for key in keys:
            source = Location(prefix.bucket, prefix.key + key)
            self.fetch_object(source, _inside(folder, key))

    def _download(self, bucket: str, key: str, path: Path) -> None:
        target = _inside(path.parent, path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            for chunk in iter(lambda: body.read(_CHUNK), b""):
                file.write(chunk)

    def _explained(self, location: Location, verb: str) -> _Explained:
        return _Explained(location, verb, self._role_arn)

    def _nothing_found(self, uri: str) -> str:
        return (
            f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data '
            f"source. Please ensure that the bucket exists, that objects exist under that prefix, and that "
            f'the role "{self._role_arn}" has "s3:ListBucket" permissions on the bucket.'
        )


class _Explained:
    """Turns an error of S3 into the sentence that SageMaker gives as FailureReason."""

    def __init__(self, location: Location, verb: str, role_arn: str) -> None:
        self._location, self._verb, self._role_arn = location, verb, role_arn

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, ClientError):
            return
        code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        what = f"Failed to {self._verb} data. " if code in _ACCESS_CODES else f"Data {self._verb} failed: "
        message = f"ClientError: {what}{code} for {self._location.uri} with the role {self._role_arn}: {text}"
        raise DataError(message) from error


class CheckpointSync:
    """Copies new and changed checkpoints to S3 while a job runs, as SageMaker does, and once at the end."""

    def __init__(
        self, storage: JobStorage, folder: Path, location: Location, log: Callable[[str], None], every: float
    ) -> None:
        self._storage, self._folder, self._location = storage, folder, location
        self._log, self._every = log, every
        self._seen: dict[Path, tuple[int, int] | None] = dict(self._snapshot())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="checkpoint-sync")

    def __enter__(self) -> CheckpointSync:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sync()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._sync()
            except DataError as error:
                self._log(str(error))
                return  # the sync at the end raises it, and the job fails with it

    def _sync(self) -> None:
        settled = time.time_ns() - _TICK_NANOSECONDS
        for path, state in self._snapshot().items():
            if self._seen.get(path) != state:
                self._put(path)
                # What was written just now may be written once more with the same time: it is copied again.
                self._seen[path] = state if state[0] < settled else None

    def _put(self, path: Path) -> None:
        try:
            self._storage.put_file(path, self._location.child(path.relative_to(self._folder).as_posix()))
        except FileNotFoundError:
            return  # the script replaced it meanwhile: the next round sees what came instead

    def _snapshot(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._folder.rglob("*"):
            try:
                if path.is_file():
                    stat = path.stat()
                    found[path] = (stat.st_mtime_ns, stat.st_size)
            except FileNotFoundError:
                continue
        return found


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a source archive; entries that would leave the folder are refused."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        message = f"ClientError: the source archive cannot be unpacked: {error}"
        raise DataError(message) from error


def _relative(key: str, prefix: str) -> str:
    """Where an object lies in the channel: below the prefix as a folder, or beside its like."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key.removeprefix(folder)
    return key[prefix.rfind("/") + 1 :]


def _inside(folder: Path, name: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        message = f"ClientError: the key {name!r} would leave the folder of its channel"
        raise DataError(message)
    return target
