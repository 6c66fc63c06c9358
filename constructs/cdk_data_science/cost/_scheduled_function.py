"""A function that EventBridge Scheduler calls at given times, and what is kept of calls that failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Names, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._letters import letters, letters_alarm


class ScheduledFunction(Construct):
    """The function, its role, the scheduler's role, the dead letters of both, and an alarm on those."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        handler: str,
        description: str,
        key: kms.IKey,
        timeout: Duration,
        runtime: lambda_.Runtime | None,
        architecture: lambda_.Architecture | None,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = letters(self, "DeadLetters", key)
        made = PlatformFunction(
            self,
            "Handler",
            asset="cost",
            handler=handler,
            description=description,
            log_key=key,
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=timeout,
            environment=environment,
            dead_letter_queue=self.dead_letters,
        )
        self.function, self.role = made.function, made.role
        self.function.configure_async_invoke(max_event_age=Duration.hours(1), retry_attempts=2)
        # A group of its own: its name is in the trust policy, so that no other schedule can take the role.
        self.group = scheduler.CfnScheduleGroup(
            self, "Group", name=Names.unique_resource_name(self, max_length=64, separator="-")
        )
        self._scheduler_role = self._make_scheduler_role(key)
        self.alarm: cloudwatch.Alarm = letters_alarm(
            self, self.dead_letters, f"Failed, and lies in the dead-letter queue: {description}", id="Failed"
        )

    def schedule(
        self, id: str, *, expression: str, time_zone: str, given: Mapping[str, Any], description: str
    ) -> scheduler.CfnSchedule:
        """Call the function at the times of a schedule expression."""
        schedule = scheduler.CfnSchedule(
            self,
            id,
            group_name=self.group.ref,
            description=description,
            schedule_expression=expression,
            schedule_expression_timezone=time_zone,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self.function.function_arn,
                role_arn=self._scheduler_role.role_arn,
                input=json.dumps(given, sort_keys=True),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letters.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=3600, maximum_retry_attempts=10
                ),
            ),
        )
        schedule.node.add_dependency(self._scheduler_role)
        return schedule

    def _make_scheduler_role(self, key: kms.IKey) -> iam.Role:
        stack = Stack.of(self)
        group = stack.format_arn(service="scheduler", resource="schedule-group", resource_name=self.group.ref)
        role = iam.Role(
            self,
            "SchedulerRole",
            description=f"EventBridge Scheduler calls the function of {self.node.path}"[:1000],
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group}},
            ),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="Call", actions=["lambda:InvokeFunction"], resources=[self.function.function_arn]
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="KeepWhatFailed", actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn]
            )
        )
        key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")
        acknowledge_inline_policy(role)
        return role
