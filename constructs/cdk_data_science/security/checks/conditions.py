"""Which truths a template's conditions can have together."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

_MOST_ATOMS = 6

Truths = Mapping[str, bool]


class Conditions:
    """The conditions of a template, each made of comparisons with a value that the deployment gives.

    Comparisons of the same value with two different literals are never both true, so that a finding is never
    told for an environment that cannot be. A comparison of the region, the account or the partition is
    decided where the stack's is known; where it is not, the stack is in none of those that are named.
    """

    def __init__(self, document: Mapping[str, Any], known: Mapping[str, str | None] | None = None) -> None:
        pseudo = {"AWS::Partition": None, **(known or {})}
        self._document = {name: _decided(expression, pseudo) for name, expression in document.items()}

    def combinations(self, value: Any) -> Iterator[Truths | None]:
        """Every way in which the conditions that a value depends on can turn out.

        One None where there are too many of them to try: what depends on them is then unknown.
        """
        names = sorted(set(_mentioned(value)) & set(self._document))
        if not names:
            yield {}
            return
        atoms = sorted({atom for name in names for atom in self._atoms({"Condition": name}, ())})
        if len(atoms) > _MOST_ATOMS:
            yield None
            return
        seen: set[tuple[bool, ...]] = set()
        for chosen in itertools.product((True, False), repeat=len(atoms)):
            truth = dict(zip(atoms, chosen, strict=True))
            if _possible(truth):
                outcome = tuple(self._evaluate({"Condition": name}, truth) for name in names)
                if outcome not in seen:
                    seen.add(outcome)
                    yield dict(zip(names, outcome, strict=True))

    def _atoms(self, expression: Any, path: tuple[str, ...]) -> Iterator[str]:
        for operator, argument in expression.items() if isinstance(expression, dict) else ():
            if operator == "Condition":
                if argument in self._document and argument not in path:
                    yield from self._atoms(self._document[argument], (*path, argument))
                else:
                    yield _atom(expression)
            elif operator in ("Fn::And", "Fn::Or", "Fn::Not"):
                for part in argument:
                    yield from self._atoms(part, path)
            elif _literal(expression) is None:
                yield _atom(expression)

    def _evaluate(self, expression: Any, truth: Mapping[str, bool]) -> bool:
        ((operator, argument),) = expression.items()
        if operator == "Condition" and _atom(expression) not in truth:
            return self._evaluate(self._document[argument], truth)
        if operator == "Fn::And":
            return all(self._evaluate(part, truth) for part in argument)
        if operator == "Fn::Or":
            return any(self._evaluate(part, truth) for part in argument)
        if operator == "Fn::Not":
            return not self._evaluate(argument[0], truth)
        known = _literal(expression)
        return truth[_atom(expression)] if known is None else known


def _decided(expression: Any, pseudo: Mapping[str, str | None]) -> Any:
    """An expression with the pseudo parameters that it compares replaced by their values."""
    if not isinstance(expression, dict):
        return expression
    operator, argument = next(iter(expression.items()), ("", []))
    if operator in ("Fn::And", "Fn::Or", "Fn::Not"):
        return {operator: [_decided(part, pseudo) for part in argument]}
    if operator == "Fn::Equals":
        elsewhere = "somewhere else"
        sides = [
            pseudo[side["Ref"]] or elsewhere
            if isinstance(side, dict) and len(side) == 1 and side.get("Ref") in pseudo
            else side
            for side in argument
        ]
        return {operator: sides}
    return expression


def _mentioned(value: Any) -> Iterator[str]:
    """The conditions that `Fn::If` names anywhere in a value."""
    if isinstance(value, dict):
        if "Fn::If" in value and len(value) == 1:
            yield str(value["Fn::If"][0])
        for inner in value.values():
            yield from _mentioned(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mentioned(inner)


def _atom(expression: Any) -> str:
    return json.dumps(expression, sort_keys=True)


def _literal(expression: Any) -> bool | None:
    """What a comparison of two literals comes to."""
    sides = expression.get("Fn::Equals", ())
    if len(sides) == 2 and all(isinstance(side, str | int | float | bool) for side in sides):
        return str(sides[0]) == str(sides[1])
    return None


def _possible(truth: Mapping[str, bool]) -> bool:
    """Whether no value equals two different literals."""
    equal: dict[str, str] = {}
    for atom, holds in truth.items():
        sides = json.loads(atom).get("Fn::Equals", ()) if holds else ()
        literals = [side for side in sides if isinstance(side, str | int | float | bool)]
        others = [side for side in sides if not isinstance(side, str | int | float | bool)]
        if len(literals) == 1 and len(others) == 1:
            key = json.dumps(others[0], sort_keys=True)
            if equal.setdefault(key, str(literals[0])) != str(literals[0]):
                return False
    return True
