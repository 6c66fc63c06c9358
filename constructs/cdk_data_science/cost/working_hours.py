"""What costs by the hour, off outside working hours."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from typing import Any

import jsii
from aws_cdk import ArnFormat, Duration, IStableStringProducer, Lazy, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from aws_cdk.interfaces import aws_redshift as redshift
from aws_cdk.interfaces import aws_sagemaker as sagemaker
from constructs import Construct, IValidation

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import Problems, is_token, known_time_zone
from cdk_data_science.cost._restored_scaling import restores_scaling
from cdk_data_science.cost._scheduled_function import ScheduledFunction
from cdk_data_science.monitoring import AlertTopic

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
# Filled in by EventBridge Scheduler.
_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


class WorkingHours(Construct):
    """Endpoints, notebooks, warehouses and provisioned concurrency, on in working hours and off outside them.

    Every evening at ``end`` a function switches off what was added here, and at ``start`` of each working day
    it switches that on again. What is off already is left alone, so that a late call does no harm. What is in
    between two states is tried again; what still fails lies in a dead-letter queue with an alarm.

    To keep everything on over an evening or a weekend, hold it: :attr:`hold_command` writes the last day into
    a parameter. A hold ends by itself, and one of more than 31 days is not heeded.

    An endpoint cannot be stopped: it is deleted in the evening and made again in the morning, of the
    configuration and with the tags that it had; what scaled it is registered again as soon as it is in
    service. Between the two it does not answer, and a deployment that changes it fails: deploy in working
    hours. Endpoints that scale to zero and serverless ones need none of this, and neither does Redshift
    Serverless.

    **Costs at rest**: 1 USD a month for a key unless one is given, 0.10 USD for the alarm.

    ```python
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_sagemaker as sagemaker
    from cdk_data_science.cost import WorkingHours

    role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    notebook = sagemaker.CfnNotebookInstance(
        self, "Notebook", instance_type="ml.t3.medium", role_arn=role.role_arn
    )
    hours = WorkingHours(
        self,
        "Hours",
        start="08:00",
        end="19:00",
        time_zone="Europe/Berlin",
        holidays=["2026-12-25"],
    )
    hours.add_notebook(notebook)
    ```

    Args:
        start: When things are switched on, ``HH:MM`` from 00:00 to 23:59.
        end: When they are switched off, later on the same day.
        time_zone: A name of the time zone database, such as ``Europe/Berlin``; daylight saving is followed.
            Default: UTC.
        days: The working days, of MON, TUE, WED, THU, FRI, SAT, SUN. Default: Monday to Friday.
        holidays: Working days on which nothing is switched on, such as ``2026-12-25``. Default: none.
        extra_days: Other days that are working days once. Default: none.
        key: Encrypts the function's log and the dead letters; CloudWatch Logs has to be allowed to use it,
            and ``events.amazonaws.com`` where an endpoint scales, which a key of this app is by itself.
            Default: a new key.
        alerts: Tells people of what could not be switched. Default: nobody, the alarm only.
        runtime: Python of the function. Default: 3.13.
        architecture: Processor of the function. Default: arm64.

    Raises:
        ConfigurationError: Hours that never begin or never end, an unknown zone, contradicting days; all
            mistakes at once. A synthesis with nothing added fails too.

    Follows https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        start: str,
        end: str,
        time_zone: str = "UTC",
        days: Sequence[str] = ("MON", "TUE", "WED", "THU", "FRI"),
        holidays: Sequence[str] = (),
        extra_days: Sequence[str] = (),
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("WorkingHours", self)
        _check_hours(problems, start, end, time_zone)
        _check_days(problems, days, holidays, extra_days)
        problems.raise_if_any()

        self._things: list[dict[str, Any]] = []
        # People write it; a deployment leaves it as it is.
        self.hold = ssm.StringParameter(
            self,
            "Hold",
            string_value="none",
            description="Keep everything on until the end of this day (2026-12-31), or none",
        )
        stack = Stack.of(self)
        known = {
            "time_zone": time_zone,
            "days": list(days),
            "holidays": sorted(holidays),
            "extra_days": sorted(extra_days),
        }
        self._scheduled = ScheduledFunction(
            self,
            "Switch",
            handler="working_hours.handler",
            description="Switches things off after working hours and on before them",
            key=key if key is not None else operations_key(self, "Key", description="Working hours"),
            timeout=Duration.minutes(2),
            runtime=runtime,
            architecture=architecture,
            environment={
                "CALENDAR": stack.to_json_string(known),
                "THINGS": Lazy.string(_Things(stack, self._things)),
                "HOLD": self.hold.parameter_name,
            },
        )
        self.alarm = self._scheduled.alarm
        if alerts is not None:
            alerts.notify(self.alarm)
        else:
            acknowledge(
                self.alarm,
                ["HIPAA.Security-CloudWatchAlarmAction", "NIST.800.53.R5-CloudWatchAlarmAction"],
                "The app gave no alert topic. The alarm tells of costs, not of data, and can be seen in the "
                "console; who wants to be told gives `alerts`.",
            )
        self._scheduled.role.add_to_policy(
            iam.PolicyStatement(sid="Hold", actions=["ssm:GetParameter"], resources=[self.hold.parameter_arn])
        )
        self._schedule("on", start, time_zone, _WEEKDAYS if extra_days else days)
        self._schedule("off", end, time_zone, _WEEKDAYS)
        self.node.add_validation(_SomethingToDo(self._things))

    @property
    def hold_command(self) -> str:
        """What keeps everything on until the end of a day; put the day in the place of the example."""
        return f"aws ssm put-parameter --name {self.hold.parameter_name} --value 2026-12-31 --overwrite"

    def add_endpoint(
        self,
        endpoint: sagemaker.IEndpointRef,
        *,
        name: str | None = None,
        key: kms.IKey | None = None,
        scaling: bool = False,
    ) -> None:
        """Delete a real-time endpoint in the evening, and make it again in the morning.

        Application Auto Scaling keeps what is registered for an endpoint that is gone, and the function must
        not deregister it. With ``scaling``, it is remembered in the evening all the same, and what is missing
        when the endpoint is in service again is put again: bounds, target tracking and scheduled actions. A
        step policy is named by its alarms and can be put by their stack alone: a missing one sets off the
        alarm.

        Args:
            name: The endpoint's name as callers write it. SageMaker's ARNs have it in small letters, and
                calls have to match its case. Default: what the construct says it is.
            key: What the endpoint's configuration encrypts the volumes with. Without it an endpoint on such a
                key cannot be made again. Default: none.
            scaling: Whether its variants scale.
        """
        self._check_thing("endpoint", endpoint, "model_endpoint.endpoint")
        arn = endpoint.endpoint_ref.endpoint_arn
        name = self._name("endpoint", arn, endpoint, name)
        stack = Stack.of(self)
        configs = stack.format_arn(service="sagemaker", resource="endpoint-config", resource_name="*")
        # Called after the endpoint: counted ones would change places when something is added before it, and a
        # deployment at night would forget how to make it again.
        memory_id = f"Memory{Names.node_unique_id(endpoint.node)}"
        problems = Problems("WorkingHours.add_endpoint", self)
        problems.check(
            self.node.try_find_child(memory_id) is None,
            given=f"{endpoint.node.path} twice",
            allowed="each endpoint once",
        )
        problems.raise_if_any()
        memory = ssm.StringParameter(
            self,
            memory_id,
            string_value="{}",
            description="How an endpoint was when it was switched off",
        )
        self._things.append(
            {
                "kind": "endpoint",
                "id": arn,
                "name": name,
                "memory": memory.parameter_name,
                "scaling": scaling,
            }
        )
        self._allow(
            "sagemaker:AddTags",
            "sagemaker:CreateEndpoint",
            "sagemaker:DeleteEndpoint",
            "sagemaker:DescribeEndpoint",
            "sagemaker:ListTags",
            on=arn,
        )
        # A pipeline may have given it another configuration than the stack did.
        self._allow("sagemaker:CreateEndpoint", on=configs)
        if key is not None:
            self._scheduled.role.add_to_policy(
                iam.PolicyStatement(
                    actions=["kms:CreateGrant"],
                    resources=[key.key_arn],
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                )
            )
        self._allow("ssm:GetParameter", "ssm:PutParameter", on=memory.parameter_arn)
        if scaling:
            restores_scaling(self._scheduled, f"Scaling{len(self._things)}", name)
        acknowledge_wildcards(
            self._scheduled.role,
            self,
            [configs],
            "An endpoint is made again of the configuration that it had last, whose name another deployment "
            "may have chosen. The endpoint itself is named.",
        )

    def add_notebook(self, notebook: sagemaker.INotebookInstanceRef, *, name: str | None = None) -> None:
        """Stop a notebook instance in the evening, and start it in the morning. Its volume is kept.

        Args:
            name: The notebook's name as it was given. Default: what the construct says it is.
        """
        self._check_thing("notebook", notebook, "sagemaker.CfnNotebookInstance(…)")
        arn = notebook.notebook_instance_ref.notebook_instance_arn
        name = self._name("notebook_instance", arn, notebook, name)
        self._things.append({"kind": "notebook", "id": arn, "name": name})
        self._allow(
            "sagemaker:DescribeNotebookInstance",
            "sagemaker:StartNotebookInstance",
            "sagemaker:StopNotebookInstance",
            on=arn,
        )

    def add_warehouse(self, cluster: redshift.IClusterRef) -> None:
        """Pause a provisioned Redshift cluster in the evening, and resume it in the morning."""
        self._check_thing("cluster", cluster, "redshift.CfnCluster(…)")
        name = cluster.cluster_ref.cluster_identifier
        self._things.append({"kind": "warehouse", "id": name})
        arn = Stack.of(self).format_arn(
            service="redshift",
            resource="cluster",
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self._allow("redshift:DescribeClusters", "redshift:PauseCluster", "redshift:ResumeCluster", on=arn)

    def add_provisioned_concurrency(self, alias: lambda_.IAlias, *, executions: int) -> None:
        """Provide concurrency to an alias in working hours only.

        Args:
            executions: How many environments are kept ready, 1 or more. Leave them out at the alias itself.
        """
        self._check_thing("alias", alias, "function.current_version.add_alias(…)")
        problems = Problems("WorkingHours.add_provisioned_concurrency", self)
        problems.check(
            is_token(executions) or executions >= 1,
            given=f"executions={executions}",
            allowed="1 or more",
            write="executions=2",
        )
        problems.raise_if_any()
        arn = alias.function_arn
        self._things.append({"kind": "concurrency", "id": arn, "executions": executions})
        self._allow(
            "lambda:DeleteProvisionedConcurrencyConfig",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:PutProvisionedConcurrencyConfig",
            on=arn,
        )

    def _check_thing(self, what: str, thing: object, write: str) -> None:
        problems = Problems("WorkingHours", self)
        problems.check_constructs(what, thing, write=write)
        problems.raise_if_any()

    def _name(self, what: str, arn: str, thing: object, name: str | None) -> str:
        """The name in its own case: given, or known by an L1 or an L2."""
        for attribute in (f"attr_{what}_name", f"{what}_name"):
            name = name if name is not None else getattr(thing, attribute, None)
        problems = Problems("WorkingHours", self)
        problems.check(
            name is not None,
            given=f"a thing without a name: {arn}",
            allowed="its name beside its ARN, in which all letters are small",
            write='hours.add_endpoint(endpoint, name="Reviews")',
        )
        problems.raise_if_any()
        return str(name)

    def _allow(self, *actions: str, on: str) -> None:
        self._scheduled.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=[on]))

    def _schedule(self, switch: str, time: str, time_zone: str, days: Sequence[str]) -> None:
        hour, minute = (int(part) for part in time.split(":"))
        on_days = "*" if set(days) == set(_WEEKDAYS) else ",".join(day for day in _WEEKDAYS if day in days)
        self._scheduled.schedule(
            f"Switch{switch.title()}",
            expression=f"cron({minute} {hour} ? * {on_days} *)",
            time_zone=time_zone,
            given={"switch": switch, "time": _SCHEDULED_TIME},
            description=f"Working hours: switch {switch} at {time}",
        )


@jsii.implements(IStableStringProducer)
class _Things:
    """What was added by the time that the template is written."""

    def __init__(self, stack: Stack, things: list[dict[str, Any]]) -> None:
        self._stack, self._things = stack, things

    def produce(self) -> str:
        return self._stack.to_json_string(self._things)


@jsii.implements(IValidation)
class _SomethingToDo:
    """Fails the synthesis of hours that switch nothing."""

    def __init__(self, things: list[dict[str, Any]]) -> None:
        self._things = things

    def validate(self) -> list[str]:
        if self._things:
            return []
        return ["WorkingHours switches nothing: call add_notebook, add_endpoint or another, or leave it out"]


def _check_hours(problems: Problems, start: str, end: str, time_zone: str) -> None:
    for name, time in (("start", start), ("end", end)):
        problems.check(
            _TIME.fullmatch(str(time)) is not None,
            given=f"{name}={time!r}",
            allowed="HH:MM from 00:00 to 23:59",
            write=f'{name}="{"08:00" if name == "start" else "19:00"}"',
        )
    if _TIME.fullmatch(str(start)) and _TIME.fullmatch(str(end)):
        problems.check(
            start < end,
            given=f"start={start!r} and end={end!r}",
            allowed="an end after the start on the same day, or the hours would never "
            + ("begin" if start == end else "end"),
            write='start="08:00", end="19:00"',
        )
    problems.check(
        known_time_zone(time_zone),
        given=f"time_zone={time_zone!r}",
        allowed="a name of the time zone database",
        write='time_zone="Europe/Berlin"',
    )


def _check_days(
    problems: Problems, days: Sequence[str], holidays: Sequence[str], extra_days: Sequence[str]
) -> None:
    wrong = [day for day in days if day not in _WEEKDAYS]
    problems.check(
        not isinstance(days, str) and not wrong and len(set(days)) == len(days),
        given=f"days={days!r}",
        allowed=f"each once, of {', '.join(_WEEKDAYS)}",
        write='days=["MON", "TUE"]',
    )
    problems.check(
        len(days) > 0 or len(extra_days) > 0,
        given="days=() and no extra_days",
        allowed="at least one day, or nothing would ever be switched on",
        write='days=["MON"]',
    )
    for day in sorted({*holidays} & {*extra_days}):
        problems.check(False, given=f"{day} as a holiday and an extra day", allowed="one of them")
    for day in holidays:
        weekday = _weekday(day)
        problems.check(
            weekday in days,
            given=f"holiday {day!r}, {_named(weekday)}",
            allowed="working days; nothing is switched on on others",
            write='"2026-12-25"',
        )
    for day in extra_days:
        weekday = _weekday(day)
        problems.check(
            weekday is not None and weekday not in days,
            given=f"extra day {day!r}, {_named(weekday)}",
            allowed="days that are no working days",
            write='"2026-12-26"',
        )


def _weekday(day: str) -> str | None:
    """The day of the week of a date such as 2026-12-25; None for what is no date."""
    if _DATE.fullmatch(day) is None:
        return None
    try:
        return _WEEKDAYS[calendar.weekday(*(int(part) for part in day.split("-")))]
    except ValueError:
        return None


def _named(weekday: str | None) -> str:
    return "no date" if weekday is None else f"a {weekday}"
