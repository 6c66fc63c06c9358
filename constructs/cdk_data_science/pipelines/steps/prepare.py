"""Divide the data into training and held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.options import Split
from cdk_data_science.pipelines.outputs import COUNTS, DATA, HOLDOUT, LABELS, TRAIN, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class Prepare(Step):
    """Divides the data by group into training rows, held-out rows without labels, and their labels.

    The training rows lie apart from the others, under ``runs-train/``: training code may read nothing that
    its model is judged by.

    Args:
        split: What is in the data, and how it is divided.
    """

    name = "Prepare"

    def __init__(self, split: Split) -> None:
        self._split = split

    @property
    def needs(self) -> Sequence[Output]:
        """The uploaded object."""
        return (DATA,)

    @property
    def gives(self) -> Sequence[Output]:
        """The three parts."""
        return (TRAIN, HOLDOUT, LABELS, COUNTS)

    def check(self, problems: Problems) -> None:
        """Check the split."""
        self._split.check(problems)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the function and its task."""
        function = context.function(
            scope,
            "Function",
            handler="prepare.handler",
            description="Divides new data into training and held-out rows",
            memory_size=1024,
        )
        context.grant_read_data(function.role)
        context.grant_write_runs(function.role)
        context.grant_write_train(function.role)
        context.place(TRAIN, context.train_rows)
        for output in (HOLDOUT, LABELS):
            context.place(output, context.runs)
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "data": DATA.expression,
                **self._split.render(),
                "output": context.run_prefix(),
                "train_output": context.train_prefix(),
            },
            assign={output.name: f"{{% $states.result.Payload.{output.name} %}}" for output in self.gives},
        )
        return States(task, [task])
