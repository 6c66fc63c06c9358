"""Which tags are required, and which values they may have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Stack, Stage
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

_CHARACTERS = re.compile(r"[\w .:/=+\-@]*")
_LONGEST_KEY, _LONGEST_VALUE, _MOST_TAGS = 128, 256, 50


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRules:
    """The required keys with their defaults, and the values that are allowed where something says other."""

    required: Mapping[str, str]
    allowed: Mapping[str, Sequence[str]]
    patterns: Mapping[str, str]

    def problem(self, key: str, value: str) -> str | None:
        """What is wrong with a value of a key, if anything."""
        if value == "":
            return f"tag {key!r} is empty"
        if key in self.allowed and value not in self.allowed[key]:
            return f"tag {key!r} is {value!r}; allowed: {', '.join(map(repr, self.allowed[key]))}"
        if key in self.patterns and re.fullmatch(self.patterns[key], value) is None:
            return f"tag {key!r} is {value!r}; allowed: what matches {self.patterns[key]}"
        return None

    def check(self, scope: Construct) -> None:
        """Raise one error for everything that AWS would refuse or that contradicts itself."""
        problems = Problems("RequiredTags", scope)
        problems.check(
            Stage.is_stage(scope) or Stack.is_stack(scope),
            given=f"the scope {scope.node.path}",
            allowed="an app, a stage or a stack, because whole templates are checked",
            write="RequiredTags(app, {…})",
        )
        problems.check(
            0 < len(self.required) <= _MOST_TAGS,
            given=f"{len(self.required)} tags",
            allowed=f"1 to {_MOST_TAGS}",
            write='{"owner": "ml@example.com"}',
        )
        self._check_patterns(problems)
        for key, value in self.required.items():
            check_key(problems, key)
            _check_value(problems, key, value)
            self._check_default(problems, key, value)
        for name, keys in (("values", self.allowed), ("pattern", self.patterns)):
            for key in keys:
                problems.check(
                    key in self.required,
                    given=f"allowed {name} for {key!r}",
                    allowed=f"keys that are required: {', '.join(map(repr, self.required))}",
                    write=f"tags={{…, {key!r}: …}}",
                )
        problems.raise_if_any()

    def _check_patterns(self, problems: Problems) -> None:
        for key, pattern in self.patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                problems.check(
                    False,
                    given=f"patterns: {key}={pattern!r}",
                    allowed=f"a regular expression ({error})",
                    write='r"[a-z-]+@example\\.com"',
                )
            problems.check(
                key not in self.allowed,
                given=f"allowed values and a pattern for {key!r}",
                allowed="one of them",
                write=f"patterns={{{key!r}: …}}",
            )

    def _check_default(self, problems: Problems, key: str, value: str) -> None:
        if is_token(value):
            return
        problems.check(
            key not in self.allowed or value in self.allowed[key],
            given=f"{key}={value!r}",
            allowed=", ".join(map(repr, self.allowed.get(key, ()))),
            write="one of them",
        )
        pattern = self.patterns.get(key)
        try:
            matches = pattern is None or re.fullmatch(pattern, value) is not None
        except re.error:  # told already
            return
        problems.check(
            matches, given=f"{key}={value!r}", allowed=f"what matches {pattern}", write="one that does"
        )


def check_key(problems: Problems, key: str) -> None:
    """Record what AWS would refuse in a tag's key."""
    problems.check(
        0 < len(key) <= _LONGEST_KEY and bool(_CHARACTERS.fullmatch(key)),
        given=f"tag key {key!r}",
        allowed=f"1 to {_LONGEST_KEY} letters, digits, spaces and _ . : / = + - @",
        write='"business-unit"',
    )
    problems.check(
        not key.lower().startswith("aws:"),
        given=f"tag key {key!r}",
        allowed="keys without the prefix aws:, which AWS reserves",
        write=f'"{key[4:]}"',
    )


def _check_value(problems: Problems, key: str, value: str) -> None:
    if is_token(value):
        return
    problems.check(
        bool(value.strip()) and len(value) <= _LONGEST_VALUE and bool(_CHARACTERS.fullmatch(value)),
        given=f"{key}={value!r}",
        allowed=f"1 to {_LONGEST_VALUE} letters, digits, spaces and _ . : / = + - @",
        write=f'{key}="reviews"',
    )
