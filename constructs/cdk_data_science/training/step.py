"""The states that run one training job: named once, found again, tried on other capacity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import Problems
from cdk_data_science.training.capacity import (
    REQUESTED_VARIABLE,
    TRIES_VARIABLE,
    CapacityPlan,
    CapacityRetry,
)
from cdk_data_science.training.job import TrainingJob
from cdk_data_science.training.report import NOTHING_SPENT, SPENT, SPENT_VARIABLE
from cdk_data_science.training.task import TrainingJobTask, job_arn
from cdk_data_science.training.values import Channel

JOB_VARIABLE = "job"
FAILURE_VARIABLE = "failure"

FAILURE: dict[str, Any] = {
    FAILURE_VARIABLE: {
        "error": "{% $states.errorOutput.Error %}",
        "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
        "state": "{% $states.context.State.Name %}",
    }
}
"""What a Catch assigns: the error, its cause and the state that failed."""

_TRY = f"{{% ${JOB_VARIABLE} & (${TRIES_VARIABLE} > 0 ? '-' & $string(${TRIES_VARIABLE}) : '') %}}"
_EXISTS = ["SageMaker.ResourceInUseException", "SageMaker.ResourceInUse"]
# A run's history holds 25,000 events, and a look makes nine.
_MOST_LOOKS = 500
_EVENTS_OF_A_LOOK = 9
_EVENTS_OF_A_TRY = 20
_SHORTEST_PAUSE_SECONDS = 30


class TrainingStep(sfn.StateMachineFragment):
    """States that name a training job, run it, and try again on other capacity when SageMaker has none.

    Usually made with :meth:`SpotTraining.step`. Each try is a new job under the same name with a number
    behind it; all tries of a run share one checkpoint folder, so that the next one goes on where the last
    one stopped. Job names hold a digest of the execution, since SageMaker never forgets a name, while Step
    Functions lets one be used again after 90 days. So a job that exists already is this run's own, from a
    call whose answer was lost: the states then wait for its end by looking at it, twice a minute or, for
    long jobs, less often. Step Functions does not stop such a job when the execution is stopped; its own
    limits end it.

    The variable ``job`` holds the name of the run's job, ``capacityTries`` the number of the try, ``spent``
    the seconds of tries before; ``failure`` is set when it failed. :data:`REPORT`, given in ``assign``, adds
    up what the run took and what is billed.

    Args:
        job_name_prefix: Beginning of the jobs' names, as :func:`job_names` has it.
        volume_key: Key of the volumes of fallback types that may have one; the job's own if not given.

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
        volume_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(scope, f"{id} states")
        plan = CapacityPlan(job, capacity_retry, volume_key=volume_key)
        problems = Problems(f"TrainingStep {id!r}", scope)
        plan.check(problems)
        problems.raise_if_any()
        self.task = TrainingJobTask(
            scope,
            id,
            job=job,
            job_name=_TRY,
            job_name_pattern=job_names(job_name_prefix),
            channels=channels,
            output_uri=output_uri,
            output_key=output_key,
            checkpoint_uri=f"{{% '{checkpoints_uri}' & ${JOB_VARIABLE} & '/' %}}",
            tags_of=tags_of,
            output="{% $states.result %}",
            parameters=plan.parameters(),
        )
        self._first = sfn.Pass.jsonata(
            scope,
            f"{id}: name the job",
            assign={
                JOB_VARIABLE: _job_name(job_name_prefix),
                TRIES_VARIABLE: 0,
                REQUESTED_VARIABLE: "{% $states.context.State.EnteredTime %}",
                SPENT_VARIABLE: NOTHING_SPENT,
            },
        )
        self._first.next(self.task)
        failed = on_failure if on_failure is not None else _fail(scope, f"{id}: failed")
        ended = self._other_capacity(scope, id, plan, failed)
        self._found = sfn.Pass.jsonata(
            scope, f"{id}: take its result", assign=_from_input(assign or {}) or None, outputs={}
        )
        look = self._look(scope, id, job_names(job_name_prefix), failed)
        over = self._is_over(scope, id, job, look, ended)
        self.task.next(over)
        look.next(over)
        self.task.add_catch(look, errors=_EXISTS, outputs={})
        self.task.add_catch(ended, errors=["States.TaskFailed"], assign=FAILURE, outputs={})
        self.task.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})

    @property
    @jsii.member(jsii_name="startState")
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._first

    @property
    @jsii.member(jsii_name="endStates")
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the job has succeeded."""
        return [self._found]

    def _other_capacity(self, scope: Construct, id: str, plan: CapacityPlan, failed: sfn.State) -> sfn.Choice:
        """What comes after a job that ended without success."""
        wait = sfn.Wait.jsonata(scope, f"{id}: wait for capacity", time=sfn.WaitTime.duration(plan.wait))
        wait.next(self.task)
        choice = sfn.Choice.jsonata(scope, f"{id}: no capacity?")
        next_try = {TRIES_VARIABLE: plan.next_try, SPENT_VARIABLE: SPENT}
        choice.when(sfn.Condition.jsonata(plan.waits_again), wait, assign=next_try)
        if plan.goes_on_at_once is not None:
            choice.when(sfn.Condition.jsonata(plan.goes_on_at_once), self.task, assign=next_try)
        choice.otherwise(failed)
        return choice

    def _look(self, scope: Construct, id: str, names: str, failed: sfn.State) -> Task:
        """Look at a job that a lost call has made."""
        look = Task(
            scope,
            f"{id}: look for the job",
            comment="The job exists: an earlier call made it, whose answer was lost",
            integration="aws-sdk:sagemaker:describeTrainingJob",
            arguments={"TrainingJobName": _TRY},
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(
                    actions=["sagemaker:DescribeTrainingJob"], resources=[job_arn(Stack.of(scope), names)]
                )
            ],
            retry=[
                retry(
                    ["SageMaker.SageMakerException", "SageMaker.SdkClientException"],
                    attempts=6,
                    interval=Duration.seconds(2),
                    ceiling=Duration.minutes(1),
                )
            ],
            output="{% $states.result %}",
        )
        look.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        return look

    def _is_over(
        self, scope: Construct, id: str, job: TrainingJob, look: Task, ended: sfn.State
    ) -> sfn.Choice:
        """What comes after a look at the job; a job that was stopped has not succeeded, whoever says so."""
        again = sfn.Wait.jsonata(scope, f"{id}: look again later", time=sfn.WaitTime.duration(_pause(job)))
        again.next(look)
        status = "$states.input.TrainingJobStatus"
        choice = sfn.Choice.jsonata(scope, f"{id}: has the job ended?")
        choice.when(sfn.Condition.jsonata(f"{{% {status} = 'Completed' %}}"), self._found)
        choice.when(sfn.Condition.jsonata(f"{{% {status} in ['InProgress', 'Stopping'] %}}"), again)
        choice.when(
            sfn.Condition.jsonata("{% true %}"),
            ended,
            assign={
                FAILURE_VARIABLE: {
                    "error": "States.TaskFailed",
                    "cause": "{% $string($states.input) %}",
                    "state": self.task.id,
                }
            },
            outputs={},
        )
        return choice


def job_names(prefix: str) -> str:
    """Return the pattern of the names of all jobs with a prefix.

    Two hyphens end the prefix, which has single ones at most: so no prefix's pattern holds names of another.
    """
    return f"{prefix}--*"


def _job_name(prefix: str) -> str:
    # Longest: 22 of the prefix, 28 of the execution, 6 of the digest, 3 hyphens, and "-999" of the tries: 63.
    return (
        f"{{% '{prefix}--'"
        " & $substring($replace($lowercase($states.context.Execution.Name), /[^a-z0-9]+/, '-'), 0, 28)"
        " & '-' & $substring($hash($states.context.Execution.Id & $states.context.Execution.StartTime,"
        " 'SHA-256'), 0, 6) %}"
    )


def _pause(job: TrainingJob) -> Duration:
    """The time between two looks at a job."""
    limit = job.max_wait if job.max_wait is not None else job.max_runtime
    if limit.is_unresolved():
        return Duration.minutes(5)
    return Duration.seconds(max(_SHORTEST_PAUSE_SECONDS, math.ceil(limit.to_seconds() / _MOST_LOOKS)))


def most_events(tries: int) -> int:
    """Return how many events the states add at most to the history of a run, which holds 25,000.

    One call of a run may lose its answer; a second one is not reckoned with.
    """
    return tries * _EVENTS_OF_A_TRY + _MOST_LOOKS * _EVENTS_OF_A_LOOK


def _from_input(value: Any) -> Any:
    """The same expressions for a state that has as its input what a task has as its result."""
    if isinstance(value, str):
        return value.replace("$states.result", "$states.input")
    if isinstance(value, Mapping):
        return {name: _from_input(each) for name, each in value.items()}
    return [_from_input(each) for each in value] if isinstance(value, list | tuple) else value


def _fail(scope: Construct, id: str) -> sfn.Fail:
    return sfn.Fail.jsonata(
        scope, id, error=f"{{% ${FAILURE_VARIABLE}.error %}}", cause=f"{{% ${FAILURE_VARIABLE}.cause %}}"
    )
