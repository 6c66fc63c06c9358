"""The training task that CDK lacks: Spot, checkpoints, tags and exact permissions, in JSONata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Annotations, Duration, IStableAnyProducer, Lazy, Stack, TagManager
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.training.job import TrainingJob
from cdk_data_science.training.values import Channel

_EVENTS_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_JOB_NAME_PATTERN = re.compile(r"[a-z0-9*](-*[a-z0-9*])*")
# What a job needs beyond its own limit: provisioning, download, upload of the model.
_OVERHEAD_MINUTES = 30
# SageMaker lets its own algorithms that keep no checkpoints wait no longer than this.
_LONG_WITHOUT_CHECKPOINTS_SECONDS = 3600


class TrainingJobTask(Task):
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
        job_name: Name of the job: 1 to 63 letters, digits and hyphens, or a JSONata expression that gives
            one.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression.
        channels: Inputs, at most 20.
        output_uri: S3 prefix for the model archive, which lands under ``<output_uri><job name>/output/``.
        output_key: Key that encrypts the archive; the bucket's default key if not given.
        checkpoint_uri: S3 prefix that SageMaker keeps in step with ``checkpoint_path``.
        checkpoint_path: Where the container reads and writes checkpoints.
        tags_of: A construct whose tags the jobs get too, as they stand at synthesis.
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
        job_name: str,
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
        pattern = job_name_pattern if job_name_pattern is not None else job_name.lower()
        _check(scope, id, job=job, job_name=job_name, pattern=pattern, channels=channels)
        archive: dict[str, Any] = {"S3OutputPath": output_uri}
        if output_key is not None:
            archive["KmsKeyId"] = output_key.key_arn
        arguments: dict[str, Any] = {
            "TrainingJobName": job_name,
            **job.render(),
            "OutputDataConfig": archive,
            "Tags": Lazy.any(_Tags(own=job.tags, source=tags_of), omit_empty_array=True),
        }
        if channels:
            arguments["InputDataConfig"] = [channel.render() for channel in channels]
        if checkpoint_uri is not None:
            arguments["CheckpointConfig"] = {"S3Uri": checkpoint_uri, "LocalPath": checkpoint_path}
        arguments.update(parameters or {})
        _warn_of_lost_work(scope, id, job, checkpoint_uri)
        super().__init__(
            scope,
            id,
            integration="sagemaker:createTrainingJob.sync",
            arguments=arguments,
            timeout=timeout if timeout is not None else _time_limit(job),
            statements=_statements(Stack.of(scope), job.role, pattern),
            retry=_retries(),
            assign=assign,
            output=output,
        )


def _warn_of_lost_work(scope: Construct, id: str, job: TrainingJob, checkpoint_uri: str | None) -> None:
    if job.is_spot and checkpoint_uri is None and not job.max_runtime.is_unresolved():
        seconds = job.max_runtime.to_seconds()
        if seconds > _LONG_WITHOUT_CHECKPOINTS_SECONDS:
            Annotations.of(scope).add_warning_v2(
                f"cdk-data-science:spotWithoutCheckpoints:{id}",
                f"{id}: a Spot job of up to {seconds / 3600:g} hours without checkpoint_uri begins anew "
                "whenever its capacity is taken away. Give it a checkpoint_uri, or let it run On-Demand "
                "(no max_wait).",
            )


@jsii.implements(IStableAnyProducer)
class _Tags:
    """The job's tags, resolved when the template is written: by then all tags of the app are known."""

    def __init__(self, *, own: Mapping[str, str], source: IConstruct | None) -> None:
        self._own = own
        self._source = source

    def produce(self) -> list[dict[str, str]]:
        inherited: dict[str, str] = {}
        if self._source is not None:
            manager = TagManager.of(self._source)
            inherited = dict(manager.tag_values()) if manager is not None else {}
        return [{"Key": key, "Value": value} for key, value in sorted({**inherited, **self._own}.items())]


def _time_limit(job: TrainingJob) -> Duration:
    limit = job.max_wait if job.max_wait is not None else job.max_runtime
    return limit.plus(Duration.minutes(_OVERHEAD_MINUTES))


def _retries() -> list[dict[str, Any]]:
    return [
        # A quota in use by other jobs frees itself when they end; one of 0 never does, and whoever waits for
        # a turn waits along: 11 minutes at most.
        retry(
            ["SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded"],
            attempts=4,
            interval=Duration.minutes(1),
            ceiling=Duration.minutes(4),
        ),
        # Throttling and service faults. The job's name makes the call idempotent.
        retry(
            [
                "SageMaker.AmazonSageMakerException",
                "SageMaker.ThrottlingException",
                "SageMaker.SdkClientException",
            ],
            attempts=5,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        ),
    ]


def job_arn(stack: Stack, pattern: str) -> str:
    """The ARN of the jobs whose names match a pattern."""
    return stack.format_arn(service="sagemaker", resource="training-job", resource_name=pattern)


def _statements(stack: Stack, role: iam.IRole, pattern: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            actions=[
                "sagemaker:AddTags",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:ListTags",
                "sagemaker:StopTrainingJob",
            ],
            resources=[job_arn(stack, pattern)],
        ),
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        iam.PolicyStatement(
            actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            resources=[stack.format_arn(service="events", resource="rule", resource_name=_EVENTS_RULE)],
        ),
    ]


def _check(
    scope: Construct, id: str, *, job: TrainingJob, job_name: str, pattern: str, channels: Sequence[Channel]
) -> None:
    problems = Problems(f"TrainingJobTask {id!r}", scope)
    job.check(problems, region=Stack.of(scope).region)
    if not is_token(job_name) and not job_name.startswith("{%"):
        problems.check(
            _JOB_NAME.fullmatch(job_name) is not None,
            given=f"job_name={job_name!r}",
            allowed="1 to 63 letters, digits and hyphens, or a JSONata expression in {% %}",
        )
    if not is_token(pattern):
        problems.check(
            _JOB_NAME_PATTERN.fullmatch(pattern) is not None,
            given=f"job_name_pattern={pattern!r}",
            allowed="lower-case letters, digits, hyphens and *, matching every name that job_name can give",
            write='job_name_pattern="churn-*"',
        )
    problems.check(len(channels) <= 20, given=f"{len(channels)} channels", allowed="at most 20")
    names = [channel.name for channel in channels]
    problems.check(len(set(names)) == len(names), given=f"channels {names}", allowed="each name once")
    for channel in channels:
        channel.check(problems, in_vpc=job.network is not None)
    problems.raise_if_any()
