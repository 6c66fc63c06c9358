"""Measure the model on the held-out rows; what is not good enough goes no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.pipelines.outputs import EVALUATION, LABELS, METRICS, SCORES, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext

# Each metric with its greatest sensible limit. A log loss has no bound; one of 100 is that of no model.
HIGHER_IS_BETTER = {"auroc": 1, "accuracy": 1}
LOWER_IS_BETTER = {"log_loss": 100, "brier": 1}


class Evaluate(Step):
    """Compares scores with labels; a metric out of its limits ends the run with ``ModelBelowThreshold``.

    Args:
        minimum: Least values of ``auroc`` and ``accuracy``, 0 to 1.
        maximum: Greatest values of ``log_loss``, 0 to 100, and ``brier``, 0 to 1.
        positive: Name of the positive class in the model's manifest.
    """

    name = "Evaluate"

    def __init__(
        self,
        *,
        minimum: Mapping[str, float],
        maximum: Mapping[str, float] | None = None,
        positive: str = "positive",
    ) -> None:
        self._minimum = dict(minimum)
        self._maximum = dict(maximum or {})
        self._positive = positive

    @property
    def needs(self) -> Sequence[Output]:
        """Scores and labels of the same rows."""
        return (SCORES, LABELS)

    @property
    def gives(self) -> Sequence[Output]:
        """The metrics and their report."""
        return (METRICS, EVALUATION)

    def check(self, problems: Problems) -> None:
        """Check that each limit is one that the step knows."""
        problems.check(
            bool(self._minimum or self._maximum),
            given="Evaluate without a limit",
            allowed="at least one, or every model would be deployed",
            write='minimum={"auroc": 0.8}',
        )
        for kind, limits, known in (
            ("minimum", self._minimum, HIGHER_IS_BETTER),
            ("maximum", self._maximum, LOWER_IS_BETTER),
        ):
            for metric, value in limits.items():
                problems.check(
                    metric in known,
                    given=f"{kind} of {metric!r}",
                    allowed=" or ".join(repr(name) for name in known),
                )
                largest = known.get(metric, 1)
                problems.check(
                    is_token(value) or 0 <= value <= largest,
                    given=f"{kind} {metric}={value}",
                    allowed=f"0 to {largest}",
                )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the function and its task."""
        function = context.function(
            scope,
            "Function",
            handler="evaluate.handler",
            description="Measures the model on the held-out rows",
            memory_size=1024,
        )
        context.grant_read(function.role, SCORES, LABELS)
        # The registry names the report for as long as it has the version; what a run leaves may expire.
        reports = context.evaluations
        reports.zone.grant_write(function.role, reports.prefix)
        context.place(EVALUATION, reports)
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "scores": SCORES.expression,
                "labels": LABELS.expression,
                "positive": self._positive,
                "minimum": self._minimum,
                "maximum": self._maximum,
                "report": {"bucket": reports.zone.bucket.bucket_name, "key": reports.prefix},
            },
            assign={
                METRICS.name: "{% $states.result.Payload.metrics %}",
                EVALUATION.name: "{% $states.result.Payload.report %}",
            },
        )
        return States(task, [task])
