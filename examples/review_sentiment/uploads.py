"""What goes up to S3: the training code as an archive, and the reviews. Neither when it is there already."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from settings.training import Training
from tools.source_archive import ARCHIVE, commit_of, for_training, pack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE = Path(__file__).with_name("source")
SOURCE_FILES = ("export.py", "requirements.txt", "tracking.py", "train.py")


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


def source_archive(folder: Path = SOURCE, *, training: Training | None = None) -> bytes:
    """The training code as SageMaker's script mode takes it; equal files give equal bytes.

    With the settings of jobs that reach no package index, the wheels that they need are in it too.

    Raises:
        ArchiveError: the wheels cannot be had.
    """
    files = {name: (folder / name).read_bytes() for name in SOURCE_FILES}
    return pack(files) if training is None else for_training(files, training)


def upload_source(s3: S3Client, prefix_uri: str, *, training: Training | None = None) -> Upload:
    """Put the archive under the prefix (an S3 URI) where the training jobs look for it: `source_archive`."""
    bucket, _, prefix = prefix_uri.removeprefix("s3://").partition("/")
    key = f"{prefix.rstrip('/')}/{ARCHIVE}".lstrip("/")
    commit = commit_of(SOURCE)
    known = {} if commit is None else {"commit": commit}
    return upload(s3, bucket, key, source_archive(training=training), metadata=known)


def upload(
    s3: S3Client,
    bucket: str,
    key: str,
    content: bytes,
    *,
    always: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Upload:
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
        Metadata={"sha256": wanted.sha256, **(metadata or {})},
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
