"""Times one handler in its own process, beside the bare model call; prints JSON.

Run by `benchmarks/inference.py` with a built handler on the path: `inference_warm.py ours|usual EVENTS`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_CALLS = {1: 3000, 100: 300, 10_000: 9}


def _bare(kind: str, body: str) -> Callable[[], object]:
    """The model call alone, with its input ready."""
    app: Any = __import__("app")
    if kind == "ours":
        model = app.handler.shelf.get()
        batch = model.contract.parse(body)
        return lambda: model._run(batch.columns, batch.rows)
    import numpy as np

    rows = [list(row.values()) for row in json.loads(body)["instances"]]
    feed = {"input": np.array(rows, dtype=np.float32)}
    return lambda: app.SESSION.run(["label", "probabilities"], feed)


def _times(function: Callable[[], object], calls: int) -> dict[str, float]:
    times = []
    for _ in range(calls):
        started = time.perf_counter_ns()
        function()
        times.append((time.perf_counter_ns() - started) / 1000)
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[min(len(times) - 1, len(times) * 99 // 100)]}


def main() -> None:
    kind, events = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    results, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: PTH123, SIM115 (metrics go nowhere)
    app: Any = __import__("app")
    context = SimpleNamespace(
        aws_request_id="request",
        function_name="benchmark",
        function_version="1",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:benchmark",
    )
    report = {}
    for event in events:
        rows = len(json.loads(event["body"])["instances"])
        assert app.handler(event, context)["statusCode"] == 200
        bare = _bare(kind, event["body"])
        for _ in range(20 if rows < 10_000 else 2):
            app.handler(event, context)
            bare()
        report[str(rows)] = {
            "handler": _times(partial(app.handler, event, context), _CALLS[rows]),
            "bare": _times(bare, _CALLS[rows]),
        }
    results.write(json.dumps(report))


if __name__ == "__main__":
    main()
