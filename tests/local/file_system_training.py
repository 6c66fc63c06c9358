"""A training that reads one file of a file system, in a state machine of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import SourceCode, SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import Channel
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
ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)

Attach = Callable[[cdk.Stack, ec2.IVpc, Zone], tuple[Channel, Callable[[SpotTraining], object]]]
"""Makes a file system in the stack, and says how a training is let in."""


class FileSystemTraining:
    """A deployed training, and the bucket with its program."""

    def __init__(self, aws: LocalAws, attach: Attach) -> None:
        self._aws, self.bucket = aws, aws.bucket()
        self._s3 = aws.client("s3")
        self._s3.put_object(Bucket=self.bucket, Key="source.tar.gz", Body=archive({"train.py": SCRIPT}))
        document = self._template(attach)
        values = {name: each["Value"] for name, each in document["Outputs"].items()}
        self.outputs = Stack(aws).deploy(document["Resources"], values)

    def read(self) -> bytes:
        """Run it; what its program read."""
        done = self._aws.execute(self.outputs["Arn"], seconds=60)
        assert done["status"] == "SUCCEEDED", done.get("cause")
        key = done["output"].removeprefix(f"s3://{self.bucket}/")
        return unpacked(self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())["read.txt"]

    def _template(self, attach: Attach) -> dict[str, Any]:
        stack = support.stack(env=support.environment(ACCOUNT, REGION))
        attributes = ZoneAttributes(
            name="rows", bucket_arn=f"arn:aws:s3:::{self.bucket}", database_name="rows", lake_formation=False
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
        channel, let_in = attach(stack, vpc, zone)
        training = SpotTraining(
            stack,
            "Training",
            image=IMAGE,
            source=SourceCode(zone=zone, key="source.tar.gz", entry_point="train.py"),
            checkpoints=zone,
            output=zone,
            max_runtime=cdk.Duration.hours(1),
            max_wait=cdk.Duration.hours(1),
            vpc=vpc,
            subnets=ISOLATED,
            job_name_prefix=unique("t")[:14],
        )
        let_in(training)
        step = training.step(
            stack,
            "Train",
            channels=[channel],
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
        document: dict[str, Any] = support.document(stack)
        return document
