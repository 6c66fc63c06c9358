"""What roles may do, what they did and what they were denied: ``local-aws report``.

A permission is used when an allowed call matched its action and its resource. Some permissions serve what
AWS does itself in a role's name and the local AWS does outside of IAM, such as a function's log: these are
told apart, because nothing here can show that they are needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from local_aws.emulator import call_log

_NOT_SEEN_HERE = ("logs:", "xray:", "ec2:", "ecr:", "cloudwatch:PutMetricData")


@dataclass(frozen=True, slots=True)
class _Permission:
    action: str
    resources: tuple[str, ...]
    policy: str


def report(name: str | None = None) -> dict[str, Any]:
    """One entry for each role whose name contains the text; without one, for each role that has called."""
    from ministack.services import iam

    roles: list[str] = sorted(iam._roles)
    if name is not None:
        chosen = [role for role in roles if name.rsplit("/", 1)[-1] in role]
    else:
        chosen = [role for role in roles if call_log.of(role)]
    return {"roles": [_of_role(role, iam._roles.get(role)) for role in chosen]}


def _of_role(name: str, role: dict[str, Any]) -> dict[str, Any]:
    counts = call_log.of(name)
    permissions = list(_permissions(role))
    unused = [permission for permission in permissions if not _used(permission, counts)]
    return {
        "role": name,
        "used": [
            {"action": action, "calls": count.allowed, "resources": sorted(count.allowed_resources)}
            for action, count in sorted(counts.items())
            if count.allowed
        ],
        "unused": [_shown(p) for p in unused if not p.action.startswith(_NOT_SEEN_HERE)],
        "unseen": [_shown(p) for p in unused if p.action.startswith(_NOT_SEEN_HERE)],
        "denied": [
            {"action": action, "calls": count.denied, "resources": sorted(count.denied_resources)}
            for action, count in sorted(counts.items())
            if count.denied
        ],
    }


def _permissions(role: dict[str, Any]) -> list[_Permission]:
    """Each action that an Allow statement of the role's policies names."""
    from ministack.core.iam_evaluator import _resolve_managed_policy_document
    from ministack.core.responses import get_account_id

    documents = dict(role.get("InlinePolicies") or {})
    for arn in role.get("AttachedPolicies", []):
        documents[arn.rsplit("/", 1)[-1]] = _resolve_managed_policy_document(arn, get_account_id())
    return [
        _Permission(action, tuple(_listed(statement.get("Resource", "*"))), policy)
        for policy, document in documents.items()
        for statement in _statements(document)
        if statement.get("Effect") == "Allow"
        for action in _listed(statement.get("Action", []))
    ]


def _used(permission: _Permission, counts: dict[str, call_log.Count]) -> bool:
    from ministack.core.iam_evaluator import fnmatch_iam, fnmatch_iam_cs

    return any(
        fnmatch_iam(action, permission.action)
        and any(
            fnmatch_iam_cs(resource, pattern)
            for pattern in permission.resources
            for resource in count.allowed_resources
        )
        for action, count in counts.items()
    )


def _shown(permission: _Permission) -> dict[str, Any]:
    return {
        "action": permission.action,
        "policy": permission.policy,
        "resources": list(permission.resources),
    }


def _statements(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, str):
        document = json.loads(document)
    return _listed((document or {}).get("Statement", []))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
