"""Where the predictions of batches go: objects of JSON lines, a queue, or a Firehose stream."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from s3 import Client, S3Error
from services import Service, ServiceError

_QUEUE_ENTRIES, _QUEUE_BYTES = 10, 250_000
_STREAM_RECORDS, _STREAM_BYTES = 500, 4_000_000


class NotConfigured(Exception):
    """The function was given events of a queue or a stream, and no place for its predictions."""


class Line(NamedTuple):
    """The predictions of one record."""

    identifier: str
    day: str  # of the record, like 2026-11-28
    text: bytes  # JSON, without a line feed


class Results:
    """Sends lines to where `RESULTS_TO` says: s3://bucket/prefix/, https://…/queue, or firehose:stream."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._environment = environment
        self._to = environment.get("RESULTS_TO", "")

    def send(self, lines: Sequence[Line]) -> dict[str, str]:
        """Send lines; return those that were not taken, with the reason.

        Raises:
            NotConfigured: there is nowhere to send them.
        """
        if not lines:
            return {}
        if not self._to:
            raise NotConfigured("RESULTS_TO is not set: there is no place for the predictions of batches")
        if self._to.startswith("s3://"):
            return self._store(lines)
        if self._to.startswith("firehose:"):
            return self._stream(self._to.removeprefix("firehose:"), lines)
        return self._queue(self._to, lines)

    def _store(self, lines: Sequence[Line]) -> dict[str, str]:
        bucket, _, prefix = self._to.removeprefix("s3://").partition("/")
        failed: dict[str, str] = {}
        client = Client(self._environment)
        try:
            for day in sorted({line.day for line in lines}):
                chosen = [line for line in lines if line.day == day]
                # The same records have the same name: what is delivered again replaces itself.
                name = hashlib.sha256("\n".join(line.identifier for line in chosen).encode()).hexdigest()[:32]
                body = b"".join(line.text + b"\n" for line in chosen)
                try:
                    client.put(
                        bucket, f"{prefix}day={day}/{name}.jsonl", body, content_type="application/x-ndjson"
                    )
                except S3Error as error:
                    failed |= {line.identifier: str(error) for line in chosen}
        finally:
            client.close()
        return failed

    def _queue(self, url: str, lines: Sequence[Line]) -> dict[str, str]:
        service = Service("sqs", self._environment)
        failed: dict[str, str] = {}
        try:
            for chunk in _chunks(lines, _QUEUE_ENTRIES, _QUEUE_BYTES):
                entries = [
                    {"Id": str(index), "MessageBody": line.text.decode()} for index, line in enumerate(chunk)
                ]
                try:
                    answer = service.call("SendMessageBatch", QueueUrl=url, Entries=entries)
                except ServiceError as error:
                    failed |= {line.identifier: str(error) for line in chunk}
                    continue
                for refused in answer.get("Failed") or []:
                    why = f"{refused.get('Code')} {refused.get('Message', '')}".rstrip()
                    failed[chunk[int(refused["Id"])].identifier] = why
        finally:
            service.close()
        return failed

    def _stream(self, name: str, lines: Sequence[Line]) -> dict[str, str]:
        from base64 import b64encode

        service = Service("firehose", self._environment)
        failed: dict[str, str] = {}
        try:
            for chunk in _chunks(lines, _STREAM_RECORDS, _STREAM_BYTES):
                records = [{"Data": b64encode(line.text + b"\n").decode()} for line in chunk]
                try:
                    answer = service.call("PutRecordBatch", DeliveryStreamName=name, Records=records)
                except ServiceError as error:
                    failed |= {line.identifier: str(error) for line in chunk}
                    continue
                for line, response in zip(chunk, answer.get("RequestResponses") or [], strict=False):
                    if response.get("ErrorCode"):
                        failed[line.identifier] = (
                            f"{response['ErrorCode']} {response.get('ErrorMessage', '')}".rstrip()
                        )
        finally:
            service.close()
        return failed


def _chunks(lines: Sequence[Line], count: int, size: int) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    total = 0
    for line in lines:
        length = len(line.text) * 4 // 3 + 8
        if chunk and (len(chunk) == count or total + length > size):
            yield chunk
            chunk, total = [], 0
        chunk.append(line)
        total += length
    if chunk:
        yield chunk
