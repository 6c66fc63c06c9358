"""Take the model out of the training job's archive and store it under the hash of its bytes.

The archive was written by training code: it is read as a stream, nothing is extracted to a path, and what is
not a plain file of a plain size is refused.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import PurePosixPath
from typing import IO, Any, cast

import manifest as manifests
import objects
from botocore.exceptions import ClientError
from clients import s3
from errors import InvalidConfiguration, ModelRejected
from events import PackageEvent, PackageResult, S3Object
from telemetry import logger, step

_CHUNK_BYTES = 1024 * 1024
_MODEL_BYTES = 400 * 1024 * 1024  # with the archive itself this fits a function's temporary storage
_MANIFEST_BYTES = 1024 * 1024
_TOTAL_BYTES = 1024 * 1024 * 1024
_MEMBERS = 1000

_MODEL, _MANIFEST = "model.onnx", "model.json"


@step("Package")
def handler(event: PackageEvent) -> PackageResult:
    """Store `model.onnx` and `model.json` at `<prefix><sha256>/`.

    Raises:
        ModelRejected: the archive is damaged, unsafe, too large, lacks one of the two, the manifest is wrong,
            its hash is not the model's, or the same model is stored already with another interface.
    """
    archive = _archive(event["artifact"]["uri"])
    with objects.spooled() as model:
        digest, size, text = _read(archive, model)
        manifest = manifests.parse(text)
        if manifest["sha256"] != digest:
            raise ModelRejected(
                f"{objects.uri(archive)}: model.onnx has the SHA-256 {digest}, "
                f"but model.json says {manifest['sha256']}"
            )
        stored = objects.under(event["output"], digest, _MODEL)
        described = objects.under(event["output"], digest, _MANIFEST)
        known = _known_manifest(described, manifest)
        # The same bytes under the same name need no second copy.
        if not objects.exists(stored, size):
            objects.upload(model, stored, "application/octet-stream")
    # The manifest comes last: where it is, the model is complete.
    if not known:
        objects.put_json(described, manifest)
    logger.info("packaged", extra={"sha256": digest, "bytes": size})
    return {
        "model": stored,
        "sha256": digest,
        "manifest": described,
        "training": dict(manifest.get("metrics", {})),
    }


def _archive(uri: str) -> S3Object:
    try:
        return objects.from_uri(uri)
    except InvalidConfiguration as error:
        raise ModelRejected(f"the training job's artifact: {error}") from None


def _known_manifest(reference: S3Object, manifest: dict[str, Any]) -> bool:
    """Whether this model was stored before; what is served under its hash never changes its meaning."""
    known = objects.get_json(reference)
    if known is None:
        return False
    if manifests.interface(known) != manifests.interface(manifest):
        raise ModelRejected(
            f"{objects.uri(reference)} describes the same model bytes with other inputs, outputs or classes"
        )
    return True


def _read(archive: S3Object, model: IO[bytes]) -> tuple[str, int, bytes]:
    """Copy the model to a file; return its hash, its size and the manifest's text."""
    name = objects.uri(archive)
    try:
        body = s3().get_object(Bucket=archive["bucket"], Key=archive["key"])["Body"]
    except ClientError as error:
        if objects.is_missing(error):
            raise ModelRejected(f"{name} does not exist: did the training job save a model?") from error
        raise
    try:
        return _read_members(body, model, name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ModelRejected(f"{name} is not a readable .tar.gz archive: {error}") from None
    finally:
        body.close()


def _read_members(body: Any, model: IO[bytes], name: str) -> tuple[str, int, bytes]:
    found: dict[str, int] = {}
    digest, manifest = sha256(), b""
    with (
        gzip.GzipFile(fileobj=body, mode="rb") as unzipped,
        # "r|": one pass, never back, so that nothing but the current block is in memory.
        tarfile.open(fileobj=cast("IO[bytes]", _Limited(unzipped, name)), mode="r|") as tar,
    ):
        for count, member in enumerate(tar, 1):
            path = _checked_path(member, name)
            if count > _MEMBERS:
                raise ModelRejected(f"{name} holds more than {_MEMBERS} files")
            if path in found:
                raise ModelRejected(f"{name} holds {path} twice")
            found[path] = member.size
            if path == _MODEL:
                _check_size(member, _MODEL_BYTES, name)
                for chunk in _chunks(tar, member):
                    digest.update(chunk)
                    model.write(chunk)
            elif path == _MANIFEST:
                _check_size(member, _MANIFEST_BYTES, name)
                manifest = b"".join(_chunks(tar, member))
    missing = [path for path in (_MODEL, _MANIFEST) if path not in found]
    if missing:
        there = ", ".join(sorted(found)[:10]) or "nothing"
        raise ModelRejected(f"{name} has no {' and no '.join(missing)} at its top; it holds {there}")
    return digest.hexdigest(), found[_MODEL], manifest


def _checked_path(member: tarfile.TarInfo, name: str) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise ModelRejected(f"{name} holds a path that leaves the archive: {member.name[:200]!r}")
    if member.isdir():
        return f"{path}/"
    if not member.isreg() or member.issparse():
        raise ModelRejected(f"{name} holds {member.name[:200]!r}, which is a link or not a plain file")
    return str(path)


def _check_size(member: tarfile.TarInfo, limit: int, name: str) -> None:
    if not 0 < member.size <= limit:
        raise ModelRejected(f"{name}: {member.name} has {member.size} bytes; allowed are 1 to {limit}")


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise ModelRejected(f"{member.name} cannot be read")
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


class _Limited:
    """A small archive can unpack to any size: stop before it does."""

    def __init__(self, file: gzip.GzipFile, name: str) -> None:
        self._file = file
        self._name = name
        self._left = _TOTAL_BYTES

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ModelRejected(f"{self._name} unpacks to more than {_TOTAL_BYTES} bytes")
        return data
