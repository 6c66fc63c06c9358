"""Single values: when is one missing, a number, of a type, and does it meet a condition?"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime

from .model import Condition, Keyword, Operand

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
_TIMESTAMP = re.compile(rf"{_DATE.pattern}(?:[ T]{_TIME})?", re.ASCII)
_BOOLEANS = {"t", "true", "y", "yes", "1", "f", "false", "n", "no", "0"}

Predicate = Callable[[str], bool]


def number_of(value: str) -> float | None:
    """The number that is written in a field; NaN, infinity and thousands separators are not numbers."""
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if abs(number) != float("inf") else None


def satisfies(number: float, condition: Condition) -> bool:
    """Whether a number meets a condition on numbers. As in Glue, `between` leaves out its two ends."""
    operands = [operand for operand in condition.operands if isinstance(operand, float)]
    match condition.operator:
        case "=" | "in":
            return number in operands
        case "!=" | "not in":
            return number not in operands
        case ">":
            return number > operands[0]
        case ">=":
            return number >= operands[0]
        case "<":
            return number < operands[0]
        case "<=":
            return number <= operands[0]
        case "between":
            return operands[0] < number < operands[1]
        case "not between":
            return number <= operands[0] or number >= operands[1]
    raise AssertionError(condition.operator)


def value_predicate(condition: Condition) -> Predicate:
    """What `ColumnValues` asks of each field.

    A missing field meets only a condition that allows it by name (`NULL` or `EMPTY`) or that only forbids
    other values (`!=`, `not in`).
    """
    match condition.operator:
        case "=" | "in":
            return _one_of(condition.operands)
        case "!=" | "not in":
            among = _one_of(condition.operands)
            return lambda value: not among(value)
        case "matches" | "not matches":
            pattern = re.compile(str(condition.operands[0]))
            wanted = condition.operator == "matches"
            return lambda value: value != "" and (pattern.fullmatch(value) is not None) is wanted
    return lambda value: (number := number_of(value)) is not None and satisfies(number, condition)


def _one_of(operands: tuple[Operand, ...]) -> Predicate:
    strings = {operand for operand in operands if isinstance(operand, str)}
    numbers = {operand for operand in operands if isinstance(operand, float)}
    missing = Keyword.NULL in operands or Keyword.EMPTY in operands
    spaces = Keyword.WHITESPACES_ONLY in operands

    def among(value: str) -> bool:
        if value == "":
            return missing or "" in strings
        if value in strings or (spaces and value.isspace()):
            return True
        return bool(numbers) and number_of(value) in numbers

    return among


def type_predicate(name: str) -> Predicate:
    """Whether a field can be read as this type; a missing one can."""
    accepts = _TYPES[name]
    return lambda value: value == "" or accepts(value.strip())


def _within(bits: int) -> Predicate:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return lambda value: _INTEGER.fullmatch(value) is not None and low <= int(value) <= high


def _is_date(value: str) -> bool:
    return _DATE.fullmatch(value) is not None and _parses(date.fromisoformat, value)


def _is_timestamp(value: str) -> bool:
    return _TIMESTAMP.fullmatch(value) is not None and _parses(datetime.fromisoformat, value)


def _parses(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def _is_number(value: str) -> bool:
    return number_of(value) is not None


_TYPES: dict[str, Predicate] = {
    "BOOLEAN": lambda value: value.lower() in _BOOLEANS,
    "DATE": _is_date,
    "TIMESTAMP": _is_timestamp,
    "INTEGER": _within(32),
    "LONG": _within(64),
    "FLOAT": _is_number,
    "DOUBLE": _is_number,
}
