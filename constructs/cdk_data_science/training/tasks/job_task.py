"""What the tasks that wait for a job with ``.sync`` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from cdk_data_science._tags import tags_at
from cdk_data_science._tasks import Task, retry
from cdk_data_science.training.kinds import Naming
from cdk_data_science.training.tasks.polling import Watched

# What a job needs beyond its own limit: provisioning, download, upload of its results.
OVERHEAD = Duration.minutes(30)


class JobTask(Task):
    """A state that creates a job under a name, waits for its end, and has its description as its result.

    Calls that SageMaker throttled or refused for a quota are made again under the same name, so that no retry
    can start a second job.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        naming: Naming,
        arguments: Mapping[str, Any],
        role: iam.IRole | None,
        tags: Mapping[str, str],
        tags_of: IConstruct | None,
        limit: Duration,
        timeout: Duration | None,
        assign: Mapping[str, Any] | None,
        output: Any,
        parameters: Mapping[str, Any] | None,
    ) -> None:
        kind, stack = naming.kind, Stack.of(scope)
        self._naming, self._limit = naming, limit
        super().__init__(
            scope,
            id,
            integration=f"sagemaker:{kind.create}.sync",
            arguments={
                kind.name_member: naming.name,
                **arguments,
                "Tags": tags_at(scope, id, tags, tags_of),
                **(parameters or {}),
            },
            timeout=timeout if timeout is not None else limit.plus(OVERHEAD),
            statements=kind.statements(stack, naming.pattern, role),
            retry=job_retries(),
            assign=assign,
            output=output,
        )

    @property
    def watched(self) -> Watched:
        """The job, for states that look at it."""
        naming = self._naming
        return Watched(
            kind=naming.kind,
            name=naming.name,
            arns=[naming.kind.arn(Stack.of(self), naming.pattern)],
            limit=self._limit,
            task_id=self.id,
        )


def job_retries() -> list[dict[str, Any]]:
    """Retries for a create call that a name makes idempotent."""
    return [
        # A quota in use by other jobs frees itself when they end; one of 0 never does, and whoever waits for
        # a turn waits along: 11 minutes at most.
        retry(
            ["SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded"],
            attempts=4,
            interval=Duration.minutes(1),
            ceiling=Duration.minutes(4),
        ),
        # Throttling and service faults.
        retry(
            [
                "SageMaker.AmazonSageMakerException",
                "SageMaker.ThrottlingException",
                "SageMaker.SdkClientException",
            ],
            attempts=5,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        ),
    ]
