"""The roles of jobs: what each kind of job needs to run at all, and what it is granted beside that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._interfaces import allow_interfaces
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.security.boundary import PermissionBoundary

_NAME_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,28}-")
_REPOSITORY = re.compile(r"arn:[a-z-]+:ecr:[a-z0-9-]+:\d{12}:repository/[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class _Kind:
    service: str
    sources: tuple[str, ...]
    """What the service acts for. Nothing: the service names the account's resources as a whole, as SageMaker
    does for inference, where the documentation asks for the asterisk itself."""
    log_groups: tuple[str, ...] = ()
    metrics: str | None = None
    images: bool = False


class JobKind(StrEnum):
    """What runs under the role."""

    TRAINING = "training"
    """SageMaker training and tuning jobs."""

    PROCESSING = "processing"
    """SageMaker processing jobs."""

    SERVING = "serving"
    """SageMaker models, endpoints and transform jobs."""

    PIPELINE = "pipeline"
    """Step Functions state machines."""

    CRAWLER = "crawler"
    """Glue crawlers."""


_KINDS = {
    JobKind.TRAINING: _Kind(
        "sagemaker",
        ("training-job", "hyper-parameter-tuning-job"),
        ("/aws/sagemaker/TrainingJobs",),
        "/aws/sagemaker/TrainingJobs",
        images=True,
    ),
    JobKind.PROCESSING: _Kind(
        "sagemaker",
        ("processing-job",),
        ("/aws/sagemaker/ProcessingJobs",),
        "/aws/sagemaker/ProcessingJobs",
        images=True,
    ),
    JobKind.SERVING: _Kind(
        "sagemaker",
        (),
        ("/aws/sagemaker/Endpoints", "/aws/sagemaker/TransformJobs"),
        "/aws/sagemaker/Endpoints",
        images=True,
    ),
    JobKind.PIPELINE: _Kind("states", ("stateMachine",)),
    JobKind.CRAWLER: _Kind("glue", (), ("/aws-glue/crawlers",)),
}


class JobRole(Construct):
    """A role for one kind of job, which that service alone can use, for this account.

    It holds what such a job needs to run: its logs, its metrics, its images, its network interfaces if asked
    for. Data is granted: ``lake.curated.grant_read(jobs.role)``. The service has to act for this account
    (``aws:SourceAccount``), so that no other one can have SageMaker use the role, and for training,
    processing and pipelines for a job whose name begins as agreed (``aws:SourceArn``).

    Costs nothing.

    ```python
    from cdk_data_science import DataLake
    from cdk_data_science.security import JobKind, JobRole

    lake = DataLake(self, "Lake")
    jobs = JobRole(
        self,
        "Preparation",
        kind=JobKind.PROCESSING,
        name_prefix="reviews-",
        images=["arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"],
    )
    lake.raw.grant_read(jobs.role, "reviews/")
    lake.curated.grant_write(jobs.role, "reviews/")
    ```

    Args:
        kind: What runs under it.
        name_prefix: How the names of its jobs begin: lower-case letters, digits and hyphens, a hyphen last.
        images: ARNs of ECR repositories that its containers come from. Default: none.
        subnets: Of a VPC that its jobs are in: it may make network interfaces there. Default: none.
        security_groups: What these interfaces get.
        boundary: Bounds the role. Default: none; give the one of the people who pass it.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html.
    """

    role: iam.Role
    """The role."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        kind: JobKind,
        name_prefix: str,
        images: Sequence[str] = (),
        subnets: Sequence[ec2.ISubnet] = (),
        security_groups: Sequence[ec2.ISecurityGroup] = (),
        boundary: PermissionBoundary | None = None,
    ) -> None:
        super().__init__(scope, id)
        facts = _KINDS[kind]
        problems = Problems("JobRole", self)
        problems.check(
            is_token(name_prefix) or bool(_NAME_PREFIX.fullmatch(name_prefix)),
            given=f"name_prefix={name_prefix!r}",
            allowed="1 to 29 lower-case letters, digits and hyphens, and a hyphen",
            write='name_prefix="reviews-"',
        )
        problems.check(
            facts.images or not images,
            given=f"images for {kind}",
            allowed="images for training, processing and serving",
        )
        for image in images:
            problems.check(
                is_token(image) or bool(_REPOSITORY.fullmatch(image)),
                given=f"image {image!r}",
                allowed="the ARN of an ECR repository",
                write='"arn:aws:ecr:us-east-1:111122223333:repository/reviews"',
            )
        problems.check(
            not (subnets or security_groups) or facts.images,
            given=f"subnets or security_groups for {kind}",
            allowed="both for jobs of SageMaker, which make network interfaces",
        )
        problems.check(
            bool(subnets) == bool(security_groups),
            given=f"{len(subnets)} subnets and {len(security_groups)} security_groups",
            allowed="both or none: interfaces are made in the ones with the others",
        )
        problems.raise_if_any()
        self.role = self._make(kind, facts, name_prefix, boundary)
        self.node.default_child = self.role.node.default_child
        if facts.log_groups:
            self._allow_logs(facts, name_prefix)
        if facts.metrics is not None:
            self._allow_metrics(facts.metrics)
        if images:
            self._allow_images(images)
        if subnets:
            allow_interfaces(self.role, subnets=subnets, security_groups=security_groups)

    def _make(
        self, kind: JobKind, facts: _Kind, name_prefix: str, boundary: PermissionBoundary | None
    ) -> iam.Role:
        stack = Stack.of(self)
        separator = (
            ArnFormat.COLON_RESOURCE_NAME if facts.service == "states" else ArnFormat.SLASH_RESOURCE_NAME
        )
        sources = [
            stack.format_arn(
                service=facts.service,
                resource=source,
                resource_name=f"{name_prefix}*",
                arn_format=separator,
            )
            for source in facts.sources
        ] or [stack.format_arn(service=facts.service, resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME)]
        role = iam.Role(
            self,
            "Role",
            description=f"Role of {kind} jobs whose names begin with {name_prefix}",
            assumed_by=iam.ServicePrincipal(
                f"{facts.service}.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": sources},
                },
            ),
            permissions_boundary=None if boundary is None else boundary.policy,
        )
        acknowledge_inline_policy(role)
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "CloudWatch's PutMetricData and ECR's GetAuthorizationToken have no resource in IAM; a condition "
            "binds metrics to one namespace, and images are bound to their repositories.",
        )
        return role

    def _allow_logs(self, facts: _Kind, name_prefix: str) -> None:
        stack = Stack.of(self)
        groups = [
            stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=group,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for group in facts.log_groups
        ]
        patterns = [
            # An endpoint has a log group of its own; everything else has streams in one.
            f"{group}/{name_prefix}*" if group.endswith("Endpoints") else f"{group}:log-stream:{name_prefix}*"
            for group in groups
        ]
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="Logs",
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                resources=[*groups, *patterns],
            )
        )
        acknowledge_wildcards(
            self.role, self, patterns, "Logs are named after the job; the pattern holds those of its names."
        )

    def _allow_metrics(self, namespace: str) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="Metrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": namespace}},
            )
        )

    def _allow_images(self, images: Sequence[str]) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(sid="ImageLogin", actions=["ecr:GetAuthorizationToken"], resources=["*"])
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="ImagePull",
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                ],
                resources=[_in_this_partition(image) for image in images],
            )
        )


def _in_this_partition(arn: str) -> str:
    """The ARN with the partition that the stack is deployed to."""
    return arn if is_token(arn) else f"arn:{Aws.PARTITION}:{arn.split(':', 2)[2]}"
