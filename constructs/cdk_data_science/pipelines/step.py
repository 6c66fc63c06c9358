"""A stage of a pipeline, and what it is given to build its states with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.pipelines.failure import FAILURE
from cdk_data_science.pipelines.outputs import Output
from cdk_data_science.training import Channel, SpotTraining, TrainingStep

RUN = "{% $run %}"
"""The run's name: that of the execution."""


@dataclass(frozen=True, slots=True)
class States:
    """The states of one step: where it begins, and from where the next step goes on."""

    first: sfn.State
    last: Sequence[sfn.INextable]


@dataclass(frozen=True, slots=True)
class Location:
    """Where the objects of an output lie: what a reader of it must be granted."""

    zone: IZone
    prefix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionOptions:
    """What all functions of a pipeline share."""

    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    log_key: kms.IKey
    network: FunctionNetwork | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Step(ABC):
    """One stage of a pipeline: the states it adds, the outputs it needs from earlier stages, and those it
    gives.

    Subclass it to add a stage of your own. ``needs`` and ``gives`` are checked when the pipeline is built,
    so that a stage that is left out is missed at synthesis. In :meth:`states`, make a task for each call,
    let it fail into the pipeline's failure path with ``context.fails_into``, and assign the outputs.

    Example:
        ```python
        from typing import ClassVar

        import aws_cdk as cdk
        from aws_cdk import aws_sns as sns
        from aws_cdk import aws_stepfunctions as sfn
        from aws_cdk import aws_stepfunctions_tasks as tasks
        from cdk_data_science.pipelines import METRICS, Output, States, Step, StepContext


        class Announce(Step):
            name: ClassVar[str] = "Announce"
            needs: ClassVar[tuple[Output, ...]] = (METRICS,)

            def __init__(self, topic: sns.ITopic) -> None:
                self._topic = topic

            def states(self, scope: Construct, context: StepContext) -> States:
                publish = tasks.SnsPublish.jsonata(
                    scope,
                    self.name,
                    topic=self._topic,
                    message=sfn.TaskInput.from_object({"metrics": METRICS.expression}),
                    task_timeout=sfn.Timeout.duration(cdk.Duration.minutes(1)),
                )
                context.fails_into(publish)
                return States(publish, [publish])
        ```
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the step in the state machine, unique in its pipeline."""

    @property
    def needs(self) -> Sequence[Output]:
        """Outputs of earlier steps that this one reads."""
        return ()

    @property
    def gives(self) -> Sequence[Output]:
        """Outputs that later steps may read."""
        return ()

    def check(self, problems: Problems) -> None:  # noqa: B027 (most steps have nothing to report)
        """Report options that cannot work."""

    @property
    def longest(self) -> Duration:
        """The longest time that the step takes, retries included."""
        return Duration.hours(1)

    @property
    def events(self) -> int:
        """The most events that the step adds to a run's history, of which there can be 25,000 in all.

        A task that succeeds adds five, and three with each retry; another state adds two.
        """
        return 100

    def acknowledge(self, role: iam.IRole) -> None:  # noqa: B027 (most steps bring none)
        """Acknowledge wildcards that the step's tasks bring into the policy of the state machine's role."""

    @abstractmethod
    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the step's states and what they call, below ``scope``."""


class StepContext:
    """What a pipeline lends its steps: zones, functions, and the one failure path."""

    def __init__(
        self,
        *,
        name: str,
        data: Location,
        work: IZone,
        runs_prefix: str,
        train_prefix: str,
        evaluations_prefix: str,
        functions: FunctionOptions,
        failure: sfn.State,
        alerts: AlertTopic,
    ) -> None:
        self.name = name
        """The pipeline's name, by which its metrics call it."""
        self.data = data
        self.work = work
        self.functions = functions
        self.failure = failure
        self.alerts = alerts
        self._runs_prefix = runs_prefix
        self._train_prefix = train_prefix
        self._evaluations_prefix = evaluations_prefix
        self._locations: dict[Output, Location] = {}

    @property
    def runs(self) -> Location:
        """Where the runs of this pipeline keep their intermediate objects: also the held-out rows, their
        labels and scores, so that no training code may read there."""
        return Location(self.work, self._runs_prefix)

    @property
    def train_rows(self) -> Location:
        """Where the runs of this pipeline keep what training code may read, and nothing else."""
        return Location(self.work, self._train_prefix)

    @property
    def evaluations(self) -> Location:
        """Where the reports lie that the registry's versions name, apart from what may expire."""
        return Location(self.work, self._evaluations_prefix)

    def run_prefix(self, folder: str = "") -> dict[str, str]:
        """Return a reference to the run's own prefix in the work zone, or a folder in it, for a task's
        arguments."""
        tail = f"{folder}/" if folder else ""
        return self._reference(self._runs_prefix, f"/{tail}")

    def run_object(self, name: str) -> dict[str, str]:
        """Return a reference to an object of the run in the work zone, for a task's arguments."""
        return self._reference(self._runs_prefix, f"/{name}")

    def train_prefix(self) -> dict[str, str]:
        """Return a reference to the run's own prefix among the training rows, for a task's arguments."""
        return self._reference(self._train_prefix, "/")

    def place(self, output: Output, location: Location) -> None:
        """Say where an output's objects lie, for the steps that read them."""
        self._locations[output] = location

    def grant_read(self, grantee: iam.IGrantable, *outputs: Output) -> None:
        """Let a principal read the objects of outputs."""
        seen: set[tuple[int, str]] = set()
        for output in outputs:
            location = self._locations.get(output)
            if location is None:
                raise ConfigurationError(
                    f"given grant_read({output.name}); allowed: outputs that an earlier step placed: "
                    f"{', '.join(sorted(known.name for known in self._locations)) or 'none yet'}"
                )
            if (id(location.zone), location.prefix) not in seen:
                seen.add((id(location.zone), location.prefix))
                location.zone.grant_read(grantee, location.prefix)

    def grant_read_data(self, grantee: iam.IGrantable) -> None:
        """Let a principal read the data that starts the pipeline."""
        self.data.zone.grant_read(grantee, self.data.prefix)

    def grant_write_runs(self, grantee: iam.IGrantable) -> None:
        """Let a principal write what a run leaves in the work zone."""
        self.work.grant_write(grantee, self._runs_prefix)

    def grant_write_train(self, grantee: iam.IGrantable) -> None:
        """Let a principal write training rows in the work zone."""
        self.work.grant_write(grantee, self._train_prefix)

    def function(
        self,
        scope: Construct,
        id: str,
        *,
        handler: str,
        description: str,
        asset: str = "pipeline",
        memory_size: int = 512,
        timeout: Duration | None = None,
        environment: Mapping[str, str] | None = None,
        ephemeral_storage_mib: int | None = None,
    ) -> PlatformFunction:
        """Make a function with a role of its own, which may write its log and nothing else yet."""
        options = self.functions
        return PlatformFunction(
            scope,
            id,
            asset=asset,
            handler=handler,
            description=description,
            log_key=options.log_key,
            runtime=options.runtime,
            architecture=options.architecture,
            memory_size=memory_size,
            timeout=timeout if timeout is not None else Duration.minutes(5),
            environment={**options.environment, **(environment or {})},
            network=options.network,
            ephemeral_storage_mib=ephemeral_storage_mib,
        )

    def invoke(
        self,
        scope: Construct,
        id: str,
        *,
        function: PlatformFunction,
        payload: Any,
        assign: Mapping[str, Any] | None = None,
        fails_into: sfn.State | None = None,
        catch: bool = True,
    ) -> Task:
        """Make a task that invokes a function, tries again what a retry can mend, and fails into the failure
        path.

        ``assign`` reads the function's answer as ``$states.result.Payload``. The function may be invoked
        twice with the same event, so it must be idempotent. ``fails_into`` is for steps that have something
        to undo first; with ``catch=False`` the step has to catch the task's errors itself.
        """
        lambda_function = function.function
        timeout = lambda_function.timeout
        task = Task(
            scope,
            id,
            integration="lambda:invoke",
            arguments={"FunctionName": lambda_function.function_arn, "Payload": payload},
            # A minute above the function's own limit, so that Lambda's clearer error comes first.
            timeout=(timeout if timeout is not None else Duration.minutes(5)).plus(Duration.minutes(1)),
            statements=[
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"], resources=[lambda_function.function_arn]
                )
            ],
            retry=_lambda_retries(),
            assign=assign,
        )
        if catch:
            self.fails_into(task, fails_into)
        return task

    def fails_into(self, task: sfn.TaskStateBase | sfn.CustomState, handler: sfn.State | None = None) -> None:
        """Let every error of a task end in the failure path, or in a state that leads there."""
        task.add_catch(
            handler if handler is not None else self.failure,
            errors=["States.ALL"],
            assign=FAILURE,
            outputs={},
        )

    def train(
        self,
        scope: Construct,
        id: str,
        *,
        training: SpotTraining,
        channels: Sequence[Channel],
        assign: Mapping[str, Any],
    ) -> TrainingStep:
        """Make the states that run a training job and fail into the failure path."""
        return training.step(scope, id, channels=channels, on_failure=self.failure, assign=assign)

    def _reference(self, prefix: str, tail: str) -> dict[str, str]:
        return {
            "bucket": self.work.bucket.bucket_name,
            "key": f"{{% '{prefix}' & $run & '{tail}' %}}",
        }


def allow_existence_checks(grantee: iam.IGrantable, zone: IZone) -> None:
    """Let a principal learn that an object does not exist: S3 answers 403 instead of 404 otherwise.

    The zone's grant on a prefix lets the principal list with that prefix only, which a HEAD or GET request
    does not carry. What it may see beyond that are names, not contents.
    """
    iam.Grant.add_to_principal(
        grantee=grantee, actions=["s3:ListBucket"], resource_arns=[zone.bucket.bucket_arn]
    )


def _lambda_retries() -> list[dict[str, Any]]:
    return [
        retry(
            [
                "Lambda.AWSLambdaException",
                "Lambda.ClientExecutionTimeoutException",
                "Lambda.SdkClientException",
                "Lambda.ServiceException",
                "Lambda.TooManyRequestsException",
            ],
            attempts=6,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        ),
        # Service faults that the function met itself, after the SDK's own retries, and processes that died.
        # The handlers raise what a person must read under names of their own, so none of that is in here.
        retry(
            [
                "ClientError",
                "ConnectTimeoutError",
                "ConnectionClosedError",
                "EndpointConnectionError",
                "ReadTimeoutError",
                "Runtime.ExitError",
                "S3Error",
                "ServiceException",
                "ThrottlingException",
                "TooManyRequestsException",
            ],
            attempts=2,
            interval=Duration.seconds(2),
            ceiling=Duration.minutes(1),
        ),
    ]
