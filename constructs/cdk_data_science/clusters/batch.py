"""AWS Batch on accelerators: jobs of many nodes outside of SageMaker, on instances that go when idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Duration, Fn, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._encryption import operations_key
from cdk_data_science._images import allow_pull
from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.clusters.batch_parts import SHARED, job_definition, launch_template
from cdk_data_science.clusters.network import ClusterNetwork, check_network
from cdk_data_science.clusters.reservation import CapacityReservation
from cdk_data_science.clusters.topology import check_count, check_layout, check_type
from cdk_data_science.hardware import InstanceFacts, InstanceUse
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.training.checks import check_commands
from cdk_data_science.training.file_systems.lustre import LustreScratch

_MOST_NODES = 1000
_ECS_CLUSTERS = "AWSBatch*"
"""How Batch names the ECS clusters that it makes, as the policy of its own role says."""
_CLASSES = {"p": "P/OnDemand", "g": "G/OnDemand"}
"""What CloudWatch calls the quotas of running On-Demand instances, which are counted in vCPUs."""


class BatchCluster(Construct):
    """A queue for jobs of several nodes on accelerators, for programs that do without SageMaker.

    Builds the compute environment (one zone, one cluster placement group, instances with all their Elastic
    Fabric Adapters, encrypted volumes, IMDSv2), the queue, and the definition of a multi-node parallel job
    with its adapters, its devices and its log. Instances are there while there are jobs: none otherwise.

    **Costs at rest**: 1 USD a month for the key, if none is given, and the alarm on the quota (0.10 USD), for
    types of the families P and G. A reservation costs whether it is used or not.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from cdk_data_science.clusters import BatchCluster, ClusterNetwork

    cluster = BatchCluster(
        self,
        "Cluster",
        network=ClusterNetwork(self, "Network", vpc=ec2.Vpc(self, "Vpc", max_azs=1)),
        image="111122223333.dkr.ecr.eu-west-1.amazonaws.com/train:1",
        instance_type="p4d.24xlarge",
        nodes=4,
        command=["python", "/opt/train.py"],
    )
    cluster.job_role  # grant it the data
    ```

    Args:
        network: Where it is.
        image: Image of every node, which has the EFA installer's libraries.
        instance_type: EC2 type with accelerators, and adapters where there are several nodes.
        nodes: Instances of one job, 1 to 1000.
        command: What every node runs; ``AWS_BATCH_JOB_NODE_INDEX`` tells them apart. Default: the image's.
        max_nodes: Instances of all jobs together; ``nodes`` if not given.
        timeout: A job is ended after it, one minute or more.
        attempts: How often a job is tried, 1 to 10; again only where its instance went away.
        environment: Variables of the containers.
        reservation: Capacity to run in. Default: On-Demand, as far as the account's quota goes.
        ami: Machine image of the instances, with the EFA driver. Default: Batch's own for accelerators.
        volume_gb: Each instance's root volume, 30 to 16384 GB.
        lustre: A file system that the containers find at ``/fsx``; its group lets the instances in. Default:
            none.
        key: Encrypts the log. Default: a new one. Volumes are encrypted with AWS's own key for EBS.
        alerts: Hears of the alarm on the quota. Default: nobody.

    Raises:
        ConfigurationError: a cluster that could not run such jobs, all reasons at once.

    Follows https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html and
    https://docs.aws.amazon.com/batch/latest/userguide/efa.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: ClusterNetwork,
        image: str,
        instance_type: str,
        nodes: int,
        command: Sequence[str] = (),
        max_nodes: int | None = None,
        timeout: Duration | None = None,
        attempts: int = 1,
        environment: Mapping[str, str] | None = None,
        reservation: CapacityReservation | None = None,
        ami: str | None = None,
        volume_gb: int = 200,
        lustre: LustreScratch | None = None,
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        most = nodes if max_nodes is None else max_nodes
        problems = Problems("BatchCluster", self)
        check_network(problems, network)
        check_commands(problems, "command", command)
        problems.check_kind("instance_type", instance_type, str, write='"p4d.24xlarge"')
        if timeout is not None:
            problems.check_kind("timeout", timeout, Duration, write="Duration.hours(12)")
        problems.raise_if_any()
        known = self._check(problems, instance_type, nodes, most, attempts, timeout, reservation, volume_gb)
        self.network, self._known = network, known
        self.key = (
            key if key is not None else operations_key(self, "Key", description="Log of a Batch cluster")
        )
        if lustre is not None:
            lustre.let_in([network.security_group])
        self.log_group = logs.LogGroup(
            self, "Logs", encryption_key=self.key, retention=logs.RetentionDays.ONE_YEAR
        )
        self.instance_role = self._make_instance_role()
        self.job_role = self._container_role("JobRole", "Program of the jobs")
        self.execution_role = self._make_execution_role(image)
        self.placement_group = ec2.PlacementGroup(
            self, "Placement", strategy=ec2.PlacementGroupStrategy.CLUSTER
        )
        self.launch_template = launch_template(
            self,
            "Template",
            known=known,
            network=network,
            reservation=reservation,
            volume_gb=volume_gb,
            mount=None if lustre is None else lustre.mount_command(at=SHARED),
            tags_of=self.placement_group.node.default_child,
        )
        self.environment = self._environment(most, ami, reservation)
        self.queue = batch.CfnJobQueue(
            self,
            "Queue",
            priority=1,
            state="ENABLED",
            compute_environment_order=[
                batch.CfnJobQueue.ComputeEnvironmentOrderProperty(
                    compute_environment=self.environment.attr_compute_environment_arn, order=1
                )
            ],
        )
        self.job_definition = job_definition(
            self,
            "Definition",
            known=known,
            nodes=nodes,
            image=image,
            command=command,
            variables=environment or {},
            roles=(self.job_role, self.execution_role),
            log_group=self.log_group,
            timeout=timeout,
            attempts=attempts,
            mounted=lustre is not None,
        )
        self.alarms: list[cloudwatch.Alarm] = []
        quota = _CLASSES.get(known.family[0])
        if quota is not None:
            self.alarms.append(self._quota_alarm(quota))
            if alerts is not None:
                alerts.notify(*self.alarms)
        self.node.default_child = self.environment

    def grant_submit(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal submit jobs of this definition to this queue."""
        definition = Fn.select(0, Fn.split(":", Fn.select(1, Fn.split("/", self.job_definition.ref))))
        arn = Stack.of(self).format_arn(service="batch", resource="job-definition", resource_name=definition)
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["batch:SubmitJob"],
            resource_arns=[self.queue.attr_job_queue_arn, arn, self.job_definition.ref],
        )

    def _check(
        self,
        problems: Problems,
        instance_type: str,
        nodes: int,
        most: int,
        attempts: int,
        timeout: Duration | None,
        reservation: CapacityReservation | None,
        volume_gb: int,
    ) -> InstanceFacts:
        problems.check(
            not is_token(instance_type) and not instance_type.startswith("ml."),
            given=f"instance_type={instance_type!r}",
            allowed="a type as EC2 writes it, known at synthesis: its adapters follow from it",
            write=f'instance_type="{instance_type.removeprefix("ml.")}"',
        )
        name = instance_type.removeprefix("ml.")
        known = check_type(problems, f"ml.{name}", count=nodes, use=InstanceUse.TRAINING)
        if known is not None:
            check_layout(problems, known)
        check_count(problems, "nodes", nodes, least=1, most=_MOST_NODES)
        check_count(problems, "max_nodes", most, least=nodes if is_whole(nodes, 1) else 1, most=_MOST_NODES)
        check_count(problems, "attempts", attempts, least=1, most=10)
        check_count(problems, "volume_gb", volume_gb, least=30, most=16_384)
        problems.check(
            timeout is None or timeout.is_unresolved() or timeout.to_seconds() >= 60,
            given=f"timeout={0 if timeout is None else timeout.to_seconds():g} s",
            allowed="a minute or more",
            write="timeout=Duration.hours(12)",
        )
        if reservation is not None:
            reservation.check(problems)
        problems.raise_if_any()
        if known is None:
            problems.check(
                False,
                given=f"instance_type={instance_type!r}, of which EC2's recorded answers know nothing",
                allowed="types whose processors and adapters are known",
            )
            problems.raise_if_any()
            raise AssertionError  # unreachable: a problem was recorded
        return known

    def _make_instance_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "InstanceRole",
            description="Instances of a Batch cluster: they join its ECS cluster",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        )
        stack = Stack.of(self)
        members = stack.format_arn(service="ecs", resource="cluster", resource_name=_ECS_CLUSTERS)
        instances = stack.format_arn(service="ecs", resource="container-instance", resource_name="*")
        of_batch = {"ArnLike": {"ecs:cluster": members}}
        for actions, resource, conditions in (
            (["ecs:DiscoverPollEndpoint"], "*", None),
            (
                [
                    "ecs:DeregisterContainerInstance",
                    "ecs:RegisterContainerInstance",
                    "ecs:SubmitAttachmentStateChanges",
                    "ecs:SubmitContainerStateChange",
                    "ecs:SubmitTaskStateChange",
                ],
                members,
                None,
            ),
            (
                ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
                instances,
                of_batch,
            ),
        ):
            role.add_to_policy(
                iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions)
            )
        acknowledge_inline_policy(role)
        acknowledge_wildcards(
            role,
            self,
            [members, instances, "*"],
            "Batch makes the ECS cluster itself, under a name that begins with AWSBatch and ends with a "
            "number that is not known before, and instances have numbers. Other clusters are out of reach. "
            "DiscoverPollEndpoint has no resource in IAM.",
        )
        self.instance_profile = iam.CfnInstanceProfile(self, "InstanceProfile", roles=[role.role_name])
        return role

    def _container_role(self, id: str, description: str) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            id,
            description=f"{description} of {self.node.path}"[:1000],
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="ecs", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
                        )
                    },
                },
            ),
        )
        acknowledge_inline_policy(role)
        return role

    def _make_execution_role(self, image: str) -> iam.Role:
        """The role that starts containers: it pulls the image and writes the log."""
        role = self._container_role("ExecutionRole", "Starts the containers")
        self.log_group.grant_write(role)
        allow_pull(role, image)
        return role

    def _environment(
        self, most: int, ami: str | None, reservation: CapacityReservation | None
    ) -> batch.CfnComputeEnvironment:
        environment = batch.CfnComputeEnvironment
        neuron = self._known.neuron
        resources = environment.ComputeResourcesProperty(
            type="EC2",
            allocation_strategy="BEST_FIT_PROGRESSIVE",
            minv_cpus=0,
            maxv_cpus=most * self._known.vcpus,
            instance_types=[self._known.name.removeprefix("ml.")],
            instance_role=self.instance_profile.attr_arn,
            subnets=[self.network.subnet.subnet_id],
            security_group_ids=[each.security_group_id for each in self.network.security_groups],
            # A block is laid out already; a group of its own would look for other capacity.
            placement_group=None
            if reservation is not None and reservation.block
            else self.placement_group.placement_group_name,
            launch_template=environment.LaunchTemplateSpecificationProperty(
                launch_template_id=self.launch_template.ref,
                version=self.launch_template.attr_latest_version_number,
            ),
            ec2_configuration=[
                environment.Ec2ConfigurationObjectProperty(
                    image_type="ECS_AL2023" if neuron else "ECS_AL2023_NVIDIA", image_id_override=ami
                )
            ],
        )
        return environment(
            self,
            "Environment",
            type="MANAGED",
            state="ENABLED",
            compute_resources=resources,
            replace_compute_environment=False,
            update_policy=environment.UpdatePolicyProperty(
                terminate_jobs_on_update=False, job_execution_timeout_minutes=60
            ),
        )

    def _quota_alarm(self, quota: str) -> cloudwatch.Alarm:
        used = cloudwatch.Metric(
            namespace="AWS/Usage",
            metric_name="ResourceCount",
            dimensions_map={"Service": "EC2", "Type": "Resource", "Resource": "vCPU", "Class": quota},
            statistic="Maximum",
            period=Duration.minutes(5),
        )
        return alarm(
            self,
            "QuotaAlarm",
            cloudwatch.MathExpression(
                expression="used / SERVICE_QUOTA(used) * 100",
                label="Quota in use, %",
                period=Duration.minutes(5),
                using_metrics={"used": used},
            ),
            description=f"80 % of the account's vCPUs of {quota} are in use: jobs will wait",
            threshold=80,
        )
