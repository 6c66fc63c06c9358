"""Predictions from a Lambda function behind an alias."""

from __future__ import annotations

import re

from aws_cdk import Duration, Names, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic, alarm

ALIAS_NAME = "live"
POINTER_NAME = "current.json"
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9_./#:-]{1,255}")


class ServerlessInference(Construct):
    """A function that answers predictions of an ONNX model from the lake, behind the alias ``live``.

    Each published version of the function serves one model, which its environment names with a SHA-256. A
    pipeline's deploy step publishes versions and moves the alias, a few per cent of the traffic first;
    rolling back is moving it back. A version that CloudFormation published names no model and follows the
    pointer object ``<models_prefix>current.json``, which the last promotion wrote, so that an update of the
    stack goes on serving the model that was live. Until a first model is there, it answers 503.

    Builds the function (arm64), its role with read access to the model prefix and nothing else, the alias, a
    Function URL on the alias that takes signed requests only, a dead-letter queue for asynchronous
    invocations, and alarms on errors, throttles, duration, and answers without a model.

    At rest it costs 1 USD a month for its key and about 0.50 USD for its five alarms; it is billed by the
    request.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from cdk_data_science import DataLake, ServerlessInference

        stack = cdk.Stack(cdk.App(), "Serving")
        lake = DataLake(stack, "Lake")
        reviews = ServerlessInference(stack, "Reviews", models=lake.models, memory_size=1769)
        caller = iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        reviews.grant_invoke(caller)
        ```

    Args:
        models: Zone of the models.
        models_prefix: Folder of this function's models in the zone, ending in a slash.
        memory_size: MB, 128 to 10240; 1769 is one full vCPU.
        timeout: One second to 15 minutes.
        max_rows: Rows that a request may hold, 1 to 100000.
        architecture: arm64 if not given.
        runtime: Python 3.13 if not given.
        reserved_concurrency: Upper bound of parallel executions, taken from the account's pool; none if not
            given.
        network: VPC that the function is attached to.
        alerts: Topic of the alarms; a new one if not given.
        key: Key of the log, the queue and the new topic; a new one if not given. CloudWatch Logs, alarms and
            Lambda's role must be allowed to use it.
        metrics_namespace: Namespace of the metrics that the function writes.
        slow: 99th percentile of the duration that sets off the alarm; half of ``timeout`` if not given.

    Raises:
        ConfigurationError: values that Lambda would refuse, all of them at once.

    See https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        models: IZone,
        models_prefix: str = "models/",
        memory_size: int = 1769,
        timeout: Duration | None = None,
        max_rows: int = 1000,
        architecture: lambda_.Architecture | None = None,
        runtime: lambda_.Runtime | None = None,
        reserved_concurrency: int | None = None,
        network: FunctionNetwork | None = None,
        alerts: AlertTopic | None = None,
        key: kms.IKey | None = None,
        metrics_namespace: str = "DataScience/Inference",
        slow: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        limit = timeout if timeout is not None else Duration.seconds(30)
        _check(
            self,
            models_prefix=models_prefix,
            memory_size=memory_size,
            timeout=limit,
            max_rows=max_rows,
            reserved_concurrency=reserved_concurrency,
            metrics_namespace=metrics_namespace,
            slow=slow,
        )
        self.models = models
        self.models_prefix = models_prefix
        self.metrics_namespace = metrics_namespace
        # Not the function's name, which its own environment cannot hold.
        self.metrics_service = Names.unique_resource_name(self, max_length=64, separator="-")
        encrypts = "log, dead letters, alerts" if alerts is None else "log, dead letters"
        self.key: kms.IKey = (
            key if key is not None else operations_key(self, "Key", description=f"Inference: {encrypts}")
        )
        self.alerts = alerts if alerts is not None else AlertTopic(self, "Alerts", key=self.key)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=self.key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        platform = PlatformFunction(
            self,
            "Inference",
            asset="inference",
            handler="app.handler",
            description="Predictions of an ONNX model from the lake",
            log_key=self.key,
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=memory_size,
            timeout=limit,
            environment={
                "MODEL_POINTER_BUCKET": models.bucket.bucket_name,
                "MODEL_POINTER_KEY": self.pointer_key,
                "METRICS_NAMESPACE": metrics_namespace,
                "MAX_ROWS": str(max_rows),
                "SERVICE": self.metrics_service,
                # More threads than one make the latency of single rows unsteady.
                "OMP_NUM_THREADS": "1",
            },
            network=network,
            reserved_concurrency=reserved_concurrency,
            dead_letter_queue=self.dead_letters,
        )
        self.function = platform.function
        self.role = platform.role
        self.log_group = platform.log_group
        models.grant_read(self.role, models_prefix)
        version = self.function.current_version
        # An earlier version is what the alias goes back to: CloudFormation must not take it away when it
        # makes the next one. That of a failed deployment is taken back, and all go with the function itself.
        version.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.alias = lambda_.Alias(
            self,
            "Live",
            alias_name=ALIAS_NAME,
            version=version,
            description="Serves; the deploy step of a pipeline moves it",
            max_event_age=Duration.hours(1),
            retry_attempts=2,
        )
        self.url = self.alias.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        self.alarms = self._make_alarms(
            slow if slow is not None else Duration.millis(_milliseconds(limit) / 2)
        )
        # Not among the alarms that a deployment watches: old letters say nothing of a new model.
        self.dead_letter_alarm = self._make_dead_letter_alarm()
        self.alerts.notify(*self.alarms, self.dead_letter_alarm)
        self.node.default_child = self.function.node.default_child

    @property
    def pointer_key(self) -> str:
        """Key of the object that names the model which was promoted last."""
        return f"{self.models_prefix}{POINTER_NAME}"

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal ask for predictions, by the URL or directly, from the alias and from nothing
        else."""
        direct = self.alias.grant_invoke(grantee)
        return direct.combine(self.url.grant_invoke_url(grantee))

    def metric_invocations(self) -> cloudwatch.Metric:
        """Invocations of the alias."""
        return self.alias.metric_invocations(statistic="Sum", period=Duration.minutes(1))

    def metric_errors(self) -> cloudwatch.Metric:
        """Invocations of the alias that ended in an error of the function."""
        return self.alias.metric_errors(statistic="Sum", period=Duration.minutes(1))

    def metric_throttles(self) -> cloudwatch.Metric:
        """Invocations of the alias that Lambda refused."""
        return self.alias.metric_throttles(statistic="Sum", period=Duration.minutes(1))

    def metric_duration(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Duration of the alias' invocations in milliseconds."""
        return self.alias.metric_duration(statistic=statistic, period=Duration.minutes(1))

    def metric_server_errors(self) -> cloudwatch.Metric:
        """Requests that were answered 500 or 503: the model is missing, has the wrong hash, or failed."""
        return self._own_metric("ServerErrors", statistic="Sum")

    def metric_validation_errors(self) -> cloudwatch.Metric:
        """Requests that were refused as wrong: no JSON, too large, wrong fields."""
        return self._own_metric("ValidationErrors", statistic="Sum")

    def metric_model_load(self) -> cloudwatch.Metric:
        """Time that loading the model took, in milliseconds."""
        return self._own_metric("ModelLoad", statistic="p99")

    def metric_rows(self) -> cloudwatch.Metric:
        """Rows that were predicted."""
        return self._own_metric("Rows", statistic="Sum")

    def _own_metric(self, name: str, *, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self.metrics_namespace,
            metric_name=name,
            dimensions_map={"Service": self.metrics_service},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _make_alarms(self, slow: Duration) -> list[cloudwatch.Alarm]:
        return [
            alarm(self, "Errors", self.metric_errors(), description="The inference function failed"),
            alarm(
                self,
                "Throttles",
                self.metric_throttles(),
                description="Lambda refused requests: raise the concurrency",
            ),
            alarm(
                self,
                "Slow",
                self.metric_duration(),
                description="The slowest hundredth of the predictions takes too long",
                threshold=_milliseconds(slow),
                periods=3,
            ),
            alarm(
                self,
                "ServerErrors",
                self.metric_server_errors(),
                description="Requests were answered 500 or 503: the model is missing or fails",
            ),
        ]

    def _make_dead_letter_alarm(self) -> cloudwatch.Alarm:
        waiting = self.dead_letters.metric_approximate_number_of_messages_visible(
            statistic="Maximum", period=Duration.minutes(5)
        )
        return alarm(
            self,
            "DeadLettersWaiting",
            waiting,
            description="An asynchronous request was given up; it lies in the dead-letter queue",
        )


def _milliseconds(duration: Duration) -> float:
    return float(duration.to_milliseconds())


def _check(
    scope: Construct,
    *,
    models_prefix: str,
    memory_size: int,
    timeout: Duration,
    max_rows: int,
    reserved_concurrency: int | None,
    metrics_namespace: str,
    slow: Duration | None,
) -> None:
    problems = Problems("ServerlessInference", scope)
    problems.check(
        is_token(models_prefix) or FOLDER.fullmatch(models_prefix) is not None,
        given=f"models_prefix={models_prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end",
        write='models_prefix="models/"',
    )
    problems.check(
        is_token(memory_size) or 128 <= memory_size <= 10_240,
        given=f"memory_size={memory_size}",
        allowed="128 to 10240 MB",
        write="memory_size=1769",
    )
    if not timeout.is_unresolved():
        seconds = timeout.to_seconds(integral=False)
        problems.check(
            1 <= seconds <= 900,
            given=f"timeout={seconds:g} s",
            allowed="1 s to 900 s",
            write="timeout=Duration.seconds(30)",
        )
        if slow is not None:
            problems.check(
                0 < slow.to_milliseconds() <= seconds * 1000,
                given=f"slow={slow.to_milliseconds():g} ms",
                allowed=f"more than zero, at most timeout ({seconds:g} s)",
            )
    problems.check(
        is_token(max_rows) or 1 <= max_rows <= 100_000,
        given=f"max_rows={max_rows}",
        allowed="1 to 100000",
        write="max_rows=1000",
    )
    if reserved_concurrency is not None and not is_token(reserved_concurrency):
        problems.check(
            reserved_concurrency >= 0,
            given=f"reserved_concurrency={reserved_concurrency}",
            allowed="0 (which stops the function) or more, or None to reserve nothing",
            write="reserved_concurrency=None",
        )
    problems.check(
        is_token(metrics_namespace) or _NAMESPACE.fullmatch(metrics_namespace) is not None,
        given=f"metrics_namespace={metrics_namespace!r}",
        allowed="1 to 255 letters, digits and _./#:-, not beginning with AWS/",
        write='metrics_namespace="DataScience/Inference"',
    )
    problems.raise_if_any()
