"""FSx for Lustre for the time of a run: made by the state machine that needs it, and removed by it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Names, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import Problems
from cdk_data_science.training.file_systems._lustre_parts import (
    allow_describe,
    let_in,
    one_subnet,
    open_keys,
    server_group,
)
from cdk_data_science.training.file_systems._lustre_states import RUN_TAG, VARIABLE, Permissions
from cdk_data_science.training.file_systems.lustre import VERSION
from cdk_data_science.training.file_systems.lustre_step import LustreStep
from cdk_data_science.training.file_systems.lustre_values import (
    SMALLEST_GIB,
    LustreLink,
    check_directory,
    check_links,
    check_sizes,
)
from cdk_data_science.training.values import Channel, FileSystem

_SQUASH = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")
_SETTLE_SECONDS = 20


class LustreForRuns(Construct):
    """A scratch file system in front of zones of the lake that each run makes for itself, and removes.

    :meth:`around` puts the states that make it before the work and those that remove it behind, whether the
    work succeeds or fails. Everything in the work is in a branch of its own, so that no failure leaves past
    the removal. An execution that is stopped or times out runs none of its own states any more: after
    :meth:`clean_up_after` a function removes what it left, and an alarm tells when that fails.

    It holds nothing that is not in the lake: links import, and none exports, because what is not exported
    when the file system goes would be lost. Jobs leave their results in S3, as SageMaker does by itself.

    **Costs at rest**: the alarm (0.10 USD a month), and 1 USD a month for a key of its own if none is given.
    A run costs the whole storage from the file system's making to its removal.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_stepfunctions as sfn
    from cdk_data_science import DataLake, SpotTraining
    from cdk_data_science.training import LustreForRuns, LustreLink

    lake = DataLake(self, "Lake")
    vpc = ec2.Vpc(self, "Vpc", max_azs=2)
    training = SpotTraining(
        self,
        "Training",
        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(4),
        max_wait=cdk.Duration.hours(8),
        vpc=vpc,
    )
    lustre = LustreForRuns(
        self, "Lustre", vpc=vpc, links=[LustreLink(zone=lake.features, prefix="train/", directory="/train")]
    )
    lustre.grant_mount(training.role, security_groups=training.security_groups)
    work = training.step(self, "Train", channels=[lustre.channel("train", directory="/train")])
    machine = sfn.StateMachine(
        self,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(lustre.around(self, "Lustre", work)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    lustre.clean_up_after(machine)
    ```

    Args:
        vpc: Where it lies. Its clients have to be in the VPC, best in the same availability zone.
        subnets: The first of these; of the VPC's private subnets if not given.
        capacity_gib: 1200, 2400 or a multiple of 2400 GiB of SSD, at 200 MB/s for each TiB.
        links: One to eight zones or parts of zones, in directories that do not contain each other.
        root_squash: ``<uid>:<gid>`` that root of a client is taken for. Default: root is root, as containers
            of SageMaker need to read files of other users.
        key: Encrypts the log and the dead letters of the function that cleans up; it has to let CloudWatch
            Logs and EventBridge use it. Default: a new one.
        runtime: Python of that function. Default: 3.13.
        architecture: Its processor. Default: arm64.

    Raises:
        ConfigurationError: values that FSx would refuse, and links that export; all of them at once.

    Follows https://docs.aws.amazon.com/fsx/latest/LustreGuide/create-dra-linked-data-repo.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        links: Sequence[LustreLink],
        subnets: ec2.SubnetSelection | None = None,
        capacity_gib: int = SMALLEST_GIB,
        root_squash: str | None = None,
        key: kms.IKey | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("LustreForRuns", self)
        check_sizes(problems, deployment="SCRATCH_2", capacity_gib=capacity_gib, throughput=None)
        links = check_links(problems, links)
        problems.check(
            bool(links), given="no links", allowed="one or more: an empty file system has nothing to read"
        )
        for link in links:
            problems.check(
                not link.exports,
                given=f"exports=True of {link.directory!r}",
                allowed="links that import: what is not exported when the run ends would be lost with its "
                "file system",
                write="exports=False, and results in S3",
            )
        problems.check(
            root_squash is None or _SQUASH.fullmatch(root_squash) is not None,
            given=f"root_squash={root_squash!r}",
            allowed="<uid>:<gid>",
            write='root_squash="1000:1000"',
        )
        problems.raise_if_any()
        self.links = tuple(links)
        self.security_group = server_group(self, "SecurityGroup", vpc=vpc)
        self._subnet = one_subnet(vpc, subnets)
        self._capacity_gib, self._root_squash = capacity_gib, root_squash
        self._owner = self.node.addr
        self._permissions = Permissions(Stack.of(self), self._owner)
        open_keys(self, links)
        self._make_sweeper(key, runtime, architecture)

    def around(
        self,
        scope: Construct,
        id: str,
        work: sfn.IChainable,
        *,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> LustreStep:
        """Return states that make a file system, do the work, and remove the file system in any case.

        Args:
            work: States that mount it, see :meth:`channel`. They are in a branch of their own: variables that
                they set are seen in it alone, so what has to come out is its output.
            on_failure: Where to go after the removal when something failed, with the input ``{"error",
                "cause", "state"}``; a Fail state with the original error if not given.
            assign: Variables to set after the work; ``$states.result[0]`` is its output.
        """
        return LustreStep(
            scope,
            id,
            work=work,
            parameters=self._parameters(),
            links=self.links,
            owner=self._owner,
            permissions=self._permissions,
            on_failure=on_failure,
            assign=assign,
        )

    def channel(self, name: str, *, directory: str, read_only: bool = True) -> Channel:
        """Return a directory of the run's file system as an input of training jobs in the work.

        Args:
            name: The channel's name: the container finds the files under ``/opt/ml/input/data/<name>``.
            directory: A path that begins with a slash, as a link has it.

        Raises:
            ConfigurationError: it is no path, or none that a link shows: a new file system has nothing else.
        """
        check_directory(name, directory, self.links, new=True)
        below = directory.rstrip("/")
        return Channel(
            name=name,
            file_system=FileSystem(
                file_system_id=f"{{% ${VARIABLE}.id %}}",
                directory=f"{{% '/' & ${VARIABLE}.mount & '{below}' %}}",
                read_only=read_only,
            ),
        )

    def grant_mount(
        self, grantee: iam.IGrantable, *, security_groups: Sequence[ec2.ISecurityGroup] = ()
    ) -> iam.Grant:
        """Let jobs of a role mount the file systems: find them, and reach them from their security groups."""
        let_in(self.security_group, security_groups)
        return allow_describe(grantee)

    def clean_up_after(self, machine: sfn.IStateMachine) -> events.Rule:
        """Remove what executions of a state machine leave that are stopped, time out or fail."""
        rule = events.Rule(
            self,
            f"After{Names.node_unique_id(machine.node)[-40:]}",
            description="Executions that may have left a Lustre file system",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn],
                    "status": ["ABORTED", "FAILED", "TIMED_OUT"],
                },
            ),
        )
        rule.add_target(
            targets.LambdaFunction(
                self.sweeper,
                dead_letter_queue=self.dead_letters,
                max_event_age=Duration.hours(6),
                retry_attempts=8,
            )
        )
        return rule

    def acknowledge_permissions(self, role: iam.IRole) -> None:
        """Acknowledge, for a state machine's role, what its permissions on file systems look like (cdk-nag's
        IAM5)."""
        self._acknowledge(role, self._permissions.resources)

    def _acknowledge(self, role: iam.IRole, resources: Sequence[str]) -> None:
        acknowledge_wildcards(
            role,
            self,
            resources,
            "The numbers of file systems and links are known once they are made. Conditions bind each "
            "permission to those that carry this construct's own tag, and to roles of FSx alone.",
        )
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM knows no resource of the calls that describe file systems, their links and networks.",
        )

    def _parameters(self) -> dict[str, Any]:
        squash = {} if self._root_squash is None else {"RootSquash": self._root_squash}
        return {
            "FileSystemType": "LUSTRE",
            "FileSystemTypeVersion": VERSION,
            "StorageType": "SSD",
            "StorageCapacity": self._capacity_gib,
            "SubnetIds": [self._subnet],
            "SecurityGroupIds": [self.security_group.security_group_id],
            "LustreConfiguration": {
                "DeploymentType": "SCRATCH_2",
                "DataCompressionType": "LZ4",
                **({"RootSquashConfiguration": squash} if squash else {}),
            },
        }

    def _make_sweeper(
        self,
        key: kms.IKey | None,
        runtime: lambda_.Runtime | None,
        architecture: lambda_.Architecture | None,
    ) -> None:
        self.key = key if key is not None else operations_key(self, "Key", description="Lustre for runs")
        self.dead_letters = letters(self, "DeadLetters", self.key)
        made = PlatformFunction(
            self,
            "Sweep",
            asset="training",
            handler="sweep.handler",
            description="Removes the Lustre file systems of executions that did not remove them",
            log_key=self.key,
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=Duration.minutes(3),
            environment={"RUN_TAG": RUN_TAG, "SETTLE_SECONDS": str(_SETTLE_SECONDS)},
            dead_letter_queue=self.dead_letters,
        )
        self.sweeper, self.sweeper_role = made.function, made.role
        self.sweeper.configure_async_invoke(max_event_age=Duration.hours(6), retry_attempts=2)
        for statement in (*self._permissions.describe, *self._permissions.remove):
            self.sweeper_role.add_to_policy(statement)
        self._acknowledge(self.sweeper_role, [self._permissions.file_systems])
        self.alarm: cloudwatch.Alarm = letters_alarm(
            self,
            self.dead_letters,
            "A Lustre file system of a run could not be removed: it costs by the hour",
            id="LeftAlarm",
        )
        self.alarms = [self.alarm]
