"""How training jobs end: by themselves, stopped, over time, and without their Spot capacity."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, alive, eventually, free_port
from tests.local.instances import up
from tests.local.jobs import Workbench

# Goes on after its second epoch when the file GO_ON is there, or is interrupted in it.
COUNTS = """
    import os, pathlib, time
    folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
    go_on = pathlib.Path(os.environ["GO_ON"])
    start = int((folder / "epoch").read_text()) if (folder / "epoch").exists() else 0
    print(f"start={start}", flush=True)
    for epoch in range(start, 6):
        (folder / "epoch").write_text(str(epoch + 1))
        print(f"epoch={epoch} loss={1 / (epoch + 1):.3f}", flush=True)
        while epoch == 1 and not go_on.exists():
            time.sleep(0.05)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_text(str(start))
"""
SLEEPS = """
    import time
    print("sleeping", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    return Workbench.of(local_aws)


def test_the_log_appears_while_the_job_runs(bench: Workbench) -> None:
    name = bench.start(bench.request(SLEEPS))
    bench.wait_for_log(name, "sleeping")
    assert bench.describe(name)["SecondaryStatus"] == "Training"
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    bench.end_of(name)


def test_a_failing_script_fails_the_job_with_its_traceback(bench: Workbench) -> None:
    described = bench.run(bench.request("raise ValueError('no such column: rating')"))
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    reason = described["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1")
    assert "ValueError: no such column: rating" in reason
    assert reason.endswith("exit code: 1")
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == ""


def test_what_the_script_writes_into_its_failure_file_is_the_reason(bench: Workbench) -> None:
    script = """
        import os, pathlib, sys
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("The data is empty")
        sys.exit(3)
    """
    described = bench.run(bench.request(script))
    assert described["FailureReason"] == "AlgorithmError: The data is empty, exit code: 3"


def test_stopping_a_job_keeps_what_it_has_made(bench: Workbench) -> None:
    script = """
        import os, pathlib, signal, sys, time
        model = pathlib.Path(os.environ["SM_MODEL_DIR"], "model")
        def save(*_):
            model.write_text("saved on SIGTERM")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("training", flush=True)
        time.sleep(3600)
    """
    name = bench.start(bench.request(script))
    bench.wait_for_log(name, "training")
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert bench.describe(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    described = bench.end_of(name)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert bench.model(name) == {"model": b"saved on SIGTERM"}
    with pytest.raises(ClientError, match="in status Stopped"):
        bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)


@pytest.fixture
def hasty(state_dir: Path) -> Workbench:
    """An instance that kills what does not end by itself a second after SIGTERM."""
    started = up(state_dir, "--port", str(free_port()), "--spot-notice", "1.5", "--no-schedules", "--json")
    assert started.returncode == 0, started.stderr
    return Workbench.of(LocalAws(json.loads(started.stdout)["endpoint"], state_dir))


def test_a_script_that_ignores_sigterm_is_killed_with_its_children(hasty: Workbench) -> None:
    bench = hasty
    script = """
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "3600"])  # inherits what is ignored
        print(f"child={child.pid}", flush=True)
        time.sleep(3600)
    """
    name = bench.start(bench.request(script))
    bench.wait_for_log(name, "child=")
    child = int(bench.log(name)[0].removeprefix("child="))
    began = time.monotonic()
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert bench.end_of(name)["TrainingJobStatus"] == "Stopped"
    assert time.monotonic() - began > 1  # the notice
    eventually(lambda: not alive(child), 5, "the end of the script's child")


def test_the_maximum_run_time_ends_a_job_as_stopped(bench: Workbench) -> None:
    described = bench.run(bench.request(SLEEPS, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_checkpoints_are_restored_at_the_start_and_copied_while_it_runs(
    bench: Workbench, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    request = bench.spot_request(COUNTS, Environment={"GO_ON": str(go_on)})
    name = request["TrainingJobName"]
    bench.put(f"checkpoints/{name}/epoch", "1")
    bench.start(request)
    eventually(lambda: bench.get(f"checkpoints/{name}/epoch") != b"1", 10, "a copied checkpoint")
    assert bench.describe(name)["TrainingJobStatus"] == "InProgress"
    go_on.touch()
    bench.end_of(name)
    assert bench.log(name)[0] == "start=1"
    assert bench.get(f"checkpoints/{name}/epoch") == b"6"


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(bench: Workbench, tmp_path: Path) -> None:
    request = bench.spot_request(COUNTS, Environment={"GO_ON": str(tmp_path / "never")})
    name = bench.start(request)
    bench.wait_for_log(name, "epoch=1")
    done = bench.aws.run("faults", "interrupt", name)
    assert done.returncode == 0, done.stderr
    described = bench.end_of(name)
    assert described["TrainingJobStatus"] == "Completed"
    phases = [transition["Status"] for transition in described["SecondaryStatusTransitions"]]
    assert phases == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    starts = [line for line in bench.log(name) if line.startswith("start=")]
    assert starts[0] == "start=0"
    assert int(starts[1].removeprefix("start=")) >= 2
    assert bench.model(name)["model"].decode() == starts[1].removeprefix("start=")


def test_waiting_longer_than_allowed_ends_a_spot_job(bench: Workbench) -> None:
    limits = {"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2}
    request = bench.spot_request(SLEEPS, StoppingCondition=limits)
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded")


def test_a_job_without_spot_capacity_cannot_be_interrupted(bench: Workbench) -> None:
    name = bench.start(bench.request(SLEEPS))
    done = bench.aws.run("faults", "interrupt", name)
    assert done.returncode == 1
    assert "does not use managed Spot training" in done.stderr
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    bench.end_of(name)
