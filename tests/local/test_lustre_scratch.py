"""A training that reads a zone through the file system that LustreScratch makes."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import SourceCode, SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import LustreLink, LustreScratch
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
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=[f"{REGION}a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
    )
    link = LustreLink(zone=zone, prefix="rows/", directory="/rows")
    lustre = LustreScratch(stack, "Scratch", vpc=vpc, links=[link])
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
        job_name_prefix=unique("t")[:14],
    )
    lustre.grant_mount(training.role, security_groups=training.security_groups)
    step = training.step(
        stack,
        "Train",
        channels=[lustre.channel("train", directory="/rows")],
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
    document: dict[str, Any] = support.synth(stack).to_json()
    return document


def test_a_job_reads_a_zones_objects_through_the_file_system(local_aws: LocalAws) -> None:
    # GIVEN a bucket with a row, and a stack with a file system over it and a training in its VPC
    bucket, s3 = local_aws.bucket(), local_aws.client("s3")
    s3.put_object(Bucket=bucket, Key="rows/rows.csv", Body=b"1,2")
    s3.put_object(Bucket=bucket, Key="source.tar.gz", Body=archive({"train.py": SCRIPT}))
    document = template(bucket)
    values = {name: each["Value"] for name, each in document["Outputs"].items()}
    outputs = Stack(local_aws).deploy(document["Resources"], values)
    # WHEN
    done = local_aws.execute(outputs["Arn"], seconds=60)
    # THEN
    assert done["status"] == "SUCCEEDED", done.get("cause")
    key = done["output"].removeprefix(f"s3://{bucket}/")
    model = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert unpacked(model)["read.txt"] == b"1,2"
