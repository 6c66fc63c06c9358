"""The stages of `make local`, first from nothing, then once more on what is already deployed.

It runs beside a local AWS that is up already: on a free port, with a state folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import measure

ROOT = Path(__file__).resolve().parents[1]
LOCAL_AWS = ROOT / "local" / ".venv" / "bin" / "local-aws"
LIMIT_SECONDS = 600


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def stages(port: int, state: Path) -> dict[str, float]:
    """Run `make local`'s script once; the seconds of each stage and of the whole."""
    written = state / "stages.json"
    begin = time.perf_counter()
    command = [sys.executable, "-m", "tools.run_local", "--port", str(port), "--json", str(written)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(state),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    whole = time.perf_counter() - begin
    if done.returncode:
        raise measure.ProcessFailed(f"`make local` failed:\n{done.stdout[-4000:]}")
    found: dict[str, float] = json.loads(written.read_text(encoding="utf-8"))
    return found | {"total": round(whole, 2)}


def environment(state: Path) -> dict[str, str]:
    return dict(os.environ) | {"LOCAL_AWS_STATE_DIR": str(state / "aws")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_run", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        try:
            runs = {name: stages(port, state) for name in ("from nothing", "again")}
        except (measure.ProcessFailed, subprocess.TimeoutExpired) as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            subprocess.run([LOCAL_AWS, "down"], cwd=ROOT, env=environment(state), check=False)
    result: dict[str, Any] = {"machine": measure.machine(), "seconds": runs}
    names = list(runs["from nothing"])
    rows = [[name, *(f"{seconds.get(name, 0):.1f}" for seconds in runs.values())] for name in names]
    print(measure.table(["stage, seconds", *runs], rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
