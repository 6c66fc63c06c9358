"""Puts the steps of a pipeline together: what each of them needs, and what comes before and after them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.failure import ROLLBACK_VARIABLE
from cdk_data_science.pipelines.outputs import DATA, Output
from cdk_data_science.pipelines.step import States, Step, StepContext
from cdk_data_science.pipelines.turn import TURN_VARIABLE, Turn, first_turn


def check_steps(problems: Problems, steps: Sequence[Step]) -> None:
    """Report steps that do not fit each other, and what is wrong with each."""
    problems.check(bool(steps), given="no steps", allowed="at least one")
    available: set[Output] = {DATA}
    names: set[str] = set()
    for step in steps:
        given: object = step
        if not isinstance(given, Step):
            problems.check(
                False,
                given=f"step {step!r}",
                allowed="steps: a training is one by Train(training), a search by Tune(training, …)",
            )
            continue
        problems.check(
            step.name not in names,
            given=f"two steps named {step.name!r}",
            allowed="each name once",
        )
        missing = ", ".join(output.name for output in step.needs if output not in available)
        problems.check(
            not missing,
            given=f"step {step.name!r} without {missing}",
            allowed="steps whose needs an earlier step gives",
            write=f"a step before {step.name!r} that gives {missing}",
        )
        step.check(problems)
        names.add(step.name)
        available.update(step.gives)


def assemble(scope: Construct, steps: Sequence[Step], *, context: StepContext, turn: Turn) -> sfn.IChainable:
    """Make the states of a run: its input is checked, it waits for its turn, and goes through the steps."""
    begin = sfn.Pass.jsonata(
        scope,
        "Begin",
        comment="What every later state reads",
        assign={
            "run": "{% $states.context.Execution.Name %}",
            DATA.name: "{% $states.input.data %}",
            ROLLBACK_VARIABLE: "not needed",
            TURN_VARIABLE: first_turn(),
        },
    )
    begin.next(turn.entry)
    ends: Sequence[sfn.INextable] = []
    for number, step in enumerate(steps):
        states: States = step.states(Construct(scope, step.name), context)
        if number == 0:
            turn.then(states.first)
        for end in ends:
            end.next(states.first)
        ends = states.last
    given = [output for step in steps for output in step.gives]
    succeeded = sfn.Succeed.jsonata(
        scope,
        "Succeeded",
        outputs={"run": "{% $run %}", "data": DATA.expression, **{o.name: o.expression for o in given}},
    )
    for end in ends:
        end.next(succeeded)
    return (
        sfn.Choice.jsonata(scope, "Check input")
        .when(
            sfn.Condition.jsonata(
                "{% $exists($states.input.data.bucket) and $exists($states.input.data.key) %}"
            ),
            begin,
        )
        .otherwise(_refuse(scope, context))
    )


def _refuse(scope: Construct, context: StepContext) -> sfn.Pass:
    refused = sfn.Pass.jsonata(
        scope,
        "Refuse input",
        assign={
            "run": "{% $states.context.Execution.Name %}",
            DATA.name: "{% $states.input %}",
            ROLLBACK_VARIABLE: "not needed",
            "failure": {
                "error": "InvalidInput",
                "cause": 'The input has to be {"data": {"bucket": "…", "key": "…"}}',
                "state": "Check input",
            },
        },
    )
    refused.next(context.failure)
    return refused
