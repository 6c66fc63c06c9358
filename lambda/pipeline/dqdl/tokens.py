"""Text to tokens, each knowing where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class RulesError(ValueError):
    """The ruleset is not understood: where, why, and the line with a mark under the place."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        before = text[:offset]
        self.line = before.count("\n") + 1
        self.column = offset - (before.rfind("\n") + 1) + 1
        source = text.split("\n")[self.line - 1].replace("\t", " ")
        super().__init__(
            f"line {self.line}, column {self.column}: {message}\n    {source}\n    {' ' * (self.column - 1)}^"
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `value` of a string is what stands between its quotes, as written."""

    kind: str  # "word", "string", "number", "symbol", "end"
    value: str
    offset: int

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end of the rules"
        return f'the string "{self.value}"' if self.kind == "string" else repr(self.value)


_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?![\w.]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<symbol>>=|<=|!=|[=<>\[\](),])
    """,
    re.VERBOSE | re.DOTALL,
)

_UNSUPPORTED = {
    "$": "variables ($name) are not supported here; write the value itself",
    "{": "sections in braces (Metadata, DataSources) are not supported here",
    "+": "arithmetic is not supported here; write the resulting number",
    "-": "arithmetic is not supported here; write the resulting number",
    "*": "arithmetic is not supported here; write the resulting number",
    "/": "arithmetic is not supported here; write the resulting number",
    "'": 'strings are written in double quotes: "…"',
    '"': "this string is never closed",
}


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of a ruleset, then one of kind `end`."""
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            character = text[offset]
            if character.isdigit() or text[offset : offset + 2].lstrip("-").isdigit():
                number = re.match(r"-?[\w.]+", text[offset:])
                written = number.group() if number else character
                raise RulesError(f"{written!r} is not a number; write digits such as 4 or 0.25", text, offset)
            message = _UNSUPPORTED.get(character, f"{character!r} has no meaning here")
            raise RulesError(message, text, offset)
        kind = match.lastgroup or ""
        if kind == "string":
            yield Token(kind, match.group()[1:-1], offset)
        elif kind != "space":
            yield Token(kind, match.group(), offset)
        offset = match.end()
    yield Token("end", "", len(text))
