"""The states that run one training job: named once, found again, tried on other capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.kinds import RunName, job_names
from cdk_data_science.training.tasks.capacity import (
    REQUESTED_VARIABLE,
    TRIES_VARIABLE,
    CapacityPlan,
    CapacityRetry,
)
from cdk_data_science.training.tasks.polling import (
    EVENTS_OF_A_LOOK,
    EXISTS,
    FAILURE,
    MOST_LOOKS,
    Watch,
    fail,
    from_input,
)
from cdk_data_science.training.tasks.report import NOTHING_SPENT, SPENT, SPENT_VARIABLE
from cdk_data_science.training.tasks.training import TrainingJobTask
from cdk_data_science.training.values import Channel

JOB_VARIABLE = "job"
_TRY = f"{{% ${JOB_VARIABLE} & (${TRIES_VARIABLE} > 0 ? '-' & $string(${TRIES_VARIABLE}) : '') %}}"
_EVENTS_OF_A_TRY = 20


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
                JOB_VARIABLE: RunName(job_name_prefix).expression(),
                TRIES_VARIABLE: 0,
                REQUESTED_VARIABLE: "{% $states.context.State.EnteredTime %}",
                SPENT_VARIABLE: NOTHING_SPENT,
            },
        )
        self._first.next(self.task)
        failed = on_failure if on_failure is not None else fail(scope, f"{id}: failed")
        ended = self._other_capacity(scope, id, plan, failed)
        self._found = sfn.Pass.jsonata(
            scope, f"{id}: take its result", assign=from_input(assign or {}) or None, outputs={}
        )
        watch = Watch(scope, id, self.task.watched, found=self._found, ended=ended, failed=failed)
        self.task.next(watch.over)
        self.task.add_catch(watch.look, errors=list(EXISTS), outputs={})
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


def most_events(tries: int) -> int:
    """Return how many events the states add at most to the history of a run, which holds 25,000.

    One call of a run may lose its answer; a second one is not reckoned with.
    """
    return tries * _EVENTS_OF_A_TRY + MOST_LOOKS * EVENTS_OF_A_LOOK
