"""A file system that jobs and clusters share."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import AlertTopic
from cdk_data_science.training import Channel, SharedFileSystem, SharedFolder
from settings.files import Files
from settings.model import Settings
from stacks import checks
from stacks.network import NetworkStack


class FilesStack(cdk.Stack):
    """EFS with a folder for each entry of the settings. It outlives its stack."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        files: Files,
        network: NetworkStack,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description="Files: a file system that jobs and clusters share",
            termination_protection=not settings.platform.destroy_data,
        )
        self._channels = files.channels
        self._jobs = network.network.security_groups.workload
        self.files = SharedFileSystem(
            self,
            "Files",
            vpc=network.network.vpc,
            subnets=network.network.jobs,
            folders=[
                SharedFolder(name=name, uid=folder.uid, gid=folder.gid, permissions=folder.permissions)
                for name, folder in files.folders.items()
            ],
            throughput=files.throughput,
            infrequent_after_days=files.infrequent_after_days or None,
            archive_after_days=files.archive_after_days or None,
            backups=files.backups,
            training_channels=bool(files.channels),
            destroy=settings.platform.destroy_data,
        )
        alerts.notify(*self.files.alarms)
        cdk.CfnOutput(
            self, "FileSystemId", value=self.files.file_system_id, description="The file system on EFS"
        )
        for name in files.folders:
            cdk.CfnOutput(
                self,
                f"{''.join(part.capitalize() for part in name.split('-'))}Mount",
                value=self.files.mount_command(name, at=f"/mnt/{name}"),
                description=f"Command that mounts the folder {name!r}, for roles that were let in",
            )

    def channels(self, scope: Construct, role: iam.IRole) -> Sequence[Channel]:
        """The folders that training reads, for jobs of a role.

        The permission to find the mount targets is made in ``scope``'s stack: the stack of the role does not
        come to stand on this one.
        """
        if not self._channels:
            return []
        jobs = iam.Role.from_role_name(scope, "FilesReader", role.role_name)
        checks.accept_inline_policy(
            jobs,
            "The role is made in the stack of training. Its permission to find the mount targets is made and "
            "goes with what mounts them.",
        )
        self.files.grant_channel(jobs, security_groups=[self._jobs])
        return [self.files.channel(name, folder=name) for name in self._channels]
