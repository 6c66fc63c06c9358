"""Clusters of accelerators: one zone, their adapters, who may do what, and what costs nothing."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science import AlertTopic, ConfigurationError, Zone, ZoneAttributes
from cdk_data_science.clusters import (
    BatchCluster,
    CapacityReservation,
    ClusterNetwork,
    HyperPodCluster,
    HyperPodGroup,
    LifecycleScripts,
)
from cdk_data_science.clusters.topology import adapters
from cdk_data_science.cost import at_rest
from cdk_data_science.data_lake import ZoneBase
from cdk_data_science.hardware import facts
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.training import LustreScratch
from tests.constructs import machines, nag, support
from tests.constructs.security.simulator import Simulator

IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/train:1"
PLAN = "arn:aws:sagemaker:eu-west-1:111122223333:training-plan/summer"
WORKERS = HyperPodGroup(name="workers", instance_type="ml.p5.48xlarge", count=0)
CONTROLLER = HyperPodGroup(name="controller", instance_type="ml.m5.2xlarge", count=1, kind="controller")


def group(**options: Any) -> HyperPodGroup:
    """A group of one instance, with these options."""
    return HyperPodGroup(**{"name": "workers", "instance_type": "ml.p5.48xlarge", "count": 1, **options})


def vpc_of(stack: cdk.Stack, *zones: str) -> ec2.IVpc:
    letters = zones or ("a",)
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=[f"eu-west-1{letter}" for letter in letters],
        private_subnet_ids=[f"subnet-0123456789abcde{letter}0" for letter in letters],
        private_subnet_route_table_ids=[f"rtb-0123456789abcde{letter}0" for letter in letters],
    )


def zone_of(stack: cdk.Stack) -> ZoneBase:
    """A zone of another app: quicker than to make a lake."""
    attributes = ZoneAttributes(
        name="models", bucket_arn="arn:aws:s3:::models", database_name="models", lake_formation=False
    )
    return Zone.from_attributes(stack, f"Zone{len(stack.node.children)}", attributes)


def hyperpod(stack: cdk.Stack, **options: Any) -> HyperPodCluster:
    network = options.pop("network", None) or ClusterNetwork(stack, "Network", vpc=vpc_of(stack))
    defaults: dict[str, Any] = {
        "groups": [CONTROLLER, WORKERS],
        "lifecycle": LifecycleScripts(zone=zone_of(stack), prefix="hyperpod/"),
    }
    return HyperPodCluster(stack, "Cluster", network=network, **{**defaults, **options})


def batch(stack: cdk.Stack, **options: Any) -> BatchCluster:
    network = options.pop("network", None) or ClusterNetwork(stack, "Network", vpc=vpc_of(stack))
    defaults: dict[str, Any] = {"image": IMAGE, "instance_type": "p4d.24xlarge", "nodes": 4}
    return BatchCluster(stack, "Cluster", network=network, **{**defaults, **options})


@pytest.fixture(scope="module")
def pod() -> cdk.Stack:
    # GIVEN a Slurm cluster with a reserved group, volumes of its own key, and a shared file system
    stack = support.stack(env=support.environment())
    network = ClusterNetwork(stack, "Network", vpc=vpc_of(stack, "a", "b"))
    lustre = LustreScratch(stack, "Scratch", vpc=network.vpc)
    reserved = HyperPodGroup(
        name="reserved",
        instance_type="ml.p4d.24xlarge",
        count=2,
        volume_gb=500,
        threads_per_core=1,
        training_plan_arn=PLAN,
    )
    hyperpod(
        stack,
        network=network,
        groups=[CONTROLLER, WORKERS, reserved],
        lustre=lustre,
        volume_key=kms.Key(stack, "Volumes"),
    )
    return stack


@pytest.fixture(scope="module")
def queue() -> cdk.Stack:
    # GIVEN a Batch cluster of GPUs with a shared file system, and somebody who submits
    stack = support.stack(env=support.environment())
    network = ClusterNetwork(stack, "Network", vpc=vpc_of(stack))
    cluster = batch(
        stack,
        network=network,
        max_nodes=8,
        command=["python", "/opt/train.py"],
        timeout=cdk.Duration.hours(12),
        attempts=3,
        environment={"NCCL_DEBUG": "WARN"},
        lustre=LustreScratch(stack, "Scratch", vpc=network.vpc),
        alerts=AlertTopic(stack, "Alerts"),
    )
    cluster.grant_submit(iam.Role(stack, "Person", assumed_by=iam.AccountRootPrincipal()))
    return stack


def only(stack: cdk.Stack, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = support.only(support.resources(stack, kind))["Properties"]
    return found


# The network


def test_the_instances_of_a_cluster_are_in_one_subnet(pod: cdk.Stack) -> None:
    assert only(pod, "AWS::SageMaker::Cluster")["VpcConfig"]["Subnets"] == ["subnet-0123456789abcdea0"]


def test_a_cluster_over_two_zones_is_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="one subnet: fabric adapters do not reach"):
        ClusterNetwork(
            stack,
            "Network",
            vpc=vpc_of(stack, "a", "b"),
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        )


def test_adapters_have_rules_from_and_to_the_group_itself(pod: cdk.Stack) -> None:
    """A rule that lets everything out does not count for them."""
    own = [
        each["Properties"]
        for kind in ("Ingress", "Egress")
        for key, each in support.resources(pod, f"AWS::EC2::SecurityGroup{kind}").items()
        if key.startswith("Network") and each["Properties"]["IpProtocol"] == "-1"
    ]
    assert len(own) == 2
    for rule in own:
        other = rule.get("SourceSecurityGroupId", rule.get("DestinationSecurityGroupId"))
        assert other == rule["GroupId"]


def test_too_many_groups_are_refused() -> None:
    stack = support.stack()
    vpc = vpc_of(stack)
    groups = [ec2.SecurityGroup(stack, f"Group{number}", vpc=vpc) for number in range(5)]
    with pytest.raises(ConfigurationError, match="at most four"):
        ClusterNetwork(stack, "Network", vpc=vpc, security_groups=groups)


@pytest.mark.parametrize(
    ("instance_type", "cards"),
    [
        ("p4d.24xlarge", 4),
        ("p5.48xlarge", 32),
        ("p5en.48xlarge", 16),
        ("trn1.32xlarge", 8),
        ("trn2.48xlarge", 16),
    ],
)
def test_every_card_has_an_adapter_and_the_first_one_an_interface_for_ip(
    instance_type: str, cards: int
) -> None:
    known = facts(f"ml.{instance_type}")
    assert known is not None
    first, *others = adapters(known)
    assert first == (0, 0, "interface")
    assert {card for card, _, _ in others} == set(range(cards))
    assert {kind for _, _, kind in others} == {"efa-only"}
    # no place is taken twice
    assert len({(card, device) for card, device, _ in (first, *others)}) == cards + 1


# HyperPod


def test_a_cluster_recovers_and_has_the_instances_that_were_said(pod: cdk.Stack) -> None:
    found = only(pod, "AWS::SageMaker::Cluster")
    assert found["NodeRecovery"] == "Automatic"
    groups = {each["InstanceGroupName"]: each for each in found["InstanceGroups"]}
    assert {name: each["InstanceCount"] for name, each in groups.items()} == {
        "controller": 1,
        "workers": 0,
        "reserved": 2,
    }
    reserved = groups["reserved"]
    assert reserved["TrainingPlanArn"] == PLAN
    assert reserved["ThreadsPerCore"] == 1
    volume, lustre = reserved["InstanceStorageConfigs"]
    assert volume["EbsVolumeConfig"]["VolumeSizeInGB"] == 500
    assert "Volumes" in json.dumps(volume["EbsVolumeConfig"]["VolumeKmsKeyId"])
    assert lustre["FsxLustreConfig"]["MountPath"] == "/fsx"
    assert reserved["LifeCycleConfig"]["OnCreate"] == "on_create.sh"
    assert reserved["LifeCycleConfig"]["SourceS3Uri"] == "s3://models/hyperpod"


def test_its_instances_read_their_scripts_and_nothing_else_of_the_lake(pod: cdk.Stack) -> None:
    simulator = Simulator(support.resources(pod), "ClusterRole")
    bucket = "arn:aws:s3:::models"
    assert simulator.allows("s3:GetObject", f"{bucket}/hyperpod/on_create.sh", when={})
    assert not simulator.allows("s3:GetObject", f"{bucket}/training/model.tar.gz", when={})
    assert not simulator.allows("s3:PutObject", f"{bucket}/hyperpod/on_create.sh", when={})
    metrics = {"cloudwatch:namespace": "/aws/sagemaker/Clusters"}
    assert simulator.allows("cloudwatch:PutMetricData", when=metrics)
    assert not simulator.allows("cloudwatch:PutMetricData", when={"cloudwatch:namespace": "Own"})
    assert simulator.allows("ssmmessages:OpenDataChannel", when={})
    # What pods need is for EKS alone.
    assert not simulator.allows("eks-auth:AssumeRoleForPodIdentity", when={})
    instance = f"arn:aws:ec2:{support.REGION}:{support.ACCOUNT}:instance/i-1"
    assert not simulator.allows("ec2:CreateTags", instance, when={})
    assert not simulator.allows("ssm:SendCommand", when={})


@pytest.mark.parametrize(("name", "other"), [(None, True), ("train", False)])
def test_a_cluster_with_a_name_writes_its_own_log_alone(name: str | None, other: bool) -> None:
    stack = support.stack(env=support.environment())
    hyperpod(stack, name=name)
    simulator = Simulator(support.resources(stack), "ClusterRole")
    logs = f"arn:aws:logs:{support.REGION}:{support.ACCOUNT}:log-group:/aws/sagemaker"
    for group, allowed in (("Clusters/train/1", True), ("Clusters/other/1", other), ("TrainingJobs", False)):
        stream = f"{logs}/{group}:log-stream:LifecycleConfig"
        assert simulator.allows("logs:PutLogEvents", stream, when={}) is allowed


def test_an_instance_joins_clusters_of_batch_and_no_others() -> None:
    stack = support.stack(env=support.environment())
    batch(stack)
    simulator = Simulator(support.resources(stack), "ClusterInstanceRole")
    ecs = f"arn:aws:ecs:{support.REGION}:{support.ACCOUNT}"
    own, other = f"{ecs}:cluster/AWSBatch-train-1", f"{ecs}:cluster/web"
    instance = f"{ecs}:container-instance/1"
    for action in ("ecs:RegisterContainerInstance", "ecs:SubmitTaskStateChange"):
        assert simulator.allows(action, own, when={})
        assert not simulator.allows(action, other, when={})
    for action in ("ecs:Poll", "ecs:UpdateContainerInstancesState"):
        assert simulator.allows(action, instance, when={"ecs:cluster": own})
        assert not simulator.allows(action, instance, when={"ecs:cluster": other})


def test_it_uses_its_volumes_key_through_grants_of_aws_alone(pod: cdk.Stack) -> None:
    simulator = Simulator(support.resources(pod), "ClusterRole")
    key = simulator.arn("Volumes")
    assert simulator.allows("kms:CreateGrant", key, when={"kms:GrantIsForAWSResource": "true"})
    assert not simulator.allows("kms:CreateGrant", key, when={"kms:GrantIsForAWSResource": "false"})


def test_the_role_is_complete_before_the_cluster_is_made(pod: cdk.Stack) -> None:
    (cluster,) = support.resources(pod, "AWS::SageMaker::Cluster").values()
    policies = [key for key in support.resources(pod, "AWS::IAM::Policy") if key.startswith("ClusterRole")]
    assert policies
    assert set(policies) <= set(cluster["DependsOn"])


def test_eks_orchestrates_with_deep_health_checks() -> None:
    stack = support.stack()
    checked = group(count=2, deep_health_checks=["InstanceStress", "InstanceConnectivity"])
    arn = "arn:aws:eks:eu-west-1:111122223333:cluster/train"
    hyperpod(stack, groups=[checked], eks_cluster_arn=arn, recover=False)
    found = only(stack, "AWS::SageMaker::Cluster")
    assert found["Orchestrator"] == {"Eks": {"ClusterArn": arn}}
    assert found["NodeRecovery"] == "None"
    # Its nodes attach interfaces for their pods, pull their images and give them identities.
    nodes = Simulator(support.resources(stack), "ClusterRole")
    assert nodes.allows("eks-auth:AssumeRoleForPodIdentity", arn, when={})
    assert not nodes.allows("eks-auth:AssumeRoleForPodIdentity", f"{arn}-2", when={})
    here = "arn:aws:ec2:AWS::Region:AWS::AccountId"
    interface, subnet = f"{here}:network-interface/eni-1", f"{here}:subnet/subnet-0123456789abcdea0"
    for action in ("ec2:AttachNetworkInterface", "ec2:AssignPrivateIpAddresses"):
        assert nodes.allows(action, interface, when={"ec2:Subnet": subnet})
        assert not nodes.allows(action, interface, when={"ec2:Subnet": f"{subnet}9"})
    assert nodes.allows("ec2:CreateTags", interface, when={})  # while it is being made
    assert not nodes.allows("ec2:CreateTags", interface, when={"ec2:Subnet": f"{subnet}9"})
    assert found["InstanceGroups"][0]["OnStartDeepHealthChecks"] == ["InstanceStress", "InstanceConnectivity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": []}, "1 to 100"),
        ({"network": "vpc-1"}, r"write: network=ClusterNetwork\("),
        ({"groups": [WORKERS, WORKERS]}, "each name once"),
        ({"groups": [group(instance_type="ml.m5.2xlarge")]}, "types with GPUs"),
        ({"groups": [group(instance_type="ml.g5.xlarge", count=2)]}, "types with EFA"),
        ({"groups": [group(instance_type="ml.p5.48xlarg")]}, "ml.p5.48xlarge"),
        ({"groups": [group(count=-1)]}, "0 to 6,758"),
        ({"groups": [group(name="w_")]}, "digits and hyphens"),
        ({"groups": [group(volume_gb=0)]}, "1 to 16384"),
        ({"groups": [group(training_plan_arn="plan")]}, "the ARN of a training plan"),
        ({"groups": [group(deep_health_checks=["InstanceStress"])]}, "where EKS orchestrates"),
        ({"groups": [group(count=2, kind="controller")]}, "Slurm has one head"),
        ({"eks_cluster_arn": "arn:aws:eks:eu-west-1:111122223333:cluster/train"}, "EKS is the controller"),
    ],
)
def test_what_hyperpod_would_refuse_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        hyperpod(support.stack(), **options)


def test_scripts_are_in_a_folder() -> None:
    stack = support.stack()
    scripts = LifecycleScripts(zone=zone_of(stack), prefix="hyperpod", on_create="a/b.sh")
    with pytest.raises(ConfigurationError, match=r"(?s)a folder of the zone.*the name of a script"):
        hyperpod(stack, lifecycle=scripts)


# Batch


def test_there_is_no_instance_while_there_is_no_job(queue: cdk.Stack) -> None:
    resources = only(queue, "AWS::Batch::ComputeEnvironment")["ComputeResources"]
    assert (resources["MinvCpus"], resources["MaxvCpus"]) == (0, 8 * 96)
    assert "DesiredvCpus" not in resources
    assert resources["InstanceTypes"] == ["p4d.24xlarge"]
    # Multi-node jobs do not run on Spot.
    assert resources["Type"] == "EC2"
    assert "ClusterPlacement" in json.dumps(resources["PlacementGroup"])
    assert only(queue, "AWS::EC2::PlacementGroup")["Strategy"] == "cluster"


def test_instances_have_all_their_adapters_in_the_clusters_group(queue: cdk.Stack) -> None:
    data = only(queue, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    interfaces = data["NetworkInterfaces"]
    assert [each["InterfaceType"] for each in interfaces] == ["interface", *["efa-only"] * 4]
    assert all(each["Groups"] and each["SubnetId"] == "subnet-0123456789abcdea0" for each in interfaces)
    assert interfaces[0]["AssociatePublicIpAddress"] is False
    assert data["MetadataOptions"] == {"HttpTokens": "required"}
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert "mount -t lustre" in json.dumps(data["UserData"])
    # EC2 refuses a specification without tags, and this app has none
    assert "TagSpecifications" not in {*data, *only(queue, "AWS::EC2::LaunchTemplate")}


def test_a_job_has_whole_instances_with_their_devices(queue: cdk.Stack) -> None:
    found = only(queue, "AWS::Batch::JobDefinition")
    assert found["Type"] == "multinode"
    assert found["NodeProperties"]["NumNodes"] == 4
    (nodes,) = found["NodeProperties"]["NodeRangeProperties"]
    assert nodes["TargetNodes"] == "0:3"
    container = nodes["Container"]
    needs = {each["Type"]: each["Value"] for each in container["ResourceRequirements"]}
    assert (needs["VCPU"], needs["GPU"]) == ("96", "8")
    assert int(needs["MEMORY"]) < 1152 * 1024
    devices = [each["HostPath"] for each in container["LinuxParameters"]["Devices"]]
    assert devices == [f"/dev/infiniband/uverbs{number}" for number in range(4)]
    assert container["Ulimits"] == [{"Name": "memlock", "SoftLimit": -1, "HardLimit": -1}]
    assert container["MountPoints"] == [{"SourceVolume": "fsx", "ContainerPath": "/fsx"}]
    assert found["RetryStrategy"]["Attempts"] == 3
    assert found["Timeout"] == {"AttemptDurationSeconds": 43_200}


def test_trainium_has_its_devices_in_place_of_gpus() -> None:
    stack = support.stack()
    batch(stack, instance_type="trn1.32xlarge", nodes=2)
    container = only(stack, "AWS::Batch::JobDefinition")["NodeProperties"]["NodeRangeProperties"][0][
        "Container"
    ]
    assert "GPU" not in {each["Type"] for each in container["ResourceRequirements"]}
    devices = [each["HostPath"] for each in container["LinuxParameters"]["Devices"]]
    assert devices[-1] == "/dev/neuron15"
    # No quota of Trainium's vCPUs is known to be published.
    assert support.resources(stack, "AWS::CloudWatch::Alarm") == {}


def test_a_capacity_block_is_laid_out_already() -> None:
    stack = support.stack()
    batch(stack, reservation=CapacityReservation(id="cr-0123456789abcdef0", block=True))
    data = only(stack, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    target = data["CapacityReservationSpecification"]["CapacityReservationTarget"]
    assert target == {"CapacityReservationId": "cr-0123456789abcdef0"}
    assert data["InstanceMarketOptions"] == {"MarketType": "capacity-block"}
    assert "PlacementGroup" not in only(stack, "AWS::Batch::ComputeEnvironment")["ComputeResources"]


def test_the_roles_of_the_instances_the_program_and_its_start_are_apart(queue: cdk.Stack) -> None:
    start = machines.actions(machines.statements(queue, "ClusterExecutionRole"))
    assert {each.partition(":")[0] for each in start} == {"ecr", "logs"}
    assert machines.statements(queue, "ClusterJobRole") == []
    instance = machines.actions(machines.statements(queue, "ClusterInstanceRole"))
    assert {each.partition(":")[0] for each in instance} == {"ecs"}


def test_who_may_submit_may_do_so_here_and_end_nothing(queue: cdk.Stack) -> None:
    found = machines.statements(queue, "Person")
    assert machines.actions(found) == {"batch:SubmitJob"}
    assert "ClusterQueue" in json.dumps(found)
    assert '"*"' not in json.dumps(found)


def test_the_quota_of_the_instances_processors_is_watched(queue: cdk.Stack) -> None:
    (found,) = (
        each["Properties"]
        for key, each in support.resources(queue, "AWS::CloudWatch::Alarm").items()
        if key.startswith("Cluster")
    )
    (used,) = (q["MetricStat"]["Metric"] for q in found["Metrics"] if "MetricStat" in q)
    assert {each["Name"]: each["Value"] for each in used["Dimensions"]} == {
        "Service": "EC2",
        "Type": "Resource",
        "Resource": "vCPU",
        "Class": "P/OnDemand",
    }
    assert found["AlarmActions"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vpc-1"}, r"write: network=ClusterNetwork\("),
        ({"command": "python train.py"}, r"allowed: a list.*write: command=\['python', 'train.py'\]"),
        ({"timeout": 3600}, r"timeout=3600; allowed: Duration; write: timeout=Duration.hours\(12\)"),
        ({"nodes": "4"}, "nodes='4'; allowed: 1 to 1,000"),
        ({"instance_type": "ml.p4d.24xlarge"}, 'instance_type="p4d.24xlarge"'),
        ({"instance_type": "m5.24xlarge"}, "types with GPUs or Trainium"),
        ({"instance_type": "g5.xlarge"}, "types with EFA"),
        ({"instance_type": "p6-b300.48xlarge"}, "first network card"),
        ({"instance_type": "p9.48xlarge"}, "an instance type of training"),
        ({"nodes": 0}, "1 to 1,000"),
        ({"max_nodes": 2}, "4 to 1,000"),
        ({"attempts": 11}, "1 to 10"),
        ({"timeout": cdk.Duration.seconds(30)}, "a minute or more"),
        ({"volume_gb": 8}, "30 to 16,384"),
        ({"reservation": CapacityReservation(id="mine")}, "cr-0123456789abcdef0"),
    ],
)
def test_what_batch_could_not_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        batch(support.stack(), **options)


def test_one_node_needs_no_fabric() -> None:
    stack = support.stack()
    cdk.Tags.of(stack).add("team", "vision")
    batch(stack, instance_type="g5.xlarge", nodes=1)
    template = only(stack, "AWS::EC2::LaunchTemplate")
    interfaces = template["LaunchTemplateData"]["NetworkInterfaces"]
    assert [each["InterfaceType"] for each in interfaces] == ["interface"]
    # What is launched carries the tags of the app, and so does the template itself
    tagged = [*template["LaunchTemplateData"]["TagSpecifications"], *template["TagSpecifications"]]
    assert [each["ResourceType"] for each in tagged] == [
        "instance",
        "volume",
        "network-interface",
        "launch-template",
    ]
    assert all(each["Tags"] == [{"Key": "team", "Value": "vision"}] for each in tagged)


def at_rest_of(stack: cdk.Stack, kind: str) -> list[at_rest.Line]:
    found = at_rest.lines("Test", support.document(stack))
    return [line for line in found if line.type == kind]


def test_what_costs_at_rest_is_said_and_no_instances_cost_nothing(pod: cdk.Stack, queue: cdk.Stack) -> None:
    (line,) = at_rest_of(pod, "AWS::SageMaker::Cluster")
    assert line.monthly_usd is None
    assert "1 x ml.m5.2xlarge, 2 x ml.p4d.24xlarge" in line.what
    assert at_rest_of(queue, "AWS::Batch::ComputeEnvironment") == []


def test_instances_that_batch_keeps_are_said() -> None:
    stack = support.stack()
    batch(stack).environment.add_property_override("ComputeResources.MinvCpus", 96)
    (line,) = at_rest_of(stack, "AWS::Batch::ComputeEnvironment")
    assert line.what == "by the instances that it keeps for 96 vCPUs"


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    network = ClusterNetwork(stack, "Network", vpc=vpc_of(stack))
    hyperpod(stack, network=network)
    BatchCluster(
        stack,
        "Batch",
        network=network,
        image=IMAGE,
        instance_type="p4d.24xlarge",
        nodes=2,
        alerts=AlertTopic(stack, "Alerts"),
    )
    cdk.Tags.of(app).add("owner", "research")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    ours = ("/Network", "/Cluster", "/Batch")
    left = [each for each in nag.unacknowledged(app) if any(part in each for part in ours)]
    assert [each for each in left if "COST3" not in each] == []
