"""The pipeline's scoring step: the held-out rows through the very code that serves requests.

Input and output are CSV in S3: `id` and the model's inputs come in; `id`, one column for each class, and
`label` go out. The same event gives the same bytes under the same key.
"""

import csv
import io
import os
import time
from collections.abc import Iterator
from typing import Any

import model as models
from contract import ValidationError
from emf import log
from model import Location, Model
from s3 import Client

_BATCH_ROWS = 1000
_PROGRESS_ROWS = 100_000


class InvalidData(Exception):
    """The rows cannot be scored; the message names line and column."""


def handler(event: dict[str, Any], context: object) -> dict[str, object]:
    run = {"run": event.get("run"), "requestId": getattr(context, "aws_request_id", None)}
    started = time.perf_counter()
    client = Client()
    try:
        model = _model(event, client)
        rows = client.get(event["rows"]["bucket"], event["rows"]["key"])
        fetched = _milliseconds_since(started)
        log("INFO", "Scoring", f"{len(rows)} bytes of rows", **run, sha256=model.sha256, fetchMs=fetched)
        scores, count = score(model, rows)
        output = {"bucket": event["output"]["bucket"], "key": event["output"]["key"]}
        client.put(output["bucket"], output["key"], scores, content_type="text/csv; charset=utf-8")
        log(
            "INFO",
            "Scored",
            f"{count} rows to s3://{output['bucket']}/{output['key']}",
            **run,
            rows=count,
            bytes=len(scores),
            totalMs=_milliseconds_since(started),
        )
        return {"scores": output, "rows": count}
    finally:
        client.close()


def _milliseconds_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _model(event: dict[str, Any], client: Client) -> Model:
    location = Location(event["model"]["bucket"], event["model"]["key"], event["sha256"])
    threads = models.positive(os.environ, "OMP_NUM_THREADS", 1)
    return models.load(location, client, max_rows=_BATCH_ROWS, threads=threads)


def score(model: Model, content: bytes) -> tuple[bytes, int]:
    """Score a CSV file; return the scores as CSV and the number of rows.

    Raises:
        InvalidData: naming the line and what is wrong with it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", *model.classes, "label"])
    count, width = 0, len(model.classes)
    for ids, rows in _batches(model, content):
        prediction = model.predict(model.contract.batch(rows))
        for index, (name, label) in enumerate(zip(ids, prediction.labels, strict=True)):
            writer.writerow([name, *prediction.probabilities[index * width : (index + 1) * width], label])
        count += len(ids)
        if count % _PROGRESS_ROWS == 0:
            log("INFO", "Scoring", f"{count} rows so far")
    if not count:
        raise InvalidData("there are no rows to score")
    return out.getvalue().encode(), count


def _batches(model: Model, content: bytes) -> Iterator[tuple[list[str], list[Any]]]:
    ids: list[str] = []
    rows: list[Any] = []
    for name, row in _read(model, content):
        ids.append(name)
        rows.append(row)
        if len(ids) == _BATCH_ROWS:
            yield ids, rows
            ids, rows = [], []
    if ids:
        yield ids, rows


def _read(model: Model, content: bytes) -> Iterator[tuple[str, Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"the rows are not UTF-8: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    inputs = [field.name for field in model.contract.inputs]
    try:
        header = next(reader, [])
        missing = [name for name in ("id", *inputs) if name not in header]
        if missing:
            raise InvalidData(f"line 1: the column {', '.join(map(repr, missing))} is missing")
        at = {name: header.index(name) for name in ("id", *inputs)}
        for cells in reader:
            if len(cells) != len(header):
                raise InvalidData(
                    f"line {reader.line_num}: {len(cells)} cells where the header has {len(header)}"
                )
            try:
                yield cells[at["id"]], model.contract.read_row({name: cells[at[name]] for name in inputs})
            except ValidationError as error:
                wrong = "; ".join(f"{field['path']}: {field['message']}" for field in error.fields)
                raise InvalidData(f"line {reader.line_num}: {wrong}") from None
    except csv.Error as error:
        raise InvalidData(f"line {reader.line_num}: {error}") from None
