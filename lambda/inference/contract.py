"""The request contract, built from the manifest.

A request is decoded and checked in one step by types that msgspec compiles from the manifest. Only when that
step refuses does a slow walk over the same rules collect every wrong field, so that a caller can mend a whole
request at once.
"""

import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Annotated, Any, TypeAlias

import msgspec
from manifest import Input, Manifest

MAX_REPORTED = 20
_LONGEST_NAME = 80
# Models compute in single precision: a larger number would silently become infinity.
FLOAT_MAX: float = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError)

Column: TypeAlias = "array[float] | list[bytes]"
Fields: TypeAlias = "list[dict[str, str]]"


class InvalidJson(Exception):
    """The body is not JSON."""


class ValidationError(Exception):
    """The request does not keep the contract; `fields` says where and why."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields[:MAX_REPORTED]
        count = f"more than {MAX_REPORTED}" if len(fields) > MAX_REPORTED else str(len(fields))
        listed = f"; the first {MAX_REPORTED} are listed" if len(fields) > MAX_REPORTED else ""
        noun = "problem" if len(fields) == 1 else "problems"
        super().__init__(f"the request has {count} {noun}{listed}")


class Batch:
    """Rows that keep the contract, as the columns that the model takes."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column], rows: int) -> None:
        self.columns = columns
        self.rows = rows


class Contract:
    """What one model takes. Immutable: built once for each loaded model."""

    def __init__(self, manifest: Manifest, *, max_rows: int) -> None:
        self.inputs = manifest.inputs
        self.tabular = manifest.tabular
        self.max_rows = max_rows
        self._by_name = {field.name: field for field in manifest.inputs}
        self._row: Any = msgspec.defstruct(
            "Row",
            # A column may be named in any way; an attribute may not: so attributes are numbered.
            [
                (f"f{index}", _field_type(field), msgspec.field(name=field.name))
                for index, field in enumerate(manifest.inputs)
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        rows = Annotated[list[self._row], msgspec.Meta(min_length=1, max_length=max_rows)]  # type: ignore[name-defined]
        self._request: Any = msgspec.defstruct("Request", [("instances", rows)], forbid_unknown_fields=True)
        self._decode: Any = msgspec.json.Decoder(self._request).decode

    def parse(self, body: bytes | str) -> Batch:
        """Decode and check the body of a request.

        Raises:
            InvalidJson: the body is not JSON.
            ValidationError: it is, and does not keep the contract.
        """
        try:
            return self.batch(self._decode(body).instances)
        except msgspec.ValidationError as error:
            raise self._problems(_plain(body), error) from None
        except _NOT_JSON as error:
            raise InvalidJson(f"the body is not JSON: {error}") from None

    def check(self, request: object) -> Batch:
        """Check a request that is decoded already (a direct invocation).

        Raises:
            ValidationError: it does not keep the contract.
        """
        try:
            return self.batch(msgspec.convert(request, self._request).instances)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise self._problems(request, error) from None

    def rows_of(self, request: object) -> list[Any]:
        """Check a request that is decoded already; return its rows, to be put together with others.

        Raises:
            ValidationError: it does not keep the contract.
        """
        try:
            rows: list[Any] = msgspec.convert(request, self._request).instances
            self.batch(rows)  # what cannot be encoded is found here
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise self._problems(request, error) from None
        return rows

    def columns_of(self, values: list[Any]) -> list[Column]:
        """One row that the model takes, of values that were not checked."""
        if self.tabular:
            return [array("f", values)]
        return [array("f", [value]) if isinstance(value, float) else [value] for value in values]

    def read_row(self, cells: dict[str, str]) -> Any:
        """Read one row of text, such as a line of a CSV file, into a row for `batch`.

        Raises:
            ValidationError: it does not keep the contract; paths are names of inputs.
        """
        row = {
            field.name: cells[field.name] if field.type == "string" else _number(cells[field.name])
            for field in self.inputs
        }
        fields = [{**each, "path": each["path"][1:]} for each in self._walk_row("", row)]
        if fields:
            raise ValidationError(fields)
        return msgspec.convert(row, self._row)

    def batch(self, rows: list[Any]) -> Batch:
        """Turn checked rows into what the model takes."""
        values = map(msgspec.structs.astuple, rows)
        if self.tabular:
            return Batch([array("f", chain.from_iterable(values))], len(rows))
        columns = zip(*values, strict=True)
        return Batch(
            [_column(field, column) for field, column in zip(self.inputs, columns, strict=True)], len(rows)
        )

    def _problems(self, request: object, refusal: Exception) -> ValidationError:
        found = list(islice(self._walk(request), MAX_REPORTED + 1))
        return ValidationError(found or [{"path": "", "message": str(refusal)}])

    def _walk(self, request: object) -> Iterator[dict[str, str]]:
        """Yield every place where a request breaks the contract."""
        if not isinstance(request, dict):
            yield _problem("", f'expected an object {{"instances": […]}}, got {_kind(request)}')
            return
        for name in request:
            if name != "instances":
                yield _problem(shown_name(name), "is not known here (allowed: instances)")
        if "instances" not in request:
            yield _problem("instances", "is required")
            return
        rows = request["instances"]
        if not isinstance(rows, list):
            yield _problem("instances", f"expected an array of rows, got {_kind(rows)}")
            return
        if not rows:
            yield _problem("instances", "must hold at least one row")
        if len(rows) > self.max_rows:
            yield _problem("instances", f"must hold at most {self.max_rows} rows, got {len(rows)}")
            return
        for index, row in enumerate(rows):
            yield from self._walk_row(f"instances[{index}]", row)

    def _walk_row(self, path: str, row: object) -> Iterator[dict[str, str]]:
        if not isinstance(row, dict):
            yield _problem(path, f"expected an object, got {_kind(row)}")
            return
        for field in self.inputs:
            if field.name not in row:
                yield _problem(f"{path}.{field.name}", "is required")
            else:
                complaint = _complaint(field, row[field.name])
                if complaint:
                    yield _problem(f"{path}.{field.name}", complaint)
        for name in row:
            if name not in self._by_name:
                allowed = ", ".join(islice(self._by_name, 10)) + (", …" if len(self._by_name) > 10 else "")
                yield _problem(f"{path}.{shown_name(name)}", f"is not known here (allowed: {allowed})")


def _field_type(field: Input) -> Any:
    if field.type == "string":
        return Annotated[str, msgspec.Meta(max_length=field.max_length)] if field.max_length else str
    # Both bounds are always there: NaN, which an event that is decoded already can hold, is within none.
    return Annotated[float, msgspec.Meta(ge=_lowest(field), le=_highest(field))]


def _lowest(field: Input) -> float:
    return -FLOAT_MAX if field.minimum is None else max(field.minimum, -FLOAT_MAX)


def _highest(field: Input) -> float:
    return FLOAT_MAX if field.maximum is None else min(field.maximum, FLOAT_MAX)


def _column(field: Input, values: Sequence[Any]) -> Column:
    if field.type == "float":
        return array("f", values)
    if field.transform == "lowercase":
        return [text.lower().encode() for text in values]
    return [text.encode() for text in values]


def _plain(body: bytes | str) -> object:
    try:
        decoded: object = msgspec.json.decode(body)
    except _NOT_JSON as error:  # behind the place where the types refused
        raise InvalidJson(f"the body is not JSON: {error}") from None
    return decoded


def _number(text: str) -> float | str:
    """Read a number, or leave the text for a complaint. Python would also read 1_000."""
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _complaint(field: Input, value: object) -> str | None:
    """Say what is wrong with a value, or None."""
    if field.type == "string":
        return _text_complaint(field, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number, got {_kind(value)}"
    # A whole number may have more digits than a float holds.
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be finite, got {value}"
    if value < _lowest(field):
        return f"must be at least {_lowest(field):g}, got {_short(value)}"
    if value > _highest(field):
        return f"must be at most {_highest(field):g}, got {_short(value)}"
    return None


def _text_complaint(field: Input, value: object) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, got {_kind(value)}"
    if field.max_length is not None and len(value) > field.max_length:
        return f"must have at most {field.max_length} characters, got {len(value)}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not a character"
    return None


def _problem(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def shown_name(name: object) -> str:
    """A name that a caller made up, as it can be sent back: short, and text."""
    text = str(name)
    shown = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return shown.encode("utf-8", "replace").decode()


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {_short(value)}"
    if isinstance(value, int | float):
        return f"the number {_short(value)}"
    return "an array" if isinstance(value, list) else "an object"


def _short(value: object) -> str:
    if isinstance(value, str):
        value = value[:40]  # the rest would be written for nothing
    try:
        text = repr(value)
    except ValueError:  # Python writes no numbers of thousands of digits
        return "one with thousands of digits"
    return text if len(text) <= 40 else text[:39] + "…"
