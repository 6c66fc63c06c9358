"""A registry for containers of one's own: scanned, immutable, cleared up, kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems, is_token

_NAME = re.compile(r"(?=.{2,256}$)[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
_ACCOUNT = re.compile(r"\d{12}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")


class ContainerRepository(Construct):
    """An ECR repository for the images of jobs and models.

    Every image is scanned when it is pushed, and :meth:`on_findings` tells of what was found. A tag never
    changes its image, so that a job that is run again runs what it ran before. Images without a tag go after
    ``untagged_days``, and of the others the newest ``images`` are kept. The repository itself is kept when
    its stack is deleted, unless ``destroy`` and the context key ``cdk-data-science:destroyData`` say
    otherwise.

    **Costs at rest**: 0.10 USD a month for each GB of images; 1 USD a month for a ``key`` of yours.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.security import JobKind, JobRole
    from cdk_data_science.training import ContainerRepository

    images = ContainerRepository(self, "Images")
    jobs = JobRole(
        self, "Jobs", kind=JobKind.PROCESSING, name_prefix="clean-", images=[images.repository_arn]
    )
    images.grant_push(iam.Role.from_role_name(self, "BuildRole", "build"))
    image = images.uri("2026-11-28")
    ```

    Args:
        name: 2 to 256 lower-case letters, digits and ``._-/``; CloudFormation's choice if not given, so that
            it can be replaced.
        key: Encrypts the images; S3's own encryption if not given. It cannot be changed later.
        images: How many images with a tag are kept, 1 or more.
        untagged_days: Days after which an image without a tag goes, 1 or more.
        readers: Accounts whose roles may pull, where their own policies let them; 12 digits each.
        destroy: Delete the repository with its images when the stack is deleted.

    Raises:
        ConfigurationError: a name, number or account that ECR would refuse; all of them at once.

    Follows https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/docker-containers.html
    """

    repository: ecr.Repository
    """The repository."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str | None = None,
        key: kms.IKey | None = None,
        images: int = 100,
        untagged_days: int = 7,
        readers: Sequence[str] = (),
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("ContainerRepository", self)
        problems.check(
            name is None or is_token(name) or _NAME.fullmatch(name) is not None,
            given=f"name={name!r}",
            allowed="2 to 256 lower-case letters, digits and single ._-/ between them",
            write='name="reviews/training"',
        )
        for what, number in (("images", images), ("untagged_days", untagged_days)):
            problems.check(
                is_token(number) or number >= 1,
                given=f"{what}={number}",
                allowed="1 or more",
                write=f"{what}=7",
            )
        for account in readers:
            problems.check(
                is_token(account) or _ACCOUNT.fullmatch(account) is not None,
                given=f"reader {account!r}",
                allowed="the number of an account, 12 digits",
            )
        problems.raise_if_any()
        policy = removal_policy(self, destroy=destroy)
        self.repository = ecr.Repository(
            self,
            "Repository",
            repository_name=name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS if key is not None else ecr.RepositoryEncryption.AES_256,
            encryption_key=key,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    rule_priority=1,
                    description="What lost its tag, or never had one",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=Duration.days(untagged_days),
                ),
                ecr.LifecycleRule(
                    rule_priority=2,
                    description="All but the newest",
                    tag_status=ecr.TagStatus.ANY,
                    max_image_count=images,
                ),
            ],
            removal_policy=policy,
            empty_on_delete=policy == RemovalPolicy.DESTROY,
        )
        if readers:
            self._share(readers)
        self.node.default_child = self.repository.node.default_child

    @property
    def repository_arn(self) -> str:
        """ARN of the repository, for the ``images`` of a :class:`JobRole`."""
        return self.repository.repository_arn

    def uri(self, tag: str) -> str:
        """The URI of an image by its tag, 1 to 128 letters, digits and ``_.-``; or by ``sha256:…``.

        Jobs and models that are given it may pull from this repository, and from no other one.

        Raises:
            ConfigurationError: no tag can be so.
        """
        problems = Problems("ContainerRepository", self)
        problems.check(
            is_token(tag) or tag.startswith("sha256:") or _TAG.fullmatch(tag) is not None,
            given=f"tag {tag!r}",
            allowed="1 to 128 letters, digits and _.-, or a digest sha256:…",
            write='uri("2026-11-28")',
        )
        problems.raise_if_any()
        # Composed of parts, so that grants to jobs and models find the repository in it.
        if tag.startswith("sha256:"):
            return self.repository.repository_uri_for_digest(tag)
        return self.repository.repository_uri_for_tag(tag)

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the role of a job or a model pull images. What encrypts them is ECR's affair."""
        self._acknowledge_login(grantee)
        return self.repository.grant_pull(grantee)

    def grant_push(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a build push images and pull what it builds upon; delete none and replace none."""
        self._acknowledge_login(grantee)
        return self.repository.grant_pull_push(grantee)

    def on_findings(
        self, id: str, *, target: events.IRuleTarget, severities: Sequence[str] = ("CRITICAL", "HIGH")
    ) -> events.Rule:
        """Send a target an event when a scan has found something of these severities.

        Args:
            target: What gets the event.
            severities: ``CRITICAL``, ``HIGH``, ``MEDIUM``, ``LOW``, ``INFORMATIONAL``, ``UNDEFINED``.

        Raises:
            ConfigurationError: a severity that scans do not know.
        """
        problems = Problems("ContainerRepository", self)
        for each in severities:
            problems.check(each in _SEVERITIES, given=f"severity {each!r}", allowed=", ".join(_SEVERITIES))
        problems.check(bool(severities), given="no severities", allowed=", ".join(_SEVERITIES))
        problems.raise_if_any()
        found = [{"finding-severity-counts": {each: [{"numeric": [">", 0]}]}} for each in severities]
        return events.Rule(
            self,
            id,
            description="What scans of images have found",
            event_pattern=events.EventPattern(
                source=["aws.ecr"],
                detail_type=["ECR Image Scan"],
                detail={"repository-name": [self.repository.repository_name], "$or": found}
                if len(found) > 1
                else {"repository-name": [self.repository.repository_name], **found[0]},
            ),
            targets=[target],
        )

    def _share(self, accounts: Sequence[str]) -> None:
        self.repository.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Readers",
                principals=[
                    iam.ArnPrincipal(f"arn:{Aws.PARTITION}:iam::{account}:root") for account in accounts
                ],
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                ],
            )
        )

    @staticmethod
    def _acknowledge_login(grantee: iam.IGrantable) -> None:
        role = grantee.grant_principal
        if Construct.is_construct(role):
            acknowledge(
                cast("IConstruct", role),
                ["AwsSolutions-IAM5[Resource::*]"],
                "ECR's GetAuthorizationToken has no resource in IAM. It opens nothing by itself: each "
                "image is bound to its repository by the other statements.",
            )
