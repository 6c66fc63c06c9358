"""The training task that CDK lacks: Spot, checkpoints, tags and exact permissions, in JSONata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from cdk_data_science.training.checks import check_uri, known_seconds
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.jobs.training_places import check_channels, places
from cdk_data_science.training.kinds import TRAINING, Naming, RunName
from cdk_data_science.training.tasks.job_task import JobTask
from cdk_data_science.training.values import Channel

# SageMaker lets its own algorithms that keep no checkpoints wait no longer than this.
_LONG_WITHOUT_CHECKPOINTS_SECONDS = 3600


class TrainingJobTask(JobTask):
    """A Step Functions task that runs a training job and waits for its end, with managed Spot and
    checkpoints.

    It works in any state machine, alone. The state machine's role gets what ``.sync`` needs and no more:
    create, describe, stop and tag jobs of the given name pattern, pass the job's role to SageMaker, and the
    event rule that Step Functions manages. Calls that SageMaker throttled or refused for a quota are made
    again under the same job name, so that no retry can start a second job. The state's result is that of
    ``DescribeTrainingJob``.

    At rest it costs nothing; a run costs what its instance costs for the billed seconds.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import Channel, TrainingJob, TrainingJobTask

        stack = cdk.Stack(cdk.App(), "Churn")
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        train = TrainingJobTask(
            stack,
            "Train",
            job=TrainingJob(
                role=role,
                image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                max_runtime=cdk.Duration.hours(1),
                max_wait=cdk.Duration.hours(2),
            ),
            job_name="{% 'churn-' & $states.context.Execution.Name %}",
            job_name_pattern="churn-*",
            channels=[Channel(name="train", uri="s3://my-lake/churn/train/")],
            output_uri="s3://my-lake/churn/models/",
            checkpoint_uri="s3://my-lake/churn/checkpoints/",
        )
        sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(train))
        ```

    Args:
        job: What is the same in every run.
        job_name: Name of the job: 1 to 63 letters, digits and hyphens, a JSONata expression that gives one,
            or a :class:`RunName`.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        channels: Inputs, at most 20.
        output_uri: S3 prefix for the model archive, which lands under ``<output_uri><job name>/output/``.
        output_key: Key that encrypts the archive; the bucket's default key if not given.
        checkpoint_uri: S3 prefix that SageMaker keeps in step with ``checkpoint_path``.
        checkpoint_path: Where the container reads and writes checkpoints.
        tags_of: A construct whose tags the jobs get too, as they stand at synthesis; the
            state's own place in the app if not given.
        timeout: Limit of the state; the job's own limit plus 30 minutes if not given.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.
        parameters: Parameters of ``CreateTrainingJob`` by their own names, in place of what the other
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
        job: TrainingJob,
        job_name: str | RunName,
        channels: Sequence[Channel],
        output_uri: str,
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        checkpoint_uri: str | None = None,
        checkpoint_path: str = "/opt/ml/checkpoints",
        tags_of: IConstruct | None = None,
        timeout: Duration | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(TRAINING, job_name, job_name_pattern)
        problems = naming.problems(scope, f"TrainingJobTask {id!r}")
        job.check(problems, region=Stack.of(scope).region)
        check_channels(problems, channels, job)
        check_uri(problems, "output_uri", output_uri)
        check_uri(problems, "checkpoint_uri", checkpoint_uri)
        problems.raise_if_any()
        arguments = {
            **job.render(),
            **places(
                channels,
                output=job.render_output(output_uri, output_key),
                checkpoint_uri=checkpoint_uri,
                checkpoint_path=checkpoint_path,
            ),
        }
        warn_of_lost_work(scope, id, job, checkpoint_uri)
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments=arguments,
            role=job.role,
            tags=job.tags,
            tags_of=tags_of,
            limit=job.limit,
            timeout=timeout,
            assign=assign,
            output=output,
            parameters=parameters,
        )


def warn_of_lost_work(scope: Construct, id: str, job: TrainingJob, checkpoint_uri: str | None) -> None:
    """Warn of a long Spot job that begins anew with each interruption."""
    seconds = known_seconds(job.max_runtime)
    if not job.is_spot or checkpoint_uri is not None or seconds is None:
        return
    if seconds > _LONG_WITHOUT_CHECKPOINTS_SECONDS:
        Annotations.of(scope).add_warning_v2(
            f"cdk-data-science:spotWithoutCheckpoints:{id}",
            f"{id}: a Spot job of up to {seconds / 3600:g} hours without checkpoint_uri begins anew "
            "whenever its capacity is taken away. Give it a checkpoint_uri, or let it run On-Demand "
            "(no max_wait).",
        )
