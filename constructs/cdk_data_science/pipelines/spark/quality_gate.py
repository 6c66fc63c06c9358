"""Evaluates quality rules on one large CSV with AWS Glue Data Quality; leaves the outcome of each as JSON.

Runs in Glue's environment, which has Spark and Glue's libraries; nothing of them is needed to read this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

ARGUMENTS = ("bucket", "key", "version", "rules", "outcomes_bucket", "outcomes_key")
# As the function reads CSV: quotes are doubled, values may hold line ends, and a broken row is an error.
CSV = {
    "header": True,
    "inferSchema": True,
    "multiLine": True,
    "quote": '"',
    "escape": '"',
    "mode": "FAILFAST",
}


UNVERSIONED = "null"
"""S3's word for the version of an object in a bucket that keeps none."""


class Overwritten(Exception):
    """The object is not the one any more that the run is about."""


def main(given: list[str]) -> None:
    """Read the object, evaluate, write the outcomes."""
    import boto3
    from awsglue.context import GlueContext  # type: ignore[import-not-found]
    from awsglue.dynamicframe import DynamicFrame  # type: ignore[import-not-found]
    from awsglue.utils import getResolvedOptions  # type: ignore[import-not-found]
    from awsgluedq.transforms import EvaluateDataQuality  # type: ignore[import-not-found]
    from pyspark.context import SparkContext  # type: ignore[import-not-found]

    arguments = getResolvedOptions(given, list(ARGUMENTS))
    s3 = boto3.client("s3")
    check_version(s3, arguments)
    context = GlueContext(SparkContext.getOrCreate())
    frame = context.spark_session.read.csv(f"s3://{arguments['bucket']}/{arguments['key']}", **CSV)
    frame.cache()
    evaluated = EvaluateDataQuality.apply(
        frame=DynamicFrame.fromDF(frame, context, "data"),
        ruleset=arguments["rules"],
        publishing_options={
            "dataQualityEvaluationContext": "quality_gate",
            # The pipeline keeps the outcomes and counts them itself.
            "enableDataQualityCloudWatchMetrics": False,
            "enableDataQualityResultsPublishing": False,
        },
    )
    found = {"rows": frame.count(), "rules": outcomes(row.asDict() for row in evaluated.toDF().collect())}
    check_version(s3, arguments)
    s3.put_object(
        Bucket=arguments["outcomes_bucket"],
        Key=arguments["outcomes_key"],
        Body=json.dumps(found, ensure_ascii=False).encode(),
        ContentType="application/json",
    )


def check_version(s3: Any, arguments: Mapping[str, str]) -> None:
    """Spark reads the newest version: it has to be the one that started the run.

    Raises:
        Overwritten: it is not.
    """
    wanted = arguments["version"]
    newest = s3.head_object(Bucket=arguments["bucket"], Key=arguments["key"]).get("VersionId")
    if wanted not in (UNVERSIONED, newest):
        raise Overwritten(
            f"s3://{arguments['bucket']}/{arguments['key']} was overwritten: the run is about version "
            f"{wanted}, and there is {newest}"
        )


def outcomes(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What Glue says of each rule, in the words of the pipeline."""
    return [
        {
            "rule": row["Rule"],
            "passed": row["Outcome"] == "Passed",
            "observed": _observed(row.get("FailureReason"), row.get("EvaluatedMetrics")),
        }
        for row in rows
    ]


def _observed(reason: str | None, metrics: Mapping[str, float] | None) -> str:
    measured = ", ".join(f"{name}={value:.6g}" for name, value in sorted((metrics or {}).items()))
    return "; ".join(part for part in (reason, measured) if part)


if __name__ == "__main__":
    main(sys.argv)
