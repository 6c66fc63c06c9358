"""The synthesized templates of an app: resources, their resolved properties, and what refers to what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cdk_data_science.security.checks.conditions import Conditions, Truths
from cdk_data_science.security.checks.intrinsics import (
    NOTHING,
    PLACEHOLDER,
    UNKNOWN,
    is_unknown,
    resolve,
)

_STEP = re.compile(r"([^.\[\]]+)|\[(\*|\d+)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One stack's template."""

    stack: str
    """The stack's name: what other stacks call it in references."""
    document: Mapping[str, Any]
    path: str = ""
    """Where the stack's construct is in the app."""
    file: str = ""
    region: str | None = None
    account: str | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    """Construct paths by logical id, where they are known."""
    nested_in: tuple[str, str] | None = None
    """For a nested stack: the name of the stack and the logical id in it that stand for this template."""


@dataclass(frozen=True)
class Resource:
    """A resource, under one possible outcome of the conditions that its properties depend on."""

    template: Template
    logical_id: str
    document: Mapping[str, Any] = field(hash=False, compare=False, repr=False)
    _scope: _Scope = field(hash=False, compare=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.template.stack, self.logical_id))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Resource)
            and self.logical_id == other.logical_id
            and self.template.stack == other.template.stack
        )

    @property
    def type(self) -> str:
        return str(self.document.get("Type"))

    @property
    def path(self) -> str:
        """The path of its construct in the app."""
        known = self.template.paths.get(self.logical_id)
        if known is not None:
            return known
        fallback = f"{self.template.path or self.template.stack}/{self.logical_id}"
        return str(self.document.get("Metadata", {}).get("aws:cdk:path", fallback))

    @cached_property
    def properties(self) -> dict[str, Any]:
        """The properties with their functions replaced by what they come to."""
        found = resolve(self.document.get("Properties", {}), self._scope)
        return found if isinstance(found, dict) else {}

    @property
    def templates(self) -> Templates:
        """All templates that are judged together with its own."""
        return self._scope.templates

    @property
    def ref(self) -> str:
        """What a `Ref` to it comes to."""
        return f"<{self.template.stack}/{self.logical_id}.Ref>"

    def get(self, path: str) -> Any:
        """The value at a path such as ``NetworkConfig.VpcConfig``; None if there is none."""
        value: Any = self.properties
        for name in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        return value

    def each(self, path: str) -> Iterator[tuple[str, Any]]:
        """Path and value of all that a path with ``[*]`` names: ``ProductionVariants[*].InstanceType``.

        A value that is missing in an element is None; one in an unknown list is unknown, at the list's path.
        """
        yield from _each(self.properties, _STEP.findall(path), "")

    def __str__(self) -> str:
        return f"{self.path} ({self.type})"


def _each(value: Any, steps: list[tuple[str, str]], path: str) -> Iterator[tuple[str, Any]]:
    if value is UNKNOWN or not steps:
        yield path, value
        return
    (name, index), rest = steps[0], steps[1:]
    if name:
        inner = value.get(name) if isinstance(value, dict) else None
        yield from _each(inner, rest, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if index in ("*", str(position)):
                yield from _each(item, rest, f"{path}[{position}]")
    elif value is not None and is_unknown(value):
        yield path, UNKNOWN


class Templates:
    """All templates that are judged together."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._scopes = {t.stack: _Scope(self, t, {}) for t in templates}
        self._resources = {
            (t.stack, key): Resource(t, key, document, scope)
            for scope in self._scopes.values()
            for t in (scope.template,)
            for key, document in t.document.get("Resources", {}).items()
        }
        self._nested = {
            scope.template.nested_in: name
            for name, scope in self._scopes.items()
            if scope.template.nested_in is not None
        }
        self._by_type: dict[str, list[Resource]] = {}
        for resource in self._resources.values():
            self._by_type.setdefault(resource.type, []).append(resource)

    @classmethod
    def of(cls, document: Mapping[str, Any], stack: str = "Example") -> Templates:
        """A single template."""
        return cls([Template(stack=stack, document=document)])

    def resources(self, *types: str) -> Iterator[Resource]:
        """All resources, or those of some types."""
        for kind in types or self._by_type:
            yield from self._by_type.get(kind, ())

    def variants(self, resource: Resource) -> Iterator[Resource]:
        """The resource as it is for each outcome of the conditions that its properties depend on."""
        scope = resource._scope
        properties = resource.document.get("Properties", {})
        if "Fn::If" not in scope.text:
            yield resource
            return
        for truths in scope.conditions.combinations(properties):
            if truths is None or not truths:
                yield resource
            else:
                assumed = _Scope(self, scope.template, truths)
                yield Resource(resource.template, resource.logical_id, resource.document, assumed)

    def target(self, value: Any) -> Resource | None:
        """The resource that a resolved value names, whichever attribute it does so with."""
        found = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        return None if found is None else self._resources.get((found[1], found[2]))

    def mentioned(self, value: Any) -> Iterator[Resource]:
        """Every resource that a resolved value speaks of."""
        for text in walk(value):
            if isinstance(text, str):
                for match in PLACEHOLDER.finditer(text):
                    if (found := self._resources.get((match[1], match[2]))) is not None:
                        yield found

    def scope(self, stack: str) -> _Scope | None:
        return self._scopes.get(stack)

    def nested(self, stack: str, logical_id: str) -> str | None:
        """The name of the nested stack that a resource stands for."""
        return self._nested.get((stack, logical_id))

    def has(self, stack: str, logical_id: str) -> bool:
        return (stack, logical_id) in self._resources

    @cached_property
    def exports(self) -> dict[str, Any]:
        """What stacks export, by name."""
        found: dict[str, Any] = {}
        for scope in self._scopes.values():
            for output in scope.template.document.get("Outputs", {}).values():
                name = resolve(output.get("Export", {}).get("Name", UNKNOWN), scope)
                if isinstance(name, str):
                    found[name] = resolve(output.get("Value"), scope)
        return found


@dataclass(frozen=True)
class _Scope:
    """A template as the place where functions look up what they name."""

    templates: Templates = field(repr=False)
    template: Template = field(repr=False)
    truths: Truths

    @cached_property
    def text(self) -> str:
        return json.dumps(self.template.document)

    @cached_property
    def conditions(self) -> Conditions:
        known = {"AWS::Region": self.template.region, "AWS::AccountId": self.template.account}
        return Conditions(self.template.document.get("Conditions", {}), known)

    def reference(self, logical_id: str, attribute: str) -> Any:
        pseudo = {"AWS::Region": self.template.region, "AWS::AccountId": self.template.account}
        if logical_id.startswith("AWS::"):
            return pseudo.get(logical_id) or f"${{{logical_id}}}"
        if not self.templates.has(self.template.stack, logical_id):
            return self._parameter(logical_id)
        if attribute.startswith("Outputs."):
            inner = self.templates.nested(self.template.stack, logical_id)
            if inner is not None:
                return self.output(inner, attribute.removeprefix("Outputs."))
        return f"<{self.template.stack}/{logical_id}.{attribute}>"

    def _parameter(self, name: str) -> Any:
        """What the stack around a nested one gives it; other parameters only the deployment knows."""
        if self.template.nested_in is None:
            return UNKNOWN
        parent, logical_id = self.template.nested_in
        outer = self.templates.scope(parent)
        resources = outer.template.document.get("Resources", {}) if outer is not None else {}
        given = resources.get(logical_id, {}).get("Properties", {}).get("Parameters", {})
        return resolve(given[name], outer) if outer is not None and name in given else UNKNOWN

    def output(self, stack: Any, name: str) -> Any:
        producer = self.templates.scope(stack) if isinstance(stack, str) else None
        output = None if producer is None else producer.template.document.get("Outputs", {}).get(name)
        return UNKNOWN if output is None or producer is None else resolve(output.get("Value"), producer)

    def imported(self, name: Any) -> Any:
        return self.templates.exports.get(name, UNKNOWN) if isinstance(name, str) else UNKNOWN

    def mapping(self, name: Any, first: Any, second: Any) -> Any:
        found: Any = self.template.document.get("Mappings", {})
        for key in (name, first, second):
            found = found.get(key, UNKNOWN) if isinstance(found, dict) and isinstance(key, str) else UNKNOWN
        return found

    def condition(self, name: Any) -> bool | None:
        return self.truths.get(name) if isinstance(name, str) else None


def walk(value: Any) -> Iterator[Any]:
    """Every value inside a value, itself included."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from walk(child)


def as_list(value: Any) -> list[Any]:
    """CloudFormation and IAM take one value where a list of one is meant."""
    if value is None or value is NOTHING:
        return []
    return value if isinstance(value, list) else [value]
