"""Run every benchmark, one after another: nothing else must be running while something is measured."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"
BENCHMARKS = {
    "synth": "Synthesizing the platform",
    "catalog": "Synthesizing a lake with many tables and grants",
    "inference": "The inference function",
    "inference_load": "10,000 requests to the inference function, 50 at a time",
    "local_aws": "The local AWS against its limits",
    "local_run": "`make local`, stage by stage",
    "training_cost": "What a run of the review workload costs, On-Demand and on Spot",
}


def run(name: str) -> bool:
    """Run one benchmark in a process of its own; its table is on the terminal, its numbers in the JSON."""
    print(f"\n== {BENCHMARKS[name]}", flush=True)
    begin = time.monotonic()
    target = RESULTS / f"{name}.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target)], cwd=ROOT, check=False
    )
    outcome = f"written to {target.relative_to(ROOT)}" if done.returncode == 0 else "failed"
    print(f"   {outcome} ({time.monotonic() - begin:.0f} s)", flush=True)
    return done.returncode == 0


def main() -> int:
    there = [name for name in BENCHMARKS if importlib.util.find_spec(f"benchmarks.{name}")]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"some of: {', '.join(there)} (default: all)"
    )
    chosen = parser.parse_args().names or there
    unknown = sorted(set(chosen) - set(there))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(there)}")
    RESULTS.mkdir(exist_ok=True)
    failed = [name for name in chosen if not run(name)]
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
