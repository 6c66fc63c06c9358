"""Reads the state machine of a template in tests."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from tests.compliance import task_parameters
from tests.constructs import support


def definition(stack: cdk.Stack) -> dict[str, Any]:
    """The one state machine's parsed definition, with a mark for what is known only at deployment."""
    (found,) = task_parameters.definitions(support.document(stack)).values()
    return found


def statements(stack: cdk.Stack, role_prefix: str) -> list[dict[str, Any]]:
    """The statements of the policies that are attached to roles whose logical id begins like this."""
    return [
        statement
        for policy in support.resources(stack, "AWS::IAM::Policy").values()
        if any(str(role.get("Ref", "")).startswith(role_prefix) for role in policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def actions(found: list[dict[str, Any]]) -> set[str]:
    """All actions of statements."""
    return {
        action
        for statement in found
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
