"""A state machine that is put together from steps."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, Fn, Names
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.pipelines.definition import assemble, check_steps
from cdk_data_science.pipelines.failure import FailurePath
from cdk_data_science.pipelines.pipeline_options import PipelineOptions
from cdk_data_science.pipelines.step import FunctionOptions, Location, Step, StepContext
from cdk_data_science.pipelines.trigger import DataTrigger
from cdk_data_science.pipelines.turn import Turn

_LONGEST_MACHINE_DAYS = 365
# Begin and end, the failure path with its retries, and a reserve.
_OTHER_EVENTS = 500


class Pipeline(Construct):
    """A pipeline of the steps that are given, started by new data, with one place where every failure ends.

    Builds a state machine (standard, JSONata, traced, with an encrypted log), the functions of the steps
    with a role each, a topic for alerts, and the trigger. Each task has a timeout, is tried again after
    throttling and
    service faults, and on any other error leads to the failure path: an object ``failures/<run>.json`` in
    the work zone with the error, its cause, the state, the data and a link to the execution; one message to
    the topic; and the end of the run under the error's own name. :class:`TrainingPipeline` has the usual
    steps.

    At rest it costs 1 USD a month for its key and about 0.40 USD for its four alarms.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import DataLake, QualityRules
        from cdk_data_science.pipelines import Pipeline, QualityGate

        stack = cdk.Stack(cdk.App(), "Gate")
        lake = DataLake(stack, "Lake")
        Pipeline(
            stack,
            "Pipeline",
            data=lake.raw,
            prefix="reviews/",
            work=lake.features,
            steps=[QualityGate(QualityRules("Rules = [ RowCount > 0 ]"))],
        )
        ```

    Args:
        data: Zone of the data.
        prefix: Folder in that zone whose new objects start the pipeline, ending in a slash.
        work: Zone of what the runs leave, under ``runs/``, ``runs-train/``, ``evaluations/`` and
            ``failures/``.
        steps: The steps, in order. Each gets what it needs from an earlier one.
        options: How it is started, how many runs go on at a time, and what the functions share.

    Raises:
        ConfigurationError: steps that do not fit each other, or options that cannot work; all of them at
        once.

    See https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        data: IZone,
        prefix: str,
        work: IZone,
        steps: Sequence[Step],
        options: PipelineOptions | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.steps = tuple(steps)
        self.options = options if options is not None else PipelineOptions()
        self._name = Names.unique_resource_name(self, max_length=64, separator="-")
        self._check(prefix)
        key, alerts = self.options.key, self.options.alerts
        encrypts = "logs, dead letters, alerts" if alerts is None else "logs, dead letters"
        self.key: kms.IKey = (
            key if key is not None else operations_key(self, "Key", description=f"Pipeline: {encrypts}")
        )
        self.alerts = alerts if alerts is not None else AlertTopic(self, "Alerts", key=self.key)
        work_prefix = self.options.work_prefix
        self._failure = FailurePath(
            self, "Failure", work=work, prefix=f"{work_prefix}failures/", alerts=self.alerts
        )
        self._turn = Turn(
            self,
            "Turn",
            at_once=self.options.max_parallel_runs,
            timeout=self.options.longest_wait,
            other_events=sum(step.events for step in self.steps) + _OTHER_EVENTS,
            failure=self._failure.entry,
        )
        functions = self._functions()
        location = Location(data, prefix)
        self._context = StepContext(
            name=self._name,
            data=location,
            work=work,
            runs_prefix=f"{work_prefix}runs/",
            train_prefix=f"{work_prefix}runs-train/",
            evaluations_prefix=f"{work_prefix}evaluations/",
            functions=functions,
            failure=self._failure.entry,
            alerts=self.alerts,
        )
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            # Step Functions enters each group that it logs to in the account's resource policy, which takes
            # 5,120 characters; CloudWatch Logs lets those under this prefix in when it is nearly full. The
            # group is kept when its stack goes and its name stays taken: a stack of the same name has another
            # id.
            log_group_name=Fn.join("-", [f"/aws/vendedlogs/states/{self._name}", _id_of_stack()]),
            encryption_key=self.key,
            retention=logs.RetentionDays.ONE_YEAR,
        )
        self.state_machine = self._machine()
        own_executions = self._turn.allow(self.state_machine)
        self._acknowledge_findings(work)
        self.alarms = self._make_alarms()
        self.trigger: DataTrigger | None = None
        if self.options.start_on_new_data:
            self.trigger = DataTrigger(
                self,
                "Trigger",
                data=location,
                suffix=self.options.suffix,
                state_machine=self.state_machine,
                functions=functions,
                key=self.key,
            )
            # Nothing starts a run that may not ask for its turn yet.
            self.trigger.node.add_dependency(own_executions)
            self.alarms.append(self.trigger.alarm)
            self.alerts.notify(self.trigger.alarm)
        self.node.default_child = self.state_machine.node.default_child

    @property
    def failures(self) -> sns.ITopic:
        """The topic that tells of failures."""
        return self.alerts.topic

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal start runs, with ``{"data": {"bucket": …, "key": …}}`` as their input."""
        return self.state_machine.grant_start_execution(grantee)

    def metric_started(self) -> cloudwatch.Metric:
        """Runs that began."""
        return self.state_machine.metric_started(statistic="Sum", period=Duration.minutes(5))

    def metric_succeeded(self) -> cloudwatch.Metric:
        """Runs that went through."""
        return self.state_machine.metric_succeeded(statistic="Sum", period=Duration.minutes(5))

    def metric_failed(self) -> cloudwatch.Metric:
        """Runs that failed, whatever the reason."""
        return self.state_machine.metric_failed(statistic="Sum", period=Duration.minutes(5))

    def metric_timed_out(self) -> cloudwatch.Metric:
        """Runs that took longer than the pipeline's timeout."""
        return self.state_machine.metric_timed_out(statistic="Sum", period=Duration.minutes(5))

    def metric_aborted(self) -> cloudwatch.Metric:
        """Runs that somebody stopped."""
        return self.state_machine.metric_aborted(statistic="Sum", period=Duration.minutes(5))

    def metric_duration(self, statistic: str = "p50") -> cloudwatch.Metric:
        """Time of a run in milliseconds."""
        return self.state_machine.metric_time(statistic=statistic, period=Duration.minutes(5))

    def _functions(self) -> FunctionOptions:
        options = self.options
        return FunctionOptions(
            runtime=options.runtime if options.runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=(
                options.architecture if options.architecture is not None else lambda_.Architecture.ARM_64
            ),
            log_key=self.key,
            network=options.network,
            environment={
                "POWERTOOLS_SERVICE_NAME": self._name,
                "POWERTOOLS_METRICS_NAMESPACE": "DataScience/Pipeline",
            },
        )

    def _machine(self) -> sfn.StateMachine:
        timeout = self.options.timeout
        return sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(
                assemble(self, self.steps, context=self._context, turn=self._turn)
            ),
            state_machine_type=sfn.StateMachineType.STANDARD,
            query_language=sfn.QueryLanguage.JSONATA,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group,
                # With the data of the run: references and metrics, never rows.
                include_execution_data=True,
                level=sfn.LogLevel.ERROR,
            ),
            timeout=timeout if timeout is not None else self._longest(),
        )

    def _check(self, prefix: str) -> None:
        problems = Problems(type(self).__name__, self)
        problems.check(
            is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
            given=f"prefix={prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end, no wildcards and quotes",
            write='prefix="reviews/"',
        )
        self.options.check(problems)
        check_steps(problems, self.steps)
        problems.raise_if_any()

    def _longest(self) -> Duration:
        wait = self.options.longest_wait.to_seconds()
        seconds = wait + sum(step.longest.to_seconds() for step in self.steps) + 3600
        return Duration.seconds(min(seconds, _LONGEST_MACHINE_DAYS * 86_400))

    def _make_alarms(self) -> list[cloudwatch.Alarm]:
        """An alarm for each end that is not a success.

        The failure path tells of the failures of tasks, with their causes, but not of every end: what Step
        Functions cannot evaluate outside of a task, a result that is too large, a history that is too long, a
        message that cannot be sent, a timeout and a stop end a run where it stands.
        """
        found = [
            alarm(
                self,
                "Failed",
                self.metric_failed(),
                description="A run failed. What it could record is in the work zone, the rest in its history",
            ),
            alarm(
                self,
                "TimedOut",
                self.metric_timed_out(),
                description="A run took too long and recorded nothing",
            ),
            alarm(
                self,
                "Aborted",
                self.metric_aborted(),
                description="Somebody stopped a run: it recorded nothing and left a deployment where it was",
            ),
        ]
        self.alerts.notify(*found)
        return found

    def _acknowledge_findings(self, work: IZone) -> None:
        role = self.state_machine.role
        acknowledge_inline_policy(role)
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "Log delivery and X-Ray have no resource-level permissions; the statements are those that Step "
            "Functions documents.",
        )
        acknowledge_wildcards(
            role,
            work.bucket,
            [self._failure.records_arn],
            "Records of failures are named by their runs; the wildcard stands for the objects below one "
            "prefix.",
        )
        for step in self.steps:
            step.acknowledge(role)
        acknowledge(
            self.state_machine,
            ["AwsSolutions-SF1"],
            "The failures are what has to be kept beyond the 90 days for which Step Functions keeps the "
            "history of every execution; logging each event of every run would keep the rest twice.",
        )


def _id_of_stack() -> str:
    """The last part of the stack's ARN, known at deployment."""
    return Fn.select(2, Fn.split("/", Aws.STACK_ID))
