"""EFS: files that notebooks, functions and jobs of a team share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.training.file_systems.clients import allow
from cdk_data_science.training.file_systems.shared_folders import SharedFolder, check_ages, check_folders
from cdk_data_science.training.values import Channel, FileSystem

_NFS = ec2.Port.tcp(2049)
_READ = "elasticfilesystem:ClientMount"
_WRITE = "elasticfilesystem:ClientWrite"
_ROOT = "elasticfilesystem:ClientRootAccess"
_ACCESS_POINT = "elasticfilesystem:AccessPointArn"
_VIA_MOUNT_TARGET = "elasticfilesystem:AccessedViaMountTarget"
_BUSY_PERCENT = 95


class SharedFileSystem(Construct):
    """An EFS file system with a folder for each team, which is reached through its access point alone.

    Encrypted at rest and in transit, backed up by AWS Backup's default plan, files that nobody opens moved to
    cheaper storage and back with their first use. Its policy refuses clients without TLS and clients that
    name no access point; nobody is root. Its mount targets let in port 2049, from the security groups that a
    grant named and no other.

    SageMaker names no access point when it mounts a training channel, and AWS does not say that it mounts
    with TLS. ``training_channels`` lets clients of the mount targets read without either, and only read: what
    holds others off then is the security group. A folder is readable for channels with the permissions
    ``0755``.

    **Costs at rest**: what is stored, by the GB, in its class, and its backups; the alarm, 0.10 USD a month.
    An empty one costs nothing else.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
    from cdk_data_science.training import SharedFileSystem, SharedFolder

    files = SharedFileSystem(
        self,
        "Files",
        vpc=ec2.Vpc(self, "Vpc", max_azs=2),
        folders=[SharedFolder(name="reviews", uid=1100, gid=1100)],
    )
    notebook = iam.Role(self, "Notebook", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    files.grant_read_write("reviews", notebook)
    files.mount_command("reviews", at="/home/ec2-user/SageMaker/files")
    ```

    Args:
        vpc: Where its mount targets are.
        folders: One or more, each with its access point. A folder's user, group and permissions are those of
            its first use: changing them makes another access point, and leaves the folder as it is.
        subnets: One mount target in each of these, at most one in each availability zone; the VPC's private
            subnets if not given.
        key: Encrypts it; AWS's own key for EFS if not given.
        throughput: ``elastic`` is billed by what is read and written, ``bursting`` follows the size.
        infrequent_after_days: Move files that nobody opened for so long: 1, 7, 14, 30, 60, 90, 180, 270 or
            365 days. None leaves them.
        archive_after_days: Move them on into the archive, later than that. Default: never.
        backups: Back it up every day, for 35 days, by AWS Backup's default plan.
        training_channels: Let training jobs read folders as channels, see above.
        destroy: Delete it with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``. Default: it is retained.

    Raises:
        ConfigurationError: values that EFS would refuse, root, and no folders; all of them at once.

    Follows https://docs.aws.amazon.com/efs/latest/ug/security-considerations.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        folders: Sequence[SharedFolder],
        subnets: ec2.SubnetSelection | None = None,
        key: kms.IKey | None = None,
        throughput: Literal["elastic", "bursting"] = "elastic",
        infrequent_after_days: int | None = 30,
        archive_after_days: int | None = None,
        backups: bool = True,
        training_channels: bool = False,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("SharedFileSystem", self)
        check_folders(problems, folders)
        check_ages(
            problems,
            cold_after=infrequent_after_days,
            archive_after=archive_after_days,
            elastic=throughput == "elastic",
        )
        problems.check(
            throughput in ("elastic", "bursting"),
            given=f"throughput={throughput!r}",
            allowed="elastic, bursting",
            write='throughput="elastic"',
        )
        problems.raise_if_any()
        self.folders = {folder.name: folder for folder in folders}
        self._training_channels = training_channels
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="EFS mount targets, for clients that were let in",
            allow_all_outbound=False,
        )
        self.file_system = efs.FileSystem(
            self,
            "FileSystem",
            vpc=vpc,
            vpc_subnets=subnets,
            security_group=self.security_group,
            encrypted=True,
            kms_key=key,
            throughput_mode=efs.ThroughputMode.ELASTIC
            if throughput == "elastic"
            else efs.ThroughputMode.BURSTING,
            lifecycle_policy=_age(infrequent_after_days),
            transition_to_archive_policy=_age(archive_after_days),
            out_of_infrequent_access_policy=efs.OutOfInfrequentAccessPolicy.AFTER_1_ACCESS
            if infrequent_after_days is not None
            else None,
            enable_automatic_backups=backups,
            file_system_policy=iam.PolicyDocument(statements=_policy(channels=training_channels)),
            # Otherwise CDK adds a statement that lets everybody who can mount write, and be root.
            allow_anonymous_access=True,
            removal_policy=removal_policy(self, destroy=destroy),
        )
        self.access_points = {folder.name: self._access_point(folder) for folder in folders}
        self.alarms = [
            alarm(
                self,
                "BusyAlarm",
                self.metric("PercentIOLimit", statistic="Maximum"),
                description="Clients do as many operations as the file system takes: the others wait",
                threshold=_BUSY_PERCENT,
                periods=15,
            )
        ]
        if backups:
            self._acknowledge_backups()
        self.node.default_child = self.file_system.node.default_child

    @property
    def file_system_id(self) -> str:
        """``fs-`` and its number."""
        return self.file_system.file_system_id

    def grant_read(
        self, folder: str, grantee: iam.IGrantable, *, security_groups: Sequence[ec2.ISecurityGroup] = ()
    ) -> iam.Grant:
        """Let a principal mount a folder through its access point, to read.

        Args:
            folder: Its name.
            security_groups: Groups of the clients, which are let in on port 2049.

        Raises:
            ConfigurationError: there is no such folder.
        """
        return self._grant(folder, grantee, security_groups, _READ)

    def grant_read_write(
        self, folder: str, grantee: iam.IGrantable, *, security_groups: Sequence[ec2.ISecurityGroup] = ()
    ) -> iam.Grant:
        """Let a principal mount a folder through its access point, to read and write as the folder's user."""
        return self._grant(folder, grantee, security_groups, _READ, _WRITE)

    def grant_channel(
        self, grantee: iam.IGrantable, *, security_groups: Sequence[ec2.ISecurityGroup] = ()
    ) -> iam.Grant:
        """Let training jobs of a role find the mount targets and reach them from their security groups.

        For training: ``files.grant_channel(training.role, security_groups=training.security_groups)``.

        Raises:
            ConfigurationError: the file system has no ``training_channels``.
        """
        self._check_channels()
        self._let_in(security_groups)
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["elasticfilesystem:DescribeMountTargets"],
            resource_arns=[self.file_system.file_system_arn],
        )

    def channel(self, name: str, *, folder: str, directory: str = "/") -> Channel:
        """Return a folder, or a directory in it, as a read-only input of training jobs.

        Args:
            name: The channel's name: the container finds the files under ``/opt/ml/input/data/<name>``.
            folder: The folder's name.
            directory: A path in the folder that begins with a slash.

        Raises:
            ConfigurationError: no such folder, one that jobs cannot read, or no ``training_channels``.
        """
        self._check_channels()
        found = self._folder(folder)
        problems = Problems(f"Channel {name!r} of {self.node.path}")
        problems.check(
            found.open_to_others,
            given=f"folder {folder!r} with permissions={found.permissions!r}",
            allowed="folders that others may read: a job is none of its users",
            write='permissions="0755"',
        )
        problems.check(
            directory.startswith("/"),
            given=f"directory={directory!r}",
            allowed="a path that begins with a slash",
            write=f'directory="/{directory}"',
        )
        problems.raise_if_any()
        return Channel(
            name=name,
            file_system=FileSystem(
                file_system_id=self.file_system_id,
                directory=f"{found.path}{directory}".rstrip("/"),
                kind="EFS",
            ),
        )

    def mount_command(self, folder: str, *, at: str) -> str:
        """Return the shell command that mounts a folder, for a notebook's start script.

        The machine needs ``amazon-efs-utils``, which SageMaker's notebook instances have, and a role with
        :meth:`grant_read` or :meth:`grant_read_write`.

        Args:
            folder: Its name.
            at: The directory where it appears.
        """
        self._folder(folder)
        point = self.access_points[folder].access_point_id
        return (
            f"mkdir -p '{at}' && mountpoint -q '{at}' || "
            f"mount -t efs -o tls,iam,accesspoint={point} {self.file_system_id}:/ '{at}'"
        )

    def metric(self, name: str, *, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric of the file system: ``PercentIOLimit``, ``TotalIOBytes``, ``ClientConnections`` …"""
        return cloudwatch.Metric(
            namespace="AWS/EFS",
            metric_name=name,
            dimensions_map={"FileSystemId": self.file_system_id},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _access_point(self, folder: SharedFolder) -> efs.AccessPoint:
        return self.file_system.add_access_point(
            f"Folder{folder.name}",
            path=folder.path,
            create_acl=efs.Acl(
                owner_uid=str(folder.uid), owner_gid=str(folder.gid), permissions=folder.permissions
            ),
            posix_user=efs.PosixUser(
                uid=str(folder.uid),
                gid=str(folder.gid),
                secondary_gids=[str(each) for each in folder.secondary_gids] or None,
            ),
        )

    def _grant(
        self,
        folder: str,
        grantee: iam.IGrantable,
        security_groups: Sequence[ec2.ISecurityGroup],
        *actions: str,
    ) -> iam.Grant:
        self._folder(folder)
        self._let_in(security_groups)
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(actions),
            resource_arns=[self.file_system.file_system_arn],
            conditions={"StringEquals": {_ACCESS_POINT: self.access_points[folder].access_point_arn}},
        )

    def _let_in(self, security_groups: Sequence[ec2.ISecurityGroup]) -> None:
        for clients in security_groups:
            allow(self.security_group, clients, _NFS, "EFS clients")

    def _folder(self, name: str) -> SharedFolder:
        if name not in self.folders:
            raise ConfigurationError(
                f"{self.node.path}: given folder {name!r}; allowed: {', '.join(map(repr, self.folders))}"
            )
        return self.folders[name]

    def _check_channels(self) -> None:
        if not self._training_channels:
            raise ConfigurationError(
                f"{self.node.path}: given a channel of a file system that lets in nobody without an access "
                "point, which SageMaker does not name; allowed: reading without one; write: "
                "SharedFileSystem(…, training_channels=True)"
            )

    def _acknowledge_backups(self) -> None:
        acknowledge(
            self.file_system,
            [f"{pack}-EFSInBackupPlan" for pack in ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")],
            "EFS's own backup policy puts the file system into AWS Backup's default plan, which is no "
            "resource of a template: daily backups, kept for 35 days.",
        )


def _policy(*, channels: bool) -> list[iam.PolicyStatement]:
    """Nobody without TLS, nobody without an access point; with channels, nobody who does more than read."""
    denied = [_WRITE, _ROOT] if channels else [_READ, _WRITE, _ROOT]
    statements = [
        _statement("TlsOnly", iam.Effect.DENY, denied, {"Bool": {"aws:SecureTransport": "false"}}),
        _statement("AccessPointsOnly", iam.Effect.DENY, denied, {"Null": {_ACCESS_POINT: "true"}}),
        _statement("NobodyIsRoot", iam.Effect.DENY, [_ROOT], None),
    ]
    if channels:
        reads = {"Bool": {_VIA_MOUNT_TARGET: "true"}}
        statements.append(_statement("ChannelsOfTrainingJobs", iam.Effect.ALLOW, [_READ], reads))
    return statements


def _statement(
    sid: str, effect: iam.Effect, actions: Sequence[str], conditions: dict[str, Any] | None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        effect=effect,
        principals=[iam.AnyPrincipal()],
        actions=list(actions),
        conditions=conditions,
    )


def _age(days: int | None) -> efs.LifecyclePolicy | None:
    if days is None:
        return None
    policy: efs.LifecyclePolicy = getattr(efs.LifecyclePolicy, f"AFTER_{days}_DAY{'' if days == 1 else 'S'}")
    return policy
