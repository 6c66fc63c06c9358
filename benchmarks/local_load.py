"""Many at once on the deployed platform: runs of its pipeline on real data, and calls of their model."""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from examples.review_sentiment import runs
from examples.review_sentiment.aws import Aws, connect
from examples.review_sentiment.data import fetch_reviews
from examples.review_sentiment.deployed import Platform, find_platform
from examples.review_sentiment.predictions import predict
from examples.review_sentiment.uploads import Upload, upload, upload_source
from settings.model import load

RUNS, CALLS = 20, 200
LIMIT_SECONDS = 900
# Runs that deploy at the same time: one wins, and the others are told so. Nothing of them is lost.
_OUTRUN = ("DeploymentFailed", "OlderData")


def measured(variables: Mapping[str, str]) -> dict[str, float]:
    """Seconds and losses of all runs at once, then of all calls at once.

    Args:
        variables: What points tools at the local AWS that the platform is deployed to.
    """
    with mock.patch.dict(os.environ, variables):
        settings = load("local")
        aws = connect("local", settings.platform.region)
        platform = find_platform(aws.cloudformation, settings.platform.name)
        upload_source(aws.s3, platform.training_source_prefix)
        assert settings.pipeline is not None
        found = _runs(aws, platform, settings.pipeline.prefix)
        return found | _calls(aws, platform)


def _runs(aws: Aws, platform: Platform, prefix: str) -> dict[str, float]:
    """Upload as many files as runs, and wait until each has ended."""
    begin = time.perf_counter()
    uploads = [
        upload(aws.s3, platform.raw_bucket, f"{prefix}part-{number}.csv", content)
        for number, content in enumerate(_parts())
    ]
    ended: dict[str, tuple[str, str]] = {}
    while len(ended) < RUNS and time.perf_counter() - begin < LIMIT_SECONDS:
        for data in uploads:
            if data.key not in ended:
                outcome = _end_of(aws, platform, data)
                if outcome is not None:
                    ended[data.key] = outcome
        time.sleep(0.5)
    kinds = Counter(
        "succeeded"
        if status == "SUCCEEDED"
        else "outrun"
        if status == "FAILED" and error in _OUTRUN
        else "other"
        for status, error in ended.values()
    )
    return {
        "runs_seconds": time.perf_counter() - begin,
        "runs_succeeded": kinds["succeeded"],
        "runs_outrun": kinds["outrun"],
        "runs_lost": RUNS - kinds["succeeded"] - kinds["outrun"],
    }


def _parts() -> list[bytes]:
    """The reviews, each time without another one: as many files of which no two are the same."""
    with fetch_reviews().path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    column = header.index("review_id")
    parts = []
    for number in range(1, RUNS + 1):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(
            [header, *(row for row in rows if row[column] != str(number))]
        )
        parts.append(text.getvalue().encode())
    return parts


def _end_of(aws: Aws, platform: Platform, data: Upload) -> tuple[str, str] | None:
    """Status and error of the one run of this data, once it has ended."""
    found = runs.find_runs(aws.stepfunctions, platform.state_machine_arn, data)
    if not found or found[0].status == "RUNNING":
        return None
    described = aws.stepfunctions.describe_execution(executionArn=found[0].arn)
    return described["status"], described.get("error", "")


def _calls(aws: Aws, platform: Platform) -> dict[str, float]:
    """Ask for as many predictions at once, each of another text, and compare them with those of one call."""
    texts = [f"Product number {number} works well." for number in range(CALLS)]
    expected = [prediction.label for prediction in predict(aws, platform, texts).predictions]

    def ask(numbered: tuple[int, str]) -> bool:
        number, text = numbered
        try:
            answer: Any = predict(aws, platform, [text])
        except Exception:  # noqa: BLE001 - whatever it is, the call is lost
            return False
        return bool(answer.predictions[0].label == expected[number])

    with ThreadPoolExecutor(CALLS) as pool:
        begin = time.perf_counter()
        right = sum(pool.map(ask, enumerate(texts)))
    return {"calls_seconds": time.perf_counter() - begin, "calls_lost": CALLS - right}
