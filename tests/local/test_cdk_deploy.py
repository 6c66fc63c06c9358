"""A CDK app that is not ours, deployed, used, changed and destroyed with the CDK command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.conftest import ROOT, LocalAws, eventually

APP = Path(__file__).parent / "app" / "app.py"
CDK = ROOT / "node_modules" / ".bin" / "cdk"

# One after the other, on one instance: each test goes on from the one before.
pytestmark = pytest.mark.xdist_group("local-cdk")


class Deployer:
    """The CDK command line under the watchdog, in a folder of its own."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        weak = {"@aws-cdk/core:defaultCrossStackReferences": "weak"}
        config = {"app": f"{sys.executable} {APP}", "versionReporting": False, "context": weak}
        (folder / "cdk.json").write_text(json.dumps(config))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        import os

        return subprocess.run(
            [
                *(str(ROOT / "local" / ".venv" / "bin" / "local-aws"), "deploy-watch"),
                *("--state-dir", str(self.aws.state_dir), "--", str(CDK)),
                *arguments,
            ],
            cwd=self._folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def deploy(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(
            *("deploy", "--all", "--require-approval", "never", "--outputs-file", "outputs.json"),
            **environment,
        )

    @property
    def outputs(self) -> dict[str, str]:
        stacks = json.loads((self._folder / "outputs.json").read_text())
        return {name: value for stack in stacks.values() for name, value in stack.items()}


@pytest.fixture(scope="module")
def deployed(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Deployer:
    deployer = Deployer(local_aws, tmp_path_factory.mktemp("cdk"))
    bootstrapped = deployer.run("bootstrap", "aws://000000000000/us-east-1")
    assert bootstrapped.returncode == 0, bootstrapped.stdout
    done = deployer.deploy()
    assert done.returncode == 0, done.stdout
    assert "CREATE_COMPLETE              Work | Machine" in done.stdout
    assert "Recorded without effect: AWS::CloudTrail::Trail (1)" in done.stdout
    return deployer


def test_an_upload_runs_the_machine_across_the_stacks(deployed: Deployer) -> None:
    aws, outputs = deployed.aws, deployed.outputs
    aws.client("s3").put_object(Bucket=outputs["Bucket"], Key="in/a.csv", Body=b"1")
    states = aws.client("stepfunctions")

    def succeeded() -> bool:
        executions = states.list_executions(stateMachineArn=outputs["MachineArn"])["executions"]
        return [execution["status"] for execution in executions] == ["SUCCEEDED"]

    eventually(succeeded, 20, "an execution that succeeded")
    (execution,) = states.list_executions(stateMachineArn=outputs["MachineArn"])["executions"]
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["output"]) == {"objects": 1, "version": "1"}


def test_a_change_is_deployed_as_a_new_version_behind_the_alias(deployed: Deployer) -> None:
    done = deployed.deploy(REVISION="2")
    assert done.returncode == 0, done.stdout
    answer = deployed.aws.client("lambda").invoke(FunctionName=deployed.outputs["Function"], Qualifier="live")
    assert json.loads(answer["Payload"].read())["version"] == "2"


def test_a_failing_resource_is_told_with_its_cause_and_rolled_back(deployed: Deployer) -> None:
    done = deployed.deploy(REVISION="2", BROKEN="1")
    assert done.returncode == 1
    assert "The deployment failed" in done.stdout
    assert "NameError: name 'undefined_name' is not defined" in done.stdout
    stacks = deployed.aws.client("cloudformation").describe_stacks(StackName="Work")["Stacks"]
    assert stacks[0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_destroying_the_app_leaves_nothing(deployed: Deployer) -> None:
    bucket = deployed.outputs["Bucket"]
    done = deployed.run("destroy", "--all", "--force")
    assert done.returncode == 0, done.stdout
    assert "DELETE_COMPLETE              Lake" in done.stdout
    aws = deployed.aws
    remaining = [stack["StackName"] for stack in aws.client("cloudformation").describe_stacks()["Stacks"]]
    assert not {"Lake", "Work"} & set(remaining)
    assert bucket not in [found["Name"] for found in aws.client("s3").list_buckets()["Buckets"]]
