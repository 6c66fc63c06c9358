"""Variables of policies, which ministack's IAM compares as they are written: ``${aws:PrincipalTag/team}``.

A statement with a variable that has no value in a call does not apply to it
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

# ${*}, ${?} and ${$} stand for the characters themselves, and have no name.
_VARIABLE = re.compile(r"\$\{([A-Za-z][^},]*)(?:,\s*'([^']*)')?\}")


class _WithoutValue(Exception):
    pass


def install() -> None:
    from ministack.core import iam_evaluator

    first_match = iam_evaluator._first_match

    def first_filled_match(ctx: Any, stmts: list[Any], effect: str) -> Any:
        return first_match(ctx, list(_filled(ctx, stmts)), effect)

    iam_evaluator._first_match = first_filled_match


def _filled(ctx: Any, statements: list[Any]) -> Iterator[Any]:
    for statement in statements:
        parts = (statement.resources, statement.not_resources, statement.conditions)
        if "${" not in repr(parts):
            yield statement
            continue
        try:
            resources, others, conditions = (_fill(part, ctx) for part in parts)
        except _WithoutValue:
            continue
        yield dataclasses.replace(statement, resources=resources, not_resources=others, conditions=conditions)


def _fill(value: Any, ctx: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(ctx, *found.groups()), value)
    if isinstance(value, list):
        return [_fill(each, ctx) for each in value]
    if isinstance(value, dict):
        return {key: _fill(each, ctx) for key, each in value.items()}
    return value


def _value(ctx: Any, name: str, default: str | None) -> str:
    from ministack.core import iam_evaluator

    value = iam_evaluator._resolve_condition_key(name, ctx)
    if isinstance(value, str):
        return value
    if default is None:
        raise _WithoutValue(name)
    return default
