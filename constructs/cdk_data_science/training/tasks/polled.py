"""Jobs for which Step Functions has no ``.sync``: created by one state, looked at by others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._tags import tags_at
from cdk_data_science._tasks import Task, retry
from cdk_data_science.training.kinds import Naming
from cdk_data_science.training.tasks.polling import JobStates, Watched, sdk_retries


class PolledJob(JobStates):
    """States that create a job, look at it until it has ended, and stop it when its time is over.

    The limit is looked at with the job: it may be overstepped by the time between two looks.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        naming: Naming,
        arguments: Mapping[str, Any],
        role: iam.IRole,
        tags: Mapping[str, str],
        tags_of: IConstruct | None,
        limit: Duration,
        on_failure: sfn.State | None,
        assign: Mapping[str, Any] | None,
        parameters: Mapping[str, Any] | None,
    ) -> None:
        kind, stack = naming.kind, Stack.of(scope)
        create = Task(
            scope,
            id,
            integration=f"aws-sdk:sagemaker:{kind.create}",
            arguments={
                kind.name_member: naming.name,
                **arguments,
                "Tags": tags_at(scope, id, tags, tags_of),
                **(parameters or {}),
            },
            timeout=Duration.minutes(15),
            statements=kind.statements(stack, naming.pattern, role),
            retry=create_retries(),
        )
        super().__init__(
            scope,
            id,
            create=create,
            waits=False,
            job=Watched(
                kind=kind,
                name=naming.name,
                arns=[kind.arn(stack, naming.pattern)],
                limit=limit,
                stop_after_limit=True,
                task_id=id,
            ),
            on_failure=on_failure,
            assign=assign,
        )


def create_retries() -> list[dict[str, Any]]:
    """Retries for a create call of an ``aws-sdk`` integration that a name or a token makes idempotent."""
    return [
        retry(
            ["SageMaker.ResourceLimitExceededException"],
            attempts=4,
            interval=Duration.minutes(1),
            ceiling=Duration.minutes(4),
        ),
        *sdk_retries(),
    ]
