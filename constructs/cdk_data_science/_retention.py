"""Data outlives mistakes: the two-key rule for everything that holds data."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from constructs import Construct

DESTROY_DATA_CONTEXT = "cdk-data-science:destroyData"


def destruction_allowed(scope: Construct, *, destroy: bool) -> bool:
    """Whether both the construct's own property and the app's context ask for deletion.

    The context key is ``cdk-data-science:destroyData`` and has to be the boolean true
    (``-c cdk-data-science:destroyData=true`` on the command line counts).
    """
    return destroy and scope.node.try_get_context(DESTROY_DATA_CONTEXT) in (True, "true")


def removal_policy(scope: Construct, *, destroy: bool) -> RemovalPolicy:
    """Retain, unless both keys ask for deletion."""
    allowed = destruction_allowed(scope, destroy=destroy)
    return RemovalPolicy.DESTROY if allowed else RemovalPolicy.RETAIN
