"""How Athena works out the values of a partition key without asking the catalog."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.column_types import ColumnType

DateUnit = Literal["YEARS", "MONTHS", "WEEKS", "DAYS", "HOURS", "MINUTES", "SECONDS"]

_LONG = 2**63
_NOW = re.compile(r"NOW([+-][0-9]+(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?")
# From coarse to fine, with Python's word for Java's letters.
_PARTS = (
    ("YEARS", "yyyy", "%Y"),
    ("MONTHS", "MM", "%m"),
    ("DAYS", "dd", "%d"),
    ("HOURS", "HH", "%H"),
    ("MINUTES", "mm", "%M"),
    ("SECONDS", "ss", "%S"),
)
_ORDER = ("YEARS", "MONTHS", "WEEKS", "DAYS", "HOURS", "MINUTES", "SECONDS")


@dataclass(frozen=True, kw_only=True, slots=True)
class EnumProjection:
    """A key with a known set of values, a few dozen at most."""

    values: Sequence[str]
    """The values, none with a comma: Athena separates them by it."""

    def check(self, problems: Problems, given: str, type_: ColumnType | None) -> None:
        problems.check(bool(self.values), given=f"{given}, no values", allowed="one value or more")
        for value in self.values:
            problems.check(
                is_token(value) or (bool(value) and "," not in value and value == value.strip()),
                given=f"{given}, value {value!r}",
                allowed="values without commas, and without spaces around them, which would count",
            )
        problems.check(
            len(set(self.values)) == len(self.values),
            given=f"{given}, a value twice",
            allowed="each value once",
        )
        _check_type(
            problems, given, type_, type_ is None or type_.is_text or type_.is_integer, "text or integer"
        )

    def parameters(self) -> dict[str, str]:
        return {"type": "enum", "values": ",".join(self.values)}


@dataclass(frozen=True, kw_only=True, slots=True)
class IntegerProjection:
    """A key that counts, both ends included."""

    minimum: int
    """The first value."""

    maximum: int
    """The last value."""

    interval: int = 1
    """From one value to the next, 1 or more. Default: 1."""

    digits: int | None = None
    """Leading zeros up to so many digits: 2 for ``01`` to ``12``. Default: none."""

    def check(self, problems: Problems, given: str, type_: ColumnType | None) -> None:
        problems.check(
            -_LONG <= self.minimum <= self.maximum < _LONG,
            given=f"{given}, {self.minimum} to {self.maximum}",
            allowed="minimum up to maximum, both of 64 bits",
        )
        problems.check(self.interval >= 1, given=f"{given}, interval={self.interval}", allowed="1 or more")
        if self.digits is not None:
            longest = max(len(str(abs(self.minimum))), len(str(abs(self.maximum))))
            problems.check(
                self.minimum >= 0 and self.digits >= longest,
                given=f"{given}, digits={self.digits} for {self.minimum} to {self.maximum}",
                allowed="as many digits as the longest value has, and no negative values",
                write=f"digits={longest}",
            )
        _check_type(
            problems, given, type_, type_ is None or type_.is_text or type_.is_integer, "text or integer"
        )

    def parameters(self) -> dict[str, str]:
        found = {"type": "integer", "range": f"{self.minimum},{self.maximum}", "interval": str(self.interval)}
        return found if self.digits is None else {**found, "digits": str(self.digits)}


@dataclass(frozen=True, kw_only=True, slots=True)
class DateProjection:
    """A key of days, hours or other steps of time, both ends included."""

    start: str
    """The first one: a date in ``format``, or ``NOW`` with an offset such as ``NOW-3YEARS``."""

    end: str = "NOW"
    """The last one, written like ``start``. Default: ``NOW``."""

    format: str = "yyyy-MM-dd"
    """Of Java's letters ``yyyy``, ``MM``, ``dd``, ``HH``, ``mm``, ``ss``, from the coarsest on and none left
    out, with separators between them. Default: ``yyyy-MM-dd``."""

    interval: int = 1
    """Units from one value to the next, 1 or more. Default: 1."""

    unit: DateUnit | None = None
    """Default: the finest part of ``format``."""

    def check(self, problems: Problems, given: str, type_: ColumnType | None) -> None:
        problems.check(self.interval >= 1, given=f"{given}, interval={self.interval}", allowed="1 or more")
        _check_type(
            problems,
            given,
            type_,
            type_ is None or type_.is_text or type_.base in ("date", "timestamp"),
            "text, date or timestamp",
        )
        letters = self._letters()
        problems.check(
            letters is not None,
            given=f"{given}, format={self.format!r}",
            allowed="yyyy, then MM, dd, HH, mm and ss as far as needed, in this order",
            write='format="yyyy-MM-dd"',
        )
        if letters is None:
            return
        finest = _PARTS[len(letters) - 1][0]
        problems.check(
            self.unit is None or _ORDER.index(self.unit) <= _ORDER.index(finest),
            given=f"{given}, unit={self.unit}, format={self.format!r}",
            allowed="a unit that the format can tell apart; this one names each partition several times",
            write=f'unit="{finest}"',
        )
        ends = [self._moment(problems, given, end) for end in (self.start, self.end)]
        if ends[0] is not None and ends[1] is not None:
            problems.check(
                ends[0] <= ends[1], given=f"{given}, {self.start} to {self.end}", allowed="start before end"
            )

    def parameters(self) -> dict[str, str]:
        return {
            "type": "date",
            "range": f"{self.start},{self.end}",
            "format": self.format,
            "interval": str(self.interval),
            # Athena has a default for days and months only.
            "interval.unit": self.unit or _PARTS[len(self._letters() or ()) - 1][0],
        }

    def _letters(self) -> list[str] | None:
        """The parts of the format, or None if they are not the first ones in their order."""
        found = re.findall(r"[A-Za-z]+", re.sub(r"'[^']*'", "", self.format))
        known = [letters for _, letters, _ in _PARTS]
        return found if found and found == known[: len(found)] else None

    def _moment(self, problems: Problems, given: str, text: str) -> datetime | None:
        """When that is; None if it is relative to now, or wrong."""
        if is_token(text) or _NOW.fullmatch(text.replace(" ", "")):
            return None
        pattern = self.format.replace("%", "%%").replace("'", "")
        for _, java, python in _PARTS:
            pattern = pattern.replace(java, python)
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            problems.check(
                False,
                given=f"{given}, {text!r}",
                allowed=f"a date in the format {self.format}, or NOW, NOW-3YEARS and such",
            )
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectedProjection:
    """A key with values that nobody can list: every query has to name the ones it wants."""

    def check(self, problems: Problems, given: str, type_: ColumnType | None) -> None:
        _check_type(problems, given, type_, type_ is None or type_.is_text, "text")

    def parameters(self) -> dict[str, str]:
        return {"type": "injected"}


Projection = EnumProjection | IntegerProjection | DateProjection | InjectedProjection


def _check_type(problems: Problems, given: str, type_: ColumnType | None, fits: bool, allowed: str) -> None:
    problems.check(fits, given=f"{given} of type {type_ and type_.text}", allowed=f"a key of type {allowed}")
