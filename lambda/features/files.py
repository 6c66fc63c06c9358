"""The rows of an object in S3: CSV with a header, or JSON lines; one by one, however large it is."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator
from typing import IO, Any

Row = tuple[int, Any]
"""A line's number and what it holds; an :class:`UnreadableRowError` where it cannot be read."""


class UnreadableObjectError(ValueError):
    """An object is no table at all; the message says why."""


class UnreadableRowError(ValueError):
    """A line cannot be read; the message says why."""


def rows(name: str, body: IO[bytes]) -> Iterator[Row]:
    """The rows of an object, by how its name ends.

    Raises:
        UnreadableObjectError: It is not in UTF-8, or a CSV without a header.
    """
    # A byte order mark is no part of the first name.
    text = codecs.getreader("utf-8-sig")(body)
    try:
        yield from _csv(name, text) if name.lower().endswith(".csv") else _json_lines(text)
    except UnicodeDecodeError as error:
        raise UnreadableObjectError(f"{name} is not in UTF-8: {error}") from error
    except csv.Error as error:
        raise UnreadableObjectError(f"{name} is no CSV: {error}") from error


def _csv(name: str, text: codecs.StreamReader) -> Iterator[Row]:
    reader = csv.reader(text, strict=True)
    header = next(reader, None)
    if not header or any(not column for column in header):
        raise UnreadableObjectError(f"{name} has no header of names")
    if len(set(header)) != len(header):
        raise UnreadableObjectError(f"{name} has a name twice in its header: {', '.join(header)}")
    while True:
        line = reader.line_num + 1
        cells = next(reader, None)
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield line, UnreadableRowError(f"{len(cells)} cells for {len(header)} columns")
        else:
            yield line, dict(zip(header, cells, strict=True))


def _json_lines(text: codecs.StreamReader) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if line.strip():
            yield number, parsed(line)


def parsed(text: str) -> Any:
    """The JSON of a text; the error where it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        return UnreadableRowError(f"no JSON: {error}")
