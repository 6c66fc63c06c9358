"""One call of an AWS service by a schedule that can be changed and taken away again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from cdk_data_science._validation import Problems, is_token, known_time_zone
from cdk_data_science.data_lake._service_role import service_role
from cdk_data_science.data_lake.glue_cron import NotCron, check_cron


def check_schedule(problems: Problems, schedule: str | None, timezone: str) -> None:
    """Record a schedule that EventBridge Scheduler would refuse, or that would start work too often."""
    problems.check(
        is_token(timezone) or known_time_zone(timezone),
        given=f"timezone={timezone!r}",
        allowed="a name of the time zone database",
        write='timezone="Europe/Berlin"',
    )
    if schedule is not None:
        problems.check_kind("schedule", schedule, str, write='"cron(15 4 * * ? *)"')
        problems.raise_if_any()
    if schedule is None or is_token(schedule):
        return
    try:
        check_cron(schedule)
    except NotCron as reason:
        problems.check(
            False, given=f"schedule={schedule!r}", allowed=str(reason), write='schedule="cron(15 4 * * ? *)"'
        )


def call_by_schedule(
    scope: Construct,
    *,
    schedule: str,
    timezone: str,
    service: str,
    call: str,
    input: Mapping[str, Any],
    resource: str,
    starts: str,
    attempts: int = 5,
) -> scheduler.CfnSchedule:
    """Call a service with a role that may make this one call on this one resource.

    Args:
        service: As IAM and EventBridge Scheduler name it.
        call: The call, a small letter first, such as ``startCrawler``.
        input: Its parameters.
        resource: ARN of what it is made on.
        starts: What it starts, for people who read the role's description.
        attempts: How often a call that was refused is made again within an hour; what is still at work
            refuses the next start for a while.
    """
    stack = Stack.of(scope)
    role = service_role(scope, "scheduler", f"Starts one {starts} by its schedule", id="Starter")
    role.add_to_policy(
        iam.PolicyStatement(actions=[f"{service}:{call[0].upper()}{call[1:]}"], resources=[resource])
    )
    made = scheduler.CfnSchedule(
        scope,
        "Schedule",
        description=f"Starts {scope.node.path}",
        schedule_expression=schedule,
        schedule_expression_timezone=timezone,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=f"arn:{stack.partition}:scheduler:::aws-sdk:{service}:{call}",
            role_arn=role.role_arn,
            input=stack.to_json_string(dict(input)),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_retry_attempts=attempts, maximum_event_age_in_seconds=3600
            ),
        ),
    )
    made.node.add_dependency(role)
    return made
