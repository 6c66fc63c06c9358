"""FSx for Lustre: a fast file system over zones of the lake, for data that is read again and again."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_fsx as fsx
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import Problems
from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.training.file_systems._lustre_parts import (
    allow_describe,
    let_in,
    one_subnet,
    open_keys,
    server_group,
)
from cdk_data_science.training.file_systems.lustre_values import (
    SCRATCH_THROUGHPUT,
    SMALLEST_GIB,
    THROUGHPUTS,
    Deployment,
    LustreLink,
    check_directory,
    check_links,
    check_sizes,
)
from cdk_data_science.training.values import Channel, FileSystem

VERSION = "2.15"


class LustreScratch(Construct):
    """A Lustre file system in front of zones of the lake, for jobs that read the same data many times.

    Builds the file system, its security group with all ports that Lustre needs (988 and 1018 to 1023, both
    ways), the links to zones with the permission to use their keys, and alarms on its space and its
    throughput. The data are compressed (LZ4). Jobs get at it with :meth:`grant_mount` and :meth:`channel`.

    A scratch system holds nothing that is not in the lake, so it goes with its stack; what a job writes there
    is kept only through a link that ``exports``. A persistent one is retained, unless ``destroy`` and the
    context key ``cdk-data-science:destroyData`` say otherwise.

    **Costs at rest**: its whole storage, from the first minute, whether it is read or not; each alarm. Deploy
    it for the time of the work.

    CloudFormation cannot set Lustre's root squash: whoever mounts the file system as root is root.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from cdk_data_science import DataLake
    from cdk_data_science.training import LustreLink, LustreScratch

    lake = DataLake(self, "Lake")
    lustre = LustreScratch(
        self,
        "Scratch",
        vpc=ec2.Vpc(self, "Vpc", max_azs=2),
        links=[LustreLink(zone=lake.features, prefix="train/", directory="/train")],
    )
    images = lustre.channel("train", directory="/train")
    ```

    Args:
        vpc: Where it lies. Its clients have to be in the VPC, best in the same availability zone.
        subnets: The first of these; of the VPC's private subnets if not given.
        deployment: ``SCRATCH_2`` for data that are in the lake anyway; ``PERSISTENT_1`` and ``PERSISTENT_2``
            replicate them within their availability zone.
        capacity_gib: 1200, 2400 or a multiple of 2400 GiB of SSD.
        throughput: MB/s for each TiB: 50, 100 or 200 (``PERSISTENT_1``), 125, 250, 500 or 1000
            (``PERSISTENT_2``). The least of them if not given; scratch systems have 200.
        links: Up to eight zones or parts of zones, in directories that do not contain each other.
        key: Encrypts a persistent system; the account's FSx key if not given. Scratch systems take none.
        backup_days: Days that daily backups of a persistent system without links are kept, 0 to 90.
        destroy: Delete a persistent system with the stack.

    Raises:
        ConfigurationError: values that FSx would refuse, all of them at once.

    Follows https://docs.aws.amazon.com/fsx/latest/LustreGuide/using-fsx-lustre.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None = None,
        deployment: Deployment = "SCRATCH_2",
        capacity_gib: int = SMALLEST_GIB,
        throughput: int | None = None,
        links: Sequence[LustreLink] = (),
        key: kms.IKey | None = None,
        backup_days: int = 0,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("LustreScratch", self)
        check_sizes(problems, deployment=deployment, capacity_gib=capacity_gib, throughput=throughput)
        links = check_links(problems, links)
        scratch = deployment == "SCRATCH_2"
        problems.check(
            key is None or not scratch,
            given="key for SCRATCH_2",
            allowed="keys of your own for persistent systems: FSx encrypts scratch systems with its own",
            write="key=None",
        )
        problems.check(
            0 <= backup_days <= 90 and (backup_days == 0 or not (scratch or links)),
            given=f"backup_days={backup_days}",
            allowed="0 to 90, and 0 for scratch systems and for those with links, which FSx does not back up",
            write="backup_days=0",
        )
        problems.raise_if_any()

        if throughput is None and not scratch:
            throughput = THROUGHPUTS[deployment][0]
        self._capacity_gib = capacity_gib
        self._throughput = SCRATCH_THROUGHPUT if throughput is None else throughput
        self.security_group = server_group(self, "SecurityGroup", vpc=vpc)
        self.file_system = fsx.CfnFileSystem(
            self,
            "FileSystem",
            file_system_type="LUSTRE",
            file_system_type_version=VERSION,
            storage_type="SSD",
            storage_capacity=capacity_gib,
            subnet_ids=[one_subnet(vpc, subnets)],
            security_group_ids=[self.security_group.security_group_id],
            kms_key_id=None if key is None else key.key_arn,
            lustre_configuration=fsx.CfnFileSystem.LustreConfigurationProperty(
                deployment_type=deployment,
                per_unit_storage_throughput=throughput,
                data_compression_type="LZ4",
                automatic_backup_retention_days=None if scratch else backup_days,
                copy_tags_to_backups=True if backup_days else None,
            ),
        )
        self.file_system.apply_removal_policy(
            RemovalPolicy.DESTROY if scratch else removal_policy(self, destroy=destroy)
        )
        self.links = self._link(links)
        self.alarms = self._make_alarms()
        self.node.default_child = self.file_system

    @property
    def file_system_id(self) -> str:
        """``fs-`` and its number."""
        return self.file_system.ref

    def channel(self, name: str, *, directory: str = "/", read_only: bool = True) -> Channel:
        """Return a directory of the file system as an input of training jobs.

        Args:
            name: The channel's name: the container finds the files under ``/opt/ml/input/data/<name>``.
            directory: A path that begins with a slash, as a link has it.

        Raises:
            ConfigurationError: it is no path.
        """
        check_directory(name, directory, (), new=False)
        return Channel(
            name=name,
            file_system=FileSystem(
                file_system_id=self.file_system_id,
                directory=f"/{self.file_system.attr_lustre_mount_name}{directory}".rstrip("/"),
                read_only=read_only,
            ),
        )

    def grant_mount(
        self, grantee: iam.IGrantable, *, security_groups: Sequence[ec2.ISecurityGroup] = ()
    ) -> iam.Grant:
        """Let jobs of a role mount the file system: find it, and reach it from their security groups.

        For training: ``lustre.grant_mount(training.role, security_groups=training.security_groups)``.
        """
        self.let_in(security_groups)
        return allow_describe(grantee)

    def let_in(self, security_groups: Sequence[ec2.ISecurityGroup]) -> None:
        """Let machines reach the file system from their security groups; a mount by hand needs no more."""
        let_in(self.security_group, security_groups)

    def mount_command(self, *, at: str) -> str:
        """Return the shell command that mounts the file system, for a notebook's start script.

        The machine needs Lustre's client (``amazon-linux-extras install -y lustre`` on Amazon Linux 2, ``dnf
        install -y lustre-client`` on 2023), and a security group that :meth:`grant_mount` let in.

        Args:
            at: The directory where it appears.
        """
        system = self.file_system
        return (
            f"mkdir -p '{at}' && mountpoint -q '{at}' || mount -t lustre -o relatime,flock "
            f"{system.attr_dns_name}@tcp:/{system.attr_lustre_mount_name} '{at}'"
        )

    def metric(self, name: str, *, statistic: str = "Sum") -> cloudwatch.Metric:
        """A metric of the file system: ``DataReadBytes``, ``FreeDataStorageCapacity`` and so on.

        The sum is that of the whole system, the other statistics are those of one storage target.
        """
        return cloudwatch.Metric(
            namespace="AWS/FSx",
            metric_name=name,
            dimensions_map={"FileSystemId": self.file_system_id},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _link(self, links: Sequence[LustreLink]) -> list[fsx.CfnDataRepositoryAssociation]:
        made: list[fsx.CfnDataRepositoryAssociation] = []
        changes = ["NEW", "CHANGED", "DELETED"]
        for link in links:
            association = fsx.CfnDataRepositoryAssociation(
                self,
                f"Link{link.directory.strip('/').replace('/', '-') or 'Root'}",
                file_system_id=self.file_system_id,
                file_system_path=link.directory,
                data_repository_path=link.zone.uri(link.prefix),
                batch_import_meta_data_on_create=True,
                s3=fsx.CfnDataRepositoryAssociation.S3Property(
                    auto_import_policy=fsx.CfnDataRepositoryAssociation.AutoImportPolicyProperty(
                        events=changes
                    )
                    if link.imports
                    else None,
                    auto_export_policy=fsx.CfnDataRepositoryAssociation.AutoExportPolicyProperty(
                        events=changes
                    )
                    if link.exports
                    else None,
                ),
            )
            # One after the other: a file system is changed by one request at a time.
            if made:
                association.add_resource_dependency(made[-1])
            made.append(association)
        open_keys(self, links)
        return made

    def _make_alarms(self) -> list[cloudwatch.Alarm]:
        total = self._capacity_gib * 1024**3
        provisioned = self._throughput * 1_000_000 * self._capacity_gib / 1024
        return [
            alarm(
                self,
                "SpaceAlarm",
                self.metric("FreeDataStorageCapacity"),
                description="A tenth of the file system is left: jobs will fail to write",
                threshold=total // 10,
                periods=5,
                below=True,
            ),
            alarm(
                self,
                "ThroughputAlarm",
                self.metric("DataReadBytes"),
                description="Jobs read as fast as the file system can: more throughput or capacity",
                threshold=int(provisioned * 60 * 0.95),
                periods=15,
            ),
        ]
