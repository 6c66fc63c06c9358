"""Policies: known actions, no wildcard where less would do, nothing open to everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.compliance import iam
from tests.compliance.templates import Platform

# Actions whose reach is limited by a condition key of their own rather than by a resource.
_BOUND_BY_CONDITION = {"cloudwatch:PutMetricData": "cloudwatch:namespace"}


def unknown_actions(platform: Platform) -> Iterator[str]:
    """Actions that IAM does not know grant nothing: `kms:ReEncrypt` looks right and is denied at run time."""
    for statement in iam.statements(platform):
        for action in statement.actions:
            if not iam.matching_actions(action):
                yield f"{statement.holder}: IAM knows no action {action}"


def wildcard_actions(platform: Platform) -> Iterator[str]:
    """No identity may do everything, or everything in a service."""
    for statement in iam.statements(platform):
        if statement.identity and statement.allows:
            for action in statement.actions:
                if action == "*" or action.endswith(":*"):
                    yield f"{statement.holder}: allows {action}"


def wildcard_resources(platform: Platform, tolerated: Mapping[str, str]) -> Iterator[str]:
    """`*` only for actions that cannot be limited to a resource, or whose reason is written down."""
    for statement in iam.statements(platform):
        if statement.identity and statement.allows and "*" in statement.resources:
            for action in statement.actions:
                bound = _BOUND_BY_CONDITION.get(action)
                if bound is not None and f'"{bound}"' in statement.conditions:
                    continue
                if iam.can_be_limited(action) and action not in tolerated:
                    yield f"{statement.holder}: allows {action} on *, and it can be limited to some resources"


def public_policies(platform: Platform) -> Iterator[str]:
    """No resource may be open to everybody."""
    for statement in iam.statements(platform):
        if statement.allows and not statement.conditions and "AWS:*" in statement.principals:
            yield f"{statement.holder}: is open to every AWS account"


def full_access_policies(platform: Platform) -> Iterator[str]:
    """A managed policy such as AmazonSageMakerFullAccess is the opposite of least privilege."""
    for role in platform.resources("AWS::IAM::Role"):
        for policy in iam.managed_policies(platform, role):
            if policy.endswith(("FullAccess", "AdministratorAccess", "PowerUserAccess")):
                yield f"{role}: has the managed policy {policy}"
