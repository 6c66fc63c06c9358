"""Run a Spark job of the lake between other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from constructs import Construct

from cdk_data_science.data_lake import SparkJob, SparkJobTask
from cdk_data_science.pipelines.outputs import Output
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class SparkStep(Step):
    """Runs a Spark job and waits for it. What it reads and writes is said where the job is made; the run
    tells it what is special to it by arguments.

    Tell of its failures once: the pipeline does, so that the job needs no rule of its own
    (``SparkJob(…, tell_of_failures=False)``).

    ```python
    from cdk_data_science import DataLake, Pipeline, ScriptObject, SparkJob, ZoneFolder
    from cdk_data_science.pipelines import DATA, SparkStep

    lake = DataLake(self, "Lake")
    clean = SparkJob(
        self,
        "Clean",
        script=ScriptObject(zone=lake.raw, key="jobs/clean.py"),
        reads=[ZoneFolder(zone=lake.raw, prefix="reviews/")],
        writes=[ZoneFolder(zone=lake.curated, prefix="reviews/")],
        tell_of_failures=False,
    )
    Pipeline(
        self,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[
            SparkStep(clean, needs=[DATA], arguments={"--key": "{% $data.key %}"}),
        ],
    )
    ```

    Args:
        job: The job.
        name: Of the step, where a pipeline has several. Default: ``Spark``.
        arguments: Of the script, by names with two hyphens in front; values may be JSONata expressions of
            what ``needs`` names. The run's name is there as ``--run``. Default: none more.
        needs: Outputs of earlier steps that the arguments read. Default: none.
        gives: Outputs for later steps, as JSONata expressions or values; ``$states.result`` is what
            ``GetJobRun`` says. Default: none.
    """

    def __init__(
        self,
        job: SparkJob,
        *,
        name: str = "Spark",
        arguments: Mapping[str, str] | None = None,
        needs: Sequence[Output] = (),
        gives: Mapping[Output, Any] | None = None,
    ) -> None:
        self._job, self._name = job, name
        self._arguments = {"--run": RUN, **(arguments or {})}
        self._needs, self._gives = tuple(needs), dict(gives or {})

    @property
    def name(self) -> str:
        """Name of the step."""
        return self._name

    @property
    def needs(self) -> Sequence[Output]:
        """What the arguments read."""
        return self._needs

    @property
    def gives(self) -> Sequence[Output]:
        """What later steps may read."""
        return tuple(self._gives)

    @property
    def longest(self) -> Duration:
        """The job's own limit, once more for each of its retries, and what is around it."""
        return SparkJobTask.longest(self._job)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the task."""
        task = SparkJobTask(
            scope,
            self.name,
            job=self._job,
            arguments=self._arguments,
            assign={output.name: value for output, value in self._gives.items()},
        )
        context.fails_into(task)
        return States(task, [task])
