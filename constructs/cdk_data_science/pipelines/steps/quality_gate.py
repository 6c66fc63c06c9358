"""Stop bad data before anything is spent on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._functions import PlatformFunction
from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.data_lake import (
    GATE_RULES,
    IZone,
    QualityResults,
    QualityRules,
    ScriptFile,
    SparkJob,
    SparkJobTask,
    Workers,
    ZoneBase,
    ZoneFolder,
)
from cdk_data_science.pipelines.outputs import DATA, QUALITY, Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext

FUNCTION_LIMIT_BYTES = 256 * 1024 * 1024
"""What a function evaluates itself.

Measured with seven rules on CSV of 135 bytes a row: 20 MB a second on one core. The function has 0.6 of one
(1024 MB), so that 256 MiB take some 25 seconds of its five minutes, and hold two million rows, which is as
many distinct values as it counts.
"""
_LARGEST_FUNCTION_LIMIT = 2 * 1024**3
_SCRIPT = Path(__file__).parents[1] / "spark" / "quality_gate.py"
_OVERHEAD = Duration.minutes(30)


@dataclass(frozen=True, kw_only=True, slots=True)
class SparkGate:
    """Lets Spark judge what is too large for a function, by the same rules: AWS Glue Data Quality in a Glue
    job. A run costs 0.44 USD for each hour of a worker, one minute at least.

    ```python
    from cdk_data_science.data_lake import Workers
    from cdk_data_science.pipelines import SparkGate

    spark = SparkGate(above_bytes=100_000_000, workers=Workers(count=10))
    ```
    """

    above_bytes: int = FUNCTION_LIMIT_BYTES
    """Objects of more bytes are judged by Spark, 0 to 2 GiB. Default: 256 MiB."""

    workers: Workers = field(default_factory=Workers)
    """Workers of the job. Default: two of ``G.1X``."""

    timeout: Duration = field(default_factory=lambda: Duration.hours(2))
    """When a run of the job is ended, in whole minutes. Default: 2 hours."""

    def check(self, problems: Problems) -> None:
        """Report a limit that a function cannot keep."""
        problems.check(
            0 <= self.above_bytes <= _LARGEST_FUNCTION_LIMIT,
            given=f"SparkGate(above_bytes={self.above_bytes})",
            allowed=f"0 to {_LARGEST_FUNCTION_LIMIT}: a function ends after five minutes",
        )


class QualityGate(Step):
    """Checks the data against rules; a broken rule ends the run with ``QualityGateFailed``.

    A function evaluates them in one pass. With ``spark``, objects above a size are evaluated by AWS Glue Data
    Quality instead; the report, the results and the errors are the same.

    Args:
        rules: What the data has to meet, of the rule types that a function evaluates (``GATE_RULES``).
        results: Table and metrics that keep the outcome of each rule. Default: the run's report alone.
        ruleset: What the results call it. Default: the pipeline's name.
        spark: What judges large objects. Default: none; the function judges all that it can within its five
            minutes.
    """

    name = "QualityGate"

    def __init__(
        self,
        rules: QualityRules,
        *,
        results: QualityResults | None = None,
        ruleset: str | None = None,
        spark: SparkGate | None = None,
    ) -> None:
        self._rules = rules
        self._results = results
        self._ruleset = ruleset
        self._spark = spark

    @property
    def needs(self) -> Sequence[Output]:
        """The uploaded object."""
        return (DATA,)

    @property
    def gives(self) -> Sequence[Output]:
        """What was observed."""
        return (QUALITY,)

    @property
    def longest(self) -> Duration:
        """An hour, and what Spark may take."""
        own = super().longest
        return own if self._spark is None else own.plus(self._spark.timeout).plus(_OVERHEAD)

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
        if self._spark is not None:
            self._spark.check(problems)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the gate's function and task, and what leads large objects to Spark."""
        function = self._function(
            scope, context, "Function", "quality_gate.handler", "Checks new data against the quality rules"
        )
        context.grant_read_data(function.role)
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "data": DATA.expression,
                "rules": self._rules.text,
                "report": context.run_prefix(),
                **({} if self._spark is None else {"largest": self._spark.above_bytes}),
                **self._keeps(context),
            },
            assign={
                # Not the whole answer: the rules' results are in the report.
                QUALITY.name: _OBSERVED
                | ({} if self._spark is None else {"large": "{% $states.result.Payload.large %}"})
            },
        )
        if self._spark is None:
            return States(task, [task])
        evaluate, verdict = self._by_spark(scope, context, self._spark)
        judged = sfn.Pass.jsonata(scope, "Judged")
        task.next(
            sfn.Choice.jsonata(scope, "Too large for a function?")
            .when(sfn.Condition.jsonata(f"{{% {QUALITY.variable}.large %}}"), evaluate)
            .otherwise(judged)
        )
        evaluate.next(verdict)
        verdict.next(judged)
        return States(task, [judged])

    def _function(
        self, scope: Construct, context: StepContext, id: str, handler: str, description: str
    ) -> PlatformFunction:
        function = context.function(scope, id, handler=handler, description=description, memory_size=1024)
        context.grant_write_runs(function.role)
        if self._results is not None:
            self._results.grant_write(function.role)
        return function

    def _by_spark(self, scope: Construct, context: StepContext, spark: SparkGate) -> tuple[SparkJobTask, Any]:
        data = DATA.variable
        outcomes = context.run_object("quality-outcomes.json")
        runs = context.runs
        job = SparkJob(
            scope,
            "Spark",
            script=ScriptFile(path=_SCRIPT),
            reads=[ZoneFolder(zone=_of_the_lake(context.data.zone), prefix=context.data.prefix)],
            workers=spark.workers,
            timeout=spark.timeout,
            parallel_runs=200,
            tell_of_failures=False,
            log_key=context.functions.log_key,
            description="Evaluates quality rules on objects that are too large for a function",
        )
        runs.zone.grant_write(job.role, prefix=runs.prefix)
        evaluate = SparkJobTask(
            scope,
            "QualityBySpark",
            job=job,
            arguments={
                "--bucket": f"{{% {data}.bucket %}}",
                "--key": f"{{% {data}.key %}}",
                "--version": f"{{% $exists({data}.versionId) ? {data}.versionId : 'null' %}}",
                "--rules": self._rules.text,
                "--outcomes_bucket": outcomes["bucket"],
                "--outcomes_key": outcomes["key"],
            },
        )
        context.fails_into(evaluate)
        function = self._function(
            scope, context, "Verdict", "quality_gate.verdict", "Judges the outcomes that Spark left"
        )
        runs.zone.grant_read(function.role, prefix=runs.prefix)
        verdict = context.invoke(
            scope,
            "QualityVerdict",
            function=function,
            payload={
                "run": RUN,
                "data": DATA.expression,
                "outcomes": outcomes,
                "report": context.run_prefix(),
                **self._keeps(context),
            },
            assign={QUALITY.name: _OBSERVED},
        )
        return evaluate, verdict

    def _keeps(self, context: StepContext) -> dict[str, Any]:
        results = self._results
        if results is None:
            return {}
        return {
            "results": {
                "bucket": results.zone.bucket.bucket_name,
                "key": results.table.prefix,
                "ruleset": context.name if self._ruleset is None else self._ruleset,
            },
            "started": "{% $states.context.Execution.StartTime %}",
        }


_OBSERVED: dict[str, Any] = {
    "rows": "{% $states.result.Payload.rows %}",
    "report": "{% $states.result.Payload.report %}",
}


def _of_the_lake(zone: IZone) -> ZoneBase:
    if not isinstance(zone, ZoneBase):
        raise ConfigurationError(
            f"SparkGate: given data in {zone.name!r}, a zone of another kind; allowed: zones of a DataLake, "
            "built or imported"
        )
    return zone
