"""Column types as Glue's catalog and Athena write them, and as Iceberg does."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[a-z_][a-z0-9_]*|[0-9]+|[<>(),:]")
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_PLAIN = (*_INTEGERS, "boolean", "float", "double", "string", "binary", "date", "timestamp")
_MAXIMUM_LENGTH = {"char": 255, "varchar": 65_535}
_MAXIMUM_PRECISION = 38
_OTHER_NAMES = {
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "text": "string",
    "varbinary": "binary",
    "str": "string",
    "bool": "boolean",
    "row": "struct<…>",
    "datetime": "timestamp",
}
_ICEBERG = {
    "boolean": "boolean",
    "int": "int",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
}


class UnknownType(ValueError):
    """What was written is not a type; the message says where it stops being one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnType:
    """A type that was understood."""

    base: str
    """Its name without parameters: ``decimal`` of ``decimal(10,2)``, ``array`` of ``array<int>``."""

    text: str
    """The type as the catalog keeps it, without spaces."""

    @property
    def is_nested(self) -> bool:
        """Whether it is an array, a map or a struct."""
        return self.base in ("array", "map", "struct")

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number of any size."""
        return self.base in _INTEGERS

    @property
    def is_text(self) -> bool:
        """Whether it is a string of any kind."""
        return self.base in ("string", "char", "varchar")

    @property
    def iceberg(self) -> str | None:
        """The type in Iceberg's words; None if Iceberg has none, or if it is nested."""
        return self.text if self.base == "decimal" else _ICEBERG.get(self.base)


def parse(text: str) -> ColumnType:
    """Understand a type, in the grammar of Hive's DDL that Glue and Athena keep in the catalog.

    Args:
        text: Such as ``string``, ``decimal(10,2)``, ``array<struct<name:string,score:double>>``.

    Raises:
        UnknownType: For anything else, such as names of Trino or Python.

    Follows https://docs.aws.amazon.com/athena/latest/ug/data-types.html.
    """
    return _Parser(text).whole()


class _Parser:
    """Reads a type from left to right."""

    def __init__(self, text: str) -> None:
        compact = re.sub(r"\s+", "", text)
        self._tokens = _TOKEN.findall(compact)
        self._at = 0
        if "".join(self._tokens) != compact or not compact:
            raise UnknownType("of lower-case letters, digits and < > ( ) , : alone")

    def whole(self) -> ColumnType:
        start = self._at
        base = self._type()
        if self._at != len(self._tokens):
            raise UnknownType(f"complete before {self._tokens[self._at]!r}")
        return ColumnType(base=base, text="".join(self._tokens[start:]))

    def _type(self) -> str:
        name = self._next()
        if name in _PLAIN:
            return name
        if name == "decimal":
            self._decimal()
        elif name in _MAXIMUM_LENGTH:
            self._length(name)
        elif name == "array":
            self._expect("<")
            self._type()
            self._expect(">")
        elif name == "map":
            self._expect("<")
            if self._type() in ("array", "map", "struct"):
                raise UnknownType("a map whose keys are of a primitive type")
            self._expect(",")
            self._type()
            self._expect(">")
        elif name == "struct":
            self._struct()
        else:
            known = _OTHER_NAMES.get(name)
            raise UnknownType(f"{known!r} in place of {name!r}" if known else f"no type called {name!r}")
        return name

    def _struct(self) -> None:
        self._expect("<")
        names: set[str] = set()
        while True:
            name = self._next()
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                raise UnknownType("a struct whose fields have names: struct<name:type>")
            if name in names:
                raise UnknownType(f"a struct with one field {name!r} only")
            names.add(name)
            self._expect(":")
            self._type()
            if self._peek() != ",":
                break
            self._next()
        self._expect(">")

    def _decimal(self) -> None:
        if self._peek() != "(":
            return
        self._next()
        precision, scale = self._number(), 0
        if self._peek() == ",":
            self._next()
            scale = self._number()
        self._expect(")")
        if not 1 <= precision <= _MAXIMUM_PRECISION or scale > precision:
            raise UnknownType(
                "decimal(precision,scale) of 1 to 38 digits, at most all of them after the point"
            )

    def _length(self, name: str) -> None:
        if self._peek() != "(":
            raise UnknownType(f"{name} with its length, such as {name}(10)")
        self._next()
        length = self._number()
        self._expect(")")
        if not 1 <= length <= _MAXIMUM_LENGTH[name]:
            raise UnknownType(f"{name} of 1 to {_MAXIMUM_LENGTH[name]} characters")

    def _number(self) -> int:
        number = self._next()
        if not number.isdigit():
            raise UnknownType(f"a number in place of {number!r}")
        return int(number)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        found = self._peek()
        if not found:
            raise UnknownType("a type that does not end early")
        self._at += 1
        return found

    def _expect(self, token: str) -> None:
        found = self._peek()
        if found != token:
            raise UnknownType(f"{token!r} in place of {found!r}" if found else f"{token!r} at its end")
        self._at += 1
