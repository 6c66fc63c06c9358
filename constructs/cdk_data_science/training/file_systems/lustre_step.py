"""The states of a run on a Lustre file system of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science.training.file_systems._lustre_states import (
    FAILURE,
    FAILURE_VARIABLE,
    THERE,
    VARIABLE,
    Permissions,
    States,
)
from cdk_data_science.training.file_systems.lustre_values import LustreLink

_INPUT = "lustreInput"
"""What the work gets as its input, which the states before it do not hand on."""

_RESULT = "lustreResult"
"""What the work ended with."""


class LustreStep(sfn.StateMachineFragment):
    """States that make a file system, do some work, and remove it. Made by :meth:`LustreForRuns.around`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        work: sfn.IChainable,
        parameters: Mapping[str, Any],
        links: Sequence[LustreLink],
        owner: str,
        permissions: Permissions,
        on_failure: sfn.State | None,
        assign: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(scope, f"{id} states")
        failed = sfn.Pass.jsonata(scope, f"{id}: tell of the failure", outputs=f"{{% ${FAILURE_VARIABLE} %}}")
        failed.next(on_failure if on_failure is not None else _fail(scope, f"{id}: failed"))
        known = sfn.Choice.jsonata(scope, f"{id}: is there anything to remove?")
        states = States(scope, id, owner=owner, permissions=permissions, failed=known)
        self.work = sfn.Parallel.jsonata(
            scope,
            f"{id}: work",
            outputs={},
            assign={_RESULT: "{% $states.result[0] %}", **(assign or {})},
        )
        self.work.branch(work)
        self._first = sfn.Pass.jsonata(
            scope, f"{id}: begin", assign={VARIABLE: {"looks": 0}, _INPUT: "{% $states.input %}"}
        )
        create, ready = states.create(parameters)
        self._first.next(create)
        for number, link in enumerate(links):
            linking, linked = states.link(number, link)
            ready.when(THERE, linking)
            ready = linked
        begin = sfn.Pass.jsonata(scope, f"{id}: go to work", outputs=f"{{% ${_INPUT} %}}")
        begin.next(self.work)
        ready.when(THERE, begin)
        self._end = sfn.Pass.jsonata(scope, f"{id}: removed", outputs=f"{{% ${_RESULT} %}}")
        self.work.next(
            States(scope, id, owner=owner, permissions=permissions, failed=failed).remove("", self._end)
        )
        self.work.add_catch(known, errors=["States.ALL"], assign=FAILURE, outputs={})
        known.when(
            sfn.Condition.jsonata(f"{{% $exists(${VARIABLE}.id) %}}"),
            states.remove(" after a failure", failed, otherwise=failed),
        )
        known.otherwise(failed)

    @property
    @jsii.member(jsii_name="startState")
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._first

    @property
    @jsii.member(jsii_name="endStates")
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the work has succeeded and the file system is gone."""
        return [self._end]


def _fail(scope: Construct, id: str) -> sfn.Fail:
    return sfn.Fail.jsonata(scope, id, error="{% $states.input.error %}", cause="{% $states.input.cause %}")
