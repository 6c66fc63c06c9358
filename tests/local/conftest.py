"""A local AWS for tests: one instance for each worker, on a free port, ended when the tests are over."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.local.shapes import checked

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "local" / ".venv" / "bin" / "local-aws"
ACCOUNT = "000000000000"
REGION = "us-east-1"
# Enough for every script that saves something on SIGTERM; who tests what comes then has its own instance.
SPOT_NOTICE = 60.0
# The machine is busy, not broken: nothing that a test asks for fails because its answer takes a while.
_ANSWER_SECONDS = 300
_LEAST_PATIENCE = 120.0
# Below what the kernel hands out to whoever asks for any port.
_PORTS = range(20_000, 32_000, 2)
TRUST: dict[str, Any] = {"Version": "2012-10-17"}
_SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
_CLIENTS: dict[tuple[str, str], Any] = {}
_RIGHTS: list[socket.socket] = []


@dataclass(frozen=True)
class LocalAws:
    """A running instance."""

    endpoint: str
    state_dir: Path

    def client(self, service: str, **options: Any) -> Any:
        """A client as the account's root."""
        key = (self.endpoint, service)
        if options:
            return self._client(service, options)
        if key not in _CLIENTS:  # making one takes longer than most calls
            _CLIENTS[key] = self._client(service, {})
        return _CLIENTS[key]

    def session_for_role(self, arn: str) -> RoleSession:
        """What a role may do: clients with its temporary credentials."""
        request = urllib.request.Request(
            f"{self.endpoint}/_local_aws/credentials", data=json.dumps({"role": arn}).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
            keys = json.loads(response.read())
        credentials = {name.lower(): value for name, value in keys.items()}
        return RoleSession(self, credentials)

    def _client(self, service: str, options: dict[str, Any]) -> Any:
        config = Config(retries={"total_max_attempts": 1}, read_timeout=_ANSWER_SECONDS)
        # One session: its service models are read once.
        client: Any = _SESSION.client(
            service, endpoint_url=self.endpoint, region_name=REGION, **({"config": config} | options)
        )
        return checked(client) if service == "sagemaker" else client

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The command line, for this instance."""
        return local_aws_command(*arguments, "--state-dir", str(self.state_dir), **options)

    def admin(self, route: str, **values: Any) -> dict[str, Any]:
        """What is not AWS, such as ``faults/add``."""
        request = urllib.request.Request(
            f"{self.endpoint}/_local_aws/{route}", data=json.dumps(values).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
            answer: dict[str, Any] = json.loads(response.read())
        return answer

    def fault(self, api: str, **values: Any) -> int:
        """Let the next calls of an API go wrong, as ``local-aws faults add`` does; the fault's number."""
        return int(self.admin("faults/add", api=api, **values)["number"])

    def fault_hits(self, number: int) -> int:
        """How many calls a fault has met."""
        (fault,) = [f for f in self.admin("faults/list")["faults"] if f["number"] == number]
        return int(fault["hits"])

    def role(self, taker: str, *statements: dict[str, Any]) -> str:
        """A role that a service may take, with these permissions."""
        iam = self.client("iam")
        name = unique("role")
        statement = {
            "Effect": "Allow",
            "Principal": service(taker),
            "Action": "sts:AssumeRole",
        }
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST | {"Statement": [statement]})
        )
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=document)
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def bucket(self) -> str:
        name = unique("bucket")
        self.client("s3").create_bucket(Bucket=name)
        return name

    def queue(self, *senders: str) -> tuple[str, str]:
        """URL and ARN of a new queue, to which these services may send."""
        name = unique("queue")
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        allowed = [allow("sqs:SendMessage", resource=arn) | {"Principal": service(each)} for each in senders]
        policy = {"Policy": json.dumps(TRUST | {"Statement": allowed})} if allowed else {}
        url = self.client("sqs").create_queue(QueueName=name, Attributes=policy)["QueueUrl"]
        return url, arn

    def messages(self, url: str, count: int = 1, seconds: float = 10) -> list[dict[str, Any]]:
        """The messages of a queue, once there are so many; they are taken from it."""
        sqs = self.client("sqs")
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
            )
            for message in answer.get("Messages", []):
                found.append(message)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        eventually(enough, seconds, f"{count} messages")
        return found

    def function(self, source: str, role: str, **options: Any) -> str:
        """A Python function whose handler is ``app.handler``."""
        name = unique("function")
        runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
        aws_lambda = self.client("lambda")
        aws_lambda.create_function(
            **{
                "FunctionName": name,
                "Runtime": runtime,
                "Role": role,
                "Handler": "app.handler",
                "Timeout": 120,
                "Code": {"ZipFile": zipped({"app.py": source})},
            }
            | options
        )
        self.wait_for_function(name, "function_active_v2")
        return name

    def wait_for_function(self, name: str, waiter: str = "function_updated_v2") -> None:
        often = {"Delay": 0.1, "MaxAttempts": 1200}
        self.client("lambda").get_waiter(waiter).wait(FunctionName=name, WaiterConfig=often)

    def machine(self, role: str, states: dict[str, Any], start: str, **top: Any) -> str:
        """A JSONata state machine."""
        definition = {"QueryLanguage": "JSONata", "StartAt": start, "States": states} | top
        answer = self.client("stepfunctions").create_state_machine(
            name=unique("machine"), roleArn=role, definition=json.dumps(definition)
        )
        return str(answer["stateMachineArn"])

    def execute(self, machine: str, given: Any = None, seconds: float = 30, **options: Any) -> dict[str, Any]:
        """Run a state machine to its end; its description, the output parsed."""
        states = self.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given or {}), **options)[
            "executionArn"
        ]
        return self.execution_end(arn, seconds)

    def execution_end(self, arn: str, seconds: float = 30) -> dict[str, Any]:
        states = self.client("stepfunctions")
        described: dict[str, Any] = {}

        def over() -> bool:
            described.update(states.describe_execution(executionArn=arn))
            return bool(described["status"] != "RUNNING")

        eventually(over, seconds, "the end of the execution")
        if described["status"] == "SUCCEEDED":
            described["output"] = json.loads(described["output"])
        return described


@dataclass(frozen=True)
class RoleSession:
    local_aws: LocalAws
    credentials: dict[str, str]

    def client(self, service: str, **options: Any) -> Any:
        return self.local_aws._client(service, self.credentials | options)


def local_aws_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    values: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 600, "check": False} | options
    return subprocess.run([str(COMMAND), *arguments], **values)


def free_port() -> int:
    """A port that nobody listens on, and that nobody else who asks here gets while this process lives.

    Who has the port above it has the right to it, so that no two processes take the same one.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        right = socket.socket()
        try:
            right.bind(("127.0.0.1", port + 1))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            right.close()
            continue
        _RIGHTS.append(right)
        return port
    pytest.fail("there is no free port")


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def service(name: str) -> dict[str, str]:
    """A service as the principal of a policy."""
    return {"Service": f"{name}.amazonaws.com"}


def allow(*actions: str, resource: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def zipped(files: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and that nobody has waited for does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for what a machine that does nothing else shows within these seconds; a busy one has far more."""
    patience = max(3 * seconds, _LEAST_PATIENCE)
    deadline = time.monotonic() + patience
    while True:
        late = time.monotonic() > deadline  # looked at before the look: the last one counts, however slow
        if condition():
            return
        if late:
            pytest.fail(f"{what}: not within {patience:.0f} s")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An instance of the local AWS, shared by the tests of a worker: use unique names in it."""
    state_dir = tmp_path_factory.mktemp("local-aws")
    up = local_aws_command(
        "up",
        "--port",
        str(free_port()),
        "--spot-notice",
        str(SPOT_NOTICE),
        "--no-schedules",
        "--json",
        "--state-dir",
        str(state_dir),
    )
    assert up.returncode == 0, up.stderr
    instance = LocalAws(json.loads(up.stdout)["endpoint"], state_dir)
    yield instance
    down = instance.run("down")
    assert down.returncode == 0, down.stderr


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for an instance of the test's own, which is ended whatever happens."""
    folder = tmp_path / "state"
    yield folder
    local_aws_command("down", "--state-dir", str(folder))
