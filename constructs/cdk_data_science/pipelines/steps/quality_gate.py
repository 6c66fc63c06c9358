"""Stop bad data before anything is spent on it."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from cdk_data_science.data_lake import QualityRules
from cdk_data_science.pipelines.outputs import DATA, QUALITY, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class QualityGate(Step):
    """Checks the data against rules; a broken rule ends the run with ``QualityGateFailed``.

    Args:
        rules: What the data has to meet.
    """

    name = "QualityGate"

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules

    @property
    def needs(self) -> Sequence[Output]:
        """The uploaded object."""
        return (DATA,)

    @property
    def gives(self) -> Sequence[Output]:
        """What was observed."""
        return (QUALITY,)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the gate's function and task."""
        function = context.function(
            scope,
            "Function",
            handler="quality_gate.handler",
            description="Checks new data against the quality rules",
            memory_size=1024,
        )
        context.grant_read_data(function.role)
        context.grant_write_runs(function.role)
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "data": DATA.expression,
                "rules": self._rules.text,
                "report": context.run_prefix(),
            },
            assign={
                # Not the whole answer: the rules' results are in the report.
                QUALITY.name: {
                    "rows": "{% $states.result.Payload.rows %}",
                    "report": "{% $states.result.Payload.report %}",
                }
            },
        )
        return States(task, [task])
