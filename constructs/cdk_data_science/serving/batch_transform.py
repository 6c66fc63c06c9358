"""Predictions for whole folders of the lake, by the clock, on instances that are there only for it."""

from __future__ import annotations

from dataclasses import replace

from aws_cdk import Duration, Names, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.hardware import has_local_storage
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.serving.model import IModel
from cdk_data_science.training import RunName, TransformJob, TransformStep

_DAY = "{day}"
_DAY_OF_RUN = "$substring($states.context.Execution.StartTime, 0, 10)"
_LONGEST_SCHEDULE_NAME = 64


class BatchTransform(Construct):
    """A SageMaker batch transform job at given times: a model predicts a folder of the lake.

    A state machine of one task runs the job, waits for its end, and finds it again if its answer was lost, so
    that no retry starts a second one. EventBridge Scheduler starts the machine. A run that fails, takes too
    long or is stopped sets off an alarm, and so does a start that Scheduler could not make, which is kept
    in a dead-letter queue.

    ``{day}`` in a prefix is the day of the run in UTC, ``2026-11-28``: with the default, each day's
    predictions are a partition of their own, and a second run of the same day writes them again.

    The model's role gets the folder to read and the folder to write. A run costs the instances for the time
    that the job takes. At rest it costs 1 USD a month for a new key and 0.40 USD for its alarms.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_scheduler as scheduler
        from cdk_data_science import Artifact, DataLake, Model
        from cdk_data_science.serving import BatchTransform
        from cdk_data_science.training import TransformJob

        lake = DataLake(self, "Lake")
        model = Model(
            self,
            "Model",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            artifact=Artifact(zone=lake.models, key="models/churn/1/model.tar.gz"),
        )
        BatchTransform(
            self,
            "Churn",
            model=model,
            job=TransformJob(
                max_runtime=cdk.Duration.hours(2),
                content_type="text/csv",
                split="Line",
                assemble_lines=True,
                join_input=True,
            ),
            job_name_prefix="churn",
            data=lake.curated,
            data_prefix="customers/day={day}/",
            predictions=lake.curated,
            schedule=scheduler.ScheduleExpression.cron(
                hour="4", minute="15", time_zone=cdk.TimeZone.EUROPE_BERLIN
            ),
        )
        ```

    Args:
        model: What predicts. Its role has to be known.
        job: Everything of the job but its name and its places.
        job_name_prefix: Begins the jobs' names: 1 to 22 lower-case letters, digits and single hyphens, used
            by nothing else of the account and region.
        data: Zone of what is predicted.
        data_prefix: Folder of the zone; may have ``{day}`` in it.
        predictions: Zone of the predictions. Each object's are called as it is, with ``.out`` behind.
        predictions_prefix: Folder of the zone; may have ``{day}`` in it.
        schedule: When. Default: whenever somebody starts the machine.
        enabled: Whether Scheduler starts it.
        key: Key of the log, the dead letters, a new topic, and of the instances' volumes unless the job has
            one or its type has local disks. Default: a new one.
        alerts: Topic of the alarms. Default: a new one.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
    """

    state_machine: sfn.StateMachine
    """Runs a job; ``grant_start_execution`` lets others start it."""

    alarms: list[cloudwatch.Alarm]
    """On runs that failed, took too long or were stopped, and on starts that could not be made."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        model: IModel,
        job: TransformJob,
        job_name_prefix: str,
        data: IZone,
        data_prefix: str,
        predictions: IZone,
        predictions_prefix: str = "predictions/day={day}/",
        schedule: scheduler.ScheduleExpression | None = None,
        enabled: bool = True,
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("BatchTransform", self)
        name = RunName(job_name_prefix)
        name.check(problems)
        job.check(problems)
        for what, prefix in (("data_prefix", data_prefix), ("predictions_prefix", predictions_prefix)):
            _check_prefix(problems, what, prefix)
        role = model.role
        problems.check(
            role is not None,
            given="a model whose role is not known",
            allowed="one that is built here, or imported with its role: it reads the data",
            write='Model.from_model_name(self, "Model", "…", role=role)',
        )
        problems.raise_if_any()
        assert role is not None  # or there was a problem
        data.grant_read(role, _folder(data_prefix))
        predictions.grant_write(role, _folder(predictions_prefix))
        self.key: kms.IKey = (
            key
            if key is not None
            else operations_key(self, "Key", description=f"Log and alerts of {self.node.path}")
        )
        self.alerts = alerts if alerts is not None else AlertTopic(self, "Alerts", key=self.key)
        job = self._with_volume_key(job, role)
        self.log_group = logs.LogGroup(
            self, "Logs", encryption_key=self.key, retention=logs.RetentionDays.ONE_YEAR
        )
        step = TransformStep(
            self,
            "Predict",
            job=job,
            job_name=name,
            model_name=model.model_name,
            input_uri=_uri(data, data_prefix),
            output_uri=_uri(predictions, predictions_prefix),
            output_key=predictions.key,
            tags_of=self.log_group.node.default_child,
        )
        self.state_machine = self._machine(step, job, name)
        # The machine starts no job before the model's role may do what it takes.
        self.state_machine.node.add_dependency(role)
        self.alarms = self._make_alarms()
        self.schedule: scheduler.CfnSchedule | None = None
        if schedule is not None:
            self.schedule = self._start_by(schedule, enabled=enabled)
        self.alerts.notify(*self.alarms)
        self.node.default_child = self.state_machine.node.default_child

    def _with_volume_key(self, job: TransformJob, role: iam.IRole) -> TransformJob:
        """The job with an encrypted volume, where its instances have one; local disks encrypt themselves."""
        if (
            job.volume_key is None
            and not is_token(job.instance_type)
            and not has_local_storage(job.instance_type)
        ):
            job = replace(job, volume_key=self.key)
        if job.volume_key is not None:
            job.volume_key.grant(
                role, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"
            )
            iam.Grant.add_to_principal(
                grantee=role,
                actions=["kms:CreateGrant"],
                resource_arns=[job.volume_key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        return job

    def _machine(self, step: TransformStep, job: TransformJob, name: RunName) -> sfn.StateMachine:
        machine = sfn.StateMachine(
            self,
            "StateMachine",
            comment=f"Batch predictions of {self.node.path}",
            definition_body=sfn.DefinitionBody.from_chainable(step),
            query_language=sfn.QueryLanguage.JSONATA,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, include_execution_data=True, level=sfn.LogLevel.ERROR
            ),
            # Retries for a quota that others use, and looks at a job whose answer was lost.
            timeout=Duration.seconds(2 * job.max_runtime.to_seconds() + 3600),
        )
        acknowledge_inline_policy(machine.role)
        acknowledge(
            machine.role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "Log delivery and X-Ray have no resource-level permissions; the statements are those that Step "
            "Functions documents.",
        )
        acknowledge_wildcards(
            machine.role,
            self,
            [
                Stack.of(self).format_arn(
                    service="sagemaker", resource="transform-job", resource_name=name.pattern
                )
            ],
            "Jobs are named by their runs; the wildcard stands for the rest of a name with this prefix.",
        )
        acknowledge(
            machine,
            ["AwsSolutions-SF1"],
            "The failures are what has to be kept beyond the 90 days for which Step Functions keeps the "
            "history of every execution; logging each event of every run would keep the rest twice.",
        )
        return machine

    def _make_alarms(self) -> list[cloudwatch.Alarm]:
        machine, minute = self.state_machine, Duration.minutes(1)
        return [
            alarm(
                self,
                "Failed",
                machine.metric_failed(period=minute),
                description=f"Batch predictions of {self.node.path} failed",
            ),
            alarm(
                self,
                "TimedOut",
                machine.metric_timed_out(period=minute),
                description=f"Batch predictions of {self.node.path} took too long",
            ),
            alarm(
                self,
                "Aborted",
                machine.metric_aborted(period=minute),
                description=f"Somebody stopped the batch predictions of {self.node.path}",
            ),
        ]

    def _start_by(self, expression: scheduler.ScheduleExpression, *, enabled: bool) -> scheduler.CfnSchedule:
        self.dead_letters = letters(self, "DeadLetters", self.key)
        acknowledge(
            self.dead_letters,
            ["AwsSolutions-SQS3"],
            "It is the dead-letter queue of the schedule itself.",
        )
        group = scheduler.CfnScheduleGroup(
            self,
            "Group",
            name=Names.unique_resource_name(self, max_length=_LONGEST_SCHEDULE_NAME, separator="-"),
        )
        role = self._starter(group)
        zone = expression.time_zone
        made = scheduler.CfnSchedule(
            self,
            "Schedule",
            group_name=group.ref,
            description=f"Starts the batch predictions of {self.node.path}"[:512],
            schedule_expression=expression.expression_string,
            schedule_expression_timezone=None if zone is None else zone.timezone_name,
            state="ENABLED" if enabled else "DISABLED",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self.state_machine.state_machine_arn,
                role_arn=role.role_arn,
                input="{}",
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letters.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=3600, maximum_retry_attempts=10
                ),
            ),
        )
        made.node.add_dependency(role)
        self.alarms.append(
            letters_alarm(
                self,
                self.dead_letters,
                f"Batch predictions of {self.node.path} could not be started by their schedule",
                id="NotStarted",
            )
        )
        return made

    def _starter(self, group: scheduler.CfnScheduleGroup) -> iam.Role:
        stack = Stack.of(self)
        # Its own group's name is in the trust policy: no other schedule can take the role.
        arn = stack.format_arn(service="scheduler", resource="schedule-group", resource_name=group.ref)
        role = iam.Role(
            self,
            "Starter",
            description=f"EventBridge Scheduler starts the batch predictions of {self.node.path}"[:1000],
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": arn}},
            ),
        )
        self.state_machine.grant_start_execution(role)
        role.add_to_policy(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn])
        )
        self.key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        acknowledge_inline_policy(role)
        return role


def _check_prefix(problems: Problems, name: str, prefix: str) -> None:
    problems.check(
        is_token(prefix)
        or (
            prefix.count(_DAY) <= 1
            and FOLDER.fullmatch(prefix.replace(_DAY, "2026-11-28")) is not None
            and (_DAY not in prefix or "/" in prefix.partition(_DAY)[0])
        ),
        given=f"{name}={prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end; {day} once, below a folder, or "
        "not at all",
        write=f'{name}="{name.partition("_")[0]}/day={_DAY}/"',
    )


def _folder(prefix: str) -> str:
    """What a role has to reach, whatever the day is."""
    if is_token(prefix) or _DAY not in prefix:
        return prefix
    return prefix.partition(_DAY)[0].rpartition("/")[0] + "/"


def _uri(zone: IZone, prefix: str) -> str:
    if is_token(prefix) or _DAY not in prefix:
        return zone.uri(prefix)
    before, _, behind = prefix.partition(_DAY)
    return f"{{% '{zone.uri(before)}' & {_DAY_OF_RUN} & '{behind}' %}}"
