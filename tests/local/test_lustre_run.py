"""A file system for the time of a run: removed by its state machine, or by the function behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import SourceCode, SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import LustreForRuns, LustreLink
from tests.local.assembly import deploy, new_stack
from tests.local.conftest import REGION, LocalAws, eventually, unique
from tests.local.jobs import archive, unpacked
from tests.local.training_machine import IMAGE

SCRIPT = """
import os, pathlib, time
read = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
time.sleep(3600 if read == "wait" else 0)
pathlib.Path(os.environ["SM_MODEL_DIR"], "read.txt").write_text(str(1 / len(read)))
"""


class Runs:
    """A deployed state machine that trains on a file system of its own."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.bucket = aws, aws.bucket()
        self.put("source.tar.gz", archive({"train.py": SCRIPT}))
        stack = new_stack(folder, "runs")
        zone = Zone.from_attributes(
            stack,
            "Zone",
            ZoneAttributes(
                name="rows",
                bucket_arn=f"arn:aws:s3:::{self.bucket}",
                database_name="rows",
                lake_formation=False,
            ),
        )
        vpc = ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-0123456789abcdef0",
            availability_zones=[f"{REGION}a"],
            private_subnet_ids=["subnet-0123456789abcdef0"],
            private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
        )
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
            job_name_prefix=unique("t")[:14],
        )
        lustre = LustreForRuns(
            stack, "Lustre", vpc=vpc, links=[LustreLink(zone=zone, prefix="rows/", directory="/rows")]
        )
        sweeper = lustre.sweeper.node.default_child
        assert isinstance(sweeper, cdk.CfnResource)
        sweeper.add_property_override("Environment.Variables.SETTLE_SECONDS", "1")
        lustre.grant_mount(training.role, security_groups=training.security_groups)
        step = training.step(
            stack,
            "Train",
            channels=[lustre.channel("train", directory="/rows")],
            assign={"model": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
        )
        work = sfn.Chain.start(step).next(sfn.Pass.jsonata(stack, "Trained", outputs="{% $model %}"))
        machine = sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(lustre.around(stack, "Lustre", work)),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        lustre.clean_up_after(machine)
        cdk.CfnOutput(stack, "Arn", value=machine.state_machine_arn)
        self.arn = deploy(aws, stack)["Arn"]

    def put(self, key: str, body: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def left(self) -> list[dict[str, Any]]:
        """The file systems of this machine's executions."""
        prefix = self.arn.replace(":stateMachine:", ":execution:")
        return [
            each
            for each in self.aws.client("fsx").describe_file_systems()["FileSystems"]
            if any(tag["Value"].startswith(prefix) for tag in each.get("Tags", []))
        ]


@pytest.fixture(scope="module")
def runs(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(local_aws, tmp_path_factory.mktemp("runs"))


def test_the_work_reads_the_file_system_which_is_gone_afterwards(runs: Runs) -> None:
    runs.put("rows/rows.csv", b"1,2")
    done = runs.aws.execute(runs.arn, seconds=60)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    key = done["output"].removeprefix(f"s3://{runs.bucket}/")
    model = runs.aws.client("s3").get_object(Bucket=runs.bucket, Key=key)["Body"].read()
    assert unpacked(model)["read.txt"] == str(1 / 3).encode()
    assert runs.left() == []


def test_it_is_gone_when_the_work_fails_and_the_cause_is_the_works(runs: Runs) -> None:
    runs.put("rows/rows.csv", b"")
    done = runs.aws.execute(runs.arn, seconds=60)
    assert done["status"] == "FAILED"
    assert "ZeroDivisionError" in done["cause"]
    assert runs.left() == []


def test_an_execution_that_is_stopped_is_cleaned_up_after(runs: Runs) -> None:
    runs.put("rows/rows.csv", b"wait")
    states = runs.aws.client("stepfunctions")
    run = states.start_execution(stateMachineArn=runs.arn)["executionArn"]
    eventually(lambda: bool(runs.left()), 30, "a file system")
    states.stop_execution(executionArn=run)
    eventually(lambda: not runs.left(), 30, "the end of the file system")
