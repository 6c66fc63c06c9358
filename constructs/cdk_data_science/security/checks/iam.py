"""What the roles of an app may do, and who may assume them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cdk_data_science.security.checks.intrinsics import is_unknown
from cdk_data_science.security.checks.templates import Resource, as_list

POLICIES = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
ADMINISTRATION = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement of a role's policy."""

    holder: Resource
    at: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Any
    """By operators; nothing if there are none."""

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"

    def may_look_at(self, *keys: str) -> bool:
        """Whether its conditions look at one of these keys, which are in lower case, as far as is known."""
        return may_look_at(self.conditions, *keys)


def statements(holder: Resource) -> Iterator[Statement]:
    """The statements that a role or a policy holds itself."""
    if holder.type == "AWS::IAM::Role":
        for number, policy in enumerate(as_list(holder.get("Policies"))):
            if isinstance(policy, dict):
                yield from read(holder, policy.get("PolicyDocument"), f"Policies[{number}].PolicyDocument")
    else:
        yield from read(holder, holder.get("PolicyDocument"), "PolicyDocument")


def statements_of(role: Resource) -> Iterator[Statement]:
    """What a role may do by the templates: its own policies and those that are attached to it."""
    yield from statements(role)
    attached = {policy for arn in managed_arns(role) if (policy := role.templates.target(arn)) is not None}
    for policy in role.templates.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        roles = as_list(policy.get("Roles"))
        if policy in attached or any(role.templates.target(name) == role for name in roles):
            yield from statements(policy)


def managed_arns(role: Resource) -> list[str]:
    """The ARNs of a role's managed policies."""
    return [arn for arn in as_list(role.get("ManagedPolicyArns")) if isinstance(arn, str)]


def full_access(role: Resource) -> list[str]:
    """The names of its managed policies of AWS that allow everything, or everything in a service."""
    names = (arn.rpartition("/")[2] for arn in managed_arns(role) if ":aws:policy/" in arn)
    return [name for name in names if name.endswith("FullAccess") or name in ADMINISTRATION]


def trusted_services(role: Resource) -> set[str]:
    """The services that may assume a role."""
    found: set[str] = set()
    for statement in as_list(role.get("AssumeRolePolicyDocument.Statement")):
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        if isinstance(principal, dict):
            found |= {str(service) for service in as_list(principal.get("Service"))}
    return found


def trusts(role: Resource, service: str) -> bool:
    """Whether a service, such as ``sagemaker``, may assume a role."""
    return any(name.startswith(f"{service}.amazonaws.com") for name in trusted_services(role))


def read(holder: Resource, document: Any, at: str) -> Iterator[Statement]:
    """The statements of a policy document."""
    for number, statement in enumerate(
        as_list(document.get("Statement") if isinstance(document, dict) else None)
    ):
        if isinstance(statement, dict):
            yield Statement(
                holder=holder,
                at=f"{at}.Statement[{number}]",
                effect=str(statement.get("Effect")),
                actions=_texts(statement.get("Action")),
                resources=_texts(statement.get("Resource")),
                conditions=statement.get("Condition") or {},
            )


def may_look_at(conditions: Any, *keys: str) -> bool:
    """Whether conditions look at one of these keys, which are in lower case; what is not known may."""
    blocks = list(conditions.values()) if isinstance(conditions, Mapping) else [conditions]
    found = {str(key).lower() for block in blocks if isinstance(block, Mapping) for key in block}
    return any(is_unknown(block) for block in blocks) or not found.isdisjoint(keys)


def is_public(statement: Any) -> bool:
    """Whether a statement of a resource's policy lets everybody in, with no condition on who it is."""
    if not isinstance(statement, dict) or statement.get("Effect") != "Allow" or statement.get("Condition"):
        return False
    principal = statement.get("Principal")
    everybody = [principal] if isinstance(principal, str) else []
    if isinstance(principal, dict):
        everybody = as_list(principal.get("AWS"))
    return "*" in everybody


def known(action: str) -> bool:
    """Whether an action's text is all there."""
    return not is_unknown(action)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in as_list(value) if isinstance(text, str))
