"""The local AWS against its limits: start, memory at rest, a deployment, executions and inference at once.

It runs beside a local AWS that is up already: on a free port, with a state folder of its own.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks import measure
from benchmarks.local_run import free_port

ROOT = Path(__file__).resolve().parents[1]
LOCAL_AWS = ROOT / "local" / ".venv" / "bin" / "local-aws"
CDK = ROOT / "node_modules" / ".bin" / "cdk"
ACCOUNT, REGION = "000000000000", "us-east-1"
EXECUTIONS, INFERENCES = 20, 200
LIMIT_SECONDS = 300

PREDICTS = "def handler(event, context):\n    return {'prediction': 2 * event['value']}\n"
LIMITS = {
    "start_seconds": 4.0,
    "idle_mb": 300.0,
    "executions_lost": 0.0,
    "inferences_lost": 0.0,
}


@dataclass(frozen=True)
class Instance:
    """A local AWS of the benchmark's own."""

    port: int
    state: Path

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(LOCAL_AWS), *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise measure.ProcessFailed(
                f"local-aws {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
            )
        return done

    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return own | {"LOCAL_AWS_STATE_DIR": str(self.state)}

    def pointed_at(self) -> dict[str, str]:
        """The variables under which tools talk to this instance."""
        variables: dict[str, str] = json.loads(self.command("env", "--json").stdout)
        return self.environment() | variables

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                retries={"total_max_attempts": 1}, max_pool_connections=INFERENCES, read_timeout=120
            ),
        )

    def role(self, name: str, service: str, *actions: str) -> str:
        iam = self.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        if actions:
            allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=policy)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def seconds_of(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def memory(instance: Instance) -> float:
    """The memory that the instance holds once it has settled."""
    time.sleep(1)
    return measure.resident_mb(int((instance.state / "emulator.pid").read_text()))


def deployment(instance: Instance, folder: Path) -> tuple[float, float]:
    """Seconds of the CDK's own synthesis of the platform, and of its deployment as a whole."""
    app = [
        str(CDK),
        "synth",
        "--quiet",
        "--no-notices",
        "--ci",
        "-c",
        "environment=local",
        "--output",
        str(folder),
    ]
    variables = instance.pointed_at()
    synth = measure.run(app, cwd=ROOT, environment=variables).seconds
    place = ("--no-notices", "--ci", "--app", str(folder))
    instance.command("deploy-watch", "--", str(CDK), "bootstrap", *place, f"aws://{ACCOUNT}/{REGION}")
    options = ("--require-approval", "never", "--concurrency", "4")
    command = ("deploy-watch", "--show", "stacks", "--", str(CDK), "deploy", "--all", *place, *options)
    return synth, synth + seconds_of(lambda: instance.command(*command))


def function(instance: Instance) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", PREDICTS)
    client = instance.client("lambda")
    client.create_function(
        FunctionName="predicts",
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=instance.role("predicts", "lambda"),
        Handler="app.handler",
        Timeout=60,
        Code={"ZipFile": buffer.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="predicts", WaiterConfig={"Delay": 1})
    return "predicts"


def inferences(instance: Instance, name: str) -> tuple[float, int]:
    """Seconds of all calls at once, and how many had no right answer."""
    client = instance.client("lambda")

    def ask(value: int) -> bool:
        try:
            answer = client.invoke(FunctionName=name, Payload=json.dumps({"value": value}))
            return bool(json.loads(answer["Payload"].read()) == {"prediction": 2 * value})
        except Exception:  # noqa: BLE001 - whatever it is, the call is lost
            return False

    with ThreadPoolExecutor(INFERENCES) as pool:
        begin = time.perf_counter()
        right = sum(pool.map(ask, range(INFERENCES)))
        return time.perf_counter() - begin, INFERENCES - right


def executions(instance: Instance, name: str) -> tuple[float, int]:
    """Seconds until all executions at once have ended, and how many did not succeed."""
    states = instance.client("stepfunctions")
    invoke = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": name, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
    }
    steps: dict[str, Any] = {
        "First": invoke | {"Output": "{% {'value': $states.result.Payload.prediction} %}", "Next": "Second"},
        "Second": invoke | {"End": True},
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "First", "States": steps}
    machine = states.create_state_machine(
        name="pipeline",
        roleArn=instance.role("pipeline", "states", "lambda:InvokeFunction"),
        definition=json.dumps(definition),
    )["stateMachineArn"]
    begin = time.perf_counter()
    arns = [
        states.start_execution(stateMachineArn=machine, input=json.dumps({"value": number}))["executionArn"]
        for number in range(EXECUTIONS)
    ]
    lost = 0
    for number, arn in enumerate(arns):
        described = states.describe_execution(executionArn=arn)
        while described["status"] == "RUNNING" and time.perf_counter() - begin < LIMIT_SECONDS:
            time.sleep(0.05)
            described = states.describe_execution(executionArn=arn)
        expected = {"prediction": 4 * number}
        lost += described["status"] != "SUCCEEDED" or json.loads(described["output"]) != expected
    return time.perf_counter() - begin, lost


def measured(instance: Instance, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    found["start_seconds"] = seconds_of(lambda: instance.command("up", "--port", str(instance.port)))
    found["idle_mb"] = memory(instance)
    name = function(instance)
    found["executions_seconds"], found["executions_lost"] = executions(instance, name)
    found["inferences_seconds"], found["inferences_lost"] = inferences(instance, name)
    found["synth_seconds"], found["deploy_seconds"] = deployment(instance, folder)
    found["deployed_mb"] = memory(instance)
    return {what: round(value, 2) for what, value in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_aws", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(free_port(), Path(folder) / "aws")
        try:
            found = measured(instance, Path(folder) / "cdk.out")
        except (measure.ProcessFailed, subprocess.TimeoutExpired) as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            subprocess.run([LOCAL_AWS, "down"], cwd=ROOT, env=instance.environment(), check=False)
    limits = LIMITS | {"deploy_seconds": round(1.3 * found["synth_seconds"] + 10, 2)}
    rows = [
        [what, f"{value:g}", f"{limits[what]:g}" if what in limits else "", _verdict(value, limits.get(what))]
        for what, value in found.items()
    ]
    print(measure.table(["", "measured", "limit", ""], rows))
    result = {"machine": measure.machine(), "measured": found, "limits": limits}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(found[what] <= limit for what, limit in limits.items()) else 1


def _verdict(value: float, limit: float | None) -> str:
    return "" if limit is None else "kept" if value <= limit else "broken"


if __name__ == "__main__":
    sys.exit(main())
