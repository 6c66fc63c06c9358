"""What a ruleset means; `str` of each part writes it back in the language."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum


class Keyword(Enum):
    """Values that cannot be written as a string."""

    NULL = "NULL"
    EMPTY = "EMPTY"
    WHITESPACES_ONLY = "WHITESPACES_ONLY"


Operand = float | str | Keyword


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator and what it compares with: numbers, strings or keywords."""

    operator: str  # = != > >= < <= | between | in | matches, the last three also with "not "
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        written = [_write(operand, raw=self.operator.endswith("matches")) for operand in self.operands]
        if self.operator.endswith("between"):
            return f"{self.operator} {written[0]} and {written[1]}"
        if self.operator.endswith("in"):
            return f"{self.operator} [{', '.join(written)}]"
        return f"{self.operator} {written[0]}"


@dataclass(frozen=True, slots=True)
class Simple:
    """One rule: its type, the columns that it looks at, what is asked of them, and of how many rows."""

    kind: str
    columns: tuple[str, ...] = ()
    condition: Condition | None = None
    threshold: Condition | None = None

    def __str__(self) -> str:
        parts = [self.kind, *(quote(column) for column in self.columns)]
        if self.condition is not None:
            parts.append(str(self.condition))
        if self.threshold is not None:
            parts.append(f"with threshold {self.threshold}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Composite:
    """Rules that must all hold (`and`), or of which one must (`or`)."""

    operator: str
    operands: tuple[Rule, ...]

    def __str__(self) -> str:
        return f" {self.operator} ".join(f"({operand})" for operand in self.operands)


Rule = Simple | Composite


def quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_number(number: float) -> str:
    """A number without exponent, as short as it can be while it reads back the same."""
    if number == int(number):
        return str(int(number))
    return format(Decimal(repr(number)), "f")


def _write(operand: Operand, *, raw: bool) -> str:
    if isinstance(operand, Keyword):
        return operand.value
    if isinstance(operand, str):
        return f'"{operand}"' if raw else quote(operand)
    return write_number(operand)
