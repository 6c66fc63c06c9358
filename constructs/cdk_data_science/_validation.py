"""Wrong input is told at construction, all of it at once."""

from __future__ import annotations

import functools
import math
import re
import zoneinfo
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from aws_cdk import Token
from constructs import Construct

_HIDDEN_IN_TEXT = "Token["
# CDK hides numbers that are not known yet in doubles around -1.9e+289.
_NO_TOKEN_BELOW = -1e280
_ZONE = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,2}")
FOLDER = re.compile(r"([A-Za-z0-9!_.()=-]+/)+")
"""A folder of a zone: no slash at the start, one at the end.

Of what S3 calls safe in keys, without quotes and wildcards, which would end a JSONata string and match other
folders in policies and event patterns; and with the equals sign of partitions such as ``day=2026-11-24/``.
"""


class ConfigurationError(ValueError):
    """A construct was given values that cannot work.

    The message lists every problem that was found: what was given, what is allowed and what to write instead.
    """


def is_token(value: Any) -> bool:
    """Whether a value is known only at deployment and so cannot be checked now."""
    if value is None or isinstance(value, bool):
        return False
    # What surely is none is not sent to CDK's process, where each question costs half a millisecond.
    if isinstance(value, str):
        return _HIDDEN_IN_TEXT in value and Token.is_unresolved(value)
    if isinstance(value, int | float):
        # JSON has no infinity: asking jsii of one ends its process.
        return -math.inf < value < _NO_TOKEN_BELOW and Token.is_unresolved(value)
    return Token.is_unresolved(value)


def is_whole(value: object, minimum: int) -> bool:
    """Whether a value is a whole number of at least ``minimum``; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def in_order(smaller: object, larger: object) -> bool:
    """Whether one number is at most the other; tokens, and what is no number, are told of elsewhere or not at
    all."""
    if is_token(smaller) or is_token(larger):
        return True
    numbers = isinstance(smaller, int | float) and isinstance(larger, int | float)
    return not numbers or smaller <= larger  # type: ignore[operator]


def is_list(values: object) -> TypeGuard[Collection[Any]]:
    """Whether a value is a list of things. A text is none, of which each letter would be one; nor is a
    mapping, or what can be gone through once only."""
    return isinstance(values, Collection) and not isinstance(values, str | bytes | Mapping)


def shown(value: object) -> str:
    """A value as it was written, or its kind where that says more."""
    if value is None or isinstance(value, str | int | float | dict):
        return repr(value)
    if isinstance(value, type):
        return f"{value.__name__}, which is not made"
    return f"{type(value).__name__}(…)"


def known_time_zone(name: str) -> bool:
    """Whether the time zone database has a name; where a system has none, whether it could be one."""
    known = _time_zones()
    return name in known if known else _ZONE.fullmatch(name) is not None


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())  # which reads every file of the database


class Problems:
    """Collects the mistakes in one construct's arguments, to raise them as one error.

    >>> problems = Problems("SpotTraining")
    >>> problems.check(3 > 4, given="max_wait=3 h", allowed="at least max_runtime (4 h)", write="max_wait=…")
    >>> problems.raise_if_any()
    Traceback (most recent call last):
        ...
    cdk_data_science._validation.ConfigurationError: SpotTraining: 1 problem
      - given max_wait=3 h; allowed: at least max_runtime (4 h); write: max_wait=…
    """

    def __init__(self, what: str, scope: Construct | None = None) -> None:
        self._what, self._scope = what, scope
        self._found: list[str] = []

    def check(self, condition: bool, *, given: str, allowed: str, write: str | None = None) -> None:
        """Record a problem unless ``condition`` holds."""
        if not condition:
            advice = f"; write: {write}" if write is not None else ""
            self._found.append(f"given {given}; allowed: {allowed}{advice}")

    def check_list(self, option: str, value: object) -> None:
        """Record a text where a list of texts is meant: it would be taken letter by letter, with which a type
        checker finds nothing wrong."""
        self.check(
            not isinstance(value, str),
            given=f"{option}={value!r}",
            allowed="a list: each letter of a text would be one of its items",
            write=f'{option}=["{value}"]',
        )

    def check_kind(self, option: str, value: object, kinds: type | tuple[type, ...], *, write: str) -> None:
        """Record a value of another kind, which fails somewhere else later for who has no type checker.
        What follows uses the value, so raise before it."""
        names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        self.check(
            isinstance(value, kinds),
            given=f"{option}{' ' if ' ' in option else '='}{shown(value)}",
            allowed=names,
            write=write if " " in option else f"{option}={write}",
        )

    def check_each(self, option: str, values: object, kinds: type | tuple[type, ...], *, write: str) -> None:
        """Record what is no list, or has an item of another kind. What follows uses the items, so raise
        before it."""
        items = list(values) if is_list(values) else [values]
        names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        wrong = [shown(each) for each in items if not isinstance(each, kinds)]
        self.check(
            is_list(values) and not wrong,
            given=f"{option} with {', '.join(wrong)}" if is_list(values) else f"{option}={shown(values)}",
            allowed=f"a list of {names}",
            write=f"{option}=[{write}]",
        )

    def check_constructs(self, option: str, *values: object, write: str) -> None:
        """Record nothing, or a text, such as an ARN, where a construct is meant. What follows uses the
        construct, so raise before it."""
        for value in values:
            self.check(
                value is not None
                and not isinstance(value, str | bytes | int | float | Mapping | list | tuple),
                given=f"{option}={shown(value)}",
                allowed="a construct, or one that stands for what is there already",
                write=f"{option}={write}",
            )

    def check_each_construct(self, option: str, values: object, *, write: str) -> None:
        """Record what is no list of constructs, once, or each text in it. What follows uses the constructs,
        so raise before it."""
        # What jsii hands out for an interface has a class that says nothing.
        one = getattr(getattr(values, "node", None), "path", None)
        self.check(
            is_list(values),
            given=f"{option}={shown(values)}" if one is None else f"{option}, which is {one} alone",
            allowed="a list of constructs, or of those that stand for what is there already",
            write=f"{option}=[{write}]",
        )
        if is_list(values):
            self.check_constructs(option, *values, write=f"[{write}]")

    def raise_if_any(self) -> None:
        """Raise one :class:`ConfigurationError` that lists every problem recorded so far."""
        if self._found:
            count = f"{len(self._found)} problem{'s' if len(self._found) > 1 else ''}"
            lines = "".join(f"\n  - {problem}" for problem in self._found)
            where = "" if self._scope is None else f" at {self._scope.node.path}"
            raise ConfigurationError(f"{self._what}{where}: {count}{lines}")
