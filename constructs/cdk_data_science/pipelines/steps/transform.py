"""Let a model of SageMaker predict a whole prefix between other steps."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.outputs import DATA, Output
from cdk_data_science.pipelines.step import States, Step, StepContext
from cdk_data_science.training import RunName, TransformJob, TransformStep
from cdk_data_science.training.kinds import TRANSFORM, job_names


class Transform(Step):
    """Runs a batch transform on an output of an earlier step.

    The model acts in its own role, which is let read what the step needs and write below the run's own
    prefix. What it gives is a prefix with ``bucket`` and ``key``, where each object's predictions are called
    as the object is, with ``.out`` behind.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam
    from cdk_data_science import DataLake, Pipeline
    from cdk_data_science.pipelines import DATA, Output, Transform
    from cdk_data_science.training import TransformJob

    lake = DataLake(self, "Lake")
    role = iam.Role(self, "ModelRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    predict = Transform(
        TransformJob(
            max_runtime=cdk.Duration.hours(1), content_type="text/csv", split="Line", assemble_lines=True
        ),
        job_name_prefix="predict",
        model_name="churn",
        role=role,
        rows=DATA,
        gives=Output("predictions", "what the model says of each customer"),
    )
    Pipeline(self, "Pipeline", data=lake.raw, prefix="customers/", work=lake.features, steps=[predict])
    ```

    Args:
        job: The job.
        job_name_prefix: Beginning of the jobs' names, as :class:`RunName` has it, of this step alone.
        model_name: Name of the model, or a JSONata expression of what ``needs`` names.
        role: The model's role.
        rows: The output of an earlier step that is predicted.
        gives: The output of this step.
        needs: Further outputs that ``model_name`` reads.
        name: Of the step, where a pipeline has several.
    """

    def __init__(
        self,
        job: TransformJob,
        *,
        job_name_prefix: str,
        model_name: str,
        role: iam.IRole,
        rows: Output,
        gives: Output,
        needs: Sequence[Output] = (),
        name: str = "Transform",
    ) -> None:
        self._job, self._name = job, name
        self._job_name, self._model_name, self._role = RunName(job_name_prefix), model_name, role
        self._rows, self._output, self._needs = rows, gives, tuple(needs)

    @property
    def name(self) -> str:
        """Name of the step."""
        return self._name

    @property
    def needs(self) -> Sequence[Output]:
        """What is predicted, and what names the model."""
        return (self._rows, *self._needs)

    @property
    def gives(self) -> Sequence[Output]:
        """The predictions."""
        return (self._output,)

    def check(self, problems: Problems) -> None:
        """Check the prefix."""
        self._job_name.check(problems)

    @property
    def longest(self) -> Duration:
        """The job's own limit."""
        return self._job.max_runtime

    @property
    def events(self) -> int:
        """Those of a job that is looked at."""
        return TransformStep.most_events()

    def acknowledge(self, role: iam.IRole) -> None:
        """Jobs are named at run time."""
        acknowledge_wildcards(
            role,
            role,
            [TRANSFORM.arn(Stack.of(role), job_names(self._job_name.prefix))],
            "Jobs are named when they are created; the pattern holds those of one step alone.",
        )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the job's states."""
        if self._rows is DATA:
            context.grant_read_data(self._role)
        else:
            context.grant_read(self._role, self._rows)
        context.grant_write_runs(self._role)
        runs, rows = context.runs, self._rows.variable
        key = f"'{runs.prefix}' & $run & '/{self.name}/'"
        bucket = runs.zone.bucket.bucket_name
        step = TransformStep(
            scope,
            self.name,
            job=self._job,
            job_name=self._job_name,
            model_name=self._model_name,
            input_uri=f"{{% 's3://' & {rows}.bucket & '/' & {rows}.key %}}",
            output_uri=f"{{% 's3://{bucket}/' & {key} %}}",
            output_key=runs.zone.key,
            on_failure=context.failure,
            assign={self._output.name: {"bucket": bucket, "key": f"{{% {key} %}}"}},
        )
        context.place(self._output, runs)
        return States(step.start_state, step.end_states)
