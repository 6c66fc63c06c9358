"""The states that run one training job, and wait for capacity when there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.training.job import TrainingJob
from cdk_data_science.training.task import TrainingJobTask
from cdk_data_science.training.values import CapacityRetry, Channel

JOB_VARIABLE = "job"
TRIES_VARIABLE = "capacityTries"
FAILURE_VARIABLE = "failure"

FAILURE: dict[str, Any] = {
    FAILURE_VARIABLE: {
        "error": "{% $states.errorOutput.Error %}",
        "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
        "state": "{% $states.context.State.Name %}",
    }
}
"""What a Catch assigns: the error, its cause and the state that failed."""

# SageMaker reports lost or missing capacity as the failure reason of the job, which is in the error's cause.
_NO_CAPACITY = " or ".join(
    f"$contains($failure.cause, '{sign}')"
    for sign in ("CapacityError", "InsufficientCapacity", "InsufficientInstanceCapacity")
)


class TrainingStep(sfn.StateMachineFragment):
    """States that name a training job, run it, and try again later when SageMaker has no capacity.

    Usually made with :meth:`SpotTraining.step`. Each try is a new job under the same name with a number
    behind it; all tries of a run share one checkpoint folder, so that the next one goes on where the last
    one stopped. Job names hold a digest of the execution, since SageMaker never forgets a name, while Step
    Functions lets one be used again after 90 days.

    The variable ``job`` holds the name of the run's job; ``failure`` is set when it failed.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: TrainingJob,
        job_name_prefix: str,
        channels: Sequence[Channel],
        output_uri: str,
        checkpoints_uri: str,
        capacity_retry: CapacityRetry,
        output_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(scope, f"{id} states")
        _check(capacity_retry, scope, id)
        self.task = TrainingJobTask(
            scope,
            id,
            job=job,
            job_name=(
                f"{{% ${JOB_VARIABLE} & (${TRIES_VARIABLE} > 0 ? '-' & $string(${TRIES_VARIABLE}) : '') %}}"
            ),
            job_name_pattern=f"{job_name_prefix}-*",
            channels=channels,
            output_uri=output_uri,
            output_key=output_key,
            checkpoint_uri=f"{{% '{checkpoints_uri}' & ${JOB_VARIABLE} & '/' %}}",
            tags_of=tags_of,
            assign=assign,
        )
        self._first = sfn.Pass.jsonata(
            scope,
            f"{id}: name the job",
            assign={JOB_VARIABLE: _job_name(job_name_prefix), TRIES_VARIABLE: 0},
        )
        self._first.next(self.task)
        failed = on_failure if on_failure is not None else _fail(scope, f"{id}: failed")
        self._catch(scope, id, capacity_retry, failed)

    @property
    @jsii.member(jsii_name="startState")
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._first

    @property
    @jsii.member(jsii_name="endStates")
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the job has succeeded."""
        return [self.task]

    def _catch(self, scope: Construct, id: str, capacity: CapacityRetry, failed: sfn.State) -> None:
        wait = sfn.Wait.jsonata(
            scope,
            f"{id}: wait for capacity",
            time=sfn.WaitTime.duration(capacity.wait_time),
            assign={TRIES_VARIABLE: f"{{% ${TRIES_VARIABLE} + 1 %}}"},
        )
        wait.next(self.task)
        choice = sfn.Choice.jsonata(scope, f"{id}: no capacity?")
        choice.when(
            sfn.Condition.jsonata(f"{{% ${TRIES_VARIABLE} < {capacity.attempts} and ({_NO_CAPACITY}) %}}"),
            wait,
        )
        choice.otherwise(failed)
        self.task.add_catch(choice, errors=["States.TaskFailed"], assign=FAILURE, outputs={})
        self.task.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})


def _job_name(prefix: str) -> str:
    # Longest: 22 of the prefix, 28 of the execution, 6 of the digest, 3 hyphens, and "-100" of the tries.
    return (
        f"{{% '{prefix}-'"
        " & $substring($replace($lowercase($states.context.Execution.Name), /[^a-z0-9]+/, '-'), 0, 28)"
        " & '-' & $substring($hash($states.context.Execution.Id & $states.context.Execution.StartTime,"
        " 'SHA-256'), 0, 6) %}"
    )


def _fail(scope: Construct, id: str) -> sfn.Fail:
    return sfn.Fail.jsonata(
        scope, id, error=f"{{% ${FAILURE_VARIABLE}.error %}}", cause=f"{{% ${FAILURE_VARIABLE}.cause %}}"
    )


def _check(capacity: CapacityRetry, scope: Construct, id: str) -> None:
    problems = Problems(f"TrainingStep {id!r}", scope)
    problems.check(
        0 <= capacity.attempts <= 100,
        given=f"CapacityRetry(attempts={capacity.attempts})",
        allowed="0 to 100",
    )
    seconds = capacity.wait_time.to_seconds()
    problems.check(
        1 <= seconds <= 86_400,
        given=f"CapacityRetry(wait={seconds:g} s)",
        allowed="one second to one day",
        write="wait=Duration.minutes(5)",
    )
    problems.raise_if_any()
