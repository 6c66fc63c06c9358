"""Stop bad data before anything is spent on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake import GATE_RULES, QualityResults, QualityRules
from cdk_data_science.pipelines.outputs import DATA, QUALITY, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class QualityGate(Step):
    """Checks the data against rules; a broken rule ends the run with ``QualityGateFailed``.

    Args:
        rules: What the data has to meet, of the rule types that a function evaluates (``GATE_RULES``).
        results: Table and metrics that keep the outcome of each rule. Default: the run's report alone.
        ruleset: What the results call it. Default: the pipeline's name.
    """

    name = "QualityGate"

    def __init__(
        self, rules: QualityRules, *, results: QualityResults | None = None, ruleset: str | None = None
    ) -> None:
        self._rules = rules
        self._results = results
        self._ruleset = ruleset

    @property
    def needs(self) -> Sequence[Output]:
        """The uploaded object."""
        return (DATA,)

    @property
    def gives(self) -> Sequence[Output]:
        """What was observed."""
        return (QUALITY,)

    def check(self, problems: Problems) -> None:
        """Report rules that the gate cannot evaluate."""
        only_in_glue = self._rules.only_in_glue
        problems.check(
            not only_in_glue,
            given=f"a quality gate with {', '.join(only_in_glue)}",
            allowed=f"rule types that a function with one file evaluates: {', '.join(sorted(GATE_RULES))}",
            write="table.add_quality_rules(…) for the others",
        )
        problems.check(
            self._ruleset is None or self._results is not None,
            given="a quality gate with ruleset and without results",
            allowed="both, or results alone",
        )

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
                **self._keeps(function.role, context),
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

    def _keeps(self, role: Any, context: StepContext) -> dict[str, Any]:
        results = self._results
        if results is None:
            return {}
        results.grant_write(role)
        return {
            "results": {
                "bucket": results.zone.bucket.bucket_name,
                "key": results.table.prefix,
                "ruleset": context.name if self._ruleset is None else self._ruleset,
            },
            "started": "{% $states.context.Execution.StartTime %}",
        }
