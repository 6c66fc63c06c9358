"""The rows of a filter, in the part of PartiQL that Lake Formation understands."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.column_types import ColumnType

_LONGEST = 2048
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<sign><=|>=|<>|!=|[=<>(),])"
    r'|(?P<name>"?[A-Za-z_][A-Za-z0-9_]*"?(?:\."?[A-Za-z_][A-Za-z0-9_]*"?)*))'
)
_WORDS = {"and", "or", "not", "in", "like", "between", "is", "null", "true", "false"}
_COMPARISONS = ("=", "<", ">", "<=", ">=", "<>", "!=")
# https://docs.aws.amazon.com/lake-formation/latest/dg/partiql-support.html
_TYPES = ("string", "char", "varchar", "int", "bigint", "float", "decimal", "double", "boolean", "struct")


class NoFilter(ValueError):
    """What was written is no row filter; the message says what is expected instead."""


def check_row_filter(
    problems: Problems, text: str, types: Mapping[str, ColumnType], partition_keys: Collection[str]
) -> None:
    """Record what Lake Formation would refuse in a filter on columns of these types."""
    if is_token(text):
        return
    problems.check(
        len(text) < _LONGEST,
        given=f"row_filter of {len(text)} characters",
        allowed=f"less than {_LONGEST}",
    )
    try:
        _Filter(text, types, partition_keys).whole()
    except NoFilter as reason:
        problems.check(
            False, given=f"row_filter={text!r}", allowed=str(reason), write="row_filter=\"country = 'DE'\""
        )


class _Filter:
    """Reads comparisons of columns with constants, joined by AND, OR and NOT."""

    def __init__(self, text: str, types: Mapping[str, ColumnType], partition_keys: Collection[str]) -> None:
        self._types, self._partition_keys = types, partition_keys
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise NoFilter(f"columns, constants and operators, not {text[at:].strip()[:10]!r}")
            kind = match.lastgroup or ""
            token = match.group(kind)
            if kind == "name" and token.lower() in _WORDS:
                kind, token = "word", token.lower()
            self._tokens.append((kind, token))
            at = match.end()
        self._at = 0

    def whole(self) -> None:
        self._any()
        if self._at < len(self._tokens):
            raise NoFilter(f"AND, OR or the end before {self._tokens[self._at][1]!r}")

    def _any(self) -> None:
        self._all()
        while self._take("word", "or"):
            self._all()

    def _all(self) -> None:
        self._one()
        while self._take("word", "and"):
            self._one()

    def _one(self) -> None:
        if self._take("word", "not"):
            self._one()
        elif self._take("sign", "("):
            self._any()
            self._need("sign", ")")
        else:
            self._comparison()

    def _comparison(self) -> None:
        column = self._column()
        if self._take("word", "is"):
            self._take("word", "not")
            self._need("word", "null")
            if column in self._partition_keys:
                raise NoFilter(f"no IS NULL on a partition key such as {column!r}")
            return
        kind, token = self._peek()
        if kind == "sign" and token in _COMPARISONS:
            self._at += 1
            self._constant()
            return
        self._take("word", "not")
        if self._take("word", "between"):
            self._constant()
            self._need("word", "and")
            self._constant()
        elif self._take("word", "like"):
            self._constant()
        elif self._take("word", "in"):
            self._need("sign", "(")
            self._constant()
            while self._take("sign", ","):
                self._constant()
            self._need("sign", ")")
        else:
            raise NoFilter(f"a comparison after {column!r}: {' '.join(_COMPARISONS)} BETWEEN IN LIKE IS")

    def _column(self) -> str:
        kind, token = self._peek()
        if kind != "name":
            raise NoFilter(f"a column in place of {token!r}" if token else "a column at its end")
        self._at += 1
        name, _, nested = token.replace('"', "").partition(".")
        if name not in self._types:
            raise NoFilter(f"columns of the table: {', '.join(self._types)}; it has no {name!r}")
        type_ = self._types[name]
        if type_.base not in _TYPES or bool(nested) != (type_.base == "struct"):
            raise NoFilter(
                f"columns of type {', '.join(_TYPES)} (of a struct, one of its fields), not {name!r} of type "
                f"{type_.text}"
            )
        return name

    def _constant(self) -> None:
        kind, token = self._peek()
        if kind not in ("text", "number") and token not in ("true", "false"):
            raise NoFilter(
                f"a constant in place of {token!r}: columns are compared with constants alone"
                if token
                else "a constant at its end"
            )
        self._at += 1

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self, kind: str, token: str) -> bool:
        if self._peek() != (kind, token):
            return False
        self._at += 1
        return True

    def _need(self, kind: str, token: str) -> None:
        if not self._take(kind, token):
            found = self._peek()[1]
            raise NoFilter(
                f"{token.upper()} in place of {found!r}" if found else f"{token.upper()} at its end"
            )
