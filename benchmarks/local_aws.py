"""The local AWS against its limits: start, memory at rest, a deployment, runs and predictions at once.

It runs beside a local AWS that is up already: on a free port, with a state folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import local_load, measure
from benchmarks.local_run import free_port

ROOT = Path(__file__).resolve().parents[1]
LOCAL_AWS = ROOT / "local" / ".venv" / "bin" / "local-aws"
CDK = ROOT / "node_modules" / ".bin" / "cdk"
ACCOUNT, REGION = "000000000000", "us-east-1"
LIMIT_SECONDS = 300

LIMITS = {
    "start_seconds": 4.0,
    "idle_mb": 300.0,
    "runs_lost": 0.0,
    "calls_lost": 0.0,
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


def measured(instance: Instance, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    found["start_seconds"] = seconds_of(lambda: instance.command("up", "--port", str(instance.port)))
    found["idle_mb"] = memory(instance)
    found["synth_seconds"], found["deploy_seconds"] = deployment(instance, folder)
    found["deployed_mb"] = memory(instance)
    found |= local_load.measured(instance.pointed_at())
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
