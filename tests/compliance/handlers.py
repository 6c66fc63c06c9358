"""Which AWS calls a Lambda handler can reach, read from its source.

Follows names: from the handler to every function, class and module-level statement of the asset that it
speaks of, directly or through others. What is called is read from `client().method(...)`, where `client` is a
function of the asset that returns `boto3.client("…")`, or anything assigned from one or annotated as one. It
sees more than can run (both branches of an `if`), never less, and says so where it cannot tell which client
is meant.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.compliance import sdk


@dataclass(frozen=True, order=True)
class Call:
    """An SDK call in the source."""

    service: str
    method: str
    versioned: bool
    where: str

    def actions(self) -> frozenset[str]:
        return sdk.method_actions(self.service, self.method, versioned=self.versioned)


@dataclass
class _Module:
    name: str
    tree: ast.Module
    definitions: dict[str, ast.AST] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Local name → module, and the name in it unless the module itself is meant."""


class Asset:
    """The Python source of one Lambda asset."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._modules = {name: _parsed(name, text) for name, text in sources.items()}
        self._factories = {
            (module.name, name): service
            for module in self._modules.values()
            for name, definition in module.definitions.items()
            if (service := _client_made_in(definition)) is not None
        }
        made = set(self._factories.values())
        self._known_methods = {method for service in made for method in sdk.methods(service)}

    @classmethod
    @functools.cache
    def in_folder(cls, folder: Path) -> Asset:
        return cls(
            {
                ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(
                    ".__init__"
                ): path.read_text(encoding="utf-8")
                for path in sorted(folder.rglob("*.py"))
            }
        )

    def has(self, handler: str) -> bool:
        """Whether there is a module and a function of a handler string's name."""
        module, _, function = handler.rpartition(".")
        return module in self._modules and function in self._modules[module].definitions

    @functools.cache  # noqa: B019 (there are a handful of assets, and they live as long as the tests)
    def calls(self, handler: str) -> set[Call]:
        """The SDK calls that ``module.function`` can reach."""
        module, _, function = handler.rpartition(".")
        found: set[Call] = set()
        for name, node in self._reachable(module, function):
            found.update(self._calls_in(self._modules[name], node))
        return found

    def unclear(self) -> list[str]:
        """Where something is called that an SDK client has, on a thing that this cannot follow."""
        return sorted(
            f"{module.name}.py:{call.lineno}: {ast.unparse(call.func)}"
            for module in self._modules.values()
            for scope in _scopes(module.tree)
            for call in self._unclear_in(module, scope)
        )

    def _unclear_in(self, module: _Module, scope: ast.AST) -> Iterator[ast.Call]:
        known = self._clients_in(module, scope)
        for node in _own(scope):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in self._known_methods
                and self._service(module, node.func.value, known) is None
                and not _is_module(module, node.func.value)
            ):
                yield node

    def _reachable(self, module: str, function: str) -> Iterator[tuple[str, ast.AST]]:
        waiting: list[tuple[str, str | None]] = [(module, function), (module, None)]
        seen: set[tuple[str, str | None]] = set()
        while waiting:
            key = waiting.pop()
            if key in seen or key[0] not in self._modules:
                continue
            seen.add(key)
            source = self._modules[key[0]]
            for node in source.tree.body if key[1] is None else [source.definitions.get(key[1])]:
                if node is None or (key[1] is None and _defines(node)):
                    continue
                yield source.name, node
                waiting.extend(self._mentions(source, node))

    def _mentions(self, module: _Module, node: ast.AST) -> Iterator[tuple[str, str | None]]:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in module.definitions:
                yield module.name, part.id
            elif isinstance(part, ast.Name) and part.id in module.imports:
                target, name = module.imports[part.id]
                yield target, None
                if name is not None:
                    yield target, name
                    yield f"{target}.{name}", None
            elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                imported = module.imports.get(part.value.id)
                if imported is not None:
                    target, name = imported
                    yield (target if name is None else f"{target}.{name}"), part.attr

    def _calls_in(self, module: _Module, node: ast.AST) -> Iterator[Call]:
        for scope in _scopes(node):
            known = self._clients_in(module, scope)
            constants = {part.value for part in ast.walk(scope) if isinstance(part, ast.Constant)}
            for part in _own(scope):
                if not (isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)):
                    continue
                service = self._service(module, part.func.value, known)
                if service is None:
                    continue
                splat = any(keyword.arg is None for keyword in part.keywords)
                versioned = any(keyword.arg == "VersionId" for keyword in part.keywords)
                yield Call(
                    service,
                    _method(service, part),
                    versioned or (splat and "VersionId" in constants),
                    f"{module.name}.py:{part.lineno}",
                )

    def _service(self, module: _Module, value: ast.expr, known: dict[str, str]) -> str | None:
        """The service whose client an expression is."""
        if isinstance(value, ast.Call):
            direct = _service_of_boto3_call(value)
            if direct is not None:
                return direct
            if isinstance(value.func, ast.Name):
                name = value.func.id
                target = module.imports.get(name, (module.name, name))
                return self._factories.get((target[0], target[1] or name))
            if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Name):
                imported = module.imports.get(value.func.value.id)
                if imported is not None:
                    target_module = imported[0] if imported[1] is None else f"{imported[0]}.{imported[1]}"
                    return self._factories.get((target_module, value.func.attr))
            return None
        return known.get(ast.unparse(value))

    def _clients_in(self, module: _Module, scope: ast.AST) -> dict[str, str]:
        """Names and attributes that hold a client within a scope, or in the module around it."""
        known = dict(self._known_everywhere(module.name))
        for node in ast.walk(scope):
            known.update(self._assigned(module, node))
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs):
                if argument.annotation is not None and (service := _annotated(module, argument.annotation)):
                    known[argument.arg] = service
        return known

    @functools.cache  # noqa: B019
    def _known_everywhere(self, name: str) -> dict[str, str]:
        """A plain name is known where it is assigned, an attribute wherever its object is."""
        module = self._modules[name]
        return {
            bound: service
            for node in ast.walk(module.tree)
            for bound, service in self._assigned(module, node)
            if "." in bound or node in module.tree.body
        }

    def _assigned(self, module: _Module, node: ast.AST) -> Iterator[tuple[str, str]]:
        """Names that a statement binds to a client, with its service."""
        if isinstance(node, ast.Assign) and (service := self._service(module, node.value, {})):
            yield from ((ast.unparse(target), service) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and (service := _annotated(module, node.annotation)):
            yield ast.unparse(node.target), service
        elif isinstance(node, ast.NamedExpr) and (service := self._service(module, node.value, {})):
            yield node.target.id, service


def _parsed(name: str, text: str) -> _Module:
    module = _Module(name, ast.parse(text, filename=f"{name}.py"))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module.imports[alias.asname or alias.name] = (_absolute(name, node), alias.name)
    for statement in module.tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            module.definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                module.definitions[ast.unparse(target)] = statement
    return module


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = module.split(".")[: -node.level] or [module]
    return ".".join([*package, *([node.module] if node.module else [])])


def _defines(node: ast.AST) -> bool:
    return isinstance(
        node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    )


def _scopes(node: ast.AST) -> Iterator[ast.AST]:
    """A piece of source and every function inside it, each of which has names of its own."""
    yield node
    for part in ast.walk(node):
        if part is not node and isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            yield part


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """What is in a scope and in none of the functions inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def _client_made_in(definition: ast.AST) -> str | None:
    made = {
        service
        for node in ast.walk(definition)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call)
        if (service := _service_of_boto3_call(node.value)) is not None
    }
    return made.pop() if len(made) == 1 else None


def _service_of_boto3_call(call: ast.Call) -> str | None:
    if (
        ast.unparse(call.func).rpartition(".")[2] == "client"
        and call.args
        and "boto3" in ast.unparse(call.func)
    ):
        first = call.args[0]
        return str(first.value) if isinstance(first, ast.Constant) else None
    return None


def _annotated(module: _Module, annotation: ast.expr) -> str | None:
    name = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    stub, imported = module.imports.get(str(name), ("", None))
    return sdk.service_of_stub(stub) if imported is not None and imported.endswith("Client") else None


def _is_module(module: _Module, value: ast.expr) -> bool:
    """Whether a method is looked up on something imported, as in `json.loads`, or on a literal."""
    return isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id in module.imports)


def _method(service: str, call: ast.Call) -> str:
    """The method that is called in the end: of a paginator or a waiter, the operation behind it."""
    assert isinstance(call.func, ast.Attribute)
    method = call.func.attr
    if method in ("get_paginator", "get_waiter") and call.args and isinstance(call.args[0], ast.Constant):
        name = str(call.args[0].value)
        if method == "get_paginator":
            return name
        operation = sdk.waiter_operation(service, name)
        return next(key for key, value in sdk.methods(service).items() if value == operation)
    return method
