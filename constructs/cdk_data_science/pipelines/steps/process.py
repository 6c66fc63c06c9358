"""Run a processing job between other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.outputs import DATA, Output
from cdk_data_science.pipelines.step import States, Step, StepContext
from cdk_data_science.training import (
    ProcessingInput,
    ProcessingJob,
    ProcessingOutput,
    ProcessingStep,
    RunName,
)
from cdk_data_science.training.kinds import PROCESSING, job_names


class Process(Step):
    """Runs a processing job on outputs of earlier steps, and fails the run when it leaves one of its own out.

    The job's role is let read what the step needs and write below the run's own prefix. What the job leaves
    in ``/opt/ml/processing/output/<name>`` is the output of that name: a prefix with ``bucket`` and ``key``.

    ```python
    import aws_cdk as cdk
    from cdk_data_science import DataLake, Pipeline
    from cdk_data_science.pipelines import DATA, Output, Process
    from cdk_data_science.security import JobKind, JobRole
    from cdk_data_science.training import ProcessingCode, ProcessingJob

    lake = DataLake(self, "Lake")
    repository = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
    jobs = JobRole(self, "Jobs", kind=JobKind.PROCESSING, name_prefix="clean-", images=[repository])
    lake.raw.grant_read(jobs.role, "source/")
    clean = Process(
        ProcessingJob(
            role=jobs.role,
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            code=ProcessingCode(uri=lake.raw.uri("source/clean.py"), file="clean.py"),
            max_runtime=cdk.Duration.hours(1),
        ),
        job_name_prefix="clean",
        inputs={"raw": DATA},
        gives={"rows": Output("cleaned", "the rows without those that are broken")},
    )
    Pipeline(self, "Pipeline", data=lake.raw, prefix="reviews/", work=lake.features, steps=[clean])
    ```

    Args:
        job: The job. Its role has to belong to this app, so that it can be granted what it reads and writes.
        job_name_prefix: Beginning of the jobs' names, as :class:`RunName` has it, of this step alone.
        inputs: For each input of the container the output of an earlier step that it gets.
        gives: For each output of the container the output of this step that it becomes.
        name: Of the step, where a pipeline has several.
    """

    def __init__(
        self,
        job: ProcessingJob,
        *,
        job_name_prefix: str,
        inputs: Mapping[str, Output],
        gives: Mapping[str, Output],
        name: str = "Process",
    ) -> None:
        self._job, self._name = job, name
        self._job_name = RunName(job_name_prefix)
        self._inputs, self._outputs = dict(inputs), dict(gives)

    @property
    def name(self) -> str:
        """Name of the step."""
        return self._name

    @property
    def needs(self) -> Sequence[Output]:
        """What the container reads."""
        return tuple(self._inputs.values())

    @property
    def gives(self) -> Sequence[Output]:
        """What the container leaves."""
        return tuple(self._outputs.values())

    def check(self, problems: Problems) -> None:
        """Check the prefix."""
        self._job_name.check(problems)

    @property
    def longest(self) -> Duration:
        """The job's own limit, and half an hour to be provided and to end."""
        return self._job.max_runtime.plus(Duration.minutes(30))

    @property
    def events(self) -> int:
        """Those of a job that is looked at."""
        return ProcessingStep.most_events()

    def acknowledge(self, role: iam.IRole) -> None:
        """Jobs are named at run time."""
        acknowledge_wildcards(
            role,
            role,
            [PROCESSING.arn(Stack.of(role), job_names(self._job_name.prefix))],
            "Jobs are named when they are created; the pattern holds those of one step alone.",
        )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the job's states."""
        role = self._job.role
        if DATA in self.needs:
            context.grant_read_data(role)
        context.grant_read(role, *(each for each in self.needs if each is not DATA))
        context.grant_write_runs(role)
        runs = context.runs
        places = {name: f"'{runs.prefix}' & $run & '/{self.name}/{name}/'" for name in self._outputs}
        bucket = runs.zone.bucket.bucket_name
        step = ProcessingStep(
            scope,
            self.name,
            job=self._job,
            job_name=self._job_name,
            inputs=[
                ProcessingInput(
                    name=name,
                    uri=f"{{% 's3://' & {each.variable}.bucket & '/' & {each.variable}.key %}}",
                )
                for name, each in self._inputs.items()
            ],
            outputs=[
                # One literal up to the run's name: the bucket and the prefix are known before the run.
                ProcessingOutput(
                    name=name, uri=f"{{% 's3://{bucket}/{runs.prefix}' & $run & '/{self.name}/{name}/' %}}"
                )
                for name in self._outputs
            ],
            output_key=runs.zone.key,
            on_failure=context.failure,
            assign={
                output.name: {"bucket": bucket, "key": f"{{% {places[name]} %}}"}
                for name, output in self._outputs.items()
            },
        )
        for output in self.gives:
            context.place(output, runs)
        return States(step.start_state, step.end_states)
