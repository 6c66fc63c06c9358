"""A training that reads a team's folder through the file system that SharedFileSystem makes."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from cdk_data_science import SpotTraining, Zone
from cdk_data_science.training import Channel, SharedFileSystem, SharedFolder
from tests.local.conftest import LocalAws
from tests.local.file_system_training import ISOLATED, FileSystemTraining


def shared(stack: cdk.Stack, vpc: ec2.IVpc, zone: Zone) -> tuple[Channel, Callable[[SpotTraining], object]]:
    files = SharedFileSystem(
        stack,
        "Files",
        vpc=vpc,
        subnets=ISOLATED,
        folders=[SharedFolder(name="reviews", uid=1100, gid=1100, permissions="0755")],
        training_channels=True,
    )
    cdk.CfnOutput(stack, "Number", value=files.file_system_id)
    return files.channel("train", folder="reviews"), lambda training: files.grant_channel(
        training.role, security_groups=training.security_groups
    )


def test_a_job_reads_a_teams_folder(local_aws: LocalAws) -> None:
    # GIVEN a stack with a shared file system, and a file in a team's folder
    training = FileSystemTraining(local_aws, shared)
    folder = local_aws.state_dir / "file-systems" / training.outputs["Number"] / "reviews"
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("1,2")
    # WHEN it trains, THEN its program has read the file
    assert training.read() == b"1,2"
