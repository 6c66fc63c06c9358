"""Runs take turns: a run waits while as many older runs as are allowed at a time are under way."""

from __future__ import annotations

import math

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._tasks import Task, retry
from cdk_data_science.pipelines.failure import FAILURE

TURN_VARIABLE = "turn"
HISTORY_LIMIT = 25_000
"""Step Functions fails an execution with more events than this."""

_INTERVAL_SECONDS = 60
# A new execution may be missing in the list for a moment, and with it older ones.
_UNLISTED_SECONDS, _UNLISTED_POLLS = 5, 5
# Step Functions takes 256 KiB as the result of a task; an execution in the list has at most some 700 bytes.
_PAGE = 300
# A task that succeeds is five events, a choice and a wait are two each.
_POLL_EVENTS, _PAGE_EVENTS = 9, 7

_RUNNING = "$states.result.Executions"
_NEXT = "$states.result.NextToken"
_OLDER = f"{_RUNNING}[$toMillis(StartDate) < $start or ($toMillis(StartDate) = $start and Name < $run)]"


def polling(timeout: Duration, other_events: int) -> tuple[int, int]:
    """Seconds between two polls, and how many there are at most, so that a run's history can hold them.

    There is room for a second page of the list in every poll: for 600 runs that are under way.
    """
    room = (HISTORY_LIMIT - other_events) // (_POLL_EVENTS + _PAGE_EVENTS) - _UNLISTED_POLLS
    seconds = max(_INTERVAL_SECONDS, math.ceil(timeout.to_seconds() / room))
    return seconds, math.ceil(timeout.to_seconds() / seconds) + _UNLISTED_POLLS


class Turn(Construct):
    """States that a run leaves once fewer than ``at_once`` older runs of its state machine are under way.

    They ask Step Functions for the executions that are running, at once and then every minute. The order is
    that of the start, and of the names of runs that started in the same millisecond, so that of any runs that
    wait one is always the oldest. Nothing has to be given back: a run that ends, however it does, is not in
    the list any more.

    The list is eventually consistent: what it holds is best effort. A run therefore trusts it only when it
    finds itself in it, and goes on without after half a minute.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        at_once: int,
        timeout: Duration,
        other_events: int,
        failure: sfn.State,
    ) -> None:
        super().__init__(scope, id)
        seconds, polls = polling(timeout, other_events)
        self._failure = failure
        self.entry: sfn.State = self._list("Wait for turn", more=False)
        more = self._list("Wait for turn: more runs", more=True)
        wait = sfn.Wait.jsonata(
            self,
            "Wait for turn: wait",
            time=sfn.WaitTime.seconds(f"{{% $turn.start < 0 ? {_UNLISTED_SECONDS} : {seconds} %}}"),
        )
        early = f"$turn.ahead >= {at_once} or ($turn.start < 0 and $turn.polls < {_UNLISTED_POLLS})"
        self._decision = (
            sfn.Choice.jsonata(self, "Wait for turn: is it?")
            .when(_condition(f"$turn.ahead < {at_once} and $turn.token != ''"), more)
            .when(_condition(f"({early}) and $turn.polls >= {polls}"), self._too_long(timeout))
            .when(_condition(early), wait)
        )
        self.entry.next(self._decision)
        more.next(self._decision)
        wait.next(self.entry)

    def then(self, state: sfn.State) -> None:
        """Say where a run goes on when it is its turn."""
        self._decision.otherwise(state)

    def allow(self, machine: sfn.StateMachine) -> iam.Policy:
        """Let the state machine's role list its own executions.

        The state machine depends on its role's own policy, which therefore cannot name the state machine.
        """
        policy = iam.Policy(
            self,
            "OwnExecutions",
            roles=[machine.role],
            statements=[
                iam.PolicyStatement(actions=["states:ListExecutions"], resources=[machine.state_machine_arn])
            ],
        )
        acknowledge_inline_policy(policy)
        return policy

    def _list(self, id: str, *, more: bool) -> Task:
        arguments = {
            "StateMachineArn": "{% $states.context.StateMachine.Id %}",
            "StatusFilter": "RUNNING",
            "MaxResults": _PAGE,
        }
        if more:
            arguments["NextToken"] = "{% $turn.token %}"
        task = Task(
            self,
            id,
            comment="Which runs are under way? The newest come first",
            integration="aws-sdk:sfn:listExecutions",
            arguments=arguments,
            timeout=Duration.minutes(1),
            statements=[],
            # Throttling has no name of its own here. The policy of a new pipeline takes a moment, too.
            retry=[
                retry(
                    ["Sfn.SfnException", "Sfn.SdkClientException"],
                    attempts=10,
                    interval=Duration.seconds(2),
                    ceiling=Duration.minutes(1),
                )
            ],
            assign={TURN_VARIABLE: _count(more=more)},
        )
        task.add_catch(self._failure, errors=["States.ALL"], assign=FAILURE, outputs={})
        return task

    def _too_long(self, timeout: Duration) -> sfn.Pass:
        refused = sfn.Pass.jsonata(
            self,
            "Wait for turn: too long",
            assign={
                "failure": {
                    "error": "QueueTimeout",
                    "cause": (
                        "{% 'After " + timeout.to_human_string() + " of waiting there are still ' "
                        "& $string($turn.ahead) & ' older runs under way. Let them end or stop them, then "
                        "upload the data again; or raise max_parallel_runs or queue_timeout' %}"
                    ),
                    "state": "Wait for turn",
                }
            },
        )
        refused.next(self._failure)
        return refused


def first_turn() -> dict[str, int | str]:
    """What the variable holds before the first poll."""
    return {"start": -1, "ahead": 0, "token": "", "polls": 0}


def _count(*, more: bool) -> str:
    """Who is older than this run? Those before it in the list are newer, since the newest come first."""
    ahead, polls = ("$turn.ahead + ", "$turn.polls") if more else ("", "$turn.polls + 1")
    known = "$turn.start >= 0 ? $turn.start : " if more else ""
    return (
        f"{{% ($listed := {_RUNNING}[Name = $run].StartDate;"
        f" $start := {known}$exists($listed) ? $toMillis($listed) : -1;"
        f' {{"start": $start,'
        f' "ahead": {ahead}($start < 0 ? 0 : $count({_OLDER})),'
        f' "token": $exists({_NEXT}) ? ($type({_NEXT}) = "string" ? {_NEXT} : "") : "",'
        f' "polls": {polls}}}) %}}'
    )


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {expression} %}}")
