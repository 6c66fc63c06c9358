"""The batch transform task with what CDK's own cannot say: filters, joins, tags, exact permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training import checks
from cdk_data_science.training.kinds import TRANSFORM, Naming, RunName
from cdk_data_science.training.tasks.job_task import JobTask
from cdk_data_science.training.tasks.polling import JobStates

_LARGEST_PAYLOAD_MB = 100
_DEFAULT_PAYLOAD_MB = 6
_SPLITS = ("None", "Line", "RecordIO", "TFRecord")
_JOINABLE = ("text/csv", "application/json", "application/jsonlines")
_USE = InstanceUse.TRANSFORM


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformJob:
    """Everything of a transform job but its name, its model and its places in S3.

    SageMaker's transform jobs have no time limit of their own: ``max_runtime`` is that of the state, after
    which Step Functions stops the job.
    """

    instance_type: str = "ml.m5.xlarge"
    instance_count: int = 1
    volume_key: kms.IKey | None = None
    """Key of the volume. Must not be given for types with local NVMe disks: the API refuses it."""
    max_runtime: Duration
    """Longest time that the job may take, provisioning included."""
    content_type: str | None = None
    """Of the input, as the model is told: ``text/csv``."""
    accept: str | None = None
    """Of the output, as the model is asked for."""
    data_type: Literal["S3Prefix", "ManifestFile"] = "S3Prefix"
    """Whether the input is a prefix or a manifest of objects."""
    compressed: bool = False
    """The input is compressed with gzip, and SageMaker unpacks it."""
    split: Literal["None", "Line", "RecordIO", "TFRecord"] = "None"
    """Where an object is cut into records; ``None`` sends it whole."""
    strategy: Literal["MultiRecord", "SingleRecord"] | None = None
    """How many records a request holds: as many as fit, or one. Needs ``split``. Default: as many as fit."""
    assemble_lines: bool = False
    """Put a line's end behind each record of the output."""
    max_payload_mb: int | None = None
    """Largest request, 0 to 100 MB; 0 for chunked requests of any size. Default: 6."""
    max_concurrent: int | None = None
    """Requests at a time for each instance. With ``max_payload_mb`` at most 100 MB together. Default:
    SageMaker asks the model."""
    request_timeout: Duration | None = None
    """Longest time of one request, one second to an hour. Default: 10 minutes."""
    request_retries: int | None = None
    """Further requests after one that failed, 0 to 3. Default: 3."""
    input_filter: str | None = None
    """JSONPath of what the model gets of each record: ``$[1:]``. Default: all of it."""
    output_filter: str | None = None
    """JSONPath of what is kept of each output record, or of the joined one. Default: all of it."""
    join_input: bool = False
    """Put input and output of each record together. For CSV and JSON."""
    capture_uri: str | None = None
    """S3 prefix for captured requests and answers, which drift checks read. Default: none are captured."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """At most 16 variables; keys to 1024 and values to 10240 characters."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def check(self, problems: Problems) -> None:
        """Report every value that SageMaker would refuse."""
        checks.check_type(problems, self.instance_type, _USE)
        checks.check_volume_key(problems, self.instance_type, _USE, self.volume_key)
        checks.check_number(problems, "instance_count", self.instance_count, 1)
        checks.check_environment(problems, self.environment, entries=16, key=1024, value=10_240)
        checks.check_tags(problems, self.tags)
        checks.check_uri(problems, "capture_uri", self.capture_uri)
        checks.check_time(problems, "request_timeout", self.request_timeout, longest=3600)
        checks.check_number(problems, "request_retries", self.request_retries, 0, 3)
        self._check_requests(problems)
        for name in ("input_filter", "output_filter"):
            path = getattr(self, name)
            problems.check(
                path is None or is_token(path) or (path.startswith("$") and len(path) <= 63),
                given=f"{name}={path!r}",
                allowed="a JSONPath of at most 63 characters, which begins with $",
                write=f'{name}="$[1:]"',
            )
        kind = "" if self.content_type is None else self.content_type.partition(";")[0].strip()
        problems.check(
            not self.join_input or is_token(self.content_type) or kind in _JOINABLE,
            given=f"join_input with content_type={self.content_type!r}",
            allowed=", ".join(_JOINABLE),
            write='content_type="text/csv"',
        )

    def render(self, *, input_uri: str, output_uri: str, output_key: kms.IKey | None) -> dict[str, Any]:
        """Return the parameters of ``CreateTransformJob``, without name, model and tags."""
        source: dict[str, Any] = {
            "DataSource": {"S3DataSource": {"S3DataType": self.data_type, "S3Uri": input_uri}},
            "CompressionType": "Gzip" if self.compressed else "None",
            "SplitType": self.split,
        }
        if self.content_type is not None:
            source["ContentType"] = self.content_type
        target: dict[str, Any] = {
            "S3OutputPath": output_uri,
            "AssembleWith": "Line" if self.assemble_lines else "None",
        }
        if self.accept is not None:
            target["Accept"] = self.accept
        if output_key is not None:
            target["KmsKeyId"] = output_key.key_arn
        resources: dict[str, Any] = {
            "InstanceType": self.instance_type,
            "InstanceCount": self.instance_count,
        }
        if self.volume_key is not None:
            resources["VolumeKmsKeyId"] = self.volume_key.key_arn
        parameters: dict[str, Any] = {
            "TransformInput": source,
            "TransformOutput": target,
            "TransformResources": resources,
            **self._requests(),
            **self._processing(),
        }
        if self.environment:
            parameters["Environment"] = dict(self.environment)
        if self.capture_uri is not None:
            parameters["DataCaptureConfig"] = {
                "DestinationS3Uri": self.capture_uri,
                "GenerateInferenceId": True,
                **({} if output_key is None else {"KmsKeyId": output_key.key_arn}),
            }
        return parameters

    def _requests(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "BatchStrategy": self.strategy,
            "MaxPayloadInMB": self.max_payload_mb,
            "MaxConcurrentTransforms": self.max_concurrent,
        }
        client: dict[str, Any] = {"InvocationsMaxRetries": self.request_retries}
        if self.request_timeout is not None:
            client["InvocationsTimeoutInSeconds"] = self.request_timeout.to_seconds()
        if client := {name: value for name, value in client.items() if value is not None}:
            found["ModelClientConfig"] = client
        return {name: value for name, value in found.items() if value is not None}

    def _processing(self) -> dict[str, Any]:
        found: dict[str, Any] = {"InputFilter": self.input_filter, "OutputFilter": self.output_filter}
        found = {name: value for name, value in found.items() if value is not None}
        if self.join_input:
            found["JoinSource"] = "Input"
        return {"DataProcessing": found} if found else {}

    def _check_requests(self, problems: Problems) -> None:
        checks.check_one_of(problems, "split", self.split, _SPLITS)
        checks.check_one_of(problems, "strategy", self.strategy, ("MultiRecord", "SingleRecord"))
        checks.check_one_of(problems, "data_type", self.data_type, ("S3Prefix", "ManifestFile"))
        problems.check(
            self.strategy is None or self.split != "None",
            given=f"strategy={self.strategy!r} without split",
            allowed="records, which a split makes",
            write='split="Line"',
        )
        checks.check_number(problems, "max_payload_mb", self.max_payload_mb, 0, _LARGEST_PAYLOAD_MB)
        checks.check_number(problems, "max_concurrent", self.max_concurrent, 0)
        payload = _DEFAULT_PAYLOAD_MB if self.max_payload_mb is None else self.max_payload_mb
        if self.max_concurrent is not None and not is_token(self.max_concurrent) and not is_token(payload):
            problems.check(
                self.max_concurrent * payload <= _LARGEST_PAYLOAD_MB,
                given=f"max_concurrent={self.max_concurrent} requests of {payload} MB",
                allowed=f"at most {_LARGEST_PAYLOAD_MB} MB together",
                write=f"max_concurrent={_LARGEST_PAYLOAD_MB // max(1, payload)}",
            )


class TransformJobTask(JobTask):
    """A Step Functions task that lets a model predict whole prefixes of S3 and waits for the end.

    The model acts in its own role, which must read the input and write the output. The state machine's role
    gets what ``.sync`` needs and no more: create, describe, stop and tag jobs of the given name pattern, and
    the event rule that Step Functions manages; it passes no role. The state's result is that of
    ``DescribeTransformJob``.

    At rest it costs nothing; a run costs what its instances cost for their seconds.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import RunName, TransformJob, TransformJobTask

        stack = cdk.Stack(cdk.App(), "Churn")
        predict = TransformJobTask(
            stack,
            "Predict",
            job=TransformJob(
                max_runtime=cdk.Duration.hours(2),
                content_type="text/csv",
                split="Line",
                assemble_lines=True,
                input_filter="$[1:]",
                join_input=True,
            ),
            job_name=RunName("churn"),
            model_name="{% $model %}",
            input_uri="s3://my-lake/churn/customers/",
            output_uri="s3://my-lake/churn/predictions/",
        )
        sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(predict))
        ```

    Args:
        job: What is the same in every run.
        job_name: Name of the job: 1 to 63 letters, digits and hyphens, a JSONata expression that gives one,
            or a :class:`RunName`.
        model_name: Name of a model of SageMaker, or an expression for it.
        input_uri: S3 prefix, or a manifest.
        output_uri: S3 prefix; each object's predictions are called as it is, with ``.out`` behind.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        output_key: Key that encrypts the output; the bucket's default key if not given.
        tags_of: A construct whose tags the jobs get too, as they stand at synthesis; the
            state's own place in the app if not given.
        timeout: Limit of the state; the job's own limit if not given.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.
        parameters: Parameters of ``CreateTransformJob`` by their own names, in place of what the other
            arguments say, for what has no argument here. They are not checked.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: TransformJob,
        job_name: str | RunName,
        model_name: str,
        input_uri: str,
        output_uri: str,
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        timeout: Duration | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(TRANSFORM, job_name, job_name_pattern)
        problems = naming.problems(scope, f"TransformJobTask {id!r}")
        job.check(problems)
        checks.check_uri(problems, "input_uri", input_uri)
        checks.check_uri(problems, "output_uri", output_uri)
        problems.raise_if_any()
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments={
                "ModelName": model_name,
                **job.render(input_uri=input_uri, output_uri=output_uri, output_key=output_key),
            },
            role=None,
            tags=job.tags,
            tags_of=tags_of,
            limit=job.max_runtime,
            timeout=timeout if timeout is not None else job.max_runtime,
            assign=assign,
            output=output,
            parameters=parameters,
        )


class TransformStep(JobStates):
    """States that run a transform job, and find it again if its answer was lost.

    Args:
        job: As for :class:`TransformJobTask`, like all others.
        on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
            ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, the job's description.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: TransformJob,
        job_name: str | RunName,
        model_name: str,
        input_uri: str,
        output_uri: str,
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        task = TransformJobTask(
            scope,
            id,
            job=job,
            job_name=job_name,
            job_name_pattern=job_name_pattern,
            model_name=model_name,
            input_uri=input_uri,
            output_uri=output_uri,
            output_key=output_key,
            tags_of=tags_of,
            output="{% $states.result %}",
        )
        super().__init__(
            scope, id, create=task, waits=True, job=task.watched, on_failure=on_failure, assign=assign
        )
