"""What goes up to S3: the training code as an archive, and the reviews. Neither when it is there already."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE = Path(__file__).with_name("source")
SOURCE_FILES = ("export.py", "requirements.txt", "train.py")
SOURCE_ARCHIVE = "sourcedir.tar.gz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """An object in S3, and whether it had to be uploaded."""

    bucket: str
    key: str
    sha256: str
    size: int
    uploaded: bool = False

    @classmethod
    def of(cls, bucket: str, key: str, content: bytes) -> Upload:
        """Of this content; nothing is uploaded yet."""
        return cls(bucket=bucket, key=key, sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def source_archive(folder: Path = SOURCE) -> bytes:
    """The training code as SageMaker's script mode takes it; equal files give equal bytes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in SOURCE_FILES:
            content = (folder / name).read_bytes()
            entry = tarfile.TarInfo(name)  # no owner, no time: only what the code says
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


def upload_source(s3: S3Client, prefix_uri: str) -> Upload:
    """Put the archive under the prefix (an S3 URI) where the training jobs look for it."""
    bucket, _, prefix = prefix_uri.removeprefix("s3://").partition("/")
    return upload(s3, bucket, f"{prefix.rstrip('/')}/{SOURCE_ARCHIVE}".lstrip("/"), source_archive())


def upload(s3: S3Client, bucket: str, key: str, content: bytes, *, always: bool = False) -> Upload:
    """Put an object with its SHA-256, which S3 checks and keeps; only if it is not there yet, or `always`."""
    wanted = Upload.of(bucket, key, content)
    if not always and _holds(s3, wanted):
        return wanted
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=content,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=base64.b64encode(bytes.fromhex(wanted.sha256)).decode(),
        Metadata={"sha256": wanted.sha256},
    )
    return replace(wanted, uploaded=True)


def _holds(s3: S3Client, wanted: Upload) -> bool:
    try:
        found = s3.head_object(Bucket=wanted.bucket, Key=wanted.key)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return found["Metadata"].get("sha256") == wanted.sha256 and found["ContentLength"] == wanted.size
