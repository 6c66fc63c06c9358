"""Cold start and warm latency of the inference function, beside the handler that most teams write.

    python -m benchmarks.inference [--runs 15] [--json FILE]

Each handler is built into a folder as for Lambda (pinned packages, bytecode) and run by AWS's own runtime
client against a Runtime API on loopback. Runs are interleaved, so that a busy moment hits all alike.
The model comes from an S3 on loopback for `ours` and `usual`, from a local file for `floor`.

    raw     a handler that does nothing
    floor   import onnxruntime, open the model, no checks
    usual   boto3 + Powertools + pydantic + onnxruntime
    ours    lambda/inference
"""

import argparse
import hashlib
import http.server
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.inference_runtime import Sandbox

ROOT = Path(__file__).resolve().parents[1]
OURS, USUAL = ROOT / "lambda" / "inference", ROOT / "benchmarks" / "usual_handler"
HANDLERS = {"raw": "raw.handler", "floor": "floor.handler", "usual": "app.handler", "ours": "app.handler"}
FEATURES, TREES = 40, 200
TARGETS = {"cold_vs_usual": 0.35, "cold_vs_floor": 1.15, "warm_overhead_us": 150.0}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15, help="cold starts of each handler")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="inference-") as scratch:
        report = measure(Path(scratch), options.runs)
    print(table(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return report


def measure(scratch: Path, runs: int) -> dict[str, Any]:
    folders = {"ours": build(OURS, scratch / "ours"), "usual": build(USUAL, scratch / "usual")}
    folders["raw"] = folders["floor"] = folders["usual"]
    model, manifest = make_model()
    (scratch / "model.onnx").write_bytes(model)
    with serve({"model.onnx": model, "model.json": manifest}) as endpoint:
        environment = {
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_ENDPOINT_URL_S3": endpoint,
            "MODEL_BUCKET": "models",
            "MODEL_KEY": "current/model.onnx",
            "MODEL_SHA256": hashlib.sha256(model).hexdigest(),
            "MODEL_PATH": str(scratch / "model.onnx"),
            "MAX_ROWS": "10000",
        }
        cold = cold_starts(folders, environment, scratch, runs)
        warm = warm_calls(folders, environment, scratch)
    report: dict[str, Any] = {
        "python": sys.version.split()[0],
        "runs": runs,
        "model": {"features": FEATURES, "trees": TREES, "bytes": len(model)},
        "cold": cold,
        "warm": warm,
        "size": {name: sizes(folders[name], scratch) for name in ("ours", "usual")},
    }
    overhead = warm["ours"]["1"]["handler"]["p50_us"] - warm["usual"]["1"]["bare"]["p50_us"]
    report["ratios"] = {
        "cold_vs_usual": cold["ours"]["total_ms"] / cold["usual"]["total_ms"],
        "cold_vs_floor": cold["ours"]["total_ms"] / cold["floor"]["total_ms"],
        "cold_vs_raw": cold["ours"]["total_ms"] / cold["raw"]["total_ms"],
        "warm_overhead_us": overhead,
    }
    report["targets"] = {
        name: {"limit": limit, "met": report["ratios"][name] <= limit} for name, limit in TARGETS.items()
    }
    return report


def build(source: Path, target: Path) -> Path:
    """Install a handler as the asset builder does, for this machine's own Python and platform."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        raise SystemExit("uv is not installed")
    environment = {k: v for k, v in os.environ.items() if k not in ("UV_COMPILE_BYTECODE", "PYTHONPATH")}
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    command += ["--only-binary", ":all:", "--require-hashes", "-r", str(source / "requirements.txt")]
    subprocess.run(command, check=True, env=environment)
    for path in source.glob("*.py"):
        shutil.copy(path, target)
    exclude = source / "exclude.txt"
    patterns = exclude.read_text().splitlines() if exclude.exists() else []
    for pattern in [line for line in patterns if line and not line.startswith("#")]:
        for path in sorted(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    compiling = [sys.executable, "-m", "compileall", "-q", "-j", "0"]
    subprocess.run([*compiling, "--invalidation-mode", "unchecked-hash", str(target)], check=False)
    return target


def make_model() -> tuple[bytes, bytes]:
    """Train and export the benchmark's model; return it with its manifest."""
    import numpy as np
    from skl2onnx import to_onnx  # type: ignore[import-untyped]
    from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
    from sklearn.ensemble import GradientBoostingClassifier  # type: ignore[import-untyped]

    random_numbers = np.random.default_rng(7)
    table = random_numbers.normal(size=(2000, FEATURES)).astype(np.float32)
    answers = table[:, 0] + table[:, 1] * table[:, 2] > 0
    trained = GradientBoostingClassifier(n_estimators=TREES, random_state=7).fit(table, answers.astype(int))
    inputs = [("input", FloatTensorType([None, FEATURES]))]
    content: bytes = to_onnx(trained, initial_types=inputs, options={"zipmap": False}).SerializeToString()
    manifest = {
        "schema": 1,
        "name": "benchmark",
        "sha256": hashlib.sha256(content).hexdigest(),
        "inputs": [
            {"name": f"feature_{index}", "type": "float", "minimum": -100, "maximum": 100}
            for index in range(FEATURES)
        ],
        "outputs": {"label": "label", "probabilities": "probabilities"},
        "classes": ["no", "yes"],
    }
    return content, json.dumps(manifest).encode()


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[str]:
    """An S3 that answers every GET by the last part of its key."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            body = files[self.path.partition("?")[0].rpartition("/")[2]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def request(rows: int) -> dict[str, Any]:
    numbers = random.Random(rows)
    instances = [
        {f"feature_{index}": numbers.uniform(-3, 3) for index in range(FEATURES)} for _ in range(rows)
    ]
    return {
        "version": "2.0",
        "rawPath": "/",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "body": json.dumps({"instances": instances}),
        "isBase64Encoded": False,
    }


def cold_starts(
    folders: dict[str, Path], environment: dict[str, str], scratch: Path, runs: int
) -> dict[str, dict[str, float]]:
    """Start each handler `runs` times, one after the other in a new order each time."""
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in HANDLERS}
    event = request(1)
    for run in range(runs + 1):
        for name in random.sample(list(HANDLERS), len(HANDLERS)):
            log = scratch / f"{name}.log"
            with Sandbox(folders[name], HANDLERS[name], environment, log=log) as sandbox:
                ready = sandbox.ready()
                answer, first = sandbox.invoke(event)
                memory = sandbox.peak_memory_mb
            if answer["statusCode"] != 200:
                raise SystemExit(f"{name} answered {answer}: {sandbox.output()}")
            if run:  # the first round fills the disk cache
                times = {
                    "init_ms": ready * 1e3,
                    "first_call_ms": first * 1e3,
                    "total_ms": (ready + first) * 1e3,
                }
                samples[name].append({**times, "peak_memory_mb": memory})
    return {
        name: {key: statistics.median(each[key] for each in found) for key in found[0]}
        for name, found in samples.items()
    }


def warm_calls(folders: dict[str, Path], environment: dict[str, str], scratch: Path) -> dict[str, Any]:
    """Time both handlers in their own processes, three times in turn; keep the median of each number."""
    events = scratch / "events.json"
    events.write_text(json.dumps([{**request(rows)} for rows in (1, 100, 10_000)]))
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "usual": []}
    for _ in range(3):
        for name, found in rounds.items():
            script = str(ROOT / "benchmarks" / "inference_warm.py")
            done = subprocess.run(
                [sys.executable, "-S", script, name, str(events)],
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
                env={
                    **environment,
                    "MAX_BODY_BYTES": str(64 * 1024 * 1024),
                    "PATH": "/usr/bin:/bin",
                    "PYTHONPATH": str(folders[name]),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_REGION": "us-east-1",
                    "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
                    "OMP_NUM_THREADS": "1",
                },
            )
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr}")
            found.append(json.loads(done.stdout))
    return {
        name: {
            rows: {
                what: {
                    number: statistics.median(each[rows][what][number] for each in found)
                    for number in found[0][rows][what]
                }
                for what in found[0][rows]
            }
            for rows in found[0]
        }
        for name, found in rounds.items()
    }


def sizes(folder: Path, scratch: Path) -> dict[str, float]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    archive = Path(shutil.make_archive(str(scratch / f"{folder.name}-archive"), "zip", folder))
    unzipped = sum(path.stat().st_size for path in files)
    return {"unzipped_mb": unzipped / 1e6, "zipped_mb": archive.stat().st_size / 1e6, "files": len(files)}


def table(report: dict[str, Any]) -> str:
    lines = [
        f"{'cold start':<28}{'init ms':>10}{'first call':>12}{'total ms':>10}{'peak MB':>10}{'vs usual':>10}"
    ]
    usual = report["cold"]["usual"]["total_ms"]
    for name, cold in report["cold"].items():
        lines.append(
            f"{name:<28}{cold['init_ms']:>10.1f}{cold['first_call_ms']:>12.2f}{cold['total_ms']:>10.1f}"
            f"{cold['peak_memory_mb']:>10.0f}{cold['total_ms'] / usual:>10.2f}"
        )
    lines.append("")
    lines.append(f"{'warm':<28}{'rows':>10}{'p50 us':>12}{'p99 us':>10}{'rows/s':>10}{'bare':>8}")
    for name, warm in report["warm"].items():
        for rows, found in warm.items():
            handler = found["handler"]
            lines.append(
                f"{name:<28}{rows:>10}{handler['p50_us']:>12.0f}{handler['p99_us']:>10.0f}"
                f"{int(rows) / handler['p50_us'] * 1e6:>10.0f}{found['bare']['p50_us']:>8.0f}"
            )
    lines.append("")
    for name, size in report["size"].items():
        lines.append(
            f"asset {name:<22}{size['unzipped_mb']:>8.1f} MB unzipped{size['zipped_mb']:>8.1f} MB zipped"
        )
    lines.append("")
    for name, target in report["targets"].items():
        verdict = "met" if target["met"] else "MISSED"
        lines.append(f"{name:<28}{report['ratios'][name]:>10.2f}   at most {target['limit']:g}: {verdict}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
