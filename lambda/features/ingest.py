"""Write rows into a feature group: of an object in S3, of a queue's messages, of a stream's records.

A row that comes again is written again, which changes nothing in the online store. What cannot be written is
reported one by one to Lambda, which delivers it again and then keeps it; rows of objects go to the
dead-letter queue themselves, so that one wrong line does not hold back a million right ones.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

import boto3
import files
from botocore.config import Config
from botocore.exceptions import ClientError
from rows import Group, InvalidRowError, Record

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_THREADS = 16
_WAITING = 256
_SPARE_MILLISECONDS = 15_000
_LONGEST_ROW = 200_000
_SHOWN = 3
_REFUSED = "ValidationError"


class UnknownEventError(ValueError):
    """The event is none of an object, a queue or a stream."""


class NoRowWritten(Exception):
    """An object had rows, and none of them could be written; the message tells why of the first ones."""


class ObjectTooLargeError(Exception):
    """Time ran out before all rows of an object were written: split it. What was written stays."""


@cache
def _store() -> Any:
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": 8},
        connect_timeout=3,
        read_timeout=10,
        max_pool_connections=_THREADS,
    )
    return boto3.client("sagemaker-featurestore-runtime", config=config)


@cache
def _s3() -> Any:
    return boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))


@cache
def _sqs() -> Any:
    return boto3.client("sqs", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))


@cache
def _group() -> Group:
    return Group(
        name=os.environ["FEATURE_GROUP"],
        features=json.loads(os.environ["FEATURES"]),
        record_id=os.environ["RECORD_ID"],
        event_time=os.environ["EVENT_TIME"],
    )


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Write what an event holds.

    Returns:
        For an object ``{"written", "rejected"}``; for a queue and a stream what they have to deliver again.

    Raises:
        UnknownEventError: The event is none that is known.
        NoRowWritten: An object had no row that could be written.
        ObjectTooLargeError: Time ran out.
    """
    records = event.get("Records")
    if isinstance(records, list) and records:
        return {"batchItemFailures": [{"itemIdentifier": each} for each in _batch(records, context)]}
    if isinstance(event.get("bucket"), str) and isinstance(event.get("key"), str):
        return ingest_object(event["bucket"], event["key"], event.get("version"), context)
    raise UnknownEventError(f"neither records nor an object: {json.dumps(event, default=str)[:500]}")


def _batch(records: list[Mapping[str, Any]], context: Any) -> Iterator[str]:
    """The identifiers of what has to be delivered again. A stream stops at the first one."""
    for record in records:
        source = record.get("eventSource")
        identifier = record["kinesis"]["sequenceNumber"] if source == "aws:kinesis" else record["messageId"]
        try:
            _ingest_message(source, record, context)
        except Exception:
            logger.exception("%s was not written", identifier)
            yield identifier
            if source == "aws:kinesis":
                return


def _ingest_message(source: Any, record: Mapping[str, Any], context: Any) -> None:
    if source == "aws:kinesis":
        text = base64.b64decode(record["kinesis"]["data"]).decode()
    elif source == "aws:sqs":
        text = record["body"]
    else:
        raise UnknownEventError(f"a record of {source!r}")
    row = files.parsed(text)
    created = _created_object(row)
    if created is not None:
        ingest_object(*created, context)
        return
    put(_group().record(_readable(row)))


def _created_object(row: Any) -> tuple[str, str, str | None] | None:
    """The object that an event of S3 tells of; None for other messages."""
    if not isinstance(row, Mapping) or row.get("source") != "aws.s3" or "detail" not in row:
        return None
    detail = row["detail"]
    return detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("version-id")


def put(record: Record) -> None:
    """Write one record into the group's stores."""
    _store().put_record(FeatureGroupName=_group().name, Record=record)


def ingest_object(bucket: str, key: str, version: str | None, context: Any) -> dict[str, Any]:
    """Write the rows of an object; those that cannot be go to the dead-letter queue.

    Raises:
        NoRowWritten: It had rows, and none of them could be written.
        ObjectTooLargeError: Time ran out.
    """
    place = f"s3://{bucket}/{key}"
    given = {"Bucket": bucket, "Key": key} | ({} if version is None else {"VersionId": version})
    body = _s3().get_object(**given)["Body"]
    written, rejected = 0, 0
    first: list[str] = []
    for line, row, reason in _write_all(files.rows(key, body), context):
        if reason is None:
            written += 1
            continue
        rejected += 1
        if len(first) < _SHOWN:
            first.append(f"line {line}: {reason}")
        _reject(place, line, row, reason)
    logger.info("%s: %s written, %s rejected", place, written, rejected)
    if rejected and not written:
        raise NoRowWritten(f"{place}: {'; '.join(first)}")
    return {"written": written, "rejected": rejected}


def _write_all(rows: Iterable[files.Row], context: Any) -> Iterator[tuple[int, Any, str | None]]:
    """Each row with its line, and why it was not written; several at a time, in no order."""
    with ThreadPoolExecutor(max_workers=_THREADS) as threads:
        waiting: dict[Future[None], tuple[int, Any]] = {}
        for line, row in rows:
            try:
                record = _group().record(_readable(row))
            except (InvalidRowError, files.UnreadableRowError) as error:
                yield line, row, str(error)
                continue
            waiting[threads.submit(put, record)] = (line, row)
            if len(waiting) >= _WAITING:
                yield from _ended(waiting)
            if _time_left(context) < _SPARE_MILLISECONDS:
                raise ObjectTooLargeError(f"time ran out at line {line}; split the object")
        while waiting:
            yield from _ended(waiting)


def _ended(waiting: dict[Future[None], tuple[int, Any]]) -> Iterator[tuple[int, Any, str | None]]:
    """The rows that have been written, or refused. Any other fault is the call's own, which is repeated."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        line, row = waiting.pop(future)
        try:
            future.result()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _REFUSED:
                raise
            yield line, row, str(error)
        else:
            yield line, row, None


def _reject(place: str, line: int, row: Any, reason: str) -> None:
    shown = "" if isinstance(row, Exception) else json.dumps(row, default=str)[:_LONGEST_ROW]
    body = json.dumps({"object": place, "line": line, "reason": reason, "row": shown})
    _sqs().send_message(QueueUrl=os.environ["REJECTED_QUEUE"], MessageBody=body)


def _readable(row: Any) -> Any:
    if isinstance(row, files.UnreadableRowError):
        raise row
    return row


def _time_left(context: Any) -> float:
    remaining: Callable[[], float] | None = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() if remaining is not None else float("inf")
