"""Wait until a person has approved the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._tasks import Task, retry
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.message import message_task
from cdk_data_science.pipelines.outputs import APPROVAL, METRICS, MODEL_PACKAGE, Output
from cdk_data_science.pipelines.registry import IModelRegistry
from cdk_data_science.pipelines.step import States, Step, StepContext
from cdk_data_science.pipelines.steps.register import Register

_SHORTEST_PAUSE_SECONDS = 60
_MOST_LOOKS = 1000
# A task that succeeds is five events, a choice and a wait are two each; one look is more than they fit in.
_EVENTS_OF_A_LOOK = 9
_LONGEST_DAYS = 30
_COMMAND = "aws sagemaker update-model-package"
_ARN = f"{MODEL_PACKAGE.variable}.model_package_arn"


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualApproval:
    """A person decides on each model after its evaluation, and before it is deployed.

    ```python
    from aws_cdk import Duration
    from cdk_data_science.pipelines import ManualApproval

    approval = ManualApproval(timeout=Duration.days(3))
    ```
    """

    timeout: Duration | None = None
    """How long a model waits for the decision, a minute to 30 days; one day if not given. Its run then fails
    with ``ApprovalTimeout``, and the version goes on waiting in the registry."""

    @property
    def longest(self) -> Duration:
        """How long a model waits at most."""
        return self.timeout if self.timeout is not None else Duration.days(1)

    @property
    def pause_seconds(self) -> int:
        """The time between two looks at the registry."""
        return max(_SHORTEST_PAUSE_SECONDS, math.ceil(self.longest.to_seconds() / _MOST_LOOKS))

    @property
    def looks(self) -> int:
        """How often the registry is looked at, at most."""
        return math.ceil(self.longest.to_seconds() / self.pause_seconds) + 1

    def check(self, problems: Problems) -> None:
        """Report a time that no run can wait."""
        seconds = self.longest.to_seconds(integral=False)
        problems.check(
            60 <= seconds <= _LONGEST_DAYS * 86_400,
            given=f"approval timeout of {seconds:g} s",
            allowed=f"a minute to {_LONGEST_DAYS} days",
            write="timeout=Duration.days(1)",
        )


class Approve(Step):
    """Waits until somebody has approved the version in the registry; a rejected model ends the run.

    One message to the pipeline's topic says which model waits, how good it is, and how to decide. The
    decision is the version's status in SageMaker's registry, whoever sets it: in Studio, on the command line,
    in the role of an approver (``registry.grant_approve``). The run looks every minute or a little more, and
    keeps its turn meanwhile: where several models should wait side by side, allow more runs at a time. A
    model that was approved before is not asked for again.

    Args:
        registry: The group, or the step that registers the model.
        approval: How long it waits.
    """

    name = "Approve"

    def __init__(
        self, registry: IModelRegistry | Register, *, approval: ManualApproval | None = None
    ) -> None:
        self._registry = registry
        self._approval = approval if approval is not None else ManualApproval()
        self._versions: tuple[Construct, str] | None = None

    @property
    def needs(self) -> Sequence[Output]:
        """The version, and how good the model is."""
        return (MODEL_PACKAGE, METRICS)

    @property
    def gives(self) -> Sequence[Output]:
        """Who decided."""
        return (APPROVAL,)

    @property
    def longest(self) -> Duration:
        """The wait, and an hour for the calls around it."""
        return self._approval.longest.plus(Duration.hours(1))

    @property
    def events(self) -> int:
        """A task, a choice and a wait for each look."""
        return self._approval.looks * _EVENTS_OF_A_LOOK + super().events

    def check(self, problems: Problems) -> None:
        """Check the time."""
        self._approval.check(problems)

    def acknowledge(self, role: iam.IRole) -> None:
        """The registry numbers the versions."""
        if self._versions is not None:
            scope, versions = self._versions
            acknowledge_wildcards(
                role,
                scope,
                [versions],
                "The registry numbers the versions of a group; the wildcard stands for those of this one "
                "group.",
            )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the look at the registry, the message, the wait, and the ends."""
        registry = self._registry.registry if isinstance(self._registry, Register) else self._registry
        versions = Stack.of(scope).format_arn(
            service="sagemaker", resource="model-package", resource_name=f"{registry.group_name}/*"
        )
        self._versions = scope, versions
        begin = sfn.Pass.jsonata(
            scope, self.name, assign={APPROVAL.name: {"status": "", "by": "", "looks": 0}}
        )
        look = self._look(scope, context, versions)
        tell = self._tell(scope, context)
        wait = sfn.Wait.jsonata(
            scope,
            "Approve: wait",
            time=sfn.WaitTime.duration(Duration.seconds(self._approval.pause_seconds)),
        )
        done = sfn.Pass.jsonata(scope, "Approve: done")
        status = f"{APPROVAL.variable}.status"
        begin.next(look)
        look.next(
            sfn.Choice.jsonata(scope, "Approve: is it?")
            .when(_condition(f"{status} = 'Approved'"), done)
            .when(
                _condition(f"{status} = 'Rejected'"),
                _refused(
                    scope,
                    context,
                    "ModelNotApproved",
                    f"'Version ' & {_ARN} & ' was rejected' & ({APPROVAL.variable}.by = '' ? '' :"
                    f" ' by ' & {APPROVAL.variable}.by) & ({APPROVAL.variable}.why = '' ? '' :"
                    f" ': ' & {APPROVAL.variable}.why)",
                ),
            )
            .when(
                _condition(f"{APPROVAL.variable}.looks >= {self._approval.looks}"),
                _refused(
                    scope,
                    context,
                    "ApprovalTimeout",
                    f"'Nobody has decided on version ' & {_ARN} & ' in time; what is live still is'",
                ),
            )
            .when(_condition(f"{APPROVAL.variable}.looks = 1"), tell)
            .otherwise(wait)
        )
        tell.next(wait)
        wait.next(look)
        return States(begin, [done])

    def _look(self, scope: Construct, context: StepContext, versions: str) -> Task:
        version = "$states.result"
        task = Task(
            scope,
            "Approve: look",
            comment="Has somebody decided on the version?",
            integration="aws-sdk:sagemaker:describeModelPackage",
            arguments={"ModelPackageName": f"{{% {_ARN} %}}"},
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(actions=["sagemaker:DescribeModelPackage"], resources=[versions])
            ],
            retry=[
                retry(
                    ["SageMaker.SageMakerException", "SageMaker.SdkClientException"],
                    attempts=6,
                    interval=Duration.seconds(2),
                    ceiling=Duration.minutes(1),
                )
            ],
            assign={
                APPROVAL.name: {
                    "status": f"{{% {version}.ModelApprovalStatus %}}",
                    "by": f"{{% $exists({version}.LastModifiedBy.IamIdentity.Arn) ?"
                    f" {version}.LastModifiedBy.IamIdentity.Arn : '' %}}",
                    "why": f"{{% $exists({version}.ApprovalDescription) ?"
                    f" {version}.ApprovalDescription : '' %}}",
                    "looks": f"{{% {APPROVAL.variable}.looks + 1 %}}",
                }
            },
        )
        context.fails_into(task)
        return task

    def _tell(self, scope: Construct, context: StepContext) -> Task:
        lines = (
            f"'Version: ' & {_ARN}",
            "'Run: ' & $run",
            f"'Metrics: ' & $string({METRICS.variable})",
            f"'To approve: {_COMMAND} --model-approval-status Approved --model-package-arn ' & {_ARN}",
            "'To reject: the same with Rejected'",
        )
        task = message_task(
            scope,
            "Approve: tell",
            comment="Somebody has to decide",
            alerts=context.alerts,
            subject="A model waits for approval",
            lines=lines,
        )
        context.fails_into(task)
        return task


def _refused(scope: Construct, context: StepContext, error: str, cause: str) -> sfn.Pass:
    refused = sfn.Pass.jsonata(
        scope,
        f"Approve: {error}",
        assign={"failure": {"error": error, "cause": f"{{% {cause} %}}", "state": "Approve: look"}},
    )
    refused.next(context.failure)
    return refused


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {expression} %}}")
