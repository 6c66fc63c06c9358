"""Rows as Feature Store's records: typed, complete, and nothing that the group does not have."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# What Feature Store takes as an event time: UTC, to the second or to the millisecond.
_ISO_8601 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z")
_LONGEST = 358_400
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

Record = list[dict[str, str]]


class InvalidRowError(ValueError):
    """A row is not one of the group; the message says why."""


@dataclass(frozen=True, slots=True)
class Group:
    """What the function knows of its feature group."""

    name: str
    features: Mapping[str, str]
    record_id: str
    event_time: str

    def record(self, row: object) -> Record:
        """The row as ``PutRecord`` takes it. A feature without a value is left out.

        Raises:
            InvalidRowError: The row is not one of this group.
        """
        if not isinstance(row, Mapping):
            raise InvalidRowError(f"an object is wanted, with features by name, not {type(row).__name__}")
        unknown = sorted(str(name) for name in row if name not in self.features)
        if unknown:
            raise InvalidRowError(f"no feature of the group: {', '.join(unknown[:10])}")
        record: Record = []
        for name, kind in self.features.items():
            value = row.get(name)
            if value is None or value == "":
                if name in (self.record_id, self.event_time):
                    raise InvalidRowError(f"{name} has no value")
                continue
            text = _text(name, kind, value)
            if name == self.event_time:
                _check_time(name, kind, text)
            record.append({"FeatureName": name, "ValueAsString": text})
        return record


def _text(name: str, kind: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRowError(f"{name} is {type(value).__name__}; {kind} is wanted")
    if kind == "Integral":
        return _integral(name, value)
    if kind == "Fractional":
        return _fractional(name, value)
    if not isinstance(value, str):
        raise InvalidRowError(f"{name} is the number {value!r}; a text is wanted")
    if len(value.encode()) > _LONGEST:
        raise InvalidRowError(f"{name} has {len(value.encode())} bytes; at most {_LONGEST} are taken")
    return value


def _integral(name: str, value: str | float) -> str:
    try:
        number = int(value) if isinstance(value, int | str) else _whole(value)
    except ValueError as error:
        raise InvalidRowError(f"{name} is {value!r}; a whole number is wanted") from error
    if not _SMALLEST <= number <= _LARGEST:
        raise InvalidRowError(f"{name} is {value!r}, which 64 bits cannot hold")
    return str(number)


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError(value)
    return int(value)


def _fractional(name: str, value: str | float) -> str:
    try:
        number = float(value)
    except ValueError as error:
        raise InvalidRowError(f"{name} is {value!r}; a number is wanted") from error
    if not math.isfinite(number):
        raise InvalidRowError(f"{name} is {value!r}; a finite number is wanted")
    return repr(number)


def _check_time(name: str, kind: str, text: str) -> None:
    if kind != "String":
        if float(text) <= 0:
            raise InvalidRowError(f"{name} is {text}; seconds since 1970 are wanted")
        return
    if _ISO_8601.fullmatch(text) is None:
        raise InvalidRowError(f"{name} is {text!r}; 2026-11-28T12:00:00Z is wanted, in UTC")
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRowError(f"{name} is {text!r}: {error}") from error
