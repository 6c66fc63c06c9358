"""New data starts a pipeline, once for each content."""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science.pipelines.step import FunctionOptions, Location, allow_existence_checks


class DataTrigger(Construct):
    """Starts a state machine when an object is created under a prefix of a zone.

    EventBridge delivers at least once, and people upload the same file twice: a function names the execution
    by the object's place and content, so that Step Functions refuses the second one. Events that cannot be
    delivered or handled lie in a dead-letter queue for 14 days, and an alarm tells of them.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        data: Location,
        suffix: str,
        state_machine: sfn.StateMachine,
        functions: FunctionOptions,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = letters(self, "DeadLetters", key)
        self.function = PlatformFunction(
            self,
            "Start",
            asset="pipeline",
            handler="start.handler",
            description="Starts the pipeline for new data, once for each content",
            log_key=functions.log_key,
            runtime=functions.runtime,
            architecture=functions.architecture,
            memory_size=512,
            # Up to 256 MiB may have to be hashed where S3 has no checksum of the whole object.
            timeout=Duration.minutes(2),
            environment={**functions.environment, "STATE_MACHINE_ARN": state_machine.state_machine_arn},
            network=functions.network,
            dead_letter_queue=self.dead_letters,
        )
        self.function.function.configure_async_invoke(max_event_age=Duration.hours(6), retry_attempts=2)
        self._allow(state_machine, data)
        self.rule = events.Rule(
            self,
            "NewData",
            description=f"New objects {data.prefix}*{suffix}",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [data.zone.bucket.bucket_name]},
                    # One pattern for both ends: a prefix and a suffix beside each other would mean either.
                    "object": {"key": [{"wildcard": f"{data.prefix}*{suffix}"}]},
                },
            ),
        )
        self.rule.add_target(
            targets.LambdaFunction(
                self.function.function,
                dead_letter_queue=self.dead_letters,
                max_event_age=Duration.hours(6),
                retry_attempts=8,
            )
        )
        self.alarm = letters_alarm(
            self,
            self.dead_letters,
            "New data did not start the pipeline; its event lies in the dead-letter queue",
            id="LostEvents",
        )

    def _allow(self, state_machine: sfn.StateMachine, data: Location) -> None:
        role = self.function.role
        data.zone.grant_read(role, data.prefix)
        # An object that was deleted meanwhile is no fault.
        allow_existence_checks(role, data.zone)
        state_machine.grant_start_execution(role)
        # A run that failed is told apart from one that is running or has succeeded.
        executions = Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{state_machine.state_machine_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_policy(iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[executions]))
        acknowledge_wildcards(
            role,
            self,
            [executions],
            "Executions are named by the content of the data; the wildcard stands for those of one machine.",
        )
