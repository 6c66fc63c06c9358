"""What CloudFormation's functions come to, as far as the templates tell.

A value that only the deployment knows is :data:`UNKNOWN`, or a text with :data:`GAP` where the unknown part
is. A reference to a resource of the app is the text ``<stack/LogicalId.Attribute>``, so that two references
to the same thing are equal, and what they point at can be looked up.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

GAP = "\N{REPLACEMENT CHARACTER}"
PLACEHOLDER = re.compile(r"<([A-Za-z0-9.-]+)/([A-Za-z0-9]+)\.([A-Za-z0-9_.:-]+)>")
_SUBSTITUTION = re.compile(r"\$\{(!?)([^}]*)\}")


class _Special(enum.Enum):
    UNKNOWN = "a value that only the deployment knows"
    NOTHING = "AWS::NoValue"


UNKNOWN = _Special.UNKNOWN
NOTHING = _Special.NOTHING


def is_unknown(value: Any) -> bool:
    """Whether a value, or a part of it, is not known before the deployment."""
    if isinstance(value, str):
        return GAP in value or "${AWS::" in value or PLACEHOLDER.search(value) is not None
    return value is UNKNOWN


class Source(Protocol):
    """Where functions look up what they name."""

    def reference(self, logical_id: str, attribute: str) -> Any:
        """An attribute of a resource, a parameter or a pseudo parameter; ``Ref`` is an attribute here."""

    def output(self, stack: Any, name: str) -> Any:
        """The value of an output of another stack."""

    def imported(self, name: Any) -> Any:
        """The value that some stack exports under a name."""

    def mapping(self, name: Any, first: Any, second: Any) -> Any:
        """A value of the template's mappings."""

    def condition(self, name: Any) -> bool | None:
        """Whether a condition holds, or None if that is not known."""


def resolve(value: Any, source: Source) -> Any:
    """A value with its functions replaced by what they come to. Never :data:`NOTHING`, except at the top."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            name = next(iter(value))
            if name == "Ref" or name.startswith("Fn::"):
                return _call(name, value[name], source)
        found = {key: resolve(inner, source) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner is not NOTHING}
    if isinstance(value, list):
        return [inner for inner in (resolve(item, source) for item in value) if inner is not NOTHING]
    return value


def _call(name: str, argument: Any, source: Source) -> Any:
    match name:
        case "Ref":
            return NOTHING if argument == "AWS::NoValue" else source.reference(str(argument), "Ref")
        case "Fn::GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            return source.reference(str(parts[0]), str(parts[1]))
        case "Fn::If":
            return _branch(argument, source)
        case "Fn::Join":
            return _joined(argument, source)
        case "Fn::Sub":
            return _substituted(argument, source)
        case "Fn::Select":
            return _selected(argument, source)
        case "Fn::Split":
            text = resolve(argument[1], source)
            return UNKNOWN if is_unknown(text) else str(text).split(str(argument[0]))
        case "Fn::FindInMap":
            return source.mapping(*(resolve(part, source) for part in argument[:3]))
        case "Fn::ImportValue":
            return source.imported(resolve(argument, source))
        case "Fn::GetStackOutput":
            return source.output(resolve(argument.get("StackName"), source), str(argument["OutputName"]))
        case "Fn::Base64":
            return resolve(argument, source)
        case _:
            return UNKNOWN


def _branch(argument: Sequence[Any], source: Source) -> Any:
    name, yes, no = argument
    holds = source.condition(name)
    if holds is not None:
        return resolve(yes if holds else no, source)
    first, second = resolve(yes, source), resolve(no, source)
    return first if first == second else UNKNOWN


def as_text(value: Any) -> str:
    """A resolved value as a part of a text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else GAP


def _joined(argument: Sequence[Any], source: Source) -> Any:
    separator, parts = argument
    resolved = resolve(parts, source)
    if not isinstance(resolved, list):
        return UNKNOWN
    return str(separator).join(as_text(part) for part in resolved)


def _substituted(argument: Any, source: Source) -> str:
    pattern, values = (argument, {}) if isinstance(argument, str) else argument

    def replace(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in values:
            return as_text(resolve(values[name], source))
        logical_id, _, attribute = name.partition(".")
        return as_text(source.reference(logical_id, attribute or "Ref"))

    return _SUBSTITUTION.sub(replace, pattern)


def _selected(argument: Sequence[Any], source: Source) -> Any:
    index, options = (resolve(part, source) for part in argument)
    if isinstance(options, list) and str(index).isdigit() and int(index) < len(options):
        return options[int(index)]
    return UNKNOWN
