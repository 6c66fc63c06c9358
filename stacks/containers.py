"""Repositories for the images of jobs and models, and who hears of what scans find in them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import AlertTopic
from cdk_data_science.training import ContainerRepository
from settings.containers import Containers, Repository
from settings.model import Settings
from stacks import checks


class ContainersStack(cdk.Stack):
    """ECR repositories, as far as the settings name them. Images outlive the stack."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        containers: Containers,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description="Containers: repositories for images of jobs and models",
            termination_protection=not settings.platform.destroy_data,
        )
        self._destroy = settings.platform.destroy_data
        self._target = targets.SnsTopic(alerts.topic)
        self.repositories = {name: self._make(name, each) for name, each in containers.repositories.items()}

    def _make(self, name: str, repository: Repository) -> ContainerRepository:
        part = "".join(part.capitalize() for part in name.split("-"))
        made = ContainerRepository(
            self,
            part,
            images=repository.images,
            untagged_days=repository.untagged_days,
            readers=repository.readers,
            destroy=self._destroy,
        )
        made.on_findings(f"{part}-Findings", target=self._target, severities=repository.findings)
        for number, arn in enumerate(repository.push, start=1):
            build = iam.Role.from_role_arn(self, f"{part}-Build{number}", arn)
            made.grant_push(build)
            checks.accept_inline_policy(
                build,
                "The role of the build is somebody else's. It gets what it needs for this repository "
                "alone, in a policy that goes with the repository's stack.",
            )
        cdk.CfnOutput(
            self,
            f"{part}-Uri",
            value=made.repository.repository_uri,
            description=f"Repository {name!r}: push here, and name the image with its tag in the settings",
        )
        return made
