"""The watchdog around a deploy command: a hang ends as an error with its cause."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.local.conftest import COMMAND, LocalAws, eventually, local_aws_command, unique
from tests.local.test_resource_types import LONGEST_ANSWER

# Starts a stack whose custom resource never answers, and waits for it as a deploy command does.
HANGS = """
import json, sys, time, boto3
cloudformation = boto3.client("cloudformation")
name, function = sys.argv[1:]
resources = {"Never": {"Type": "Custom::Never", "Properties": {"ServiceToken": function}}}
cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
time.sleep(3600)
"""


def watch(aws: LocalAws, *command: str, timeout: float = 10) -> subprocess.CompletedProcess[str]:
    return local_aws_command(
        "deploy-watch", "--state-dir", str(aws.state_dir), "--timeout", str(timeout), "--", *command
    )


@pytest.fixture
def hanging(local_aws: LocalAws, tmp_path: Path) -> list[str]:
    """A command whose deployment hangs."""
    silent = local_aws.function(
        "def handler(event, context): print('says nothing')", local_aws.role("lambda")
    )
    script = tmp_path / "deploy.py"
    script.write_text(HANGS)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{silent}"
    return [sys.executable, str(script), unique("hanging"), arn]


def test_a_hang_is_ended_and_tells_what_was_in_progress(local_aws: LocalAws, hanging: list[str]) -> None:
    done = watch(local_aws, *hanging)
    assert done.returncode == 1
    assert "No event for 10 s. In progress: " in done.stdout
    assert f"{hanging[2]}/Never" in done.stdout
    # AND what hangs holds other stacks back for a while, and not for ever
    eventually(lambda: stack_seconds(local_aws) < LONGEST_ANSWER, 30, "a stack that is not held back")


def stack_seconds(aws: LocalAws) -> float:
    """How long the answer to the start of a stack takes."""
    template = {"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
    begin = time.monotonic()
    aws.client("cloudformation").create_stack(StackName=unique("quick"), TemplateBody=json.dumps(template))
    return time.monotonic() - begin


def test_interrupting_the_watch_ends_the_command(local_aws: LocalAws, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(3600)"
    watching = subprocess.Popen(
        [
            *(str(COMMAND), "deploy-watch", "--state-dir", str(local_aws.state_dir), "--"),
            *(sys.executable, "-c", script),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: pid_file.exists() and pid_file.read_text() != "", 20, "the start of the command")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(300) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_the_commands_own_failure_is_shown_with_its_code(local_aws: LocalAws) -> None:
    done = watch(local_aws, sys.executable, "-c", "print('no such context'); raise SystemExit(7)")
    assert done.returncode == 7
    assert "ended with code 7" in done.stdout
    assert "no such context" in done.stdout


def test_the_command_is_pointed_at_the_instance_and_at_nothing_else(local_aws: LocalAws) -> None:
    script = "import os, sys; sys.exit(0 if os.environ['AWS_ENDPOINT_URL'] == sys.argv[1] else 1)"
    assert watch(local_aws, sys.executable, "-c", script, local_aws.endpoint).returncode == 0
    leaks = "import os, sys; sys.exit(1 if 'AWS_PROFILE' in os.environ else 0)"
    done = local_aws_command(
        *("deploy-watch", "--state-dir", str(local_aws.state_dir), "--", sys.executable, "-c", leaks),
        env=os.environ | {"AWS_PROFILE": "production"},
    )
    assert done.returncode == 0


def test_a_command_that_is_not_there_is_named(local_aws: LocalAws) -> None:
    done = watch(local_aws, "no-such-command")
    assert done.returncode == 127
    assert "no-such-command cannot be run" in done.stdout


def test_without_a_command_it_says_what_to_write(local_aws: LocalAws) -> None:
    done = watch(local_aws)
    assert done.returncode == 1
    assert "local-aws deploy-watch -- cdk deploy" in done.stderr


def test_without_an_instance_it_says_so(tmp_path: Path) -> None:
    done = local_aws_command("deploy-watch", "--state-dir", str(tmp_path), "--", "true")
    assert done.returncode == 1
    assert "start it with local-aws up" in done.stderr
