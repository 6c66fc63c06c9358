"""Where a zone's objects go with age, and where a second copy of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_data_science._validation import Problems, is_whole

# S3 bills an object for so many days from its transition, however soon it goes.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
ARCHIVE_MINIMUM = {"instant": 90, "flexible": 90, "deep": 180}
ARCHIVE_CLASSES = {
    "instant": s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
    "flexible": s3.StorageClass.GLACIER,
    "deep": s3.StorageClass.DEEP_ARCHIVE,
}
INFREQUENT_MINIMUM = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """When a zone's objects are archived, and how deep."""

    days: int
    """Age at which they are, 0 or more; later than they change tier, 30 days or more after they went to
    infrequent access, and 90 days (180 for ``deep``) or more before they expire."""

    depth: Literal["instant", "flexible", "deep"] = "instant"
    """``instant``: as quick as any other, so that queries and jobs still read it. ``flexible`` and ``deep``:
    S3 gives an object back within minutes to hours, or hours to two days, and only on request: queries and
    jobs skip it or fail."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replication:
    """A second copy of a zone's objects, in another bucket, of this region or another one.

    It costs the storage once more, the transfer between regions, and the requests. The other bucket has to
    be versioned, and in another account admit ``zone.bucket.replication_role_arn``.
    """

    bucket: s3.IBucket
    """Where the copies go: not a zone of this lake."""

    key: kms.IKey
    """What encrypts the copies, in the region of that bucket: keys do not leave theirs."""

    storage_class: Literal["standard", "infrequent_access", "intelligent_tiering", "glacier_instant"] = (
        "infrequent_access"
    )
    """Of the copies. Default: ``infrequent_access``, cheap where nobody reads them."""

    delete_markers: bool = False
    """Whether what is deleted in the zone looks deleted in the copy too. Default: no."""

    within_minutes: Literal[15] | None = None
    """15: S3 copies within 15 minutes and measures it, at 0.015 USD a GB. Default: without a promise."""


_COPIES = {
    "standard": s3.StorageClass("STANDARD"),
    "infrequent_access": s3.StorageClass.INFREQUENT_ACCESS,
    "intelligent_tiering": s3.StorageClass.INTELLIGENT_TIERING,
    "glacier_instant": s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
}


def replication_rule(replication: Replication) -> s3.ReplicationRule:
    """S3's rule for the whole zone."""
    soon = s3.ReplicationTimeValue.FIFTEEN_MINUTES if replication.within_minutes is not None else None
    return s3.ReplicationRule(
        id="Zone",
        destination=replication.bucket,
        kms_key=replication.key,
        sse_kms_encrypted_objects=True,
        storage_class=_COPIES[replication.storage_class],
        delete_marker_replication=replication.delete_markers,
        replication_time_control=soon,
        metrics=soon,
        priority=0,
    )


def check_storage(
    problems: Problems,
    zone: str,
    *,
    tiering_days: int | None,
    infrequent_days: int | None,
    archive: Archive | None,
    expire_days: int | None,
    replication: Replication | None,
    versioned: bool,
) -> None:
    """Record transitions that S3 would refuse, would never make, or would bill for nothing."""
    problems.check(
        replication is None or versioned,
        given=f"{zone}: replication, versioned=False",
        allowed="replication of versions only",
        write="versioned=True",
    )
    if replication is not None:
        problems.check(
            replication.storage_class in _COPIES,
            given=f"{zone}: replication with storage_class={replication.storage_class!r}",
            allowed=", ".join(_COPIES),
        )
    if infrequent_days is not None:
        problems.check(
            is_whole(infrequent_days, INFREQUENT_MINIMUM),
            given=f"{zone}: infrequent_access_days={infrequent_days!r}",
            allowed=f"whole days, {INFREQUENT_MINIMUM} or more: S3 moves nothing there earlier",
            write=f"infrequent_access_days={INFREQUENT_MINIMUM}",
        )
        problems.check(
            tiering_days is None,
            given=f"{zone}: infrequent_access_days={infrequent_days}, "
            f"intelligent_tiering_days={tiering_days}",
            allowed="one of them: Intelligent-Tiering moves objects to infrequent access by itself",
            write="intelligent_tiering_days=None",
        )
        problems.check(
            not expire_days
            or not is_whole(infrequent_days, 0)
            or expire_days >= infrequent_days + INFREQUENT_MINIMUM,
            given=f"{zone}: infrequent_access_days={infrequent_days}, expire_days={expire_days}",
            allowed=f"{INFREQUENT_MINIMUM} days or more there: S3 bills them in any case",
        )
    if archive is not None:
        _check_archive(problems, zone, archive, tiering_days, infrequent_days, expire_days)


def _check_archive(
    problems: Problems,
    zone: str,
    archive: Archive,
    tiering_days: int | None,
    infrequent_days: int | None,
    expire_days: int | None,
) -> None:
    given = f"{zone}: archive={archive}"
    fits = is_whole(archive.days, 0) and archive.depth in ARCHIVE_CLASSES
    problems.check(
        fits, given=given, allowed=f"whole days, 0 or more, and a depth of {', '.join(ARCHIVE_CLASSES)}"
    )
    if not fits:
        return
    problems.check(
        tiering_days is None or archive.days > tiering_days,
        given=f"{given}, intelligent_tiering_days={tiering_days}",
        allowed="an archive later than the tier before it",
        write=f"Archive(days={(tiering_days or 0) + 90})",
    )
    problems.check(
        infrequent_days is None or archive.days >= infrequent_days + INFREQUENT_MINIMUM,
        given=f"{given}, infrequent_access_days={infrequent_days}",
        allowed=f"an archive {INFREQUENT_MINIMUM} days or more after infrequent access",
        write=f"Archive(days={(infrequent_days or 0) + INFREQUENT_MINIMUM})",
    )
    minimum = ARCHIVE_MINIMUM[archive.depth]
    problems.check(
        not expire_days or expire_days >= archive.days + minimum,
        given=f"{given}, expire_days={expire_days}",
        allowed=f"{minimum} days or more in the archive: S3 bills them in any case",
        write=f"expire_days={archive.days + minimum}",
    )
