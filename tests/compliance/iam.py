"""What IAM policies allow, and whether IAM knows what they name."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from tests.compliance.templates import UNKNOWN, Platform, Resource, as_list, walk

# Identity policies; everything else that holds statements is a resource's own policy or a trust policy.
_IDENTITY = (
    "AWS::IAM::Role",
    "AWS::IAM::Policy",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::User",
    "AWS::IAM::Group",
)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with the resource of the template that holds it."""

    holder: Resource
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: str
    identity: bool
    """Whether it is part of a policy that is attached to a role or a user."""

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"


@functools.cache
def catalogue() -> dict[str, dict[str, bool]]:
    """By service prefix, in lower case: its actions, and whether each can be limited to some resources."""
    file = resources.files("cfnlint.data.AdditionalSpecs") / "Policies.json"
    return {
        service.lower(): {
            action.lower(): bool(facts.get("Resources")) for action, facts in content["Actions"].items()
        }
        for service, content in json.loads(file.read_text(encoding="utf-8")).items()
    }


def matching_actions(pattern: str) -> list[str]:
    """The actions that a policy's action stands for."""
    if pattern == "*":
        return ["*"]
    service, _, action = pattern.lower().partition(":")
    return [f"{service}:{known}" for known in catalogue().get(service, ()) if fnmatchcase(known, action)]


def can_be_limited(pattern: str) -> bool:
    """Whether at least one action that ``pattern`` stands for can be limited to some resources."""
    services = catalogue()
    return any(
        action == "*" or services[action.partition(":")[0]][action.partition(":")[2]]
        for action in matching_actions(pattern)
    )


def boundaries(platform: Platform) -> set[Resource]:
    """Policies that bound roles and are attached to none: they give nothing."""
    bounding = {
        platform.target(role.stack, role.properties["PermissionsBoundary"])
        for role in platform.resources("AWS::IAM::Role")
        if "PermissionsBoundary" in role.properties
    }
    attached = {
        platform.target(role.stack, policy)
        for role in platform.resources("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group")
        for policy in role.properties.get("ManagedPolicyArns", ())
    }
    holders = ("Roles", "Users", "Groups")
    return {
        policy
        for policy in bounding - attached
        if policy is not None and not any(policy.properties.get(holder) for holder in holders)
    }


def statements(platform: Platform) -> Iterator[Statement]:
    """Every statement of every policy in the templates."""
    bounding = boundaries(platform)
    for resource in platform.resources():
        for name, value in resource.properties.items():
            # A trust policy hangs on a role but is the role's own policy as a resource.
            identity = (
                resource.type in _IDENTITY and name != "AssumeRolePolicyDocument" and resource not in bounding
            )
            for document in walk(value):
                if isinstance(document, dict) and isinstance(document.get("Statement"), list | dict):
                    for statement in as_list(document["Statement"]):
                        yield _read(platform, resource, statement, identity=identity)


def statements_of(platform: Platform, role: Resource) -> list[Statement]:
    """What a role's inline, attached and managed policies of these templates say."""
    attached = {role}
    for policy in platform.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        if any(platform.target(policy.stack, name) == role for name in policy.properties.get("Roles", ())):
            attached.add(policy)
    for managed in role.properties.get("ManagedPolicyArns", ()):
        policy_resource = platform.target(role.stack, managed)
        if policy_resource is not None:
            attached.add(policy_resource)
    return [found for found in statements(platform) if found.identity and found.holder in attached]


def managed_policies(platform: Platform, role: Resource) -> list[str]:
    """The names of the AWS managed policies that a role has."""
    texts = (platform.text(role.stack, arn) for arn in role.properties.get("ManagedPolicyArns", ()))
    return [text.partition(":policy/")[2] for text in texts if ":aws:policy/" in text]


def overlap(one: str, other: str) -> bool:
    """Whether two patterns have a text in common; `*` and what is unknown stand for any text.

    A pseudo parameter (`${AWS::Region}`) and what is written in its place may be the same.
    """
    return _overlap(_tokens(one), _tokens(other))


@functools.cache
def _tokens(text: str) -> tuple[str, ...]:
    for pseudo in ("Partition", "Region", "AccountId", "URLSuffix", "StackName", "StackId"):
        text = text.replace(f"${{AWS::{pseudo}}}", "*")
    return tuple(text.replace(UNKNOWN, "*"))


@functools.lru_cache(maxsize=4096)
def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    # Row by row over `other`: reachable[j] says whether one[:i] and other[:j] have a text in common.
    reachable = [True] + [False] * len(other)
    for j, right in enumerate(other, 1):
        reachable[j] = reachable[j - 1] and right == "*"
    for left in one:
        row = [reachable[0] and left == "*"]
        for j, right in enumerate(other, 1):
            if left == "*" or right == "*":
                row.append(reachable[j] or row[j - 1] or reachable[j - 1])
            else:
                row.append(reachable[j - 1] and (left == right or "?" in (left, right)))
        reachable = row
    return reachable[-1]


def allowed(statements: list[Statement], action: str, resource: str) -> bool:
    """Whether statements allow an action on a resource; conditions are taken as met."""

    def named(statement: Statement) -> bool:
        return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in statement.actions) and any(
            overlap(pattern, resource) for pattern in statement.resources
        )

    return any(named(s) for s in statements if s.allows) and not any(
        named(s) for s in statements if not s.allows and not s.conditions
    )


def _read(platform: Platform, holder: Resource, statement: dict[str, Any], *, identity: bool) -> Statement:
    def texts(name: str) -> tuple[str, ...]:
        return tuple(platform.text(holder.stack, value) for value in as_list(statement.get(name)))

    principal = statement.get("Principal", {})
    principals = (
        [("AWS", principal)]
        if isinstance(principal, str)
        else [(kind, value) for kind, values in principal.items() for value in as_list(values)]
    )
    return Statement(
        holder=holder,
        effect=statement["Effect"],
        actions=texts("Action"),
        resources=texts("Resource"),
        principals=tuple(f"{kind}:{platform.text(holder.stack, value)}" for kind, value in principals),
        conditions=json.dumps(statement.get("Condition", {}), sort_keys=True)
        if statement.get("Condition")
        else "",
        identity=identity,
    )
