"""AutoML in a state machine: SageMaker finds a model for a table, texts, images or series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.training import checks
from cdk_data_science.training.jobs.automl_problems import CandidateLimits, Problem
from cdk_data_science.training.kinds import AUTOML, Naming, RunName
from cdk_data_science.training.network import TrainingNetwork
from cdk_data_science.training.tasks.polled import PolledJob

_TYPES = ("S3Prefix", "ManifestFile", "AugmentedManifestFile")


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoMLChannel:
    """One input of an AutoML job."""

    uri: str
    """An S3 prefix, or a JSONata expression that gives one."""
    type: Literal["training", "validation"] = "training"
    content_type: str | None = None
    """``text/csv;header=present`` for tables; ``x-application/vnd.amazon+parquet``."""
    compressed: bool = False
    data_type: Literal["S3Prefix", "ManifestFile", "AugmentedManifestFile"] = "S3Prefix"

    def render(self) -> dict[str, Any]:
        """Return the channel as the SageMaker API has it."""
        channel: dict[str, Any] = {
            "ChannelType": self.type,
            "CompressionType": "Gzip" if self.compressed else "None",
            "DataSource": {"S3DataSource": {"S3DataType": self.data_type, "S3Uri": self.uri}},
        }
        if self.content_type is not None:
            channel["ContentType"] = self.content_type
        return channel


class AutoMLJobTask(PolledJob):
    """States that run an AutoML job (``CreateAutoMLJobV2``) to its end, for any state machine.

    Step Functions has no ``.sync`` for it. So one state creates the job, others look at it, twice a minute
    or, for long jobs, less often, and stop it when its time is over. A job whose create call lost its answer
    is found again under its name. Step Functions does not stop it when the execution is stopped; its own
    limits end it.

    The state machine's role may create, describe, stop and tag jobs of the given name pattern and pass the
    job's role to SageMaker, and nothing else.

    At rest it costs nothing; a run costs the instances of all candidates.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import (
            AutoMLChannel,
            AutoMLJobTask,
            CandidateLimits,
            RunName,
            TabularProblem,
        )

        stack = cdk.Stack(cdk.App(), "Churn")
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        find = AutoMLJobTask(
            stack,
            "FindModel",
            role=role,
            problem=TabularProblem(target="churned", problem_type="BinaryClassification"),
            objective="AUC",
            limits=CandidateLimits(max_runtime=cdk.Duration.hours(4), candidates=20),
            job_name=RunName("churn"),
            channels=[AutoMLChannel(uri="s3://my-lake/churn/", content_type="text/csv;header=present")],
            output_uri="s3://my-lake/churn/automl/",
            assign={"best": "{% $states.result.BestCandidate.CandidateName %}"},
        )
        sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(find),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        ```

    Args:
        role: Role of the job, which SageMaker may take.
        problem: What is to be learned.
        limits: How long it may look.
        job_name: Name of the job: 1 to 32 letters, digits and hyphens, a JSONata expression that gives the
            same one in every state, or a :class:`RunName`.
        channels: The training data, and validation data if there are some.
        output_uri: S3 prefix of the models and reports.
        objective: Metric by which models are compared; the problem's default if not given.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        validation_fraction: Share of the training data that validates, above 0 and below 1, where there is
            no validation channel; SageMaker's if not given.
        output_key: Key that encrypts the output; the bucket's default key if not given.
        volume_key: Key of the instances' volumes.
        network: Subnets and security groups of the instances.
        encrypt_between_containers: Encrypt the traffic between instances.
        deploy_endpoint: Name of an endpoint that the best model is put on, which costs by the hour until it
            is deleted; ``""`` lets SageMaker name it. None is made if not given.
        tags: Tags of the job.
        tags_of: A construct whose tags the job gets too, as they stand at synthesis; the
            state's own place in the app if not given.
        on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
            ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, which is that of ``DescribeAutoMLJobV2``.
        parameters: Parameters of ``CreateAutoMLJobV2`` by their own names, in place of what the other
            arguments say, for what has no argument here. They are not checked.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/autopilot-automate-model-development.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        role: iam.IRole,
        problem: Problem,
        limits: CandidateLimits,
        job_name: str | RunName,
        channels: Sequence[AutoMLChannel],
        output_uri: str,
        objective: str | None = None,
        job_name_pattern: str | None = None,
        validation_fraction: float | None = None,
        output_key: kms.IKey | None = None,
        volume_key: kms.IKey | None = None,
        network: TrainingNetwork | None = None,
        encrypt_between_containers: bool = False,
        deploy_endpoint: str | None = None,
        tags: Mapping[str, str] | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(AUTOML, job_name, job_name_pattern)
        problems = naming.problems(scope, f"AutoMLJobTask {id!r}")
        problem.check(problems, objective)
        limits.check(problems)
        checks.check_uri(problems, "output_uri", output_uri)
        checks.check_tags(problems, tags or {})
        _check_channels(problems, channels, validation_fraction)
        problems.raise_if_any()
        security: dict[str, Any] = {"EnableInterContainerTrafficEncryption": encrypt_between_containers}
        if volume_key is not None:
            security["VolumeKmsKeyId"] = volume_key.key_arn
        if network is not None:
            security["VpcConfig"] = network.render()
        output: dict[str, Any] = {"S3OutputPath": output_uri}
        if output_key is not None:
            output["KmsKeyId"] = output_key.key_arn
        arguments: dict[str, Any] = {
            "RoleArn": role.role_arn,
            "AutoMLJobInputDataConfig": [channel.render() for channel in channels],
            "OutputDataConfig": output,
            "AutoMLProblemTypeConfig": {problem.member: problem.render(limits)},
            "SecurityConfig": security,
        }
        if objective is not None:
            arguments["AutoMLJobObjective"] = {"MetricName": objective}
        if validation_fraction is not None:
            arguments["DataSplitConfig"] = {"ValidationFraction": validation_fraction}
        if deploy_endpoint is not None:
            arguments["ModelDeployConfig"] = (
                {"EndpointName": deploy_endpoint} if deploy_endpoint else {"AutoGenerateEndpointName": True}
            )
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments=arguments,
            role=role,
            tags=tags if tags is not None else {},
            tags_of=tags_of,
            limit=limits.max_runtime,
            on_failure=on_failure,
            assign=assign,
            parameters=parameters,
        )


def _check_channels(
    problems: Problems, channels: Sequence[AutoMLChannel], validation_fraction: float | None
) -> None:
    types = [channel.type for channel in channels]
    problems.check(
        types.count("training") == 1 and types.count("validation") <= 1 and len(types) <= 2,
        given=f"channels of types {types}",
        allowed="one of training, and at most one of validation",
    )
    for channel in channels:
        checks.check_uri(problems, f"uri of the {channel.type} channel", channel.uri)
        checks.check_one_of(problems, "data_type", channel.data_type, _TYPES)
    if validation_fraction is not None:
        problems.check(
            0 < validation_fraction < 1,
            given=f"validation_fraction={validation_fraction:g}",
            allowed="above 0 and below 1",
            write="validation_fraction=0.2",
        )
        problems.check(
            "validation" not in types,
            given="validation_fraction with a validation channel",
            allowed="either",
            write="validation_fraction=None",
        )
