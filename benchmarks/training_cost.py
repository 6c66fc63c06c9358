"""What a run of the review workload's training costs: On-Demand, and on Spot capacity that is taken away.

The example's training script runs as a job of the local AWS, undisturbed and with interruptions, from which
it goes on at its last checkpoint. What counts is work, not time: the seconds of processor that the program
itself reports when it ends, over all its starts, and the folds that it computed. It has one thread, so on a
machine of its own these are its seconds, and on a busy one they stay what they are. A second undisturbed run
tells how exact they are.

The price is that of the price table, with its date. There are no prices of Spot capacity in it: they change
by the hour and differ by zone. So the result is the discount from which Spot is cheaper, in spite of what is
done twice, and what a run costs at some discounts. What is not work is left out: providing an instance,
which is not billed, and moving files.

It runs beside a local AWS that is up already: on a free port, with a state folder of its own.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks import measure
from benchmarks.local_aws import Instance
from benchmarks.local_run import free_port
from cdk_data_science.cost import prices
from examples.review_sentiment.data import fetch_reviews
from examples.review_sentiment.uploads import SOURCE, SOURCE_FILES
from tools.source_archive import pack

ACCOUNT, REGION = "000000000000", "us-east-1"
BUCKET = "training-cost"
INSTANCE = "ml.m5.xlarge"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sklearn:1"
INTERRUPTIONS = (0, 1, 3)
ON_DEMAND = "On-Demand"
DISCOUNTS = (0.0, 0.3, 0.5, 0.7, 0.9)
# More folds than the example has by default, so that there is something to interrupt.
FOLDS = 8
# As on AWS: time enough to end a fold, however busy the machine is.
SPOT_NOTICE_SECONDS = 120
LIMIT_SECONDS = 600
PROGRAM = "measured.py"
MEASURED = """
import os
import sys

import train

code = train.main()
used = os.times()
print(f"cpu_seconds={used.user + used.system:.3f}", flush=True)
sys.exit(code)
"""

_CPU = re.compile(r"^cpu_seconds=([0-9.]+)")
_FOLD = re.compile(r"^cv_auroc=\S+ .*fold=\d+")


@dataclass(frozen=True)
class Job:
    """A job that has ended, and the work that it took."""

    cpu_seconds: float
    starts: int
    folds: int
    """Computed, those that were computed again included."""


def client(instance: Instance, service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=f"http://127.0.0.1:{instance.port}",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def job_role(instance: Instance) -> str:
    """A role for the jobs; its ARN."""
    iam = client(instance, "iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    allowed = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    iam.create_role(RoleName="training", AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName="training", PolicyName="allowed", PolicyDocument=_policy(allowed))
    return f"arn:aws:iam::{ACCOUNT}:role/training"


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def train_csv() -> bytes:
    """The reviews as the training script reads them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "group", "label", "text"))
    with fetch_reviews().path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = "positive" if float(row["rating"]) > 0 else "negative"
            writer.writerow((row["sentence_id"], row["review_id"], label, row["text"]))
    return text.getvalue().encode()


def request(name: str, role: str, *, spot: bool) -> dict[str, Any]:
    """The parameters of ``CreateTrainingJob``."""
    stopping = {"MaxRuntimeInSeconds": LIMIT_SECONDS}
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": PROGRAM,
            "sagemaker_submit_directory": f"s3://{BUCKET}/source.tar.gz",
            "folds": str(FOLDS),
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models/"},
        "ResourceConfig": {"InstanceType": INSTANCE, "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": stopping | ({"MaxWaitTimeInSeconds": LIMIT_SECONDS} if spot else {}),
        "EnableManagedSpotTraining": spot,
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{name}/"},
    }


def run(instance: Instance, role: str, name: str, *, spot: bool, interruptions: int = 0) -> Job:
    """Run a job, and take its machine away from each start but the last, once it has computed a fold."""
    sagemaker = client(instance, "sagemaker")
    sagemaker.create_training_job(**request(name, role, spot=spot))
    taken = 0
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        described = sagemaker.describe_training_job(TrainingJobName=name)
        if described["TrainingJobStatus"] != "InProgress":
            break
        if taken < interruptions and described["SecondaryStatus"] == "Training":
            lines = log(instance, name)
            begun = lines[max((n for n, line in enumerate(lines, 1) if _CPU.search(line)), default=0) :]
            if work(lines).starts == taken and work(begun).folds:
                instance.command("faults", "interrupt", name)
                taken += 1
        time.sleep(0.05)
    if described["TrainingJobStatus"] != "Completed":
        raise measure.ProcessFailed(
            f"{name}: {described.get('FailureReason', described['TrainingJobStatus'])}"
        )
    happened = [each["Status"] for each in described["SecondaryStatusTransitions"]].count("Interrupted")
    if happened != interruptions:
        raise measure.ProcessFailed(f"{name} was interrupted {happened} times instead of {interruptions}")
    job = work(log(instance, name))
    if job.starts != interruptions + 1:
        raise measure.ProcessFailed(f"{name} ended {job.starts} times instead of {interruptions + 1}")
    return job


def program() -> bytes:
    """The example's training code, and the program that tells what it took."""
    files = {name: (SOURCE / name).read_bytes() for name in SOURCE_FILES}
    return pack(files | {PROGRAM: MEASURED.encode()})


def log(instance: Instance, name: str) -> list[str]:
    """What a job's program printed, over all its starts."""
    logs = client(instance, "logs")
    pages = logs.get_paginator("filter_log_events")
    found = pages.paginate(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")
    try:
        return [event["message"] for page in found for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:  # nothing was printed yet
        return []


def work(lines: list[str]) -> Job:
    """The work that a log tells of."""
    used = [float(found[1]) for line in lines if (found := _CPU.search(line))]
    folds = sum(_FOLD.search(line) is not None for line in lines)
    return Job(sum(used), len(used), folds)


def report(jobs: dict[str, Job]) -> dict[str, Any]:
    """Seconds and costs of each kind of run."""
    table = prices.load()
    price = table.get(f"sagemaker.{INSTANCE}")
    assert price is not None
    whole = jobs[ON_DEMAND].cpu_seconds
    found: dict[str, Any] = {}
    for name, job in jobs.items():
        full = job.cpu_seconds * price.usd / 3600
        discounts = (0.0,) if name.startswith(ON_DEMAND) else DISCOUNTS
        found[name] = {
            "cpu_seconds": round(job.cpu_seconds, 2),
            "starts": job.starts,
            "folds": job.folds,
            "work": round(job.cpu_seconds / whole, 3),
            "cheaper_from_discount": round(max(0.0, 1 - whole / job.cpu_seconds), 3),
            "usd_at_discount": {f"{share:g}": round(full * (1 - share), 6) for share in discounts},
        }
    return {
        "instance_type": INSTANCE,
        "usd_per_hour": price.usd,
        "price_region": table.region,
        "price_date": table.date,
        "runs": found,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_cost", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(free_port(), Path(folder) / "aws")
        try:
            instance.command(
                "up", "--port", str(instance.port), "--spot-notice", str(SPOT_NOTICE_SECONDS), "--json"
            )
            s3 = client(instance, "s3")
            s3.create_bucket(Bucket=BUCKET)
            s3.put_object(Bucket=BUCKET, Key="source.tar.gz", Body=program())
            s3.put_object(Bucket=BUCKET, Key="train/train.csv", Body=train_csv())
            role = job_role(instance)
            run(instance, role, "warm-up", spot=False)  # installs what the script requires
            jobs = {ON_DEMAND: run(instance, role, "on-demand", spot=False)}
            jobs[f"{ON_DEMAND}, again"] = run(instance, role, "on-demand-again", spot=False)
            for number in INTERRUPTIONS:
                name = f"Spot, {number} interruptions"
                jobs[name] = run(instance, role, f"spot-{number}", spot=True, interruptions=number)
        except measure.ProcessFailed as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            instance.command("down")
    result = report(jobs) | {"machine": measure.machine()}
    _show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _show(result: dict[str, Any]) -> None:
    where = f"{result['price_region']}, {result['price_date']}"
    print(f"{result['instance_type']} at {result['usd_per_hour']} USD an hour ({where}), {FOLDS} folds\n")
    header = [
        "",
        "CPU s",
        "work",
        "starts",
        "folds",
        "cheaper from",
        *(f"at -{share:.0%}" for share in DISCOUNTS),
    ]
    rows = [
        [
            name,
            f"{each['cpu_seconds']:.2f}",
            f"{each['work']:.2f}",
            str(each["starts"]),
            str(each["folds"]),
            f"{each['cheaper_from_discount']:.1%} off",
            *(
                f"{each['usd_at_discount'][f'{share:g}']:.6f}"
                if f"{share:g}" in each["usd_at_discount"]
                else ""
                for share in DISCOUNTS
            ),
        ]
        for name, each in result["runs"].items()
    ]
    print(measure.table(header, rows))


if __name__ == "__main__":
    sys.exit(main())
