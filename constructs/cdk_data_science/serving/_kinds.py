"""Values of another kind than an option takes, told before anything computes with them.

A type checker finds them too; who has none would read of attributes that a text lacks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeGuard

from aws_cdk import Duration
from constructs import Construct

from cdk_data_science._validation import Problems, is_list, is_token, shown

_PLAIN: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "Duration": (Duration,),
}
_SAID = {
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "Duration": "a Duration, such as Duration.minutes(5)",
}

_PUBLISHED = {
    "IModel": ("made_for", "a Model, built here or imported"),
    "IZone": ("uri", "a zone of a lake, such as lake.curated"),
}
"""By the name of an interface: what it has, and what it is."""


class Kinds:
    """Collects the options of a construct that are of another kind, to raise them as one error."""

    def __init__(self, what: str, scope: Construct) -> None:
        self._problems = Problems(what, scope)

    def one(self, name: str, value: object, *kinds: type) -> Kinds:
        """An option that may be left out."""
        if value is None:
            return self
        self._problems.check(
            isinstance(value, kinds),
            given=f"{name}={shown(value)}",
            allowed=" or ".join(kind.__name__ for kind in kinds),
            write=f"{name}={kinds[0].__name__}(…)",
        )
        if isinstance(value, kinds):
            self._fields(value)
        return self

    def many(self, name: str, values: object, *kinds: type) -> Kinds:
        """An option that is a list of such."""
        allowed = " or ".join(kind.__name__ for kind in kinds)
        if not self._is_list(values, name, f"{kinds[0].__name__}(…)"):
            return self
        for value in values:
            self._problems.check(
                isinstance(value, kinds),
                given=f"{name} with {shown(value)}",
                allowed=allowed,
                write=f"{name}=[{kinds[0].__name__}(…)]",
            )
            if isinstance(value, kinds):
                self._fields(value)
        return self

    def constructs(self, name: str, values: object) -> Kinds:
        """An option that is a list of constructs, own or imported."""
        if not self._is_list(values, name, "…"):
            return self
        for value in values:
            self._problems.check(
                hasattr(value, "node"), given=f"{name} with {shown(value)}", allowed="constructs"
            )
        return self

    def durations(self, **values: object) -> Kinds:
        """Options that are times, each of which may be left out."""
        return self._each(values, "Duration")

    def whole(self, **values: object) -> Kinds:
        """Options that are whole numbers, each of which may be left out."""
        return self._each(values, "int")

    def texts(self, name: str, values: object) -> Kinds:
        """An option that is a list of texts."""
        if self._is_list(values, name, repr(values) if isinstance(values, str) else '"…"'):
            for value in values:
                self._plain(f"{name} with", value, {"str"})
        return self

    def published(self, interface: str, **values: object) -> Kinds:
        """Options that are of a published interface, by its name."""
        attribute, said = _PUBLISHED[interface]
        for name, value in values.items():
            self._problems.check(hasattr(value, attribute), given=f"{name}={shown(value)}", allowed=said)
        return self

    def raise_if_any(self) -> None:
        """Raise one :class:`ConfigurationError` that lists every option of another kind."""
        self._problems.raise_if_any()

    def _fields(self, value: Any) -> None:
        """Look at the plain fields of a dataclass, and at those of dataclasses in it."""
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return
        of = f" of {type(value).__name__}"
        for field in dataclasses.fields(value):
            found = getattr(value, field.name)
            expected = {part.strip() for part in str(field.type).split("|")}
            if expected <= {*_PLAIN, "None"}:
                self._plain(field.name, found, expected, of)
                continue
            if field.type in _PUBLISHED:
                attribute, said = _PUBLISHED[field.type]
                self._problems.check(
                    hasattr(found, attribute), given=f"{field.name}={shown(found)}{of}", allowed=said
                )
                continue
            if str(field.type).startswith("Sequence["):
                self._is_list(found, field.name, "…", of)
            for each in _dataclasses_of(found):
                self._fields(each)

    def _each(self, values: Mapping[str, object], kind: str) -> Kinds:
        for name, value in values.items():
            self._plain(name, value, {kind, "None"})
        return self

    def _is_list(self, values: object, name: str, item: str, of: str = "") -> TypeGuard[Collection[Any]]:
        """Record what is no list: a text is none, of which each letter would be an item."""
        listed = is_list(values)
        given = f"{name}={shown(values)}{of}"
        self._problems.check(listed, given=given, allowed="a list", write=f"{name}=[{item}]")
        return listed

    def _plain(self, name: str, value: object, expected: set[str], of: str = "") -> None:
        if value is None and "None" in expected:
            return
        names = sorted(expected - {"None"})
        kinds = tuple(kind for each in names for kind in _PLAIN[each])
        fits = isinstance(value, kinds) and (isinstance(value, bool) is ("bool" in names))
        self._problems.check(
            fits or is_token(value),
            given=f"{name}={shown(value)}{of}",
            allowed=" or ".join(_SAID[each] for each in names),
        )


def _dataclasses_of(value: object) -> Iterable[object]:
    if isinstance(value, list | tuple):
        return value
    return (value,) if dataclasses.is_dataclass(value) and not isinstance(value, type) else ()
