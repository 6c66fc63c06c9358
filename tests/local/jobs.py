"""Training jobs for tests: a script, its source archive, and what a request needs."""

from __future__ import annotations

import io
import tarfile
import textwrap
from dataclasses import dataclass
from typing import Any

from tests.local.conftest import LocalAws, allow, eventually, unique


@dataclass(frozen=True)
class Workbench:
    """A bucket and a role with which jobs of a test run."""

    aws: LocalAws
    bucket: str
    role: str

    @classmethod
    def of(cls, aws: LocalAws) -> Workbench:
        bucket = aws.bucket()
        role = aws.role(
            "sagemaker",
            allow("s3:*", resource=[f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]),
            allow("logs:*"),
        )
        return cls(aws, bucket, role)

    def put(self, key: str, body: str | bytes = "") -> str:
        data = body.encode() if isinstance(body, str) else body
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        body: bytes = self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.aws.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in listed for found in page.get("Contents", [])]

    def request(self, script: str, **changes: Any) -> dict[str, Any]:
        """A CreateTrainingJob request for a script."""
        name = unique("job")
        source = self.put(f"source/{name}.tar.gz", archive({"train.py": textwrap.dedent(script)}))
        hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": source}
        return {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {
                "TrainingImage": "000000000000.dkr.ecr.us-east-1.amazonaws.com/sklearn:1",
                "TrainingInputMode": "File",
            },
            "HyperParameters": hyperparameters | changes.pop("hyperparameters", {}),
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        } | changes

    def spot_request(self, script: str, **changes: Any) -> dict[str, Any]:
        request = self.request(script)
        spot: dict[str, Any] = {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
            "CheckpointConfig": {"S3Uri": f"s3://{self.bucket}/checkpoints/{request['TrainingJobName']}"},
        }
        return request | spot | changes

    def start(self, request: dict[str, Any]) -> str:
        self.aws.client("sagemaker").create_training_job(**request)
        return str(request["TrainingJobName"])

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.end_of(self.start(request))

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.aws.client("sagemaker").describe_training_job(TrainingJobName=name)
        return described

    def is_there(self, name: str) -> bool:
        listed = self.aws.client("sagemaker").list_training_jobs(NameContains=name)
        return bool(listed["TrainingJobSummaries"])

    def end_of(self, name: str, seconds: float = 30) -> dict[str, Any]:
        described: dict[str, Any] = {}

        def over() -> bool:
            described.update(self.describe(name))
            return described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

        eventually(over, seconds, f"the end of {name}")
        return described

    def wait_for_log(self, name: str, text: str, seconds: float = 15) -> None:
        eventually(lambda: text in "\n".join(self.log(name)), seconds, f"{text!r} in the log of {name}")

    def log(self, name: str) -> list[str]:
        """The messages of a job in CloudWatch Logs."""
        logs = self.aws.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")[
                "logStreams"
            ]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def model(self, name: str) -> dict[str, bytes]:
        """The files of a job's model archive."""
        return unpacked(self.get(f"output/{name}/output/model.tar.gz"))


def archive(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]


def channel(name: str, uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}},
    }
