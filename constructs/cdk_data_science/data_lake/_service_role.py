"""A role that a service takes for this account alone."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy


def service_role(
    scope: Construct,
    service: str,
    description: str,
    *,
    id: str = "Role",
    name: str | None = None,
    source: str | None = None,
) -> iam.Role:
    """A role that may do nothing yet, and that the service takes neither for another account nor, with
    ``source``, for another resource (the confused deputy).

    Args:
        service: As in its principal, without the ``.amazonaws.com``.
        description: What the role is for.
        id: Of the construct.
        name: Of the role. Default: CloudFormation names it.
        source: ARN, or pattern of ARNs, of what the service acts for.
    """
    conditions = {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
    if source is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source}
    role = iam.Role(
        scope,
        id,
        role_name=name,
        description=description,
        assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com", conditions=conditions),
    )
    acknowledge_inline_policy(role)
    return role
