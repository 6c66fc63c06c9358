"""A state machine that is put together from steps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration, Names
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
from cdk_data_science._functions import FunctionNetwork
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.pipelines.failure import ROLLBACK_VARIABLE, FailurePath
from cdk_data_science.pipelines.outputs import DATA, Output
from cdk_data_science.pipelines.step import FunctionOptions, Location, States, Step, StepContext
from cdk_data_science.pipelines.trigger import DataTrigger

_PREFIX = re.compile(r"([A-Za-z0-9!_.'()=-]+/)+")
_SUFFIX = re.compile(r"[A-Za-z0-9!_.'()=-]*")
_LONGEST_MACHINE_DAYS = 365


class Pipeline(Construct):
    """A pipeline of the steps that are given, started by new data, with one place where every failure ends.

    Builds a state machine (standard, JSONata, traced, with an encrypted log), the functions of the steps
    with a role each, a topic for alerts, and the trigger. Each task has a timeout, is tried again after
    throttling and
    service faults, and on any other error leads to the failure path: an object ``failures/<run>.json`` in
    the work zone with the error, its cause, the state, the data and a link to the execution; one message to
    the topic; and the end of the run under the error's own name. :class:`TrainingPipeline` has the usual
    steps.

    At rest it costs 1 USD a month for its key and about 0.30 USD for its three alarms.

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
        work: Zone of what the runs leave, under ``<work_prefix>runs/`` and ``<work_prefix>failures/``.
        steps: The steps, in order. Each gets what it needs from an earlier one.
        suffix: Ending of the objects that start the pipeline.
        work_prefix: Folder in the work zone, empty or ending in a slash.
        start_on_new_data: Whether new objects start the pipeline; if not, :meth:`grant_start` lets others.
        alerts: Topic of failures and alarms; a new one if not given.
        key: Key of the logs, the queue and the new topic; a new one if not given. CloudWatch Logs, alarms and
            event rules must be allowed to use it.
        runtime: Python of the functions; 3.13 if not given.
        architecture: Processor of the functions; arm64 if not given.
        network: VPC that the functions are attached to.
        timeout: Longest time of a run; what the steps may take at most, and an hour, if not given.

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
        suffix: str = ".csv",
        work_prefix: str = "",
        start_on_new_data: bool = True,
        alerts: AlertTopic | None = None,
        key: kms.IKey | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
        network: FunctionNetwork | None = None,
        timeout: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.steps = tuple(steps)
        self._check(prefix=prefix, suffix=suffix, work_prefix=work_prefix)
        self.key: kms.IKey = (
            key
            if key is not None
            else operations_key(self, "Key", description="Pipeline: logs, dead letters, alerts")
        )
        self.alerts = alerts if alerts is not None else AlertTopic(self, "Alerts", key=self.key)
        name = Names.unique_resource_name(self, max_length=64, separator="-")
        functions = FunctionOptions(
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            log_key=self.key,
            network=network,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": "DataScience/Pipeline",
            },
        )
        failures_prefix = f"{work_prefix}failures/"
        self._failure = FailurePath(self, "Failure", work=work, prefix=failures_prefix, alerts=self.alerts)
        self._context = StepContext(
            data=Location(data, prefix),
            work=work,
            runs_prefix=f"{work_prefix}runs/",
            functions=functions,
            failure=self._failure.entry,
        )
        self.log_group = logs.LogGroup(
            self, "Logs", encryption_key=self.key, retention=logs.RetentionDays.ONE_YEAR
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
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
        self._acknowledge_findings(work)
        self.alarms = self._make_alarms()
        self.trigger: DataTrigger | None = None
        if start_on_new_data:
            self.trigger = DataTrigger(
                self,
                "Trigger",
                data=Location(data, prefix),
                suffix=suffix,
                state_machine=self.state_machine,
                functions=functions,
                key=self.key,
            )
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

    def metric_duration(self, statistic: str = "p50") -> cloudwatch.Metric:
        """Time of a run in milliseconds."""
        return self.state_machine.metric_time(statistic=statistic, period=Duration.minutes(5))

    def _check(self, *, prefix: str, suffix: str, work_prefix: str) -> None:
        problems = Problems(type(self).__name__, self)
        problems.check(
            is_token(prefix) or _PREFIX.fullmatch(prefix) is not None,
            given=f"prefix={prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end, no wildcards",
            write='prefix="reviews/"',
        )
        problems.check(
            is_token(suffix) or _SUFFIX.fullmatch(suffix) is not None,
            given=f"suffix={suffix!r}",
            allowed="the end of a file's name, without wildcards",
            write='suffix=".csv"',
        )
        problems.check(
            is_token(work_prefix) or not work_prefix or _PREFIX.fullmatch(work_prefix) is not None,
            given=f"work_prefix={work_prefix!r}",
            allowed="empty, or a folder of the zone: no slash at the start, one at the end",
            write='work_prefix="reviews/"',
        )
        problems.check(bool(self.steps), given="no steps", allowed="at least one")
        available: set[Output] = {DATA}
        names: set[str] = set()
        for step in self.steps:
            problems.check(
                step.name not in names,
                given=f"two steps named {step.name!r}",
                allowed="each name once",
            )
            missing = ", ".join(output.name for output in step.needs if output not in available)
            problems.check(
                not missing,
                given=f"step {step.name!r} without {missing}",
                allowed="steps whose needs an earlier step gives",
                write=f"a step before {step.name!r} that gives {missing}",
            )
            step.check(problems)
            names.add(step.name)
            available.update(step.gives)
        problems.raise_if_any()

    def _definition(self) -> sfn.IChainable:
        begin = self._begin()
        previous: Sequence[sfn.INextable] = [begin]
        for step in self.steps:
            states: States = step.states(Construct(self, step.name), self._context)
            for end in previous:
                end.next(states.first)
            previous = states.last
        given = [output for step in self.steps for output in step.gives]
        succeeded = sfn.Succeed.jsonata(
            self,
            "Succeeded",
            outputs={"run": "{% $run %}", "data": DATA.expression, **{o.name: o.expression for o in given}},
        )
        for end in previous:
            end.next(succeeded)
        refused = sfn.Pass.jsonata(
            self,
            "Refuse input",
            assign={
                "run": "{% $states.context.Execution.Name %}",
                DATA.name: "{% $states.input %}",
                ROLLBACK_VARIABLE: "not needed",
                "failure": {
                    "error": "InvalidInput",
                    "cause": 'The input has to be {"data": {"bucket": "…", "key": "…"}}',
                    "state": "Check input",
                },
            },
        )
        refused.next(self._failure.entry)
        return (
            sfn.Choice.jsonata(self, "Check input")
            .when(
                sfn.Condition.jsonata(
                    "{% $exists($states.input.data.bucket) and $exists($states.input.data.key) %}"
                ),
                begin,
            )
            .otherwise(refused)
        )

    def _begin(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Begin",
            comment="What every later state reads",
            assign={
                "run": "{% $states.context.Execution.Name %}",
                DATA.name: "{% $states.input.data %}",
                ROLLBACK_VARIABLE: "not needed",
            },
        )

    def _longest(self) -> Duration:
        seconds = sum(step.longest.to_seconds() for step in self.steps) + 3600
        return Duration.seconds(min(seconds, _LONGEST_MACHINE_DAYS * 86_400))

    def _make_alarms(self) -> list[cloudwatch.Alarm]:
        failed = alarm(
            self, "Failed", self.metric_failed(), description="A run failed; its record is in the work zone"
        )
        timed_out = alarm(
            self, "TimedOut", self.metric_timed_out(), description="A run took too long and recorded nothing"
        )
        # A failed run has told of itself already; one that timed out could not.
        self.alerts.notify(timed_out)
        reason = (
            "The failure path of the state machine publishes each failure with its cause; an action would "
            "send a second message for the same failure. The alarm is there for dashboards and composite "
            "alarms."
        )
        packs = ("NIST.800.53.R5", "HIPAA.Security")
        acknowledge(failed, [f"{pack}-CloudWatchAlarmAction" for pack in packs], reason)
        return [failed, timed_out]

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
