"""Training jobs on managed Spot capacity: their role, their places in the lake, their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.hardware import has_local_storage
from cdk_data_science.training.job import TrainingJob, check_instance_type
from cdk_data_science.training.step import TrainingStep
from cdk_data_science.training.task import job_arn
from cdk_data_science.training.values import CapacityRetry, Channel, SourceCode, TrainingNetwork

LOG_GROUP_NAME = "/aws/sagemaker/TrainingJobs"
"""SageMaker writes the logs of all training jobs of a region to this log group."""

METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)"
)
_JOB_NAME_PREFIX = re.compile(r"[a-z0-9](-?[a-z0-9]){0,21}")
_LONGEST_JOB_NAME_PREFIX = 22
_RESERVED_HYPERPARAMETERS = ("sagemaker_program", "sagemaker_submit_directory", "sagemaker_region")


class SpotTraining(Construct):
    """How a model is trained: on managed Spot capacity, from its last checkpoint if it is interrupted.

    Builds the role of the jobs with what they need and nothing more: their log, their metrics, their image,
    the source archive, the output and checkpoint prefixes. It trusts SageMaker in this account only. A
    pipeline or any state machine runs the jobs (:meth:`step`); access to further data is granted to
    :attr:`role`.

    At rest it costs nothing. A run costs the billed seconds of its instances, on Spot up to 90 % less than
    on demand.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import DataLake, SourceCode, SpotTraining

        stack = cdk.Stack(cdk.App(), "Training")
        lake = DataLake(stack, "Lake")
        training = SpotTraining(
            stack,
            "Training",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py"),
            checkpoints=lake.models,
            output=lake.models,
            max_runtime=cdk.Duration.hours(4),
            max_wait=cdk.Duration.hours(8),
            metrics={"auroc": r"auroc=([0-9.]+)"},
        )
        lake.curated.grant_read(training.role)
        ```

    Args:
        image: URI of the training image, at most 255 characters. The role may pull it if it is in ECR.
        checkpoints: Zone of the checkpoints, which each run keeps under ``<checkpoints_prefix><job>/``.
        output: Zone of the model archives, which each run keeps under ``<output_prefix><job>/output/``.
        max_runtime: Longest time that a job may run, one second to 28 days.
        max_wait: Longest time from creation to end, waiting for Spot capacity included; at least
            ``max_runtime``.
        source: Script-mode source archive; none for images that hold their own program.
        instance_type: One that SageMaker's training API knows.
        instance_count: Instances of a job, 1 or more.
        volume_size_gb: Size of each instance's volume, 1 to 16384 GB.
        volume_key: Key of the volumes; the key of ``output`` if not given. Types with local NVMe disks get
            none, because the API refuses it there and hardware encrypts those disks; giving one is an error.
        hyperparameters: At most 100; keys to 256 and values to 2500 characters.
        environment: Variables of the container, at most 100; keys and values to 512 characters.
        metrics: At most 40 names with the regular expression, of one group, that finds the value in the log.
        tags: Tags of the jobs, besides those of this construct, which every job gets when it is created.
        vpc: VPC that the containers are attached to; it needs a way to S3.
        subnets: The VPC's private subnets with a way out if not given.
        security_groups: A new one that lets nothing in if not given.
        encrypt_between_containers: Encrypt traffic between instances; on if there are several in a VPC.
        network_isolation: Give the containers no network; only for programs that call nothing.
        capacity_retry: Waits and tries when SageMaker has no capacity.
        checkpoints_prefix: Folder of the checkpoints, ending in a slash.
        output_prefix: Folder of the model archives, ending in a slash.
        job_name_prefix: Beginning of the job names: 1 to 22 lower-case letters, digits and hyphens. Made from
            the construct's place in the app if not given.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        image: str,
        checkpoints: IZone,
        output: IZone,
        max_runtime: Duration,
        max_wait: Duration,
        source: SourceCode | None = None,
        instance_type: str = "ml.m5.xlarge",
        instance_count: int = 1,
        volume_size_gb: int = 30,
        volume_key: kms.IKey | None = None,
        hyperparameters: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        metrics: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        encrypt_between_containers: bool | None = None,
        network_isolation: bool = False,
        capacity_retry: CapacityRetry | None = None,
        checkpoints_prefix: str = "checkpoints/",
        output_prefix: str = "training/",
        job_name_prefix: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.job_name_prefix = (
            job_name_prefix if job_name_prefix is not None else self._unique_job_name_prefix()
        )
        self.output = output
        self.checkpoints = checkpoints
        self.source = source
        self.capacity_retry = capacity_retry if capacity_retry is not None else CapacityRetry()
        self._output_prefix = output_prefix
        self._checkpoints_prefix = checkpoints_prefix

        problems = Problems("SpotTraining", self)
        self._check_names(problems)
        self._check_source(problems, hyperparameters or {})
        problems.check(
            vpc is not None or (subnets is None and security_groups is None),
            given="subnets or security_groups without vpc",
            allowed="both belong to a VPC",
            write="vpc=vpc",
        )
        # Errors of the type are reported below with the job's own; the default key needs a type that exists.
        type_problems = Problems("instance type")
        check_instance_type(instance_type, type_problems)
        self.role = self._make_role(image)
        self.network = None
        self.security_groups: list[ec2.ISecurityGroup] = []
        if vpc is not None:
            self.network = self._make_network(vpc, subnets, security_groups)
        several = not is_token(instance_count) and instance_count > 1
        self.job = TrainingJob(
            role=self.role,
            image=image,
            instance_type=instance_type,
            instance_count=instance_count,
            volume_size_gb=volume_size_gb,
            volume_key=volume_key if volume_key is not None else self._default_volume_key(instance_type),
            max_runtime=max_runtime,
            max_wait=max_wait,
            hyperparameters={**(hyperparameters or {}), **self._script_mode()},
            environment=environment or {},
            metrics=metrics or {},
            network=self.network,
            network_isolation=network_isolation,
            encrypt_between_containers=(
                several and vpc is not None
                if encrypt_between_containers is None
                else encrypt_between_containers
            ),
            tags=tags or {},
        )
        self.job.check(problems)
        problems.raise_if_any()
        self._grant_places()
        if self.job.volume_key is not None:
            self._allow_volume_key(self.job.volume_key)

    @property
    def output_uri(self) -> str:
        """S3 prefix under which each job leaves its archive: ``<output_uri><job>/output/model.tar.gz``."""
        return self.output.uri(self._output_prefix)

    @property
    def output_prefix(self) -> str:
        """The key prefix of :attr:`output_uri` in the output zone."""
        return self._output_prefix

    @property
    def checkpoints_uri(self) -> str:
        """S3 prefix under which each run keeps its checkpoints, in a folder of its own."""
        return self.checkpoints.uri(self._checkpoints_prefix)

    def step(
        self,
        scope: Construct,
        id: str,
        *,
        channels: Sequence[Channel],
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> TrainingStep:
        """Return the states that run one job, for any state machine in JSONata.

        Args:
            channels: Inputs of the job. Grant :attr:`role` to read them.
            on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
                ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
            assign: Variables to set from ``$states.result``, which is that of ``DescribeTrainingJob``.
        """
        return TrainingStep(
            scope,
            id,
            job=self.job,
            job_name_prefix=self.job_name_prefix,
            channels=channels,
            output_uri=self.output_uri,
            output_key=self.output.key,
            checkpoints_uri=self.checkpoints_uri,
            capacity_retry=self.capacity_retry,
            tags_of=self.role.node.default_child,
            on_failure=on_failure,
            assign=assign,
        )

    def acknowledge_job_names(self, role: iam.IRole) -> None:
        """Acknowledge, for a state machine's role, that the names of its jobs are a pattern (cdk-nag's
        IAM5)."""
        acknowledge_wildcards(
            role,
            self,
            [job_arn(Stack.of(self), f"{self.job_name_prefix}-*")],
            "Jobs are named when they are created; the pattern holds those of one SpotTraining alone.",
        )

    def metric(self, name: str, *, job_name: str, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric that the job's log gave (see ``metrics``), which SageMaker publishes for each job."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"TrainingJobName": job_name},
            statistic=statistic,
        )

    def metric_instance(
        self, name: str, *, job_name: str, host: int = 1, statistic: str = "Average"
    ) -> cloudwatch.Metric:
        """What SageMaker measures of one instance: ``CPUUtilization``, ``MemoryUtilization``,
        ``DiskUtilization`` …"""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"Host": f"{job_name}/algo-{host}"},
            statistic=statistic,
        )

    def _unique_job_name_prefix(self) -> str:
        # The address is a digest of the construct's path, so that two stacks never share their jobs' names.
        readable = re.sub(r"[^a-z0-9]+", "-", self.node.id.lower())[:13].strip("-")
        return f"{readable or 'job'}-{self.node.addr[-8:]}"

    def _check_names(self, problems: Problems) -> None:
        problems.check(
            _JOB_NAME_PREFIX.fullmatch(self.job_name_prefix) is not None,
            given=f"job_name_prefix={self.job_name_prefix!r}",
            allowed=f"1 to {_LONGEST_JOB_NAME_PREFIX} lower-case letters, digits and single hyphens",
            write='job_name_prefix="reviews"',
        )
        for name, prefix in (
            ("checkpoints_prefix", self._checkpoints_prefix),
            ("output_prefix", self._output_prefix),
        ):
            problems.check(
                is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
                given=f"{name}={prefix!r}",
                allowed="a folder of the zone: no slash at the start, one at the end",
                write=f'{name}="{prefix.strip("/") or name.split("_")[0]}/"',
            )

    def _check_source(self, problems: Problems, hyperparameters: Mapping[str, str]) -> None:
        for name in _RESERVED_HYPERPARAMETERS:
            problems.check(
                name not in hyperparameters,
                given=f"hyperparameter {name!r}",
                allowed="names that script mode does not use itself",
                write="source=SourceCode(…)",
            )
        if self.source is None:
            return
        problems.check(
            is_token(self.source.key) or self.source.key.endswith(".tar.gz"),
            given=f"source key {self.source.key!r}",
            allowed="the key of a .tar.gz archive",
            write='key="source/sourcedir.tar.gz"',
        )
        problems.check(
            is_token(self.source.entry_point)
            or (self.source.entry_point.endswith(".py") and "/" not in self.source.entry_point),
            given=f"entry_point={self.source.entry_point!r}",
            allowed="a Python file at the archive's top level",
            write='entry_point="train.py"',
        )

    def _script_mode(self) -> dict[str, str]:
        if self.source is None:
            return {}
        return {
            "sagemaker_program": self.source.entry_point,
            "sagemaker_submit_directory": self.source.uri,
            "sagemaker_region": Stack.of(self).region,
        }

    def _default_volume_key(self, instance_type: str) -> kms.IKey | None:
        # A type that is known only at deployment may have local disks, where a key makes the API refuse the
        # job.
        if is_token(instance_type) or len(instance_type.split(".")) != 3:
            return None
        try:
            local = has_local_storage(instance_type)
        except ValueError:
            return None
        return None if local else self.output.key

    def _make_role(self, image: str) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="Role of training jobs: their log, metrics, image, source, output and checkpoints",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="sagemaker",
                            resource="*",
                            arn_format=ArnFormat.NO_RESOURCE_NAME,
                        )
                    },
                },
            ),
        )
        log_group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=LOG_GROUP_NAME,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        streams = f"{log_group}:log-stream:{self.job_name_prefix}-*"
        role.add_to_policy(
            iam.PolicyStatement(
                sid="JobLogs",
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                resources=[log_group, streams],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="JobMetrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
            )
        )
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "CloudWatch's PutMetricData, ECR's GetAuthorizationToken and the network interfaces that "
            "SageMaker makes in a VPC cannot be named before. Metrics are bound to SageMaker's training "
            "namespace by a condition.",
        )
        acknowledge_wildcards(
            role,
            self,
            [streams],
            "Each job writes log streams that begin with its name; the pattern holds those of this "
            "construct.",
        )
        acknowledge_inline_policy(role)
        self._allow_image(role, image)
        return role

    def _allow_image(self, role: iam.Role, image: str) -> None:
        if is_token(image):
            repositories = [
                Stack.of(self).format_arn(service="ecr", resource="repository", resource_name="*")
            ]
            acknowledge_wildcards(
                role,
                self,
                repositories,
                "The image's URI is known only at deployment; its repository is one of this account's.",
            )
        else:
            match = _ECR_IMAGE.match(image)
            if match is None:
                return
            repositories = [
                f"arn:{Aws.PARTITION}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
            ]
        role.add_to_policy(
            iam.PolicyStatement(sid="ImageLogin", actions=["ecr:GetAuthorizationToken"], resources=["*"])
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="ImagePull",
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                ],
                resources=repositories,
            )
        )

    def _make_network(
        self,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None,
        security_groups: Sequence[ec2.ISecurityGroup] | None,
    ) -> TrainingNetwork:
        selection = subnets if subnets is not None else ec2.SubnetSelection()
        if security_groups is None:
            group = ec2.SecurityGroup(
                self, "SecurityGroup", vpc=vpc, description="Training jobs; nothing is let in from outside"
            )
            # The instances of one job talk to each other.
            group.add_ingress_rule(group, ec2.Port.all_traffic(), "between the instances of a job")
            security_groups = [group]
        self.security_groups = list(security_groups)
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="NetworkInterfaces",
                actions=[
                    "ec2:CreateNetworkInterface",
                    "ec2:CreateNetworkInterfacePermission",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteNetworkInterfacePermission",
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ],
                resources=["*"],
            )
        )
        return TrainingNetwork(
            subnets=vpc.select_subnets(
                availability_zones=selection.availability_zones,
                one_per_az=selection.one_per_az,
                subnet_filters=selection.subnet_filters,
                subnet_group_name=selection.subnet_group_name,
                subnets=selection.subnets,
                subnet_type=selection.subnet_type,
            ).subnets,
            security_groups=self.security_groups,
        )

    def _grant_places(self) -> None:
        self.output.grant_write(self.role, self._output_prefix)
        if self.output.key is not None:
            # CreateTrainingJob asks it of the role that writes under OutputDataConfig's key.
            self.output.key.grant(self.role, "kms:Encrypt")
        # Checkpoints are read back after an interruption.
        self.checkpoints.grant_read_write(self.role, self._checkpoints_prefix)
        if self.source is not None:
            self.source.zone.grant_read(self.role, self.source.key)

    def _allow_volume_key(self, key: kms.IKey) -> None:
        # EBS uses the key through a grant that SageMaker makes with the job's role.
        key.grant(self.role, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="VolumeKey",
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )
