"""Uses what the app deployed: `python try_it.py train`, then `python try_it.py predict 1 20`."""

import io
import json
import sys
import tarfile
import time
import uuid
from pathlib import Path
from typing import Any

import boto3

SOURCE = Path(__file__).with_name("source")
POINTS = "\n".join(f"{x},{2 * x + 1}" for x in range(10))


def outputs(stack: str) -> dict[str, str]:
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def train() -> str:
    """Upload points and the script, run the state machine; the URI of the model's archive."""
    known, s3, states = outputs("PlainTraining"), boto3.client("s3"), boto3.client("stepfunctions")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file in sorted(SOURCE.glob("*.py")):
            tar.add(file, arcname=file.name)
    s3.put_object(Bucket=known["Bucket"], Key="data/points.csv", Body=POINTS.encode())
    s3.put_object(Bucket=known["Bucket"], Key="source/sourcedir.tar.gz", Body=archive.getvalue())
    name = f"plain-{uuid.uuid4().hex[:12]}"
    arn = states.start_execution(stateMachineArn=known["MachineArn"], name=name)["executionArn"]
    while (done := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.2)
    if done["status"] != "SUCCEEDED":
        sys.exit(f"The training {done['status']}: {done.get('cause')}")
    model: str = json.loads(done["output"])["model"]
    return model


def predict(values: list[float]) -> Any:
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=outputs("PlainServing")["EndpointName"],
        ContentType="application/json",
        Body=json.dumps(values),
    )
    return json.loads(answer["Body"].read())


if __name__ == "__main__":
    print(train() if sys.argv[1] == "train" else predict([float(value) for value in sys.argv[2:]]))
