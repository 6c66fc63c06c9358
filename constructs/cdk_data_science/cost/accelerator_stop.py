"""A budget action that denies starting large accelerators, and lifts the denial with the new month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.cost import _checks
from cdk_data_science.cost._scheduled_function import ScheduledFunction
from cdk_data_science.cost.accelerators import patterns_above

_MOST_ROLES = 100
_MOST_ACCELERATORS = 16
# The requests of SageMaker that start instances and tell IAM which (condition key sagemaker:InstanceTypes).
_STARTING = (
    "sagemaker:CreateApp",
    "sagemaker:CreateCluster",
    "sagemaker:CreateDataQualityJobDefinition",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateModelBiasJobDefinition",
    "sagemaker:CreateModelExplainabilityJobDefinition",
    "sagemaker:CreateModelQualityJobDefinition",
    "sagemaker:CreateMonitoringSchedule",
    "sagemaker:CreateNotebookInstance",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateTransformJob",
    "sagemaker:UpdateCluster",
    "sagemaker:UpdateMonitoringSchedule",
    "sagemaker:UpdateNotebookInstance",
)
# Budgets sees costs up to a day late: what it does in the first hours may still be about the last month. So
# the denial is lifted on the first day, and the action armed again on the second; each is tried three times.
_LIFTING = {"reverse": "cron(0 1,3,5 1 * ? *)", "reset": "cron(0 1,3,5 2 * ? *)"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceleratorStop:
    """Forbid some roles to start instances with many accelerators once the budget is spent.

    AWS Budgets attaches a policy that denies; jobs that run go on. On the first day of the next month it is
    detached, and on the second the action is armed again. Costs reach AWS Budgets hours late, so this bounds
    a bad week, not a bad hour.
    """

    roles: Sequence[iam.IRole]
    """The personas: 1 to 100 roles of this account, such as the execution roles of Studio profiles and the
    roles of pipelines."""
    at_percent: float = 100
    """Percent of the limit at which it acts, more than 0 and at most 1000. Default: 100."""
    allowed_accelerators: int = 0
    """Instances with so many accelerators may still be started, 0 to 15. Default: 0, none at all."""
    on: Literal["ACTUAL", "FORECASTED"] = "ACTUAL"
    """Act on what was spent, or on what the month is forecast to cost."""
    approval: Literal["AUTOMATIC", "MANUAL"] = "AUTOMATIC"
    """Act at once, or when somebody approves it in the console."""
    execution_role: iam.IRole | None = None
    """What AWS Budgets acts as. A role of the app is given the permissions; an imported one has to have them.
    Default: a new role, for this policy and these roles alone."""
    runtime: lambda_.Runtime | None = None
    """Python of the function that lifts. Default: 3.13."""
    architecture: lambda_.Architecture | None = None
    """Processor of that function. Default: arm64."""

    def check_kinds(self, problems: Problems) -> None:
        """Record names of roles, or one role, where a list of roles is meant."""
        problems.check_each_construct("roles", self.roles, write='iam.Role.from_role_name(self, "R", "…")')

    def check(self, problems: Problems, account: str) -> None:
        """Record what cannot work in these options, for a budget of this account."""
        self._check_roles(problems, account)
        problems.check(
            0 < len(self.roles) <= _MOST_ROLES,
            given=f"an action on {len(self.roles)} roles",
            allowed=f"1 to {_MOST_ROLES}",
            write="AcceleratorStop(roles=[scientist])",
        )
        problems.check(
            _checks.is_number(self.at_percent),
            given=f"at_percent={self.at_percent!r}",
            allowed="percent of the limit, more than 0 and at most 1000",
            write="at_percent=100",
        )
        problems.check(
            self.allowed_accelerators in range(_MOST_ACCELERATORS),
            given=f"allowed_accelerators={self.allowed_accelerators!r}",
            allowed=f"0 to {_MOST_ACCELERATORS - 1}; no instance type has more than {_MOST_ACCELERATORS}",
            write="allowed_accelerators=1",
        )
        for name, value, choices in (
            ("on", self.on, ("ACTUAL", "FORECASTED")),
            ("approval", self.approval, ("AUTOMATIC", "MANUAL")),
        ):
            problems.check(
                value in choices,
                given=f"{name}={value!r}",
                allowed=" or ".join(map(repr, choices)),
                write=f'{name}="{choices[0]}"',
            )

    def _check_roles(self, problems: Problems, account: str) -> None:
        arns = [role.role_arn for role in self.roles]
        problems.check(len(set(arns)) == len(arns), given=f"an action on {arns}", allowed="each role once")
        of_budgets = [] if self.execution_role is None else [("execution_role", self.execution_role)]
        for name, role in [*(("role", role) for role in self.roles), *of_budgets]:
            owner = role.env.account
            problems.check(
                is_token(owner) or is_token(account) or owner == account,
                given=f"{name} {role.role_arn.partition(':role/')[2] or role.role_arn} of account {owner}",
                allowed=f"roles of {account}: a budget acts in its own account",
                write=f'"arn:aws:iam::{account}:role/…"',
            )
        problems.check(
            not any(":role/aws-service-role/" in arn for arn in arns),
            given="a service-linked role",
            allowed="roles whose policies are yours to attach",
        )


class BudgetStop(Construct):
    """The policy, the action that attaches it, and the function that lifts it."""

    policy: iam.ManagedPolicy
    """What AWS Budgets attaches."""

    action: budgets.CfnBudgetsAction
    """The action."""

    execution_role: iam.IRole
    """What AWS Budgets acts as."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stop: AcceleratorStop,
        budget: budgets.CfnBudget,
        subscribers: Sequence[budgets.CfnBudgetsAction.SubscriberProperty],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        self.policy = self._make_policy(stop.allowed_accelerators)
        self.execution_role = (
            stop.execution_role if stop.execution_role is not None else self._make_execution_role()
        )
        attaching = iam.Grant.add_to_principal(
            grantee=self.execution_role,
            actions=["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            resource_arns=[role.role_arn for role in stop.roles],
            conditions={"ArnEquals": {"iam:PolicyARN": self.policy.managed_policy_arn}},
        )
        self.action = budgets.CfnBudgetsAction(
            self,
            "Action",
            budget_name=budget.ref,
            action_type="APPLY_IAM_POLICY",
            action_threshold=budgets.CfnBudgetsAction.ActionThresholdProperty(
                type="PERCENTAGE", value=stop.at_percent
            ),
            notification_type=stop.on,
            approval_model=stop.approval,
            execution_role_arn=self.execution_role.role_arn,
            definition=budgets.CfnBudgetsAction.DefinitionProperty(
                iam_action_definition=budgets.CfnBudgetsAction.IamActionDefinitionProperty(
                    policy_arn=self.policy.managed_policy_arn, roles=[role.role_name for role in stop.roles]
                )
            ),
            subscribers=list(subscribers),
        )
        attaching.apply_before(self.action)
        self._lift(stop, budget, key)

    def _make_policy(self, allowed: int) -> iam.ManagedPolicy:
        types = patterns_above(allowed)
        return iam.ManagedPolicy(
            self,
            "Denied",
            description=f"The budget is spent: no instances with more than {allowed} accelerators",
            statements=[
                iam.PolicyStatement(
                    sid="BudgetIsSpent",
                    effect=iam.Effect.DENY,
                    actions=list(_STARTING),
                    resources=["*"],
                    conditions={
                        "ForAnyValue:StringLike": {
                            "sagemaker:InstanceTypes": [f"ml.{name}" for name in types]
                        }
                    },
                ),
                iam.PolicyStatement(
                    sid="BudgetIsSpentOnEc2",
                    effect=iam.Effect.DENY,
                    actions=["ec2:RunInstances"],
                    resources=[f"arn:{Aws.PARTITION}:ec2:*:*:instance/*"],
                    conditions={"StringLike": {"ec2:InstanceType": types}},
                ),
            ],
        )

    def _make_execution_role(self) -> iam.Role:
        stack = Stack.of(self)
        budgets_of_account = f"arn:{Aws.PARTITION}:budgets::{stack.account}:budget/*"
        role = iam.Role(
            self,
            "ExecutionRole",
            description="AWS Budgets attaches and detaches one policy with it",
            assumed_by=iam.ServicePrincipal(
                _checks.BUDGETS,
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": budgets_of_account},
                },
            ),
        )
        acknowledge_inline_policy(role)
        return role

    def _lift(self, stop: AcceleratorStop, budget: budgets.CfnBudget, key: kms.IKey) -> None:
        stack = Stack.of(self)
        action_id = self.action.attr_action_id
        action = {"AccountId": stack.account, "BudgetName": budget.ref, "ActionId": action_id}
        self.lifting = ScheduledFunction(
            self,
            "Lift",
            handler="lift.handler",
            description="Lifts what the budget's action denied when a new month begins",
            key=key,
            timeout=Duration.minutes(1),
            runtime=stop.runtime,
            architecture=stop.architecture,
            environment={"ACTIONS": stack.to_json_string([action])},
        )
        self.lifting.role.add_to_policy(
            iam.PolicyStatement(
                sid="Lift",
                actions=["budgets:DescribeBudgetAction", "budgets:ExecuteBudgetAction"],
                resources=[
                    f"arn:{Aws.PARTITION}:budgets::{stack.account}:budget/{budget.ref}/action/{action_id}"
                ],
            )
        )
        for phase, expression in _LIFTING.items():
            self.lifting.schedule(
                phase.title(),
                expression=expression,
                time_zone="UTC",  # as the periods of budgets
                given={"phase": phase},
                description=f"{phase.title()} the budget's action in the new month",
            )


def subscribers_of(
    topic_arn: str, emails: Sequence[str]
) -> list[budgets.CfnBudgetsAction.SubscriberProperty]:
    """Who hears that the action was taken."""
    addresses = [("SNS", topic_arn), *(("EMAIL", mail) for mail in emails)]
    return [
        budgets.CfnBudgetsAction.SubscriberProperty(type=kind, address=address) for kind, address in addresses
    ]
