"""Task states in JSONata that carry the permissions they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct


class Task(sfn.CustomState):
    """A task of any service integration, written as the Amazon States Language has it.

    Where CDK has no class for an integration, or one that grants more than the task needs, this gives the
    state machine's role exactly ``statements`` once the task is part of a state machine.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        integration: str,
        arguments: Mapping[str, Any],
        timeout: Duration,
        statements: Sequence[iam.PolicyStatement],
        retry: Sequence[Mapping[str, Any]] = (),
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        comment: str | None = None,
    ) -> None:
        state: dict[str, Any] = {
            "Type": "Task",
            "QueryLanguage": "JSONata",
            "Resource": f"arn:{Stack.of(scope).partition}:states:::{integration}",
            "Arguments": dict(arguments),
            "TimeoutSeconds": timeout.to_seconds(),
            # What a task returns goes into variables by name; the state's own output stays small.
            "Output": output if output is not None else {},
        }
        if comment is not None:
            state["Comment"] = comment
        if retry:
            state["Retry"] = [dict(rule) for rule in retry]
        if assign:
            state["Assign"] = dict(assign)
        super().__init__(scope, id, state_json=state)
        self._statements = list(statements)

    @jsii.member(jsii_name="whenBoundToGraph")
    def _when_bound_to_graph(self, graph: sfn.StateGraph) -> None:
        super()._when_bound_to_graph(graph)
        for statement in self._statements:
            graph.register_policy_statement(statement)


def retry(
    errors: Sequence[str],
    *,
    attempts: int,
    interval: Duration,
    backoff: float = 2.0,
    ceiling: Duration | None = None,
) -> dict[str, Any]:
    """Return one rule of a state's ``Retry``, with jitter so that parallel runs do not retry in step."""
    rule: dict[str, Any] = {
        "ErrorEquals": list(errors),
        "IntervalSeconds": interval.to_seconds(),
        "MaxAttempts": attempts,
        "BackoffRate": backoff,
        "JitterStrategy": "FULL",
    }
    if ceiling is not None:
        rule["MaxDelaySeconds"] = ceiling.to_seconds()
    return rule
