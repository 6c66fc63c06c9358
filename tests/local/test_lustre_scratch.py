"""A training that reads a zone through the file system that LustreScratch makes."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from cdk_data_science import SpotTraining, Zone
from cdk_data_science.training import Channel, LustreLink, LustreScratch
from tests.local.conftest import LocalAws
from tests.local.file_system_training import ISOLATED, FileSystemTraining


def scratch(stack: cdk.Stack, vpc: ec2.IVpc, zone: Zone) -> tuple[Channel, Callable[[SpotTraining], object]]:
    link = LustreLink(zone=zone, prefix="rows/", directory="/rows")
    lustre = LustreScratch(stack, "Scratch", vpc=vpc, subnets=ISOLATED, links=[link])
    return lustre.channel("train", directory="/rows"), lambda training: lustre.grant_mount(
        training.role, security_groups=training.security_groups
    )


def test_a_job_reads_a_zones_objects_through_the_file_system(local_aws: LocalAws) -> None:
    # GIVEN a stack with a file system over a bucket, and a row in the bucket
    training = FileSystemTraining(local_aws, scratch)
    local_aws.client("s3").put_object(Bucket=training.bucket, Key="rows/rows.csv", Body=b"1,2")
    # WHEN it trains in the file system's VPC, THEN its program has read the row
    assert training.read() == b"1,2"
