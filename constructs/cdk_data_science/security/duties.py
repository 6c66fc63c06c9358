"""What each persona may do, as data: from this its role is made, and from the role the matrix in the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws_cdk import ArnFormat, Stack

TEAM_TAG = "team"
COST_TAG = "cost-center"
USER_TAG = "studio-user"
"""A person's own tag: the name of the user profile in Studio that is theirs."""


class Persona(StrEnum):
    """People by what they are there for."""

    DATA_SCIENTIST = "data-scientist"
    """Explores the team's data, trains and tries models; deploys nothing."""

    ML_ENGINEER = "ml-engineer"
    """What a data scientist does, and runs pipelines, registers models and operates endpoints."""

    APPROVER = "approver"
    """Reads a model's evaluation, approves or rejects it; runs and changes nothing else."""

    AUDITOR = "auditor"
    """Sees who did what, and how everything is configured; sees no data and changes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """One statement of a persona's policy."""

    id: str
    """The statement's id."""

    actions: Sequence[str]
    """Actions without wildcards."""

    resources: Sequence[str] = ("*",)
    """ARNs; ``*`` only where IAM has no resource for the actions."""

    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Conditions, as a policy has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What there is for a persona to work on."""

    stack: Stack
    team: str
    job_roles: Sequence[str] = ()
    pipelines: Sequence[str] = ()
    workgroups: Sequence[str] = ()
    in_network: bool = False

    def sagemaker(self, *kinds: str) -> list[str]:
        """The team's resources of some kinds: all whose names begin with the team's."""
        return [
            self.stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{self.team}-*")
            for kind in kinds
        ]

    def tagged(self, *, network: bool = False) -> dict[str, Mapping[str, Any]]:
        """What the team starts carries the tags of the session that started it, for cost and for access."""
        conditions: dict[str, Mapping[str, Any]] = {
            "StringEquals": {
                f"aws:RequestTag/{tag}": f"${{aws:PrincipalTag/{tag}}}" for tag in (TEAM_TAG, COST_TAG)
            }
        }
        if network and self.in_network:
            conditions["Null"] = {"sagemaker:VpcSubnets": "false", "sagemaker:VpcSecurityGroupIds": "false"}
        return conditions

    def log_streams(self, *groups: str) -> list[str]:
        """The team's streams in log groups of SageMaker."""
        return [
            self.stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"/aws/sagemaker/{group}:log-stream:{self.team}-*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for group in groups
        ]


_JOBS = ("training-job", "processing-job", "hyper-parameter-tuning-job", "transform-job")


def duties(persona: Persona, scope: Scope) -> list[Duty]:
    """The statements of a persona, without its access to data."""
    makers = {
        Persona.DATA_SCIENTIST: lambda: _scientist(scope),
        Persona.ML_ENGINEER: lambda: [*_scientist(scope), *_engineer(scope)],
        Persona.APPROVER: lambda: _approver(scope),
        Persona.AUDITOR: lambda: _auditor(scope),
    }
    return makers[persona]()


def _scientist(scope: Scope) -> list[Duty]:
    found = [
        Duty(
            id="StartJobs",
            actions=[
                "sagemaker:CreateHyperParameterTuningJob",
                "sagemaker:CreateProcessingJob",
                "sagemaker:CreateTrainingJob",
            ],
            resources=scope.sagemaker("hyper-parameter-tuning-job", "processing-job", "training-job"),
            conditions=scope.tagged(network=True),
        ),
        Duty(
            id="MakeModels",
            actions=["sagemaker:CreateModel"],
            resources=scope.sagemaker("model"),
            conditions=scope.tagged(network=True),
        ),
        Duty(
            id="TransformBatches",
            actions=["sagemaker:CreateTransformJob"],
            resources=scope.sagemaker("transform-job"),
            conditions=scope.tagged(),
        ),
        Duty(
            id="TagWithTheSession",
            actions=["sagemaker:AddTags"],
            resources=scope.sagemaker(*_JOBS, "model"),
            conditions=scope.tagged(),
        ),
        Duty(
            id="FollowAndStopJobs",
            actions=[
                "sagemaker:DescribeHyperParameterTuningJob",
                "sagemaker:DescribeModel",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:DescribeTransformJob",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
                "sagemaker:StopHyperParameterTuningJob",
                "sagemaker:StopProcessingJob",
                "sagemaker:StopTrainingJob",
                "sagemaker:StopTransformJob",
            ],
            resources=scope.sagemaker(*_JOBS, "model"),
        ),
        Duty(
            id="ReadLogsOfJobs",
            actions=["logs:GetLogEvents"],
            resources=scope.log_streams("TrainingJobs", "ProcessingJobs", "TransformJobs"),
        ),
        *_read_registry(scope),
        _list_sagemaker(),
    ]
    if scope.job_roles:
        found.append(
            Duty(
                id="PassJobRoles",
                actions=["iam:PassRole"],
                resources=scope.job_roles,
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
    if scope.workgroups:
        found.append(
            Duty(
                id="QueryTheLake",
                actions=[
                    "athena:BatchGetQueryExecution",
                    "athena:GetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:GetWorkGroup",
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                ],
                resources=scope.workgroups,
            )
        )
    return found


def _engineer(scope: Scope) -> list[Duty]:
    stack = scope.stack
    found = [
        Duty(
            id="RegisterModels",
            actions=["sagemaker:CreateModelPackage"],
            resources=scope.sagemaker("model-package", "model-package-group"),
            # What an engineer registers waits for somebody else's approval.
            conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}},
        ),
        Duty(
            id="DeployModels",
            actions=["sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig"],
            resources=scope.sagemaker("endpoint", "endpoint-config"),
            conditions=scope.tagged(),
        ),
        Duty(
            id="TagDeploymentsWithTheSession",
            actions=["sagemaker:AddTags"],
            resources=scope.sagemaker("endpoint", "endpoint-config"),
            conditions=scope.tagged(),
        ),
        Duty(
            id="OperateEndpoints",
            actions=[
                "sagemaker:DeleteEndpoint",
                "sagemaker:DeleteEndpointConfig",
                "sagemaker:DescribeEndpoint",
                "sagemaker:DescribeEndpointConfig",
                "sagemaker:InvokeEndpoint",
                "sagemaker:UpdateEndpoint",
                "sagemaker:UpdateEndpointWeightsAndCapacities",
            ],
            resources=scope.sagemaker("endpoint", "endpoint-config"),
        ),
        Duty(
            id="SeeMetrics",
            actions=["cloudwatch:GetMetricStatistics"],
        ),
    ]
    if scope.pipelines:
        found += [
            Duty(
                id="RunPipelines",
                actions=["states:DescribeStateMachine", "states:ListExecutions", "states:StartExecution"],
                resources=scope.pipelines,
            ),
            Duty(
                id="FollowAndStopRuns",
                actions=[
                    "states:DescribeExecution",
                    "states:GetExecutionHistory",
                    "states:StopExecution",
                ],
                resources=[_executions(stack, machine) for machine in scope.pipelines],
            ),
        ]
    return found


def _approver(scope: Scope) -> list[Duty]:
    return [
        *_read_registry(scope),
        Duty(
            id="ApproveOrReject",
            actions=["sagemaker:UpdateModelPackage"],
            resources=scope.sagemaker("model-package"),
            conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}},
        ),
        Duty(id="AnswerWaitingRuns", actions=["states:SendTaskFailure", "states:SendTaskSuccess"]),
    ]


def _auditor(scope: Scope) -> list[Duty]:
    stack = scope.stack
    return [
        Duty(
            id="SeeWhoDidWhat",
            actions=[
                "cloudtrail:DescribeTrails",
                "cloudtrail:ListTrails",
                "cloudtrail:LookupEvents",
            ],
        ),
        Duty(
            id="SeeTheTrails",
            actions=[
                "cloudtrail:GetEventSelectors",
                "cloudtrail:GetTrail",
                "cloudtrail:GetTrailStatus",
                "cloudtrail:ListTags",
            ],
            resources=[stack.format_arn(service="cloudtrail", resource="trail", resource_name="*")],
        ),
        Duty(
            id="SeeFindings",
            actions=["access-analyzer:GetFinding", "access-analyzer:ListFindings"],
            resources=[stack.format_arn(service="access-analyzer", resource="analyzer", resource_name="*")],
        ),
        Duty(
            id="SeeConfiguration",
            actions=[
                "access-analyzer:ListAnalyzers",
                "config:DescribeComplianceByConfigRule",
                "config:DescribeConfigRules",
                "ec2:DescribeFlowLogs",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeVpcEndpoints",
                "iam:GetAccountSummary",
                "iam:ListPolicies",
                "iam:ListRoles",
                "kms:ListKeys",
                "logs:DescribeLogGroups",
            ],
        ),
        Duty(
            id="SeeRolesAndTheirPolicies",
            actions=[
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ],
            resources=[stack.format_arn(service="iam", region="", resource="role", resource_name="*")],
        ),
        Duty(
            id="SeeKeys",
            actions=["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"],
            resources=[stack.format_arn(service="kms", resource="key", resource_name="*")],
        ),
        *_read_registry(scope),
        _list_sagemaker(),
    ]


def _read_registry(scope: Scope) -> list[Duty]:
    return [
        Duty(
            id="ReadTheRegistry",
            actions=[
                "sagemaker:DescribeModelPackage",
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:ListModelPackages",
            ],
            resources=scope.sagemaker("model-package", "model-package-group"),
        )
    ]


def _list_sagemaker() -> Duty:
    """Lists hold names and states; each thing in them is described under a limit of its own."""
    return Duty(
        id="ListNames",
        actions=[
            "sagemaker:ListEndpoints",
            "sagemaker:ListHyperParameterTuningJobs",
            "sagemaker:ListModelPackageGroups",
            "sagemaker:ListModels",
            "sagemaker:ListProcessingJobs",
            "sagemaker:ListTrainingJobs",
            "sagemaker:ListTransformJobs",
        ],
    )


def _executions(stack: Stack, machine: str) -> str:
    """The executions of a state machine."""
    name = stack.split_arn(machine, ArnFormat.COLON_RESOURCE_NAME).resource_name
    return stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
