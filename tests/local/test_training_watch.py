"""TrainingWatch, deployed: the function counts jobs in its own role, through EventBridge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from cdk_data_science import SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import TrainingWatch
from tests.local.assembly import deploy, destroy, new_stack
from tests.local.conftest import ACCOUNT, REGION, LocalAws, eventually, unique
from tests.local.jobs import Workbench

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/train:1"


def test_jobs_are_counted_by_how_they_end(local_aws: LocalAws, tmp_path: Path) -> None:
    # GIVEN a training that is watched
    bench, prefix = Workbench.of(local_aws), unique("w")[:14]
    stack = new_stack(tmp_path, "watch")
    attributes = ZoneAttributes(
        name="models",
        bucket_arn=f"arn:aws:s3:::{bench.bucket}",
        database_name="models",
        lake_formation=False,
    )
    zone = Zone.from_attributes(stack, "Zone", attributes)
    training = SpotTraining(
        stack,
        "Training",
        image=IMAGE,
        checkpoints=zone,
        output=zone,
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(1),
        job_name_prefix=prefix,
    )
    watch = TrainingWatch(stack, "Watch", jobs=training)
    cdk.CfnOutput(stack, "Log", value=watch.function.log_group.log_group_name)
    log = deploy(local_aws, stack)["Log"]
    # WHEN one job is another's, one succeeds, and one fails
    bench.run(bench.request("raise RuntimeError('no')", TrainingJobName=f"{prefix}-other"))
    bench.run(bench.spot_request("print(1)", TrainingJobName=f"{prefix}--good"))
    bench.run(bench.request("raise RuntimeError('no')", TrainingJobName=f"{prefix}--bad"))
    # THEN the function has written a line for each of the last two
    eventually(lambda: len(lines(local_aws, log)) >= 2, 20, "two lines of metrics")
    found = {line["job"]: line for line in lines(local_aws, log)}
    assert set(found) == {f"{prefix}--good", f"{prefix}--bad"}
    good, bad = found[f"{prefix}--good"], found[f"{prefix}--bad"]
    assert (good["Completed"], good["Failed"]) == (1, 0)
    assert good["Seconds"] >= good["BilledSeconds"] > 0
    assert (bad["Completed"], bad["Failed"]) == (0, 1)
    destroy(local_aws, stack)


def lines(aws: LocalAws, group: str) -> list[dict[str, Any]]:
    logs = aws.client("logs")
    events = logs.filter_log_events(logGroupName=group)["events"]
    messages = [each["message"].strip() for each in events]
    return [json.loads(each) for each in messages if each.startswith('{"_aws"')]
