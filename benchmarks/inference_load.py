"""10,000 requests to the inference function, 50 at a time, on the local AWS: each has its own right answer.

    python -m benchmarks.inference_load [--requests 10000] [--at-once 50] [--json FILE]

The function is the built asset behind an alias, in its own role, with its model in an S3 of the same local
AWS, which is up for this alone. Every request has rows of its own, and its answer is compared with what the
model says when it is asked directly: what is lost, doubled or mixed up is seen.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks import measure
from benchmarks.inference import FEATURES, OURS, build, make_model
from benchmarks.local_aws import LOCAL_AWS, ROOT, Instance
from benchmarks.local_run import free_port

REQUESTS, AT_ONCE = 10_000, 50
BUCKET, FUNCTION, ALIAS = "benchmark-models", "benchmark-inference", "live"
LIMITS = {"lost": 0.0, "mixed_up": 0.0}
_WAIT_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference_load", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inference-load-") as folder:
        instance = Instance(free_port(), Path(folder) / "aws")
        try:
            instance.command("up", "--port", str(instance.port))
            found = measured(
                instance.pointed_at(), Path(folder), requests=options.requests, at_once=options.at_once
            )
        except (measure.ProcessFailed, subprocess.TimeoutExpired) as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            subprocess.run([LOCAL_AWS, "down"], cwd=ROOT, env=instance.environment(), check=False)
    rows = [
        [what, f"{value:g}", f"{LIMITS[what]:g}" if what in LIMITS else ""] for what, value in found.items()
    ]
    print(measure.table(["", "measured", "limit"], rows))
    result = {"machine": measure.machine(), "measured": found, "limits": LIMITS}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(found[what] <= limit for what, limit in LIMITS.items()) else 1


def measured(variables: Mapping[str, str], folder: Path, *, requests: int, at_once: int) -> dict[str, float]:
    """Deploy the function, ask it, and count what came back."""
    with mock.patch.dict(os.environ, variables):
        session = boto3.Session()
        deploy(session, build(OURS, folder / "asset"))
        config = Config(
            max_pool_connections=at_once, retries={"total_max_attempts": 1}, read_timeout=_WAIT_SECONDS
        )
        client = session.client("lambda", config=config)
        bodies = [rows(number) for number in range(requests)]
        expected = answers(client, bodies)
        times: list[float] = []
        kinds: Counter[str] = Counter()

        def ask(number: int) -> None:
            begun = time.perf_counter()
            try:
                given = call(client, {"instances": [bodies[number]]})["predictions"]
            except (ClientError, BotoCoreError, KeyError, ValueError) as error:
                kinds[f"lost: {type(error).__name__}"] += 1
                return
            times.append((time.perf_counter() - begun) * 1000)
            right = len(given) == 1 and close(given[0]["probabilities"], expected[number])
            kinds["right" if right else "mixed up"] += 1

        begun = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(ask, range(requests)))
        seconds = time.perf_counter() - begun
    times.sort()
    return {
        "requests": requests,
        "at_once": at_once,
        "lost": requests - kinds["right"] - kinds["mixed up"],
        "mixed_up": kinds["mixed up"],
        "seconds": round(seconds, 1),
        "requests_per_second": round(requests / seconds),
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(times[len(times) * 99 // 100], 1),
    }


def rows(number: int) -> dict[str, float]:
    numbers = random.Random(number)
    return {f"feature_{index}": numbers.uniform(-3, 3) for index in range(FEATURES)}


def answers(client: Any, bodies: list[dict[str, float]]) -> list[dict[str, float]]:
    """What the model says of all rows, a thousand in a request."""
    found: list[dict[str, float]] = []
    for at in range(0, len(bodies), 1000):
        answer = call(client, {"instances": bodies[at : at + 1000]})
        found += [each["probabilities"] for each in answer["predictions"]]
    return found


def close(given: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    # A batch is added up in another order than a single row.
    return given.keys() == expected.keys() and all(
        abs(given[name] - value) < 1e-5 for name, value in expected.items()
    )


def call(client: Any, event: object) -> dict[str, Any]:
    answer = client.invoke(FunctionName=FUNCTION, Qualifier=ALIAS, Payload=json.dumps(event).encode())
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


def deploy(session: Any, asset: Path) -> None:
    """The function as the platform has it: a role that may read its model, a version, an alias."""
    model, manifest = make_model()
    s3, iam, functions = (session.client(name) for name in ("s3", "iam", "lambda"))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="models/model.onnx", Body=model)
    s3.put_object(Bucket=BUCKET, Key="models/model.json", Body=manifest)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/models/*"}
    role = iam.create_role(RoleName=FUNCTION, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=FUNCTION, PolicyName="models", PolicyDocument=_policy(read))
    functions.create_function(
        FunctionName=FUNCTION,
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": _zipped(asset)},
        MemorySize=1769,
        Timeout=30,
        Environment={
            "Variables": {
                "MODEL_BUCKET": BUCKET,
                "MODEL_KEY": "models/model.onnx",
                "MODEL_SHA256": hashlib.sha256(model).hexdigest(),
                "SERVICE": "benchmark",
                "OMP_NUM_THREADS": "1",
            }
        },
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=FUNCTION, WaiterConfig={"Delay": 1})
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.create_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=version)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
