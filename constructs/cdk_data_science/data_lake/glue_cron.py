"""Times in Glue's cron grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SHORTEST_MINUTES = 5


class NotCron(ValueError):
    """What was written is no schedule; the message says what is expected instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    words: Sequence[str] = ()
    special: str = ""

    def check(self, text: str) -> None:
        """Refuse what is no list of values, ranges and steps."""
        for part in text.split(","):
            if not self._is_part(part, alone=part == text):
                raise NotCron(
                    f"{self.name} of {self.first} to {self.last}"
                    + (f" or {self.words[0]} to {self.words[-1]}" if self.words else "")
                    + f", with , - * /{' ' + ' '.join(self.special) if self.special else ''}, not {part!r}"
                )

    def _is_part(self, part: str, *, alone: bool) -> bool:
        if part == "?":
            return alone and "?" in self.special
        if "L" in self.special and re.fullmatch(r"L|[1-7A-Z]{1,3}L", part):
            return part == "L" or ("W" not in self.special and self._number(part[:-1]) is not None)
        if "W" in self.special and (match := re.fullmatch(r"([0-9]{1,2}|L)W", part)):
            return match[1] == "L" or self._number(match[1]) is not None
        span, slash, step = part.partition("/")
        if slash and not (step.isdigit() and 1 <= int(step) <= max(self.last - self.first, 1)):
            return False
        if span == "*":
            return True
        ends = [self._number(end) for end in span.split("-")]
        return (
            len(ends) <= 2
            and all(end is not None for end in ends)
            and (len(ends) == 1 or (ends[0] or 0) <= (ends[1] or 0))
        )

    def _number(self, text: str) -> int | None:
        if text in self.words:
            return self.words.index(text) + self.first
        return int(text) if text.isdigit() and self.first <= int(text) <= self.last else None


_FIELDS = (
    _Field(name="minutes", first=0, last=59),
    _Field(name="hours", first=0, last=23),
    _Field(name="a day of the month", first=1, last=31, special="?LW"),
    _Field(name="a month", first=1, last=12, words=_MONTHS),
    _Field(name="a day of the week", first=1, last=7, words=_DAYS, special="?L"),
    _Field(name="a year", first=1970, last=2199),
)


def check_cron(expression: str) -> None:
    """Refuse what Glue would refuse, and what would start a crawl while the one before is still at work.

    Args:
        expression: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``.

    Raises:
        NotCron: For anything else, such as ``rate(1 day)`` or Unix's five fields.

    Follows https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html.
    """
    match = re.fullmatch(r"cron\((.*)\)", expression)
    if match is None:
        raise NotCron("cron(Minutes Hours Day-of-month Month Day-of-week Year)")
    fields = match[1].split()
    if len(fields) != len(_FIELDS):
        raise NotCron(f"six fields, the last one the year; these are {len(fields)}")
    for field, text in zip(_FIELDS, fields, strict=True):
        field.check(text)
    if (fields[2] == "?") == (fields[4] == "?"):
        raise NotCron("a ? for the day of the month or for the day of the week, and not for both")
    if _gap(fields[0]) < _SHORTEST_MINUTES:
        raise NotCron(f"at least {_SHORTEST_MINUTES} minutes from one time to the next")


def _gap(minutes: str) -> int:
    """The shortest time between two of these minutes of an hour, or the hours after it."""
    found: set[int] = set()
    for part in minutes.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0", "-", "59") if span == "*" else span.partition("-")
        end = int(last) if last else (59 if step else int(first))
        found.update(range(int(first), end + 1, int(step) if step else 1))
    ordered = sorted(found)
    return min(
        (later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + 60], strict=True)),
        default=60,
    )
