"""Trust policies: whether a role lets an AWS service take it.

Asked when a role is given to a service and again each time that the service takes it. A condition on the
source of the call is checked where the source is known.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any


class NotTrusted(Exception):
    """The role exists, and its trust policy does not name the service."""

    def __init__(self, role: str, service: str) -> None:
        super().__init__(f"The role {role} does not let {service}.amazonaws.com take it (sts:AssumeRole).")
        self.role, self.service = role, service


def require(role_arn: str, service: str, source_arn: str | None = None) -> None:
    """Raise NotTrusted unless the role's trust policy lets the service take it; unknown roles pass."""
    from ministack.services import iam

    account, name = _parts(role_arn)
    role = iam._roles.get_scoped(account, None, name) if account else None
    if role is None:
        return  # that it does not exist, each service says in its own words
    document = role.get("AssumeRolePolicyDocument") or "{}"
    text = document if isinstance(document, str) else json.dumps(document)
    if not _allows(text, service, role_arn, source_arn):
        raise NotTrusted(role_arn, service)


def _allows(text: str, service: str, role_arn: str, source_arn: str | None) -> bool:
    from ministack.core import iam_evaluator

    account = _parts(role_arn)[0]
    known = {"aws:sourceaccount": account, "aws:principalservicename": f"{service}.amazonaws.com"}
    context = iam_evaluator.EvalContext(
        principal_arn=f"{service}.amazonaws.com",
        principal_type="AWSService",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region="",
        service_context=known | ({"aws:sourcearn": source_arn} if source_arn else {}),
    )
    allowed = False
    for statement in _statements(text):
        if not _is_about(statement, service):
            continue
        if not iam_evaluator._conditions_met(_conditions(statement, source_arn), context):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = True
    return allowed


def _is_about(statement: dict[str, Any], service: str) -> bool:
    from ministack.core import iam_evaluator

    actions, principal = statement.get("Action", []), statement.get("Principal", {})
    wanted = [actions] if isinstance(actions, str) else actions
    named = principal == "*" or iam_evaluator._service_principal_matches(
        principal, f"{service}.amazonaws.com"
    )
    return named and any(iam_evaluator.fnmatch_iam("sts:AssumeRole", action) for action in wanted)


def _conditions(statement: dict[str, Any], source_arn: str | None) -> dict[str, Any]:
    """The statement's conditions, without those on a source that is not known yet."""
    conditions = statement.get("Condition", {})
    if source_arn is not None:
        return dict(conditions)
    return {
        operator: {key: value for key, value in keys.items() if key.lower() != "aws:sourcearn"}
        for operator, keys in conditions.items()
    }


@lru_cache(maxsize=512)
def _statements(text: str) -> list[dict[str, Any]]:
    try:
        statements = json.loads(text).get("Statement", [])
    except ValueError:
        return []
    return [statements] if isinstance(statements, dict) else list(statements)


def _parts(role_arn: str) -> tuple[str, str]:
    pieces = role_arn.split(":")
    return (pieces[4], pieces[5].rsplit("/", 1)[-1]) if len(pieces) > 5 else ("", "")
