"""Clusters deploy on the local AWS, where they are recorded: nothing is launched."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_ec2 as ec2

from cdk_data_science import Zone, ZoneAttributes
from cdk_data_science.clusters import (
    BatchCluster,
    ClusterNetwork,
    HyperPodCluster,
    HyperPodGroup,
    LifecycleScripts,
)
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws
from tests.local.test_resource_types import Stack


def template(bucket: str) -> dict[str, Any]:
    stack = support.stack(env=support.environment(ACCOUNT, REGION))
    attributes = ZoneAttributes(
        name="scripts", bucket_arn=f"arn:aws:s3:::{bucket}", database_name="scripts", lake_formation=False
    )
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=[f"{REGION}a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
    )
    network = ClusterNetwork(stack, "Network", vpc=vpc)
    HyperPodCluster(
        stack,
        "Pod",
        network=network,
        groups=[HyperPodGroup(name="workers", instance_type="ml.p4d.24xlarge", count=0)],
        lifecycle=LifecycleScripts(zone=Zone.from_attributes(stack, "Zone", attributes), prefix="pod/"),
    )
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/train:1"
    BatchCluster(stack, "Batch", network=network, image=image, instance_type="p4d.24xlarge", nodes=2)
    document: dict[str, Any] = support.document(stack)
    return document


def test_clusters_are_recorded_and_gone_again(local_aws: LocalAws) -> None:
    stack = Stack(local_aws)
    stack.deploy(template(local_aws.bucket())["Resources"])
    status = local_aws.run("status", "--json")
    for kind in ("AWS::SageMaker::Cluster", "AWS::Batch::JobQueue", "AWS::EC2::PlacementGroup"):
        assert kind in status.stdout
    stack.delete()
