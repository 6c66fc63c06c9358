"""Reads CloudFormation templates across stacks: what refers to what, and what a value looks like as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Stands for what is known only at deployment and cannot be followed. Never a part of a real value.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_PLACEHOLDER = re.compile(r"<([^<>/]+)/([^<>.]+)\.([^<>]+)>")
_SUBSTITUTION = re.compile(r"\$\{([^!}][^}]*)\}")


@dataclass(frozen=True)
class Resource:
    """A resource of a template."""

    stack: str
    logical_id: str
    document: dict[str, Any] = field(hash=False, compare=False)

    @property
    def type(self) -> str:
        return str(self.document["Type"])

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document.get("Properties", {})
        return found

    @property
    def path(self) -> str:
        """Where the construct is in the app, as far as the template tells."""
        return str(self.document.get("Metadata", {}).get("aws:cdk:path", f"{self.stack}/{self.logical_id}"))

    def __str__(self) -> str:
        return f"{self.path} ({self.type})"


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute of a resource; ``Ref`` is an attribute like any other here."""

    resource: Resource
    attribute: str


class Platform:
    """All templates of one environment."""

    def __init__(self, templates: dict[str, dict[str, Any]]) -> None:
        self.templates = templates
        self._resources = {
            (stack, key): Resource(stack, key, document)
            for stack, template in templates.items()
            for key, document in template.get("Resources", {}).items()
        }

    def resources(self, *types: str) -> Iterator[Resource]:
        """All resources, or those of some types."""
        for resource in self._resources.values():
            if not types or resource.type in types:
                yield resource

    def reference(self, stack: str, value: Any) -> Reference | None:
        """Follow a `Ref`, a `GetAtt` or a weak reference to another stack to the resource that is meant."""
        found = _PLACEHOLDER.fullmatch(self.text(stack, value))
        return self.by_placeholder(found.group()) if found else None

    def target(self, stack: str, value: Any) -> Resource | None:
        """The resource that a value names, whichever attribute it does so with."""
        reference = self.reference(stack, value)
        return None if reference is None else reference.resource

    def by_placeholder(self, text: str) -> Reference | None:
        """The resource that a text of ``text()`` is, if it is nothing but `<stack/id.attribute>`."""
        found = _PLACEHOLDER.fullmatch(text)
        if found is None:
            return None
        stack, key, attribute = found.groups()
        resource = self._resources.get((stack, key))
        return None if resource is None else Reference(resource, attribute)

    def mentioned(self, text: str) -> list[Reference]:
        """Every resource that a text of ``text()`` speaks of."""
        found = [self.by_placeholder(match.group()) for match in _PLACEHOLDER.finditer(text)]
        return [reference for reference in found if reference is not None]

    def text(self, stack: str, value: Any) -> str:
        """Write a value as text: references as `<stack/id.attribute>`, pseudo parameters by their names."""
        if isinstance(value, str | int | float | bool):
            return str(value)
        if not isinstance(value, dict) or len(value) != 1:
            return UNKNOWN
        function, argument = next(iter(value.items()))
        match function:
            case "Ref":
                return self._ref(stack, argument)
            case "Fn::GetAtt":
                parts = argument.split(".", 1) if isinstance(argument, str) else argument
                return self._ref(stack, parts[0], str(parts[1]))
            case "Fn::GetStackOutput":
                return self._output(stack, argument)
            case "Fn::Join":
                separator, parts = argument
                return (
                    UNKNOWN if isinstance(parts, dict) else separator.join(self.text(stack, p) for p in parts)
                )
            case "Fn::Sub":
                return self._substituted(stack, argument)
            case _:
                return UNKNOWN

    def _ref(self, stack: str, id: str, attribute: str = "Ref") -> str:
        if id.startswith("AWS::"):
            return f"${{{id}}}"
        return f"<{stack}/{id}.{attribute}>" if (stack, id) in self._resources else UNKNOWN

    def _output(self, stack: str, argument: dict[str, Any]) -> str:
        producer = self.text(stack, argument.get("StackName", stack))
        output = self.templates.get(producer, {}).get("Outputs", {}).get(argument["OutputName"])
        return UNKNOWN if output is None else self.text(producer, output["Value"])

    def _substituted(self, stack: str, argument: Any) -> str:
        pattern, values = (argument, {}) if isinstance(argument, str) else argument

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in values:
                return self.text(stack, values[name])
            key, _, attribute = name.partition(".")
            return self._ref(stack, key, attribute or "Ref")

        return _SUBSTITUTION.sub(replace, pattern)


def walk(value: Any) -> Iterator[Any]:
    """Every value inside a value, itself included."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child)


def as_list(value: Any) -> list[Any]:
    """CloudFormation and IAM take one value where a list of one is meant."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
