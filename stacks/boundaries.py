"""The most that the roles of the platform's own parts can ever have, whatever is attached to them later."""

from __future__ import annotations

from collections.abc import Iterable

import aws_cdk as cdk

from cdk_data_science._retention import removal_policy
from cdk_data_science.security import PermissionBoundary
from settings.etl import Etl
from settings.model import Settings
from settings.zones import Zone
from stacks.async_endpoint import AsyncEndpointStack
from stacks.batch import BatchStack
from stacks.clusters import ClustersStack
from stacks.edge import EdgeStack
from stacks.endpoint import EndpointStack
from stacks.etl import EtlStack
from stacks.features import FeaturesStack
from stacks.lake import LakeStack
from stacks.network import NetworkStack
from stacks.pipeline import PipelineStack
from stacks.protection import ProtectionStack
from stacks.serving import ServingStack
from stacks.shared_endpoint import SharedEndpointStack
from stacks.studio import StudioStack
from stacks.training import TrainingStack

# By stack: what its roles do that people and jobs must never do. Those of the stack of costs have none: they
# attach the policy of a budget that is spent to roles, which every boundary denies.
_ALSO: dict[type[cdk.Stack], tuple[str, ...]] = {
    AsyncEndpointStack: ("sns:Publish",),
    BatchStack: ("events:DescribeRule", "events:PutRule", "events:PutTargets"),
    EdgeStack: (),
    EndpointStack: (),
    SharedEndpointStack: (),
    NetworkStack: ("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"),
    TrainingStack: (),
    ServingStack: ("sqs:SendMessage",),
    PipelineStack: (
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
        "lambda:GetFunctionConfiguration",
        "lambda:PublishVersion",
        "lambda:UpdateAlias",
        "lambda:UpdateFunctionConfiguration",
        "sns:Publish",
        "sqs:SendMessage",
    ),
}
# By part of the table [etl].
_ETL: dict[str, tuple[str, ...]] = {
    "connections": (
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
    ),
    "copies": ("datasync:StartTaskExecution",),
    "profiles": ("databrew:StartJobRun",),
    "recipes": ("databrew:DeleteRecipeVersion", "databrew:PublishRecipe", "databrew:StartJobRun"),
}
_STUDIO = (
    "ec2:DeleteSecurityGroup",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "sqs:SendMessage",
)
_HYPERPOD = (
    "ec2:CreateTags",
    "ec2:DetachNetworkInterface",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
_ON_EKS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:AttachNetworkInterface",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:UnassignPrivateIpAddresses",
    "eks-auth:AssumeRoleForPodIdentity",
)
_BATCH = (
    "ecs:DeregisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:RegisterContainerInstance",
    "ecs:StartTelemetrySession",
    "ecs:SubmitAttachmentStateChanges",
    "ecs:SubmitContainerStateChange",
    "ecs:SubmitTaskStateChange",
    "ecs:UpdateContainerInstancesState",
)
_FUNCTIONS: dict[type[cdk.Stack], str] = {ServingStack: "inference", PipelineStack: "pipeline"}
_HOURS = ("sqs:SendMessage", "ssm:GetParameter", "ssm:PutParameter")
_SCALING = (
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "application-autoscaling:PutScalingPolicy",
    "application-autoscaling:PutScheduledAction",
    "application-autoscaling:RegisterScalableTarget",
)
"""What working hours do beside deleting an endpoint and making it again."""

_IN_A_NETWORK = ("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses")
"""Lambda asks for this in the name of a function in a VPC."""

_OF_A_QUEUE = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
)
"""Lambda reads a queue in the name of the function that gets its messages."""


def apply(stacks: Iterable[cdk.Stack], settings: Settings) -> None:
    """Give every role of these stacks a boundary, one for each stack: none stands on another for it."""
    inside = () if settings.network is None else settings.network.inside
    for stack in stacks:
        if isinstance(stack, ProtectionStack) and stack.personas is not None:
            stack.personas.boundary.apply_to(stack)
        also = _ALSO.get(type(stack))
        if also is not None:
            network = _IN_A_NETWORK if _FUNCTIONS.get(type(stack)) in inside else ()
            queue = _OF_A_QUEUE if isinstance(stack, ServingStack) and stack.queue is not None else ()
            watched = isinstance(stack, TrainingStack) and stack.watch is not None
            scheduled = isinstance(stack, BatchStack) and any(
                each.schedule for each in settings.batch_transform.values()
            )
            letters = ("sqs:SendMessage",) if watched or scheduled else ()
            hours = _of_hours(settings) if isinstance(stack, EndpointStack) else ()
            boundary = PermissionBoundary(stack, "Boundary", also=[*also, *network, *queue, *letters, *hours])
            boundary.apply_to(stack)
        if isinstance(stack, LakeStack):
            copies = [arn for zone in settings.lake.zones.values() for arn in _copies(stack, zone)]
            boundary = PermissionBoundary(stack, "Boundary", copy_to=copies)
            boundary.apply_to(stack)
            if settings.mlflow is not None or settings.lake.encrypt_catalog:
                # Roles that stay when the stack goes keep their boundary, which IAM would not let go of.
                boundary.policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        if isinstance(stack, EtlStack) and settings.etl is not None:
            _bound_etl(stack, settings.etl)
        if isinstance(stack, FeaturesStack):
            writes = (*_OF_A_QUEUE, "sqs:SendMessage") if stack.ingestions else ()
            bounds = PermissionBoundary(stack, "Boundary", also=writes)
            bounds.apply_to(stack)
            # A group that is kept goes on writing with its role, which would hold its boundary back.
            bounds.policy.apply_removal_policy(removal_policy(stack, destroy=settings.platform.destroy_data))
        if isinstance(stack, ClustersStack):
            hyperpod = _HYPERPOD if stack.hyperpod else ()
            eks = _ON_EKS if stack.on_eks else ()
            batch = _BATCH if stack.batch else ()
            PermissionBoundary(stack, "Boundary", also=[*hyperpod, *eks, *batch]).apply_to(stack)
        if isinstance(stack, StudioStack):
            # Its roles of apps are bounded as those of people; here are the functions that keep its
            # house, and the roles that read images.
            house = PermissionBoundary(stack, "Boundary", also=_STUDIO)
            for part in (stack.domain.ending, stack.activity, *stack.domain.defaults.images):
                house.apply_to(part)


def _of_hours(settings: Settings) -> tuple[str, ...]:
    endpoint = settings.endpoint
    if endpoint is None or endpoint.working_hours is None:
        return ()
    return _HOURS if endpoint.max_instances is None else (*_HOURS, *_SCALING)


def _copies(stack: cdk.Stack, zone: Zone) -> list[str]:
    """Where S3 copies the objects of a zone to; regions of copies are others than that of the stack."""
    if zone.copy_bucket is None or zone.copy_key_arn is None:
        return []
    return [f"arn:{stack.partition}:s3:::{zone.copy_bucket}/*", zone.copy_key_arn]


def _bound_etl(stack: EtlStack, etl: Etl) -> None:
    also = {action for part, actions in _ETL.items() if getattr(etl, part) for action in actions}
    accounts = {copy.account for copy in etl.copies.values() if copy.account is not None}
    PermissionBoundary(stack, "Boundary", also=sorted(also), read_from=sorted(accounts)).apply_to(stack)
