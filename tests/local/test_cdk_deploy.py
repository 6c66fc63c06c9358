"""A CDK app that is not ours, deployed, used, changed and destroyed with the CDK command line."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from tests.local.assembly import settled
from tests.local.conftest import COMMAND, ROOT, LocalAws, eventually

APP = Path(__file__).parent / "app" / "app.py"
CDK = ROOT / "node_modules" / ".bin" / "cdk"
VARIANTS = {"first": {}, "changed": {"REVISION": "2"}, "broken": {"REVISION": "2", "BROKEN": "1"}}


class Deployer:
    """The CDK command line under the watchdog, with the app synthesized in each variant beforehand."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        for name, variables in VARIANTS.items():
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in (variables | {"CDK_OUTDIR": str(folder / name)}).items():
                    patch.setenv(variable, value)
                runpy.run_path(str(APP), run_name="__main__")

    def cdk(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(str(COMMAND), "deploy-watch", "--state-dir", str(self.aws.state_dir)),
                *("--timeout", "600", "--", str(CDK), *arguments),
            ],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )

    def deploy(self, variant: str) -> subprocess.CompletedProcess[str]:
        return self.cdk(
            *("deploy", "--all", "--app", variant, "--require-approval", "never"),
            *("--outputs-file", "outputs.json"),
        )

    @property
    def outputs(self) -> dict[str, str]:
        stacks = json.loads((self._folder / "outputs.json").read_text())
        return {name: value for stack in stacks.values() for name, value in stack.items()}

    def versions(self) -> list[str]:
        listed = self.aws.client("lambda").list_versions_by_function(FunctionName=self.outputs["Function"])
        return [version["Version"] for version in listed["Versions"]]

    def live_version(self) -> str:
        answer = self.aws.client("lambda").invoke(FunctionName=self.outputs["Function"], Qualifier="live")
        return str(json.loads(answer["Payload"].read())["version"])


def test_an_app_is_deployed_used_changed_and_destroyed(local_aws: LocalAws, tmp_path: Path) -> None:
    deployer = Deployer(local_aws, tmp_path)
    bootstrapped = deployer.cdk("bootstrap", "aws://000000000000/us-east-1")
    assert bootstrapped.returncode == 0, bootstrapped.stdout
    it_is_deployed_with_a_line_for_each_resource(deployer)
    an_upload_runs_the_machine_across_the_stacks(deployer)
    a_change_is_a_new_version_behind_the_alias(deployer)
    a_failing_resource_is_told_with_its_cause_and_rolled_back(deployer)
    destroying_leaves_nothing(deployer)


def it_is_deployed_with_a_line_for_each_resource(deployer: Deployer) -> None:
    done = deployer.deploy("first")
    assert done.returncode == 0, done.stdout
    assert "CREATE_COMPLETE              Work | Machine" in done.stdout
    # Whatever other tests have left is told, too.
    assert re.search(r"^Recorded without effect: .*AWS::CloudTrail::Trail \(\d+\)", done.stdout, re.MULTILINE)


def an_upload_runs_the_machine_across_the_stacks(deployer: Deployer) -> None:
    aws, outputs = deployer.aws, deployer.outputs
    aws.client("s3").put_object(Bucket=outputs["Bucket"], Key="in/a.csv", Body=b"1")
    states = aws.client("stepfunctions")

    def succeeded() -> bool:
        executions = states.list_executions(stateMachineArn=outputs["MachineArn"])["executions"]
        return [execution["status"] for execution in executions] == ["SUCCEEDED"]

    eventually(succeeded, 20, "an execution that succeeded")
    (execution,) = states.list_executions(stateMachineArn=outputs["MachineArn"])["executions"]
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["output"]) == {"objects": 1, "version": "1"}


def a_change_is_a_new_version_behind_the_alias(deployer: Deployer) -> None:
    done = deployer.deploy("changed")
    assert done.returncode == 0, done.stdout
    assert deployer.live_version() == "2"
    assert deployer.versions() == ["$LATEST", "1", "2"]


def a_failing_resource_is_told_with_its_cause_and_rolled_back(deployer: Deployer) -> None:
    done = deployer.deploy("broken")
    assert done.returncode == 1
    assert "The deployment failed" in done.stdout
    assert "NameError: name 'undefined_name' is not defined" in done.stdout
    assert settled(deployer.aws.client("cloudformation"), "Work") == "UPDATE_ROLLBACK_COMPLETE"
    assert deployer.live_version() == "2"
    assert deployer.versions() == ["$LATEST", "1", "2"]


def destroying_leaves_nothing(deployer: Deployer) -> None:
    bucket, function = deployer.outputs["Bucket"], deployer.outputs["Function"]
    done = deployer.cdk("destroy", "--all", "--app", "changed", "--force")
    assert done.returncode == 0, done.stdout
    assert "DELETE_COMPLETE              Lake" in done.stdout
    aws = deployer.aws
    remaining = [stack["StackName"] for stack in aws.client("cloudformation").describe_stacks()["Stacks"]]
    assert not {"Lake", "Work"} & set(remaining)
    assert bucket not in [found["Name"] for found in aws.client("s3").list_buckets()["Buckets"]]
    functions = [found["FunctionName"] for found in aws.client("lambda").list_functions()["Functions"]]
    assert function not in functions  # and its versions with it, though the stacks kept them
