"""Other runtimes for the inference benchmark's model, beside ONNX Runtime's C library: is one of them faster?

    uv run --script benchmarks/inference_formats.py

One gradient-boosted model of 200 trees on 40 features is handed to each runtime in a form that is safe to
load from a store (no pickle, no native code). Each runs in a process of its own: import and load, then calls
with 1, 100 and 10,000 rows on one thread. It has its own environment, which uv makes of the lines below.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "lightgbm==4.6.0",
#     "numpy<3",
#     "onnxruntime>=1.23",
#     "scikit-learn==1.7.2",
#     "skl2onnx==1.20.0",
#     "treelite==4.6.1",
#     "xgboost-cpu==3.0.5",
# ]
# ///
from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FEATURES, TREES, RUNS = 40, 200, 5
RUNTIMES = ("ort C library", "onnxruntime", "treelite", "xgboost", "lightgbm")
PACKAGES = {
    "ort C library": ("onnxruntime/capi/libonnxruntime.so*",),
    "onnxruntime": ("onnxruntime", "numpy", "numpy.libs"),
    "treelite": ("treelite", "numpy", "numpy.libs", "scipy", "scipy.libs"),
    "xgboost": ("xgboost", "numpy", "numpy.libs", "scipy", "scipy.libs"),
    "lightgbm": ("lightgbm", "numpy", "numpy.libs", "scipy", "scipy.libs"),
}


def make(folder: Path) -> None:
    """Train one model of each library on the same data, of the same size, in its own safe format."""
    import lightgbm  # type: ignore[import-not-found]
    import numpy as np
    import treelite  # type: ignore[import-not-found]
    import xgboost  # type: ignore[import-not-found]
    from skl2onnx import to_onnx  # type: ignore[import-untyped]
    from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
    from sklearn.ensemble import GradientBoostingClassifier  # type: ignore[import-untyped]

    numbers = np.random.default_rng(7)
    table = numbers.normal(size=(2000, FEATURES)).astype(np.float32)
    labels = (table[:, 0] + table[:, 1] * table[:, 2] > 0).astype(int)
    trained = GradientBoostingClassifier(n_estimators=TREES, random_state=7).fit(table, labels)
    inputs = [("input", FloatTensorType([None, FEATURES]))]
    onnx = to_onnx(trained, initial_types=inputs, options={"zipmap": False}).SerializeToString()
    (folder / "model.onnx").write_bytes(onnx)
    treelite.sklearn.import_model(trained).serialize(str(folder / "model.treelite"))
    boosted = xgboost.XGBClassifier(n_estimators=TREES, max_depth=3, n_jobs=1).fit(table, labels)
    boosted.save_model(folder / "model.ubj")
    leaves = lightgbm.LGBMClassifier(n_estimators=TREES, num_leaves=8, verbose=-1).fit(table, labels)
    leaves.booster_.save_model(folder / "model.txt")
    for rows in (1, 100, 10_000):
        np.save(folder / f"{rows}.npy", numbers.normal(size=(rows, FEATURES)).astype(np.float32))


def opened(runtime: str, folder: Path) -> Callable[[Any], object]:
    """Import a runtime, load its model; return the call of it."""
    if runtime == "ort C library":
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lambda" / "inference"))
        ort: Any = importlib.import_module("ort")
        run = ort.Session(ort.Engine(), (folder / "model.onnx").read_bytes()).bind(
            ["input"], ["probabilities"]
        )
        return lambda table: run([table], len(table) // FEATURES)
    if runtime == "onnxruntime":
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        return lambda table: session.run(["probabilities"], {"input": table})
    if runtime == "treelite":
        import treelite

        model = treelite.Model.deserialize(str(folder / "model.treelite"))
        return lambda table: treelite.gtil.predict(model, table, nthread=1)
    if runtime == "xgboost":
        import xgboost

        booster = xgboost.Booster({"nthread": 1}, model_file=str(folder / "model.ubj"))
        return lambda table: booster.inplace_predict(table)
    import lightgbm

    leaves = lightgbm.Booster(model_file=str(folder / "model.txt"))
    return lambda table: leaves.predict(table, num_threads=1)


def measure(runtime: str, folder: Path) -> dict[str, float]:
    """What one process of a runtime takes."""
    started = time.perf_counter()
    call = opened(runtime, folder)
    found = {"load_ms": (time.perf_counter() - started) * 1000}
    import numpy as np

    for rows, calls in ((1, 2000), (100, 200), (10_000, 7)):
        table: Any = np.load(folder / f"{rows}.npy")
        if runtime == "ort C library":
            from array import array

            table = array("f", table.tobytes())
        for _ in range(3):
            call(table)
        times = []
        for _ in range(calls):
            begun = time.perf_counter_ns()
            call(table)
            times.append((time.perf_counter_ns() - begun) / 1000)
        found[f"p50_us_{rows}"] = statistics.median(times)
    return found


def size_mb(runtime: str) -> float:
    """What its packages weigh, tests and all."""
    site = Path(importlib.util.find_spec("numpy").origin or "").parents[1]  # type: ignore[union-attr]
    files = [
        file
        for pattern in PACKAGES[runtime]
        for path in site.glob(pattern)
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    ]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="formats-") as scratch:
        folder = Path(scratch)
        make(folder)
        samples: dict[str, list[dict[str, float]]] = {runtime: [] for runtime in RUNTIMES}
        for _ in range(RUNS):
            for runtime, found in samples.items():
                command = [sys.executable, __file__, runtime, str(folder)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{runtime} ended with {done.returncode}:\n{done.stderr}")
                found.append(json.loads(done.stdout))
    heads = ("", "load ms", "1 row us", "100 rows us", "10,000 rows us", "MB")
    print(f"{heads[0]:<20}" + "".join(f"{head:>16}" for head in heads[1:]))
    for runtime, found in samples.items():
        middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
        print(
            f"{runtime:<20}"
            + "".join(f"{value:>16.1f}" for value in middle.values())
            + f"{size_mb(runtime):>16.0f}"
        )
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
    else:
        sys.exit(main())
