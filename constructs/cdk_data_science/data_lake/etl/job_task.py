"""A Step Functions task that runs a job of Glue and waits for its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake.etl._glue_job import START_ACTIONS
from cdk_data_science.data_lake.etl.spark_job import SparkJob

# Glue queues, provisions and ends a run beside its own timeout.
_OVERHEAD = Duration.minutes(30)


class SparkJobTask(Task):
    """Runs a Spark job and waits for its end, in JSONata; works in any state machine, alone.

    The state machine's role may start, see and stop runs of this job and no other's. Tried again is what
    Glue refused before a run began: too many runs at a time, and throttled calls. A run that failed is not
    started again, since its script may have written half of its output: say ``retries`` of the job where that
    does no harm. The state's result is that of ``GetJobRun``.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_stepfunctions as sfn
    from cdk_data_science import DataLake, ScriptObject, SparkJob, SparkJobTask

    stack = cdk.Stack(cdk.App(), "Etl")
    lake = DataLake(stack, "Lake")
    job = SparkJob(stack, "Clean", script=ScriptObject(zone=lake.raw, key="jobs/clean.py"))
    clean = SparkJobTask(stack, "Run", job=job, arguments={"--day": "{% $states.input.day %}"})
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(clean))
    ```

    Args:
        job: The job.
        arguments: Of the script in this run, in place of the job's own ones of the same names; values may be
            JSONata expressions. Default: none.
        timeout: Limit of the state. Default: that of the job, once more for each of its retries, and 30
            minutes.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.

    Raises:
        ConfigurationError: For names that are no arguments.

    Follows https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: SparkJob,
        arguments: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
    ) -> None:
        problems = Problems(f"SparkJobTask {id!r}", scope)
        for name in arguments or {}:
            problems.check(
                is_token(name) or name.startswith("--"),
                given=f"argument {name!r}",
                allowed="names with two hyphens in front",
                write=f'"--{name.lstrip("-")}"',
            )
        problems.raise_if_any()
        given: dict[str, Any] = {"JobName": job.name}
        if arguments:
            given["Arguments"] = dict(arguments)
        super().__init__(
            scope,
            id,
            integration="glue:startJobRun.sync",
            arguments=given,
            timeout=timeout if timeout is not None else self.longest(job),
            statements=[iam.PolicyStatement(actions=list(START_ACTIONS), resources=[job.arn])],
            retry=_retries(),
            assign=assign,
            output=output,
        )

    @staticmethod
    def longest(job: SparkJob) -> Duration:
        """The longest time that a run of a job takes, its retries included."""
        return Duration.seconds(job.timeout.to_seconds() * (job.retries + 1)).plus(_OVERHEAD)


def _retries() -> Sequence[dict[str, Any]]:
    """Only what is refused before a run began: starting one is not idempotent."""
    return [
        retry(
            ["Glue.ConcurrentRunsExceededException", "Glue.ResourceNumberLimitExceededException"],
            attempts=5,
            interval=Duration.minutes(1),
            ceiling=Duration.minutes(10),
        ),
        retry(
            ["Glue.ThrottlingException"],
            attempts=5,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        ),
    ]
