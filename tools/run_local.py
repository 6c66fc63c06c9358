"""`make local`: the platform on a laptop, from nothing to predictions, with the time of each stage.

The local AWS stays up afterwards, so that you can look around; `make local-down` ends it. An interruption
ends what this command started; a local AWS that was up before stays up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCAL_AWS = ROOT / "local" / ".venv" / "bin" / "local-aws"


class StageFailed(Exception):
    """One stage did not succeed; its own output said why."""


class Stages:
    """Runs the stages one after another, shows them, and remembers how long each took."""

    def __init__(self, total: int) -> None:
        self.seconds: dict[str, float] = {}
        self._total = total

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        print(f"\n[{len(self.seconds) + 1}/{self._total}] {name}", flush=True)
        begin = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begin, 2)
        print(f"      {self.seconds[name]:.1f} s", flush=True)


def environment() -> dict[str, str]:
    """Return the variables under which every tool talks to the local AWS and to nothing else."""
    asked = subprocess.run([str(LOCAL_AWS), "env", "--json"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise StageFailed(asked.stderr.strip())
    variables: dict[str, str] = json.loads(asked.stdout)
    return {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | variables


def run(command: list[str], variables: dict[str, str] | None = None, *, quiet: bool = False) -> None:
    """Run one command, and end it when we are interrupted. If `quiet`, it is heard only when it fails."""
    with tempfile.TemporaryFile("w+") as kept:
        output = kept if quiet else None
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _end(process)
            raise
        if code:
            kept.seek(0)
            sys.stderr.write(kept.read())
            shown = [Path(part).name if part.startswith("/") else part for part in command]
            raise StageFailed(f"`{' '.join(shown)}`")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let an interrupted command end by itself: at a terminal it has had the interruption too."""
    for signalled, seconds in ((None, 1), (signal.SIGINT, 15), (signal.SIGKILL, 5)):
        if signalled is not None:
            process.send_signal(signalled)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(timeout=seconds)
            return


def deploy(variables: dict[str, str], stages: Stages) -> None:
    """Bring up the local AWS and the platform's stacks on it."""
    cdk = shutil.which("cdk") or str(ROOT / "node_modules" / ".bin" / "cdk")
    options = ["--no-notices", "--ci"]
    place = f"aws://{variables['CDK_DEFAULT_ACCOUNT']}/{variables['CDK_DEFAULT_REGION']}"
    context = ["-c", "environment=local"]
    with stages.stage("Synthesize the stacks, all checks on"):
        run([cdk, "synth", "--quiet", *options, *context, "--output", "cdk.out/local"], variables, quiet=True)
    assembly = ["--app", "cdk.out/local"]
    with stages.stage("Deploy them with the CDK"):
        run([cdk, "bootstrap", *options, *assembly, place], variables, quiet=True)
        deployment = [cdk, "deploy", "--all", *options, *assembly, "--require-approval", "never"]
        deployment += ["--concurrency", "4", "--progress", "events"]
        run([str(LOCAL_AWS), "deploy-watch", "--show", "stacks", "--", *deployment], variables)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the platform on this machine.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("LOCAL_AWS_PORT", "4566")))
    parser.add_argument(
        "--mlflow", action="store_true", help="start MLflow beside it, for the runs of training"
    )
    parser.add_argument("--json", type=Path, help="write the seconds of each stage to this file")
    arguments = parser.parse_args()
    endpoint = f"http://127.0.0.1:{arguments.port}"
    stages = Stages(4)
    was_up = subprocess.run([str(LOCAL_AWS), "status"], capture_output=True, check=False).returncode == 0
    deployed = False
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with stages.stage("Start the local AWS"):
            beside = ["--mlflow"] if arguments.mlflow else []
            run([str(LOCAL_AWS), "up", "--port", str(arguments.port), *beside])
        variables = environment()
        deploy(variables, stages)
        deployed = True
        with stages.stage("Run the review-sentiment workload"):
            workload = [sys.executable, "-m", "examples.review_sentiment.run", "--environment", "local"]
            run(workload, variables)
    except (KeyboardInterrupt, StageFailed) as error:
        reason = "Interrupted" if isinstance(error, KeyboardInterrupt) else f"Failed: {error}"
        print(f"\n{reason}.", file=sys.stderr, flush=True)
        interrupted = isinstance(error, KeyboardInterrupt)
        if was_up or (deployed and not interrupted):
            print(f"The local AWS stays up at {endpoint}; `make local-down` ends it.", file=sys.stderr)
        else:
            subprocess.run([str(LOCAL_AWS), "down"], check=False)
        return 130 if interrupted else 1
    total = sum(stages.seconds.values())
    print(f"\nDone in {total:.0f} s. The local AWS stays up at {endpoint}; `make local-down` ends it.")
    page = variables.get("MLFLOW_TRACKING_URI")
    if page is not None:
        print(f"The run is in MLflow, with its parameters, metrics and model: {page}")
    if arguments.json:
        arguments.json.write_text(json.dumps(stages.seconds, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
