"""Predictions from a Lambda function behind an alias."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Names, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import Problems
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.serving import _inference_checks as checks
from cdk_data_science.serving._inference_metrics import InferenceMetrics
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving._limits import text
from cdk_data_science.serving._provisioned import scale_alias
from cdk_data_science.serving.http_api import PredictionApi, PredictionEndpoint
from cdk_data_science.serving.payloads import PayloadsInS3
from cdk_data_science.serving.predictions import Predictions
from cdk_data_science.serving.scaling import ConcurrencyScaling

ALIAS_NAME = "live"
POINTER_NAME = "current.json"
# All attempts at a request of the function's own have to end before Lambda ends the function.
_ATTEMPTS = 5
_LONGEST_REQUEST_SECONDS = 5.0


class ServerlessInference(InferenceMetrics):
    """A function that answers predictions of an ONNX model from the lake, behind the alias ``live``.

    Each published version of the function serves one model, which its environment names with a SHA-256. A
    pipeline's deploy step publishes versions and moves the alias, a few per cent of the traffic first;
    rolling back is moving it back. A version that CloudFormation published names no model and follows the
    pointer object ``<models_prefix>current.json``, which the last promotion wrote, so that an update of the
    stack goes on serving the model that was live. Until a first model is there, it answers 503.

    Builds the function (arm64), its role with read access to the model prefix and nothing else, the alias, a
    Function URL on the alias that takes signed requests only, a dead-letter queue for asynchronous
    invocations, and alarms on errors, throttles, duration, and answers without a model.

    Batches come from queues and streams (:class:`PredictionQueue`, :class:`PredictionStream`); rows that are
    too many for an invocation, as objects (``payloads``); callers without IAM credentials, by an HTTP API.
    Further models are asked for by their names: each follows the pointer in its own folder,
    ``<models_prefix><name>/current.json``, and has no canary.

    At rest it costs 1 USD a month for its key and about 0.50 USD for its five alarms; it is billed by the
    request. Provisioned concurrency is billed at 0.012 USD a GB and hour on arm64, 0.015 on x86_64, and the
    snapshots of SnapStart at about 4 USD a GB and month for each version that was published and is not
    deleted (us-east-1, November 2026).

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
        snap_start: Restore new environments from a snapshot that already has the model, instead of starting
            them. Publishing a version then takes minutes. Not with provisioned concurrency.
        provisioned_concurrency: Environments that are kept ready on the alias, by use and by the clock; none
            if not given. :class:`WorkingHours` can switch a fixed number instead. While a canary is under
            way Lambda refuses to change them: plan scheduled times outside of deployments.
        http_api: An HTTP API with IAM or token authorization, throttles and access logs; none if not given.
        function_url: Whether there is a Function URL.
        named_models: Names of further models, which are asked for at ``/models/<name>``.
        max_loaded_models: How many of them are in memory at once, 1 to 50; the one that was not asked for
            longest makes room. ``memory_size`` has to hold them, and one more while that is loaded.
        refresh: How often models that follow a pointer are looked for again, 1 s to one day; the request that
            finds another one waits until it is loaded. Never if not given: a new environment finds it.
        payloads: Requests and answers in S3; none if not given.
        predictions: Where the predictions of queues and streams go; needed before one is added.

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
        snap_start: bool = False,
        provisioned_concurrency: ConcurrencyScaling | None = None,
        http_api: PredictionApi | None = None,
        function_url: bool = True,
        named_models: Sequence[str] = (),
        max_loaded_models: int = 4,
        refresh: Duration | None = None,
        payloads: PayloadsInS3 | None = None,
        predictions: Predictions | None = None,
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("ServerlessInference", self).durations(timeout=timeout, slow=slow, refresh=refresh)
        kinds.published("IZone", models=models).texts("named_models", named_models)
        kinds.whole(memory_size=memory_size, max_rows=max_rows, max_loaded_models=max_loaded_models)
        kinds.whole(reserved_concurrency=reserved_concurrency)
        kinds.one("provisioned_concurrency", provisioned_concurrency, ConcurrencyScaling)
        kinds.one("http_api", http_api, PredictionApi).one("payloads", payloads, PayloadsInS3)
        kinds.one("predictions", predictions, Predictions).one("alerts", alerts, AlertTopic)
        kinds.raise_if_any()
        limit = timeout if timeout is not None else Duration.seconds(30)
        python = runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13
        problems = Problems("ServerlessInference", self)
        checks.check_function(
            problems,
            models_prefix=models_prefix,
            memory_size=memory_size,
            timeout=limit,
            max_rows=max_rows,
            reserved_concurrency=reserved_concurrency,
            metrics_namespace=metrics_namespace,
            slow=slow,
        )
        checks.check_names(
            problems, named_models=named_models, max_loaded_models=max_loaded_models, refresh=refresh
        )
        checks.check_start(
            problems,
            runtime=python,
            snap_start=snap_start,
            provisioned_concurrency=provisioned_concurrency,
            reserved_concurrency=reserved_concurrency,
        )
        checks.check_ways_in(
            problems, timeout=limit, memory_size=memory_size, http_api=http_api, payloads=payloads
        )
        problems.raise_if_any()
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
        self.dead_letters = letters(self, "DeadLetters", self.key)
        platform = PlatformFunction(
            self,
            "Inference",
            asset="inference",
            handler="app.handler",
            description="Predictions of an ONNX model from the lake",
            log_key=self.key,
            runtime=python,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=memory_size,
            timeout=limit,
            environment={
                "MODEL_POINTER_BUCKET": models.bucket.bucket_name,
                "MODEL_POINTER_KEY": self.pointer_key,
                "METRICS_NAMESPACE": metrics_namespace,
                "MAX_ROWS": text(max_rows),
                "SERVICE": self.metrics_service,
                # More threads than one make the latency of single rows unsteady.
                "OMP_NUM_THREADS": "1",
                "REQUEST_TIMEOUT_SECONDS": _request_timeout(limit),
                **_names(named_models, max_loaded_models, refresh),
                **({} if payloads is None else payloads.environment()),
                **({} if predictions is None else {"RESULTS_TO": predictions.address}),
            },
            network=network,
            reserved_concurrency=reserved_concurrency,
            dead_letter_queue=self.dead_letters,
            snap_start=snap_start,
        )
        self.function = platform.function
        self.role = platform.role
        self.log_group = platform.log_group
        models.grant_read(self.role, models_prefix)
        if payloads is not None:
            payloads.grant(self.role)
        if predictions is not None:
            predictions.allow(self.role)
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
        self.timeout, self._predictions, self._named = limit, predictions, list(named_models)
        self._rejected: sqs.Queue | None = None
        self._url = (
            self.alias.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
            if function_url
            else None
        )
        self.http_api = (
            PredictionEndpoint(self, "HttpApi", options=http_api, alias=self.alias, log_key=self.key)
            if http_api is not None
            else None
        )
        if provisioned_concurrency is not None:
            scale_alias(self.alias, provisioned_concurrency)
        self.alarms = self._make_alarms(
            slow if slow is not None else Duration.millis(_milliseconds(limit) / 2)
        )
        # Not among the alarms that a deployment watches: old letters say nothing of a new model.
        self.dead_letter_alarm = letters_alarm(
            self,
            self.dead_letters,
            "An asynchronous request was given up; it lies in the dead-letter queue",
        )
        self.alerts.notify(*self.alarms, self.dead_letter_alarm)
        self.node.default_child = self.function.node.default_child

    @property
    def pointer_key(self) -> str:
        """Key of the object that names the model which was promoted last."""
        return f"{self.models_prefix}{POINTER_NAME}"

    @property
    def url(self) -> lambda_.FunctionUrl:
        """The Function URL.

        Raises:
            ConfigurationError: ``function_url`` was False.
        """
        problems = Problems("ServerlessInference.url", self)
        problems.check(
            self._url is not None,
            given="function_url=False",
            allowed="a function that has a URL",
            write="function_url=True",
        )
        problems.raise_if_any()
        assert self._url is not None
        return self._url

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal ask for predictions: directly, by the URL, and by an HTTP API that takes IAM
        credentials, from the alias and from nothing else."""
        grant = self.alias.grant_invoke(grantee)
        if self._url is not None:
            grant = grant.combine(self._url.grant_invoke_url(grantee))
        called = self.http_api.grant_invoke(grantee) if self.http_api is not None else None
        return grant if called is None else grant.combine(called)

    def grant_promote(self, grantee: iam.IGrantable, name: str) -> iam.Grant:
        """Let a principal put models of a name into its folder, and point to one of them.

        Raises:
            ConfigurationError: the function has no model of this name.
        """
        problems = Problems("ServerlessInference.grant_promote", self)
        problems.check(
            name in self._named,
            given=f"name={name!r}",
            allowed=f"one of named_models: {', '.join(self._named) or 'none'}",
        )
        problems.raise_if_any()
        return self.models.grant_write(grantee, f"{self.models_prefix}{name}/")

    @property
    def rejected(self) -> sqs.Queue:
        """Records of streams that were given up; made when it is first needed."""
        if self._rejected is None:
            self._rejected = letters(self, "Rejected", self.key)
            self._rejected.grant_send_messages(self.role)
            self.function.add_environment("REJECTED_TO", self._rejected.queue_url)
            scope = Construct(self, "RejectedRecords")
            told = "Records of a stream could not be predicted; they lie in the queue"
            self.alerts.notify(letters_alarm(scope, self._rejected, told))
        return self._rejected

    def check_place(self, problems: Problems) -> None:
        """Report that there is no place for the predictions of batches."""
        problems.check(
            self._predictions is not None,
            given="a function without a place for the predictions of batches",
            allowed="one that has it",
            write="ServerlessInference(…, predictions=Predictions.to_zone(lake.curated))",
        )


def _milliseconds(duration: Duration) -> float:
    return float(duration.to_milliseconds())


def _request_timeout(limit: Duration) -> str:
    """Seconds that the function waits for one answer of S3, all of whose attempts fit into its own time."""
    if limit.is_unresolved():
        return f"{_LONGEST_REQUEST_SECONDS:g}"
    return f"{min(_LONGEST_REQUEST_SECONDS, limit.to_seconds(integral=False) / _ATTEMPTS):g}"


def _names(named: Sequence[str], room: int, refresh: Duration | None) -> dict[str, str]:
    told = {"MODEL_NAMES": ",".join(named), "MAX_MODELS": text(room)} if named else {}
    if refresh is not None:
        told["MODEL_REFRESH_SECONDS"] = text(refresh.to_seconds())
    return told
