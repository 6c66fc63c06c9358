"""Batches of records from SQS and Kinesis: one call of the model for all of them, failures one by one.

A record holds a request as over HTTP, or one with the name of a model beside its rows. What is wrong with a
record is wrong for ever, so a queue's redrive policy moves it to the dead letters after a few tries, and a
stream's record is put there by this function, which would otherwise block its shard. What fails for another
reason (no model, no place for the predictions) is tried again.
"""

import base64
import json
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from contract import ValidationError
from emf import Metrics, log
from model import Model, Prediction, UnknownModel
from ort import OrtError
from results import Line, Results
from services import Service, ServiceError
from shelf import Shelf

SOURCES = ("aws:sqs", "aws:kinesis")
# What one call of the model takes, so that its memory has a bound.
_ROWS_AT_ONCE = 10_000
_REJECTED_BYTES = 200_000


class Rejected(NamedTuple):
    """A record that will never be predicted, and why."""

    identifier: str
    reason: str
    fields: list[dict[str, str]]


class _Item(NamedTuple):
    identifier: str
    day: str
    model: Model
    rows: list[Any]


class Batches:
    """Answers the events of queues and streams."""

    def __init__(
        self,
        shelf: Shelf,
        metrics: Metrics,
        environment: "os._Environ[str] | dict[str, str]" = os.environ,
    ) -> None:
        self._shelf = shelf
        self._metrics = metrics
        self._environment = environment
        self._results = Results(environment)

    def __call__(self, event: dict[str, Any], request_id: str | None) -> dict[str, object]:
        """Predict all records; return those that have to be tried again.

        Raises:
            NoModel, ModelUnavailable: none of them could be; Lambda tries the whole batch again.
            results.NotConfigured: there is no place for the predictions.
        """
        started = time.perf_counter_ns()
        records: list[dict[str, Any]] = event["Records"]
        ordered = records[0].get("eventSource") == "aws:kinesis"
        items: list[_Item] = []
        rejected: list[Rejected] = []
        for record in records:
            try:
                items.append(self._read(record))
            except _Wrong as wrong:
                rejected.append(Rejected(_identifier(record), str(wrong), wrong.fields))
        lines, refused, model_ms = self._predict(items)
        rejected += refused
        for each in rejected:
            log("WARNING", "Rejected", each.reason, record=each.identifier, fields=each.fields)
        failed = self._deliver(records, lines, rejected, ordered=ordered)
        for identifier, reason in failed.items():
            log("ERROR", "NotDelivered", reason, record=identifier)
        # A queue gives what is wrong back too, until it moves it to the dead letters.
        again = set(failed) if ordered else set(failed) | {each.identifier for each in rejected}
        self._metrics.write(
            {
                "Records": len(records),
                "RejectedRecords": len(rejected),
                "FailedRecords": len(failed),
                "Rows": sum(len(item.rows) for item in items),
                "Latency": (time.perf_counter_ns() - started) / 1e6,
                "ModelLatency": model_ms,
            },
            requestId=request_id,
        )
        order = [_identifier(record) for record in records]
        # Of a shard, everything from the first one on comes again.
        return {"batchItemFailures": [{"itemIdentifier": each} for each in order if each in again]}

    def _read(self, record: dict[str, Any]) -> _Item:
        content: bytes | str = (
            base64.b64decode(record["kinesis"]["data"])
            if "kinesis" in record
            else str(record.get("body", ""))
        )
        try:
            request = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError) as error:
            raise _Wrong(f"the record is not JSON: {error}") from None
        name = None
        if isinstance(request, dict) and "model" in request:
            name = request.pop("model")
            if not isinstance(name, str):
                raise _Wrong("model must be the name of a model")
        try:
            model = self._shelf.get(name)
            rows = model.contract.rows_of(request)
        except UnknownModel as error:
            raise _Wrong(str(error)) from None
        except ValidationError as error:
            raise _Wrong(str(error), error.fields) from None
        return _Item(_identifier(record), _day(record), model, rows)

    def _predict(self, items: Sequence[_Item]) -> tuple[list[Line], list[Rejected], float]:
        """Run each model once over the rows of all records, or record by record where that fails."""
        answers: dict[str, Prediction] = {}
        rejected: list[Rejected] = []
        started = time.perf_counter_ns()
        for chunk in _together(items):
            model = chunk[0].model
            rows = [row for item in chunk for row in item.rows]
            try:
                whole = model.predict(model.contract.batch(rows))
            except OrtError:
                rejected += self._one_by_one(chunk, answers)
                continue
            at, width = 0, len(model.classes)
            for item in chunk:
                end = at + len(item.rows)
                answers[item.identifier] = Prediction(
                    whole.labels[at:end], whole.probabilities[at * width : end * width]
                )
                at = end
        model_ms = (time.perf_counter_ns() - started) / 1e6
        lines = [
            Line(item.identifier, item.day, self._line(item, answers[item.identifier]))
            for item in items
            if item.identifier in answers
        ]
        return lines, rejected, model_ms

    def _one_by_one(self, items: Sequence[_Item], answers: dict[str, Prediction]) -> list[Rejected]:
        """Find the records that the model fails on; the others are answered."""
        rejected = []
        for item in items:
            try:
                answers[item.identifier] = item.model.predict(item.model.contract.batch(item.rows))
            except OrtError as error:
                rejected.append(Rejected(item.identifier, f"the model failed on this record: {error}", []))
        return rejected

    def _line(self, item: _Item, prediction: Prediction) -> bytes:
        return msgspec.json.encode(
            {
                "record": item.identifier,
                "predictions": item.model.described(prediction),
                "model": item.model.sha256,
            }
        )

    def _deliver(
        self,
        records: Sequence[dict[str, Any]],
        lines: Sequence[Line],
        rejected: Sequence[Rejected],
        *,
        ordered: bool,
    ) -> dict[str, str]:
        """Send predictions on, and what a stream cannot give back to the dead letters."""
        failed = self._results.send(lines)
        if ordered and rejected:
            failed |= self._give_up(records, rejected)
        return failed

    def _give_up(self, records: Sequence[dict[str, Any]], rejected: Sequence[Rejected]) -> dict[str, str]:
        url = self._environment.get("REJECTED_TO")
        if not url:
            return {each.identifier: "REJECTED_TO is not set: it cannot be put away" for each in rejected}
        by_identifier = {_identifier(record): record for record in records}
        service = Service("sqs", self._environment)
        failed: dict[str, str] = {}
        try:
            for each in rejected:
                body = _letter(by_identifier[each.identifier], each)
                try:
                    service.call("SendMessage", QueueUrl=url, MessageBody=body)
                except ServiceError as error:
                    failed[each.identifier] = str(error)
        finally:
            service.close()
        return failed


class _Wrong(Exception):
    """A record that no try would mend."""

    def __init__(self, message: str, fields: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or []


def _identifier(record: dict[str, Any]) -> str:
    if "kinesis" in record:
        return str(record["kinesis"]["sequenceNumber"])
    return str(record.get("messageId", ""))


def _day(record: dict[str, Any]) -> str:
    """The day on which a record was sent, in UTC: the same whenever it is delivered again."""
    if "kinesis" in record:
        sent = float(record["kinesis"].get("approximateArrivalTimestamp", 0))
    else:
        sent = int(record.get("attributes", {}).get("SentTimestamp", 0)) / 1000
    return time.strftime("%Y-%m-%d", time.gmtime(sent))


def _together(items: Sequence[_Item]) -> list[list[_Item]]:
    """Items of one model, as many as one call takes."""
    chunks: list[list[_Item]] = []
    for model in {id(item.model): item.model for item in items}.values():
        rows = _ROWS_AT_ONCE
        for item in items:
            if item.model is not model:
                continue
            if rows + len(item.rows) > _ROWS_AT_ONCE:
                chunks.append([])
                rows = 0
            chunks[-1].append(item)
            rows += len(item.rows)
    return chunks


def _letter(record: dict[str, Any], rejected: Rejected) -> str:
    kinesis = record["kinesis"]
    letter = {
        "stream": record.get("eventSourceARN"),
        "sequenceNumber": kinesis["sequenceNumber"],
        "partitionKey": kinesis.get("partitionKey"),
        "reason": rejected.reason,
        "fields": rejected.fields,
        "data": kinesis["data"],
    }
    text = json.dumps(letter)
    # What does not fit into a message is found in the stream by its number, as long as that keeps it.
    return text if len(text) <= _REJECTED_BYTES else json.dumps(letter | {"data": None})
