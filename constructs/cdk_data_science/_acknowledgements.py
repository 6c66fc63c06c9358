"""Findings of security rules that must stay, acknowledged where they arise, each by its own id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

_REFERENCES = "@aws-cdk/core:defaultCrossStackReferences"
_INLINE_POLICY_RULES = (
    "NIST.800.53.R5-IAMNoInlinePolicy",
    "HIPAA.Security-IAMNoInlinePolicy",
    "PCI.DSS.321-IAMNoInlinePolicy",
)


def acknowledge(construct: IConstruct, rules: Iterable[str], reason: str) -> None:
    """Accept findings of these rules on a construct and its children, for a reason that a reviewer can
    check."""
    Validations.of(construct).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule in rules))


def acknowledge_inline_policy(role: IConstruct) -> None:
    """Accept that a role of ours carries its own policy."""
    acknowledge(
        role,
        _INLINE_POLICY_RULES,
        "The policy is derived from what this one role is used for and lives and dies with it. A managed "
        "policy could be attached to other principals, which would then have permissions that were not meant "
        "for them.",
    )


def acknowledge_wildcards(
    consumer: IConstruct, owner: IConstruct, resources: Iterable[str], reason: str
) -> None:
    """Accept wildcard resources in the policy of ``consumer``.

    Args:
        consumer: The role or user whose policy has them.
        owner: A construct in the stack that the tokens in ``resources`` belong to.
        resources: The resources as they were given to the policy.
        reason: Why the wildcard is needed, and what bounds it.
    """
    owners = Stack.of(owner)
    foreign = owners.node.path != Stack.of(consumer).node.path
    acknowledge(
        consumer,
        (
            f"AwsSolutions-IAM5[Resource::{_as_written(owners.resolve(resource), owners, foreign=foreign)}]"
            for resource in resources
        ),
        reason,
    )


def _as_written(resource: Any, owner: Stack, *, foreign: bool) -> str:
    """A resource as cdk-nag prints it, for its finding's id.

    In the owner's own stack that is ``<LogicalId.Arn>/*``. In another stack the reference has become a
    look-up of the owner's output, whose name follows from the reference.
    """
    if isinstance(resource, str):
        return resource
    ((function, argument),) = resource.items()
    if function == "Fn::Join":
        separator, parts = argument
        return str(separator).join(_as_written(part, owner, foreign=foreign) for part in parts)
    if function == "Ref" and argument.startswith("AWS::"):
        return f"<{argument}>"
    if function == "Fn::ImportValue":
        return str(argument)
    if foreign:
        return _cross_stack(resource, owner)
    return f"<{argument}>" if function == "Ref" else f"<{'.'.join(argument)}>"


def _cross_stack(reference: Any, owner: Stack) -> str:
    output = f"Output{_compact(reference)}"
    if owner.node.try_get_context(_REFERENCES) == "weak":
        name = _logical_id("Publish", output)
        region = owner.resolve(owner.region)
        look_up = {"StackName": owner.stack_name, "Region": region, "OutputName": name}
        return _compact({"Fn::GetStackOutput": look_up})
    return f"{owner.stack_name}:{_logical_id('Exports', output)}"


def _logical_id(*path: str) -> str:
    """What CDK calls an element at this path of a stack."""
    digest = hashlib.md5("/".join(path).encode(), usedforsecurity=False).hexdigest()[:8].upper()
    return re.sub(r"[^A-Za-z0-9]", "", "".join(path))[:240] + digest


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
