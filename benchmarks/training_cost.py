"""What a run of the review workload's training costs: On-Demand, and on Spot capacity that is taken away.

The seconds are recorded: the example's training script runs as a job of the local AWS, undisturbed and with
interruptions, from which it goes on at its last checkpoint. The price is that of the price table, with its
date. There are no prices of Spot capacity in it: they change by the hour and differ by zone. So the result
is the discount from which Spot is cheaper, in spite of what is done twice, and what a run costs at some
discounts. What AWS needs to provide an instance is not in the seconds, and not billed for either.

It runs beside a local AWS that is up already: on a free port, with a state folder of its own.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
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
from examples.review_sentiment.uploads import source_archive

ACCOUNT, REGION = "000000000000", "us-east-1"
BUCKET = "training-cost"
INSTANCE = "ml.m5.xlarge"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sklearn:1"
INTERRUPTIONS = (0, 1, 3)
DISCOUNTS = (0.0, 0.3, 0.5, 0.7, 0.9)
# More folds than the example has by default, so that there is something to interrupt.
FOLDS = 8
SPOT_NOTICE_SECONDS = 2
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Job:
    """A job that has ended."""

    seconds: float
    interruptions: int


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
            "sagemaker_program": "train.py",
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
    """Run a job, and take its machine away once for each further share of its folds."""
    sagemaker, s3 = client(instance, "sagemaker"), client(instance, "s3")
    sagemaker.create_training_job(**request(name, role, spot=spot))
    due = [FOLDS * (number + 1) // (interruptions + 1) for number in range(interruptions)]
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        described = sagemaker.describe_training_job(TrainingJobName=name)
        if described["TrainingJobStatus"] != "InProgress":
            break
        if due and folds_done(s3, name) >= due[0] - 1 and described["SecondaryStatus"] == "Training":
            instance.command("faults", "interrupt", name)
            due.pop(0)
        time.sleep(0.05)
    if described["TrainingJobStatus"] != "Completed":
        raise measure.ProcessFailed(
            f"{name}: {described.get('FailureReason', described['TrainingJobStatus'])}"
        )
    happened = [each["Status"] for each in described["SecondaryStatusTransitions"]].count("Interrupted")
    if happened != interruptions:
        raise measure.ProcessFailed(f"{name} was interrupted {happened} times instead of {interruptions}")
    return Job(ran(described), happened)


def folds_done(s3: Any, name: str) -> int:
    """How many folds the job's checkpoint holds."""
    key = f"checkpoints/{name}/cross-validation.json"
    if not s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents"):
        return 0
    return len(json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())["folds"])


def ran(described: dict[str, Any]) -> float:
    """Seconds in which the job had a machine: finer than the whole seconds that the API tells."""
    phases = ("Downloading", "Training", "Uploading")
    spans = (
        each["EndTime"] - each["StartTime"]
        for each in described["SecondaryStatusTransitions"]
        if each["Status"] in phases
    )
    return float(sum(span.total_seconds() for span in spans))


def report(jobs: dict[str, Job]) -> dict[str, Any]:
    """Seconds and costs of each kind of run."""
    table = prices.load()
    price = table.get(f"sagemaker.{INSTANCE}")
    assert price is not None
    whole = jobs["on demand"].seconds
    found: dict[str, Any] = {}
    for name, job in jobs.items():
        full = job.seconds * price.usd / 3600
        discounts = DISCOUNTS if name != "on demand" else (0.0,)
        found[name] = {
            "seconds": round(job.seconds, 2),
            "interruptions": job.interruptions,
            "cheaper_from_discount": round(max(0.0, 1 - whole / job.seconds), 3),
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
            s3.put_object(Bucket=BUCKET, Key="source.tar.gz", Body=source_archive())
            s3.put_object(Bucket=BUCKET, Key="train/train.csv", Body=train_csv())
            role = job_role(instance)
            run(instance, role, "warm-up", spot=False)  # installs what the script requires
            jobs = {"on demand": run(instance, role, "on-demand", spot=False)}
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
    header = ["", "seconds", "cheaper from", *(f"at -{share:.0%}" for share in DISCOUNTS)]
    rows = [
        [
            name,
            f"{each['seconds']:.1f}",
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
