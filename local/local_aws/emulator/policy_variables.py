"""Variables of policies, which ministack's IAM compares as they are written: ``${aws:PrincipalTag/team}``.

A statement with a variable that has no value in a call does not apply to it
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
"""

from __future__ import annotations

import dataclasses
import json
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
    evaluate_trust = iam_evaluator.evaluate_trust_policy

    def with_filled_trust(trust_doc: Any, caller_arn: str, ctx: Any = None) -> bool:
        document = json.loads(trust_doc) if isinstance(trust_doc, str) else trust_doc
        if ctx is not None and "${" in repr(document):
            ctx = dataclasses.replace(ctx, principal_keys=_tags_of(caller_arn) | ctx.principal_keys)
            document = document | {"Statement": list(_filled_trust(document, ctx))}
        return bool(evaluate_trust(document, caller_arn, ctx))

    iam_evaluator.evaluate_trust_policy = with_filled_trust


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


def _filled_trust(document: dict[str, Any], ctx: Any) -> Iterator[dict[str, Any]]:
    """The statements of a trust policy that apply to the caller."""
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        try:
            yield {**statement, "Condition": _fill(statement.get("Condition", {}), ctx)}
        except _WithoutValue:
            continue


def _tags_of(caller: str) -> dict[str, str]:
    """The tags of who takes a role, as condition keys: of the user or role, and of the session."""
    from ministack.services import iam, sts

    account, _, name = caller.split(":", 4)[4].partition(":")
    kind, _, rest = name.partition("/")
    store = {"user": iam._users, "assumed-role": iam._roles}.get(kind)
    entity = store.get_scoped(account, None, rest.split("/")[0 if kind != "user" else -1]) if store else None
    tags = list((entity or {}).get("Tags") or [])
    tags += [
        tag
        for session in list(sts._sessions.values())
        if session.get("Arn") == caller
        for tag in session.get("SessionTags") or []
    ]
    return {f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in tags}


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
