"""The app of `examples/plain_cdk`, of none of our constructs: it trains, serves and is destroyed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, COMMAND, REGION, ROOT, LocalAws

EXAMPLE = ROOT / "examples" / "plain_cdk"
CDK = ROOT / "node_modules" / ".bin" / "cdk"


class Example:
    """The app, synthesized once, and the CDK's command line under the watchdog."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        place = {"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
        environment = os.environ | place | {"CDK_OUTDIR": str(folder / "cdk.out")}
        subprocess.run([sys.executable, str(EXAMPLE / "app.py")], env=environment, check=True, timeout=1800)

    def cdk(self, *arguments: str) -> None:
        state = ("--state-dir", str(self.aws.state_dir))
        watched = (str(COMMAND), "deploy-watch", *state, "--timeout", "600", "--")
        done = subprocess.run(
            [*watched, str(CDK), *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def deploy(self, stack: str, *arguments: str) -> dict[str, str]:
        file = f"{stack}.json"
        common = ("--exclusively", "--app", "cdk.out", "--require-approval", "never", "--outputs-file", file)
        self.cdk("deploy", stack, *common, *arguments)
        outputs: dict[str, str] = json.loads((self._folder / file).read_text())[stack]
        return outputs

    def try_it(self, *arguments: str) -> str:
        """What the example's own script prints, pointed at the instance as its README does."""
        exports = self.aws.run("env").stdout
        command = shlex.join([sys.executable, str(EXAMPLE / "try_it.py"), *arguments])
        done = subprocess.run(
            ["sh", "-c", f"{exports}\n{command}"], capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def test_the_plain_app_trains_serves_and_is_destroyed(local_aws: LocalAws, tmp_path: Path) -> None:
    example = Example(local_aws, tmp_path)
    example.cdk("bootstrap", "--app", "cdk.out")
    training = example.deploy("PlainTraining")
    model = example.try_it("train")
    name = example.deploy("PlainServing", "--parameters", f"PlainServing:ModelData={model}")["EndpointName"]
    assert json.loads(example.try_it("predict", "1", "20")) == pytest.approx([3, 41])
    roles = json.loads(local_aws.run("report", "--role", "Plain", "--json").stdout)["roles"]
    assert [role["denied"] for role in roles] == [[]] * len(roles)
    runtime = local_aws.client("sagemaker-runtime")
    example.cdk("destroy", "--all", "--app", "cdk.out", "--force")
    stacks = local_aws.client("cloudformation").describe_stacks()["Stacks"]
    assert not {"PlainTraining", "PlainServing"} & {stack["StackName"] for stack in stacks}
    with pytest.raises(ClientError, match="Could not find endpoint"):
        runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body="[1]")
    with pytest.raises(ClientError, match="404"):
        local_aws.client("s3").head_bucket(Bucket=training["Bucket"])
