"""A training that reads a team's folder through the file system that SharedFileSystem makes."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import SourceCode, SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import SharedFileSystem, SharedFolder
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, unique
from tests.local.jobs import archive, unpacked
from tests.local.test_resource_types import Stack
from tests.local.training_machine import IMAGE

SCRIPT = """
import os, pathlib
read = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
pathlib.Path(os.environ["SM_MODEL_DIR"], "read.txt").write_text(read)
"""


def template(bucket: str) -> dict[str, Any]:
    stack = support.stack(env=support.environment(ACCOUNT, REGION))
    attributes = ZoneAttributes(
        name="rows", bucket_arn=f"arn:aws:s3:::{bucket}", database_name="rows", lake_formation=False
    )
    zone = Zone.from_attributes(stack, "Zone", attributes)
    # A network of its own: mount targets are in subnets that are there.
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        availability_zones=[f"{REGION}a"],
        nat_gateways=0,
        restrict_default_security_group=False,
        subnet_configuration=[
            ec2.SubnetConfiguration(name="jobs", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
    )
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    files = SharedFileSystem(
        stack,
        "Files",
        vpc=vpc,
        subnets=isolated,
        folders=[SharedFolder(name="reviews", uid=1100, gid=1100, permissions="0755")],
        training_channels=True,
    )
    training = SpotTraining(
        stack,
        "Training",
        image=IMAGE,
        source=SourceCode(zone=zone, key="source.tar.gz", entry_point="train.py"),
        checkpoints=zone,
        output=zone,
        max_runtime=cdk.Duration.minutes(1),
        max_wait=cdk.Duration.minutes(1),
        vpc=vpc,
        subnets=isolated,
        job_name_prefix=unique("t")[:14],
    )
    files.grant_channel(training.role, security_groups=training.security_groups)
    step = training.step(
        stack,
        "Train",
        channels=[files.channel("train", folder="reviews")],
        assign={"model": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
    )
    done = sfn.Succeed.jsonata(stack, "Done", outputs="{% $model %}")
    machine = sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(step).next(done)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    cdk.CfnOutput(stack, "Arn", value=machine.state_machine_arn)
    cdk.CfnOutput(stack, "Number", value=files.file_system_id)
    document: dict[str, Any] = support.synth(stack).to_json()
    return document


def test_a_job_reads_a_teams_folder(local_aws: LocalAws) -> None:
    # GIVEN a stack with a shared file system, and a file in a team's folder
    bucket, s3 = local_aws.bucket(), local_aws.client("s3")
    s3.put_object(Bucket=bucket, Key="source.tar.gz", Body=archive({"train.py": SCRIPT}))
    document = template(bucket)
    values = {name: each["Value"] for name, each in document["Outputs"].items()}
    stack = Stack(local_aws)
    outputs = stack.deploy(document["Resources"], values)
    folder = local_aws.state_dir / "file-systems" / outputs["Number"] / "reviews"
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("1,2")
    # WHEN
    done = local_aws.execute(outputs["Arn"], seconds=60)
    # THEN
    assert done["status"] == "SUCCEEDED", done.get("cause")
    key = done["output"].removeprefix(f"s3://{bucket}/")
    assert unpacked(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["read.txt"] == b"1,2"
