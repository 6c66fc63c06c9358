"""Ending an instance, and what is left when it ends in a bad way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.local.conftest import COMMAND, LocalAws, alive, eventually, free_port, local_aws_command
from tests.local.instances import processes_of, up


def test_down_ends_every_process_and_removes_temporary_folders(state_dir: Path) -> None:
    up(state_dir, "--port", str(free_port()))
    endpoint = json.loads(local_aws_command("status", "--json", "--state-dir", str(state_dir)).stdout)[
        "endpoint"
    ]
    instance = LocalAws(endpoint, state_dir)
    instance.function("def handler(event, context): return 1", instance.role("lambda"))
    name = instance.client("lambda").list_functions()["Functions"][0]["FunctionName"]
    instance.client("lambda").invoke(FunctionName=name)
    instance.client("lakeformation").list_resources()  # starts moto
    assert len(processes_of(state_dir)) == 3
    done = local_aws_command("down", "--state-dir", str(state_dir))
    assert done.returncode == 0
    assert processes_of(state_dir) == []
    assert not (state_dir / "tmp").exists()
    assert not (state_dir / "jobs").exists()
    assert not (state_dir / "emulator.pid").exists()


def test_down_twice_and_down_of_nothing_are_fine(state_dir: Path) -> None:
    up(state_dir, "--port", str(free_port()))
    assert "is down" in local_aws_command("down", "--state-dir", str(state_dir)).stdout
    again = local_aws_command("down", "--state-dir", str(state_dir))
    assert again.returncode == 0
    assert "was not up" in again.stdout


@pytest.fixture
def killed(state_dir: Path) -> set[int]:
    """An instance whose emulator was killed with its moto and a function alive: the ids of all three."""
    up(state_dir, "--port", str(free_port()))
    endpoint = json.loads(local_aws_command("status", "--json", "--state-dir", str(state_dir)).stdout)[
        "endpoint"
    ]
    instance = LocalAws(endpoint, state_dir)
    instance.client("lakeformation").list_resources()  # starts moto
    sleeps = "import time\ndef handler(event, context): time.sleep(899)"
    name = instance.function(sleeps, instance.role("lambda"), Timeout=900)
    instance.client("lambda").invoke(FunctionName=name, InvocationType="Event")
    eventually(lambda: len(processes_of(state_dir)) == 3, 15, "the function")
    running = set(processes_of(state_dir))
    os.kill(int((state_dir / "emulator.pid").read_text()), signal.SIGKILL)
    return running


def gone(pids: set[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def test_after_a_kill_of_the_emulator_the_next_up_of_any_folder_ends_what_it_left(
    state_dir: Path, killed: set[int], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    try:
        done = up(other, "--port", str(free_port()))
        assert done.returncode == 0, done.stderr
        eventually(lambda: gone(killed), 5, "the end of what was left")
        assert not (state_dir / "tmp").exists()
    finally:
        local_aws_command("down", "--state-dir", str(other))


def test_the_doctor_ends_what_a_killed_instance_left(
    local_aws: LocalAws, state_dir: Path, killed: set[int]
) -> None:
    done = local_aws_command("doctor", "--json")
    assert done.returncode == 0, done.stdout
    eventually(lambda: gone(killed), 5, "the end of what was left")
    assert local_aws.run("status").returncode == 0


# `down --all`, for the instances of these folders: others on this machine are not ours to end.
DOWN_ALL = """
import sys
from local_aws import cli, processes
folders, every = sys.argv[1:], processes.instances
processes.instances = lambda: [each for each in every() if str(each.state_dir) in folders]
sys.argv = ["local-aws", "down", "--all"]
sys.exit(cli.main())
"""


def test_down_all_ends_the_instances_of_every_folder(
    tmp_path: Path, state_dir: Path, killed: set[int]
) -> None:
    other = tmp_path / "other"
    up(other, "--port", str(free_port()))
    python = COMMAND.with_name("python")
    folders = [str(state_dir), str(other)]
    done = subprocess.run(
        [str(python), "-c", DOWN_ALL, *folders], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"Ended 1 process of {other}." in done.stdout
    assert gone(killed)
    assert processes_of(other) == []
    again = subprocess.run(
        [str(python), "-c", DOWN_ALL, *folders], capture_output=True, text=True, timeout=600, check=False
    )
    assert again.stdout == "No local AWS was up.\n"


def test_down_tells_as_json_what_it_ended(state_dir: Path) -> None:
    up(state_dir, "--port", str(free_port()))
    for processes in (1, 0):
        done = local_aws_command("down", "--json", "--state-dir", str(state_dir))
        ended = [{"state_dir": str(state_dir), "processes": processes}] if processes else []
        assert json.loads(done.stdout) == {"ended": ended}


def test_a_stale_pid_file_is_no_obstacle_and_its_process_is_not_touched(state_dir: Path) -> None:
    bystander = subprocess.Popen(["sleep", "3600"])
    try:
        state_dir.mkdir()
        (state_dir / "emulator.pid").write_text(f"{bystander.pid}\n")
        (state_dir / "instance.json").write_text(
            json.dumps({"state_dir": str(state_dir), "port": free_port(), "instance": "ended-long-ago"})
        )
        done = up(state_dir, "--port", str(free_port()))
        assert done.returncode == 0, done.stderr
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


# `up` of an instance that is never ready: who is quick enough to interrupt the others is a matter of chance.
NEVER_UP = """
import sys, time
from local_aws import cli, launcher
launcher._wait_until_ready = lambda *_: time.sleep(3600)
sys.argv = ["local-aws", "up", *sys.argv[1:]]
sys.exit(cli.main())
"""


def test_interrupting_up_leaves_nothing_running(state_dir: Path) -> None:
    python, port = COMMAND.with_name("python"), str(free_port())
    starting = subprocess.Popen(
        [str(python), "-c", NEVER_UP, "--port", port, "--state-dir", str(state_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually((state_dir / "emulator.pid").exists, 10, "the start of the emulator")
    starting.send_signal(signal.SIGINT)
    _, error = starting.communicate(timeout=300)
    assert starting.returncode == 130
    assert "interrupted" in error
    assert processes_of(state_dir) == []
    assert not (state_dir / "emulator.pid").exists()
