"""The app of `examples/plain_cdk`, of none of our constructs: it trains, serves and is destroyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, COMMAND, REGION, ROOT, LocalAws, unique
from tests.local.jobs import archive

EXAMPLE = ROOT / "examples" / "plain_cdk"
CDK = ROOT / "node_modules" / ".bin" / "cdk"


class Example:
    """The app, synthesized once, and the CDK's command line under the watchdog."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        place = {"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
        environment = os.environ | place | {"CDK_OUTDIR": str(folder / "cdk.out")}
        subprocess.run([sys.executable, str(EXAMPLE / "app.py")], env=environment, check=True, timeout=120)

    def cdk(self, *arguments: str) -> None:
        watched = (str(COMMAND), "deploy-watch", "--state-dir", str(self.aws.state_dir), "--")
        done = subprocess.run(
            [*watched, str(CDK), *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def deploy(self, stack: str, *arguments: str) -> dict[str, str]:
        file = f"{stack}.json"
        common = ("--exclusively", "--app", "cdk.out", "--require-approval", "never", "--outputs-file", file)
        self.cdk("deploy", stack, *common, *arguments)
        outputs: dict[str, str] = json.loads((self._folder / file).read_text())[stack]
        return outputs

    def train(self, bucket: str, machine: str) -> str:
        """The archive of the model that the machine trained."""
        s3 = self.aws.client("s3")
        points = "\n".join(f"{x},{2 * x + 1}" for x in range(10))
        source = {file.name: file.read_text() for file in (EXAMPLE / "source").glob("*.py")}
        s3.put_object(Bucket=bucket, Key="data/points.csv", Body=points.encode())
        s3.put_object(Bucket=bucket, Key="source/sourcedir.tar.gz", Body=archive(dict(source)))
        done = self.aws.execute(machine, name=unique("plain"))
        assert done["status"] == "SUCCEEDED", done.get("cause")
        return str(done["output"]["model"])


def test_the_plain_app_trains_serves_and_is_destroyed(local_aws: LocalAws, tmp_path: Path) -> None:
    example = Example(local_aws, tmp_path)
    example.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", "cdk.out")
    training = example.deploy("PlainTraining")
    model = example.train(training["Bucket"], training["MachineArn"])
    name = example.deploy("PlainServing", "--parameters", f"PlainServing:ModelData={model}")["EndpointName"]
    runtime = local_aws.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body="[1, 20]")
    assert json.loads(answer["Body"].read()) == pytest.approx([3, 41])
    example.cdk("destroy", "--all", "--app", "cdk.out", "--force")
    stacks = local_aws.client("cloudformation").describe_stacks()["Stacks"]
    assert not {"PlainTraining", "PlainServing"} & {stack["StackName"] for stack in stacks}
    with pytest.raises(ClientError, match="Could not find endpoint"):
        runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body="[1]")
    with pytest.raises(ClientError, match="404"):
        local_aws.client("s3").head_bucket(Bucket=training["Bucket"])
