"""Let the model predict the held-out rows, exactly as it will be served."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from constructs import Construct

from cdk_data_science.pipelines.outputs import HOLDOUT, MANIFEST, MODEL, SCORES, SHA256, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class Score(Step):
    """Predicts the held-out rows with the code that serves, so that what is evaluated is what is deployed.

    Args:
        memory_size: MB of the function, 128 to 10240.
    """

    name = "Score"

    def __init__(self, *, memory_size: int = 1769) -> None:
        self._memory_size = memory_size

    @property
    def needs(self) -> Sequence[Output]:
        """The model and the held-out rows."""
        return (MODEL, SHA256, MANIFEST, HOLDOUT)

    @property
    def gives(self) -> Sequence[Output]:
        """The scores."""
        return (SCORES,)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the function and its task."""
        function = context.function(
            scope,
            "Function",
            asset="inference",
            handler="score.handler",
            description="Predicts the held-out rows as the inference function will",
            memory_size=self._memory_size,
            timeout=Duration.minutes(15),
        )
        context.grant_read(function.role, MODEL, MANIFEST, HOLDOUT)
        context.grant_write_runs(function.role)
        context.place(SCORES, context.runs)
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "model": MODEL.expression,
                "sha256": SHA256.expression,
                "rows": HOLDOUT.expression,
                "output": context.run_object("scores.csv"),
            },
            assign={SCORES.name: "{% $states.result.Payload.scores %}"},
        )
        return States(task, [task])
