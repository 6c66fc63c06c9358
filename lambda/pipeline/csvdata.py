"""CSV from S3 as a stream of rows, strict about what it reads.

UTF-8 (with or without a byte order mark) and UTF-16 are recognised; everything else is refused with the line
and the byte at which it stopped making sense. No more than one record and one chunk are held in memory.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import objects
from botocore.exceptions import ClientError
from clients import s3
from errors import InvalidData
from events import DataObject, S3Object

_CHUNK_BYTES = 256 * 1024
_MAXIMUM_FIELD_CHARACTERS = 1024 * 1024
_MAXIMUM_LINE_CHARACTERS = 8 * 1024 * 1024
_MAXIMUM_COLUMNS = 10_000

_SIGNATURES = {
    b"\x1f\x8b": "gzip-compressed; upload it uncompressed",
    b"PK\x03\x04": "a zip archive or a spreadsheet; export it as CSV",
    b"PAR1": "Parquet; this step reads CSV",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; upload it uncompressed",
    codecs.BOM_UTF32_LE: "UTF-32; save it as UTF-8",
    codecs.BOM_UTF32_BE: "UTF-32; save it as UTF-8",
}

csv.field_size_limit(_MAXIMUM_FIELD_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Table:
    """A header and the rows below it, each with the line that it starts on. The rows can be read once."""

    name: str
    header: list[str]
    rows: Iterator[tuple[int, list[str]]]

    def require(self, columns: Iterable[str]) -> list[int]:
        """The positions of columns that must be there."""
        missing = [column for column in columns if column not in self.header]
        if missing:
            raise InvalidData(
                f"{self.name} has no column {', '.join(map(repr, missing))}; "
                f"its columns are {', '.join(map(repr, self.header))}"
            )
        return [self.header.index(column) for column in columns]


@contextmanager
def open_table(reference: S3Object | DataObject) -> Iterator[Table]:
    """Read a CSV object; with a `versionId`, that version of it."""
    version = reference.get("versionId")
    name = objects.uri(reference)
    try:
        if isinstance(version, str) and version:
            answer = s3().get_object(Bucket=reference["bucket"], Key=reference["key"], VersionId=version)
        else:
            answer = s3().get_object(Bucket=reference["bucket"], Key=reference["key"])
    except ClientError as error:
        if objects.is_missing(error) or error.response.get("Error", {}).get("Code") == "NoSuchVersion":
            raise InvalidData(f"there is no object {name} (any more)") from error
        raise
    body = answer["Body"]
    try:
        yield read_table(body.iter_chunks(_CHUNK_BYTES), name)
    finally:
        body.close()


def read_table(chunks: Iterable[bytes], name: str) -> Table:
    """Read the header now and the rows as they are asked for.

    Raises:
        InvalidData: now or while the rows are read, with the line and where it can be told the column.
    """
    records = _records(_lines(_decoded(chunks, name), name), name)
    try:
        line, header = next(records)
    except StopIteration:
        raise InvalidData(f"{name} is empty: not even a header is there") from None
    _check_header(header, line, name)
    return Table(name, header, _checked(records, header, name))


class CsvWriter(Protocol):
    """What `csv.writer` returns."""

    def writerow(self, row: Iterable[Any], /) -> object: ...


@contextmanager
def writer(file: IO[bytes]) -> Iterator[CsvWriter]:
    """Write rows as UTF-8 CSV to a binary file, which stays open."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield csv.writer(text, lineterminator="\n")
    finally:
        text.flush()
        text.detach()


def _check_header(header: Sequence[str], line: int, name: str) -> None:
    where = f"{name}, line {line}"
    if len(header) > _MAXIMUM_COLUMNS:
        raise InvalidData(f"{where}: the header has {len(header)} columns, more than {_MAXIMUM_COLUMNS}")
    seen: dict[str, int] = {}
    for position, column in enumerate(header, 1):
        if not column.strip():
            raise InvalidData(f"{where}: column {position} of the header has no name")
        first = seen.setdefault(column, position)
        if first != position:
            raise InvalidData(f"{where}: columns {first} and {position} are both named {column!r}")
    if all(_is_number(column) for column in header):
        raise InvalidData(f"{where}: the header is missing, the first line holds only numbers")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _checked(
    records: Iterator[tuple[int, list[str]]], header: Sequence[str], name: str
) -> Iterator[tuple[int, list[str]]]:
    width = len(header)
    for line, row in records:
        if len(row) != width:
            raise InvalidData(f"{name}, line {line}: {len(row)} fields, but the header has {width}")
        yield line, row


def _decoded(chunks: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode the bytes, and know the line and byte at which that fails."""
    source = iter(chunks)
    first = next((chunk for chunk in source if chunk), b"")
    encoding = _encoding(first, name)
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    lines = 1
    chunk: bytes | None = first
    while chunk is not None:
        following = next(source, None)
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final=following is None)
        except UnicodeDecodeError as error:
            byte = read - len(error.object) + error.start
            good = error.object[: error.start].decode(encoding, errors="replace")
            raise InvalidData(
                f"{name}, line {lines + good.count(chr(10))}, byte {byte + 1}: not {encoding.upper()} "
                f"({error.reason}: 0x{error.object[error.start]:02x}); save the file as UTF-8"
            ) from None
        if "\0" in text:
            line = lines + text.count("\n", 0, text.index("\0"))
            raise InvalidData(f"{name}, line {line}: a NUL character; the file is damaged or not text")
        lines += text.count("\n")
        yield text
        chunk = following


def _encoding(start: bytes, name: str) -> str:
    for signature, description in _SIGNATURES.items():
        if start.startswith(signature):
            raise InvalidData(f"{name}, line 1, byte 1: the file is {description}")
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark, mostly Latin text in UTF-16 shows as zeros in every other byte.
    sample = start[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(sample) >= 4 and max(even, odd) * 4 > len(sample) and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"


def _lines(texts: Iterable[str], name: str) -> Iterator[str]:
    """Cut text into lines at LF, CR and CRLF, and at nothing else: a field may hold any other separator."""
    carry = ""
    count = 0
    for text in texts:
        lines = list(io.StringIO(carry + text, newline=""))
        # The last line may go on in the next chunk; so may a CR that ends it.
        carry = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        if len(carry) > _MAXIMUM_LINE_CHARACTERS:
            raise InvalidData(
                f"{name}, line {count + len(lines) + 1}: longer than {_MAXIMUM_LINE_CHARACTERS} characters"
            )
        count += len(lines)
        yield from lines
    if carry:
        yield carry


def _records(lines: Iterator[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Parse lines to rows; blank lines are skipped."""
    record: list[str] = []  # the lines of the record that is being read, to explain an error in it

    def remembered() -> Iterator[str]:
        for line in lines:
            record.append(line)
            yield line

    reader = csv.reader(remembered(), strict=True)
    start = 1
    while True:
        record.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _explained(error, record, start, name) from None
        if row:
            yield start, row
        start = reader.line_num + 1


def _explained(error: csv.Error, record: Sequence[str], start: int, name: str) -> InvalidData:
    """Find the place that the parser's error does not tell."""
    if "field larger" in str(error):
        return InvalidData(
            f"{name}, line {start}: a field longer than {_MAXIMUM_FIELD_CHARACTERS} characters; "
            "a quote that is never closed reads like this"
        )
    line, column, opened = start, 0, (start, 1)
    state = "start"  # of a field, or "plain", "quoted", "closed"
    for text in record:
        for column, character in enumerate(text.rstrip("\r\n"), 1):
            if state == "quoted":
                state = "closed" if character == '"' else "quoted"
            elif character == ",":
                state = "start"
            elif state == "start":
                state, opened = ("quoted", (line, column)) if character == '"' else ("plain", opened)
            elif state == "closed":
                if character != '"':
                    return InvalidData(
                        f"{name}, line {line}, column {column}: expected ',' after the closing quote, "
                        f"found {character!r}; a quote within a field is written twice"
                    )
                state = "quoted"
        if state != "quoted":
            state = "start"
        line += 1
    return InvalidData(f"{name}, line {opened[0]}, column {opened[1]}: the quote opened here is never closed")
