"""The kinds of job that SageMaker has: how its API calls them, and what a state machine needs to run one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_PATTERN = re.compile(r"[a-z0-9*](-*[a-z0-9*])*")
PREFIX = re.compile(r"[a-z0-9](-?[a-z0-9])*")
LONGEST_PREFIX = 22
# Beyond the prefix and two hyphens: as much of the execution's name as there is room for, and a digest.
_DIGEST = 6
_LONGEST_RUN = 28
_TRIES = len("-999")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobKind:
    """One kind of job."""

    noun: str
    """``ProcessingJob``, of which the API's names are made."""
    resource: str
    """As ARNs have it: ``processing-job``."""
    rule: str | None = None
    """The EventBridge rule with which ``.sync`` waits for its end; None if there is no ``.sync``."""
    version: str = ""
    """What stands behind the noun in some operations."""
    longest_name: int = 63
    identity: str = ""
    """The member that a description is asked for with; ``<noun>Name`` if empty."""
    succeeded: str = "Completed"
    going: Sequence[str] = ("InProgress", "Stopping")

    @property
    def name_member(self) -> str:
        """The member that names it."""
        return self.identity or f"{self.noun}Name"

    @property
    def status_member(self) -> str:
        """The member of its description that says where it stands."""
        return f"{self.noun}Status"

    @property
    def create(self) -> str:
        """The operation that makes one, as an integration has it."""
        return f"create{self.noun}{self.version}"

    @property
    def describe(self) -> str:
        """The operation that describes one."""
        return f"describe{self.noun}{self.version}"

    @property
    def stop(self) -> str:
        """The operation that stops one."""
        return f"stop{self.noun}"

    def arn(self, stack: Stack, pattern: str) -> str:
        """The ARN of the jobs whose names match a pattern."""
        return stack.format_arn(service="sagemaker", resource=self.resource, resource_name=pattern)

    def statements(self, stack: Stack, pattern: str, role: iam.IRole | None) -> list[iam.PolicyStatement]:
        """What a state machine needs to run jobs of a name pattern to their end, and to stop them.

        Step Functions tags each job that it waits for with ``.sync``.
        """
        operations = [self.create, self.describe, self.stop]
        actions = [f"sagemaker:{each[0].upper()}{each[1:]}" for each in operations]
        actions.append("sagemaker:AddTags")
        if self.rule is not None:
            actions.append("sagemaker:ListTags")
        found = [iam.PolicyStatement(actions=sorted(actions), resources=[self.arn(stack, pattern)])]
        if role is not None:
            found.append(pass_role(role))
        if self.rule is not None:
            rule = stack.format_arn(service="events", resource="rule", resource_name=self.rule)
            found.append(
                iam.PolicyStatement(
                    actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"], resources=[rule]
                )
            )
        return found


def pass_role(role: iam.IRole) -> iam.PolicyStatement:
    """Let a state machine give a job its role, and nobody but SageMaker."""
    return iam.PolicyStatement(
        actions=["iam:PassRole"],
        resources=[role.role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )


TRAINING = JobKind(
    noun="TrainingJob",
    resource="training-job",
    rule="StepFunctionsGetEventsForSageMakerTrainingJobsRule",
)
PROCESSING = JobKind(
    noun="ProcessingJob",
    resource="processing-job",
    rule="StepFunctionsGetEventsForSageMakerProcessingJobsRule",
)
TUNING = JobKind(
    noun="HyperParameterTuningJob",
    resource="hyper-parameter-tuning-job",
    rule="StepFunctionsGetEventsForSageMakerTuningJobsRule",
    longest_name=32,
)
TRANSFORM = JobKind(
    noun="TransformJob",
    resource="transform-job",
    rule="StepFunctionsGetEventsForSageMakerTransformJobsRule",
)
AUTOML = JobKind(noun="AutoMLJob", resource="automl-job", version="V2", longest_name=32)
COMPILATION = JobKind(
    noun="CompilationJob",
    resource="compilation-job",
    succeeded="COMPLETED",
    going=("INPROGRESS", "STARTING", "STOPPING"),
)
PIPELINE_EXECUTION = JobKind(
    noun="PipelineExecution",
    resource="pipeline",
    identity="PipelineExecutionArn",
    succeeded="Succeeded",
    going=("Executing", "Stopping"),
)


def job_names(prefix: str) -> str:
    """Return the pattern of the names of all jobs with a prefix.

    Two hyphens end the prefix, which has single ones at most: so no prefix's pattern holds names of another.
    """
    return f"{prefix}--*"


@dataclass(frozen=True, slots=True)
class RunName:
    """Names a job after the run that it is part of: ``<prefix>--<execution>-<digest>``.

    SageMaker never forgets a name, while Step Functions lets one be used again after 90 days: so the name
    holds a digest of the execution. Where a name may have 32 characters only, it is the prefix and the
    digest. All jobs that one execution names with one prefix are the same job; in a map or a loop, name them
    with an expression of your own.
    """

    prefix: str
    """1 to 22 lower-case letters, digits and single hyphens, used by nothing else of the account and
    region."""

    @property
    def pattern(self) -> str:
        """The pattern of all names with this prefix."""
        return job_names(self.prefix)

    def expression(self, longest: int = 63) -> str:
        """The JSONata expression that gives the name."""
        digest = "$hash($states.context.Execution.Id & $states.context.Execution.StartTime, 'SHA-256')"
        room = longest - LONGEST_PREFIX - len("--")
        run = min(_LONGEST_RUN, room - _DIGEST - len("-") - _TRIES)
        if run <= 0:
            return f"{{% '{self.prefix}--' & $substring({digest}, 0, {room}) %}}"
        return (
            f"{{% '{self.prefix}--'"
            " & $substring($replace($lowercase($states.context.Execution.Name), /[^a-z0-9]+/, '-'),"
            f" 0, {run}) & '-' & $substring({digest}, 0, {_DIGEST}) %}}"
        )

    def check(self, problems: Problems) -> None:
        """Report a prefix that cannot begin a job's name."""
        problems.check(
            is_token(self.prefix)
            or (len(self.prefix) <= LONGEST_PREFIX and PREFIX.fullmatch(self.prefix) is not None),
            given=f"RunName({self.prefix!r})",
            allowed=f"1 to {LONGEST_PREFIX} lower-case letters, digits and single hyphens",
            write='RunName("reviews")',
        )


@dataclass(frozen=True, slots=True)
class Naming:
    """How the jobs of a task are named, and the pattern that their permissions are for."""

    kind: JobKind
    given: str | RunName
    given_pattern: str | None

    @property
    def name(self) -> str:
        """The name, or the expression for it."""
        return self.given if isinstance(self.given, str) else self.given.expression(self.kind.longest_name)

    @property
    def pattern(self) -> str:
        """The pattern of the names, in lower case because SageMaker's ARNs are."""
        if self.given_pattern is not None:
            return self.given_pattern
        return self.given.lower() if isinstance(self.given, str) else self.given.pattern

    @property
    def pattern_of_children(self) -> str:
        """The pattern of the names of jobs that are made for these and named after them."""
        return self.pattern if self.pattern.endswith("*") else f"{self.pattern}-*"

    def problems(self, scope: Construct, task: str) -> Problems:
        """Begin the list of what is wrong with a task: with what is wrong with its name."""
        problems = Problems(task, scope)
        self.check(problems)
        return problems

    def check(self, problems: Problems) -> None:
        """Report names that SageMaker would refuse, and patterns that hold none."""
        longest = self.kind.longest_name
        if isinstance(self.given, RunName):
            self.given.check(problems)
            problems.check(
                self.given_pattern is None,
                given=f"job_name_pattern={self.given_pattern!r} with {self.given!r}",
                allowed="a pattern for names of your own: a RunName brings its own",
                write="job_name_pattern=None",
            )
            return
        is_expression = self.given.startswith("{%")
        if not is_expression:
            problems.check(
                is_token(self.given)
                or (len(self.given) <= longest and _NAME.fullmatch(self.given) is not None),
                given=f"job_name={self.given!r}",
                allowed=f"1 to {longest} letters, digits and hyphens, a JSONata expression in {{% %}}, or a "
                "RunName",
            )
        if (is_expression or self.given_pattern is not None) and not is_token(self.pattern):
            problems.check(
                _PATTERN.fullmatch(self.pattern) is not None,
                given=f"job_name_pattern={self.pattern!r}",
                allowed="lower-case letters, digits, hyphens and *, matching every name that job_name gives",
                write='job_name_pattern="churn-*"',
            )
