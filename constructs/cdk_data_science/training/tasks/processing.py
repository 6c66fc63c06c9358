"""The processing task that CDK lacks, and the states that check what the job left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import Problems
from cdk_data_science.training.checks import is_expression
from cdk_data_science.training.jobs.processing_job import ProcessingJob
from cdk_data_science.training.jobs.processing_values import ProcessingInput, ProcessingOutput
from cdk_data_science.training.kinds import PROCESSING, Naming, RunName
from cdk_data_science.training.tasks.job_task import JobTask
from cdk_data_science.training.tasks.polling import FAILURE, FAILURE_VARIABLE, JobStates

MISSING = "ProcessingOutputMissing"
"""The error of a job that succeeded and left nothing in a required output."""


class ProcessingJobTask(JobTask):
    """A Step Functions task that runs a processing job and waits for its end.

    It works in any state machine, alone. The state machine's role gets what ``.sync`` needs and no more:
    create, describe, stop and tag jobs of the given name pattern, pass the job's role to SageMaker, and the
    event rule that Step Functions manages. The state's result is that of ``DescribeProcessingJob``.

    SageMaker calls a job that left an output empty a success. A :class:`ProcessingStep` looks whether the
    outputs arrived.

    At rest it costs nothing; a run costs what its instances cost for their seconds.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.security import JobKind, JobRole
        from cdk_data_science.training import (
            ProcessingCode,
            ProcessingInput,
            ProcessingJob,
            ProcessingJobTask,
            ProcessingOutput,
            RunName,
        )

        stack = cdk.Stack(cdk.App(), "Reviews")
        repository = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
        jobs = JobRole(
            stack, "Jobs", kind=JobKind.PROCESSING, name_prefix="clean-", images=[repository]
        )
        clean = ProcessingJobTask(
            stack,
            "Clean",
            job=ProcessingJob(
                role=jobs.role,
                image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
                code=ProcessingCode(uri="s3://my-lake/source/clean.py", file="clean.py"),
                max_runtime=cdk.Duration.hours(1),
            ),
            job_name=RunName("clean"),
            inputs=[ProcessingInput(name="raw", uri="s3://my-lake/reviews/")],
            outputs=[ProcessingOutput(name="rows", uri="s3://my-lake/clean/")],
        )
        sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(clean))
        ```

    Args:
        job: What is the same in every run.
        job_name: Name of the job: 1 to 63 letters, digits and hyphens, a JSONata expression that gives one,
            or a :class:`RunName`.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        inputs: At most 10 with the program, from S3 or from Athena.
        outputs: At most 10, to S3 or to feature groups.
        output_key: Key that encrypts the outputs; the bucket's default key if not given.
        tags_of: A construct whose tags the jobs get too, as they stand at synthesis; the
            state's own place in the app if not given.
        timeout: Limit of the state; the job's own limit plus 30 minutes if not given.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.
        parameters: Parameters of ``CreateProcessingJob`` by their own names, in place of what the other
            arguments say, for what has no argument here. They are not checked.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: ProcessingJob,
        job_name: str | RunName,
        inputs: Sequence[ProcessingInput] = (),
        outputs: Sequence[ProcessingOutput] = (),
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        timeout: Duration | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(PROCESSING, job_name, job_name_pattern)
        problems = naming.problems(scope, f"ProcessingJobTask {id!r}")
        job.check(problems, region=Stack.of(scope).region, inputs=inputs, outputs=outputs)
        problems.raise_if_any()
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments=job.render(inputs, outputs, output_key),
            role=job.role,
            tags=job.tags,
            tags_of=tags_of,
            limit=job.max_runtime,
            timeout=timeout,
            assign=assign,
            output=output,
            parameters=parameters,
        )


class ProcessingStep(JobStates):
    """States that run a processing job, find it again if its answer was lost, and see that each required
    output has arrived.

    A job that leaves nothing in a required output fails the run with ``ProcessingOutputMissing``, and the
    cause names each of them and where it was expected. So give each run a prefix of its own: what an earlier
    run left there would pass for this one's.

    Args:
        job: What is the same in every run.
        job_name: As for :class:`ProcessingJobTask`.
        outputs: Those in S3 begin with their bucket, also in an expression:
            ``{% 's3://bucket/runs/' & … %}``.
        on_failure: Where to go when the job cannot be had, fails or leaves something out, with the variable
            ``failure`` set to ``{"error", "cause", "state"}``; a Fail state with the error if not given.
        assign: Variables to set from ``$states.result``, the job's description.

    Raises:
        ConfigurationError: a value that SageMaker would refuse, or an output whose bucket is not known.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: ProcessingJob,
        job_name: str | RunName,
        inputs: Sequence[ProcessingInput] = (),
        outputs: Sequence[ProcessingOutput] = (),
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        problems = Problems(f"ProcessingStep {id!r}", scope)
        looked_for = [each for each in outputs if each.required and each.uri is not None]
        for each in looked_for:
            problems.check(
                each.bucket is not None,
                given=f"output {each.name!r} at {each.uri!r}",
                allowed="a URI whose bucket is known before the run, or an output with required=False",
                write="uri=\"{% 's3://bucket/runs/' & $run & '/' %}\"",
            )
        problems.raise_if_any()
        task = ProcessingJobTask(
            scope,
            id,
            job=job,
            job_name=job_name,
            job_name_pattern=job_name_pattern,
            inputs=inputs,
            outputs=outputs,
            output_key=output_key,
            tags_of=tags_of,
            output="{% $states.result %}",
        )
        super().__init__(
            scope, id, create=task, waits=True, job=task.watched, on_failure=on_failure, assign=assign
        )
        if looked_for:
            self._check_arrival(scope, id, looked_for)

    def _check_arrival(self, scope: Construct, id: str, outputs: Sequence[ProcessingOutput]) -> None:
        """One look into S3 for each output; what is not there is collected in the states' output."""
        last: sfn.INextable = self.found
        for number, each in enumerate(outputs):
            look = _look_for(scope, f"{id}: has {each.name} arrived?", each, first=number == 0)
            look.add_catch(self.failed, errors=["States.ALL"], assign=FAILURE, outputs={})
            last.next(look)
            last = look
        arrived = sfn.Pass.jsonata(scope, f"{id}: all outputs are there", outputs={})
        missing = sfn.Choice.jsonata(scope, f"{id}: is an output missing?")
        missing.when(sfn.Condition.jsonata("{% $states.input.missing = '' %}"), arrived)
        missing.when(
            sfn.Condition.jsonata("{% true %}"),
            self.failed,
            assign={
                FAILURE_VARIABLE: {
                    "error": MISSING,
                    "cause": "{% 'The job succeeded and left nothing for' & $states.input.missing %}",
                    "state": id,
                }
            },
            outputs={},
        )
        last.next(missing)
        self._ends = [arrived]


def _look_for(scope: Construct, id: str, output: ProcessingOutput, *, first: bool) -> Task:
    uri = str(output.uri)
    place = uri[2:-2].strip() if is_expression(uri) else f"'{uri}'"
    key = f"$substringAfter($substringAfter({place}, 's3://'), '/')"
    before = "''" if first else "$states.input.missing"
    bucket = f"arn:{Stack.of(scope).partition}:s3:::{output.bucket}"
    prefix = output.known_prefix
    return Task(
        scope,
        id,
        comment="SageMaker calls a job that left nothing a success",
        integration="aws-sdk:s3:listObjectsV2",
        arguments={"Bucket": output.bucket, "Prefix": f"{{% {key} %}}", "MaxKeys": 1},
        timeout=Duration.minutes(1),
        statements=[
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket],
                conditions={"StringLike": {"s3:prefix": f"{prefix}*"}},
            )
        ],
        retry=[
            retry(
                ["S3.S3Exception", "S3.SdkClientException"],
                attempts=4,
                interval=Duration.seconds(2),
                ceiling=Duration.minutes(1),
            )
        ],
        output={
            "missing": f"{{% {before} & ($states.result.KeyCount > 0 ? '' "
            f": ' {output.name} (' & ({place}) & ')') %}}"
        },
    )
