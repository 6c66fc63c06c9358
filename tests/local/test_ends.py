"""What is seen of a thing while it ends, whoever looks at which moment: asked of the emulator itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import COMMAND, LocalAws

# Importing the emulator takes longest: all is asked of one process.
ASK = """
import json, os, signal, sys, threading
from pathlib import Path
from local_aws import context, emulator, processes
from local_aws.settings import Settings

context.configure(Settings(state_dir=Path(sys.argv[1])))
emulator.install(schedules=False)
told = {}

from ministack.services import eventbridge, scheduler, stepfunctions as states
from local_aws.emulator import injection
from local_aws.sagemaker import processing, storage, training

# An execution that has got its status, and its output a moment later
arn = "arn:aws:states:us-east-1:000000000000:execution:m:ending"
known = dict.fromkeys(("stateMachineArn", "name", "startDate", "stopDate", "input", "output"))
execution = states._executions[arn] = known | {"executionArn": arn, "status": "SUCCEEDED", "events": []}
def end():
    execution["output"] = '{"done": true}'
    execution["stopDate"] = "2026-01-01T00:00:00.000Z"
threading.Timer(0.1, end).start()
told["output"] = json.loads(states._describe_execution({"executionArn": arn})[2])["output"]

# Its history, to which a state that was interrupted wants to add
for kind in ("WaitStateEntered", "ExecutionAborted", "WaitStateExited"):
    states._add_event(execution, kind)
told["history"] = [event["type"] for event in execution["events"]]

# Jobs that end while somebody stops them
role = "arn:aws:iam::000000000000:role/any"
job = processing.jobs.Job(processing.JOBS.kind, {"ProcessingJobName": "p"}, "arn:p")
trained = training.TrainingJob({"TrainingJobName": "t"}, "arn:t")
told["first"] = trained.describe()["SecondaryStatus"]
for each in ("Completed", "Stopping"):
    job.enter(each)
    trained.enter(each, status=each)
told["jobs"] = [job.status, trained.status, trained.secondary]

# A job that is described while more and more is told of it
def tell():
    for number in range(20_000):
        job.tell(**{f"Member{number}": number})
teller = threading.Thread(target=tell)
teller.start()
while teller.is_alive():
    job.describe()

# A kill that comes after the call
class Worker:
    _proc = None
    asked = 0
death = injection._Death(Worker(), 0.01)
with death:
    pass
class Process:
    killed = False
    def poll(self): return None
    def kill(self): self.killed = True
Worker._proc = Process()
death._kill()
told["killed"] = Worker._proc.killed

# A checkpoint that is written twice within a tick of the clock
class Storage:
    kept = {}
    def put_file(self, path, location): self.kept[location.key] = path.read_text()
folder = Path(sys.argv[1]) / "checkpoints"
folder.mkdir()
storage._TICK_NANOSECONDS = 10**13  # of this process, which may be slow
sync = storage.CheckpointSync(Storage(), folder, storage.Location("b", "c"), print, 1)
(folder / "epoch").write_text("1")
tick = (folder / "epoch").stat().st_mtime_ns
for text in "12":
    (folder / "epoch").write_text(text)
    os.utime(folder / "epoch", ns=(tick, tick))
    sync._sync()
told["kept"] = Storage.kept

# An interruption while a process is being started
known = False
try:
    with processes.interruptions_later():
        os.kill(os.getpid(), signal.SIGINT)
        known = True
except KeyboardInterrupt:
    told["known"] = known

# Nothing that fires by the clock
before = set(threading.enumerate())
eventbridge.start_scheduler()
scheduler.start_scheduler()
told["clocks"] = [each.name for each in threading.enumerate() if each not in before]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python, folder = COMMAND.with_name("python"), tmp_path_factory.mktemp("ends")
    done = subprocess.run(
        [str(python), "-c", ASK, str(folder)], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_an_execution_is_over_with_its_output(told: dict[str, Any]) -> None:
    assert told["output"] == '{"done": true}'


def test_its_history_ends_with_its_end(told: dict[str, Any]) -> None:
    assert told["history"] == ["WaitStateEntered", "ExecutionAborted"]


def test_what_is_over_is_not_stopped_afterwards(told: dict[str, Any]) -> None:
    assert told["jobs"] == ["Completed", "Completed", "Completed"]


def test_a_job_has_a_status_from_the_first_moment_on(told: dict[str, Any]) -> None:
    assert told["first"] == "Starting"


def test_a_kill_that_comes_too_late_meets_no_other_call(told: dict[str, Any]) -> None:
    assert told["killed"] is False


def test_the_last_word_of_a_checkpoint_is_kept(told: dict[str, Any]) -> None:
    assert told["kept"] == {"c/epoch": "2"}


def test_what_is_being_started_is_known_before_an_interruption(told: dict[str, Any]) -> None:
    assert told["known"] is True


def test_without_schedules_nothing_watches_the_clock(told: dict[str, Any]) -> None:
    assert told["clocks"] == []


def test_an_instance_that_is_slow_to_answer_is_up(local_aws: LocalAws) -> None:
    # GIVEN an emulator that has no time for anybody
    emulator = int((Path(local_aws.state_dir) / "emulator.pid").read_text())
    os.kill(emulator, signal.SIGSTOP)
    try:
        asked = subprocess.Popen(
            [str(COMMAND), "status", "--state-dir", str(local_aws.state_dir)], stdout=subprocess.DEVNULL
        )
        time.sleep(4)  # longer than a port of whatever program is given to answer
    finally:
        os.kill(emulator, signal.SIGCONT)
    # THEN whoever asks is answered when it has
    assert asked.wait(300) == 0
