"""Jobs that are looked at until they end: those without ``.sync``, and those whose first answer was lost."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsii
from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science.training.kinds import JobKind

FAILURE_VARIABLE = "failure"

FAILURE: dict[str, Any] = {
    FAILURE_VARIABLE: {
        "error": "{% $states.errorOutput.Error %}",
        "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
        "state": "{% $states.context.State.Name %}",
    }
}
"""What a Catch assigns: the error, its cause and the state that failed."""

EXISTS = ("SageMaker.ResourceInUseException", "SageMaker.ResourceInUse")
"""The errors of a name that is taken."""

# A run's history holds 25,000 events, and a look makes nine.
MOST_LOOKS = 500
EVENTS_OF_A_LOOK = 9
# Create, retries, looks at outputs, failure.
_OTHER_EVENTS = 200
_SHORTEST_PAUSE_SECONDS = 30
_ACRONYM = re.compile("[A-Z]{2}")


def pause(limit: Duration) -> Duration:
    """The time between two looks at a job that ends within a limit."""
    if limit.is_unresolved():
        return Duration.minutes(5)
    return Duration.seconds(max(_SHORTEST_PAUSE_SECONDS, math.ceil(limit.to_seconds() / MOST_LOOKS)))


def sdk_retries() -> list[dict[str, Any]]:
    """Retries for the calls of an ``aws-sdk`` integration that may be made twice."""
    return [
        retry(
            ["SageMaker.SageMakerException", "SageMaker.SdkClientException"],
            attempts=6,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        )
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """The job that is looked at."""

    kind: JobKind
    name: str
    """The expression for what its description is asked for with, the same in every state."""
    arns: Sequence[str]
    """The resources that looking and stopping are allowed on."""
    limit: Duration
    """The longest time that it takes."""
    stop_after_limit: bool = False
    """Stop it when the limit has passed since it was created, because nothing of its own does."""
    task_id: str
    """The state that failures are told of."""


class Watch:
    """The states that look at a job until it has ended.

    Args:
        found: Where a job that succeeded leads, with its description as the input.
        ended: Where one that ended without success leads, with the variable ``failure`` set.
        failed: Where a look that cannot be had leads, with the variable ``failure`` set.
    """

    look: Task
    """Describes the job."""
    over: sfn.Choice
    """Asks whether it has ended; its input is a description."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        job: Watched,
        *,
        found: sfn.State,
        ended: sfn.State,
        failed: sfn.State,
    ) -> None:
        self._scope, self._id, self._job = scope, id, job
        self.look = self._call(
            f"{id}: look for the job",
            operation=job.kind.describe,
            argument=job.name,
            comment="Where the job stands",
            output="{% $states.result %}",
        )
        self.look.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        self.over = sfn.Choice.jsonata(scope, f"{id}: has the job ended?")
        self.look.next(self.over)
        again = sfn.Wait.jsonata(
            scope, f"{id}: look again later", time=sfn.WaitTime.duration(pause(job.limit))
        )
        again.next(self.look)
        status = _member(job.kind.status_member)
        going = ", ".join(f"'{each}'" for each in job.kind.going)
        self.over.when(_condition(f"{status} = '{job.kind.succeeded}'"), found)
        if job.stop_after_limit:
            self._stop_late(f"{status} in [{going}]", failed)
        self.over.when(_condition(f"{status} in [{going}]"), again)
        self.over.when(
            _condition("true"),
            ended,
            assign=self._failure("States.TaskFailed", "{% $string($states.input) %}"),
            outputs={},
        )

    def _stop_late(self, going: str, failed: sfn.State) -> None:
        seconds = self._job.limit.to_seconds()
        late = f"$millis() - $toMillis($states.input.CreationTime) > {seconds * 1000}"
        stop = self._call(
            f"{self._id}: stop the job",
            operation=self._job.kind.stop,
            argument=self._job.name,
            comment="Its time is over",
            assign=self._failure("States.Timeout", f"The job took longer than {seconds} seconds"),
        )
        stop.next(failed)
        stop.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        self.over.when(_condition(f"{going} and {late}"), stop)

    def _call(
        self,
        id: str,
        *,
        operation: str,
        argument: str,
        comment: str,
        output: Any = None,
        assign: Mapping[str, Any] | None = None,
    ) -> Task:
        kind = self._job.kind
        arguments = {kind.name_member: argument}
        if kind.identity and operation == kind.stop:
            # Stopping a pipeline's execution asks for a token; the same one asks for the same thing.
            arguments["ClientRequestToken"] = f"{{% $hash($states.input.{kind.name_member}, 'SHA-256') %}}"
        return Task(
            self._scope,
            id,
            comment=comment,
            integration=f"aws-sdk:sagemaker:{operation}",
            arguments=arguments,
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(
                    actions=[f"sagemaker:{operation[0].upper()}{operation[1:]}"],
                    resources=list(self._job.arns),
                )
            ],
            retry=sdk_retries(),
            output=output,
            assign=assign,
        )

    def _failure(self, error: str, cause: str) -> dict[str, Any]:
        return {FAILURE_VARIABLE: {"error": error, "cause": cause, "state": self._job.task_id}}


class JobStates(sfn.StateMachineFragment):
    """States that create a job, wait for its end and go on only when it has succeeded.

    A create call whose answer was lost is made again under the same name, meets a job that exists, and the
    states look at that one until it has ended. So no retry starts a second job.

    ``assign`` keeps what is needed of the job's description; the output is empty unless told.

    Args:
        create: The task that creates the job.
        waits: Whether that task waits for the job's end itself, as ``.sync`` does.
        job: What to look at.
        on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
            ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, the job's description.
        output: What the next state has as its input, as an expression over ``$states.input``.
    """

    task: Task
    """The state that creates the job."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        create: Task,
        waits: bool,
        job: Watched,
        on_failure: sfn.State | None,
        assign: Mapping[str, Any] | None,
        output: Any = None,
    ) -> None:
        super().__init__(scope, f"{id} states")
        self.task = create
        self.failed = on_failure if on_failure is not None else fail(scope, f"{id}: failed")
        self.found = sfn.Pass.jsonata(
            scope,
            f"{id}: take its result",
            assign=from_input(assign or {}) or None,
            outputs=output if output is not None else {},
        )
        self._ends: list[sfn.INextable] = [self.found]
        watch = Watch(scope, id, job, found=self.found, ended=self.failed, failed=self.failed)
        create.next(watch.over if waits else watch.look)
        create.add_catch(watch.look, errors=list(EXISTS), outputs={})
        create.add_catch(self.failed, errors=["States.ALL"], assign=FAILURE, outputs={})

    @property
    @jsii.member(jsii_name="startState")
    def start_state(self) -> sfn.State:
        """The first state."""
        return self.task

    @property
    @jsii.member(jsii_name="endStates")
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the job has succeeded."""
        return list(self._ends)

    @staticmethod
    def most_events() -> int:
        """Return how many events the states add at most to the history of a run, which holds 25,000."""
        return MOST_LOOKS * EVENTS_OF_A_LOOK + _OTHER_EVENTS


def fail(scope: Construct, id: str) -> sfn.Fail:
    """The state that ends a run with the failure that the variable holds."""
    return sfn.Fail.jsonata(
        scope, id, error=f"{{% ${FAILURE_VARIABLE}.error %}}", cause=f"{{% ${FAILURE_VARIABLE}.cause %}}"
    )


def from_input(value: Any) -> Any:
    """The same expressions for a state that has as its input what a task has as its result."""
    if isinstance(value, str):
        return value.replace("$states.result", "$states.input")
    if isinstance(value, Mapping):
        return {name: from_input(each) for name, each in value.items()}
    return [from_input(each) for each in value] if isinstance(value, list | tuple) else value


def _member(name: str) -> str:
    """The expression for a member of a description.

    An ``aws-sdk`` integration names results as the SDK for Java does, which has a way of its own with
    acronyms: those are looked up in any case.
    """
    if _ACRONYM.search(name) is None:
        return f"$states.input.{name}"
    return f"$lookup($states.input, $keys($states.input)[$lowercase($) = '{name.lower()}'])"


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {expression} %}}")
