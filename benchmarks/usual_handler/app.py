"""The handler that most teams write: boto3, Powertools, pydantic and ONNX Runtime's Python package.

It does what `lambda/inference` does: the model from S3 verified by SHA-256, requests checked strictly against
the manifest, a line of metrics for each invocation.
"""

import hashlib
import json
import os
import time
from typing import Any

import boto3
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

logger = Logger(service="usual")
metrics = Metrics(namespace="Inference", service="usual")
s3 = boto3.client("s3")


def _fetch(key: str) -> bytes:
    content: bytes = s3.get_object(Bucket=os.environ["MODEL_BUCKET"], Key=key)["Body"].read()
    return content


def _load() -> tuple[dict[str, Any], onnxruntime.InferenceSession]:
    key = os.environ["MODEL_KEY"]
    manifest: dict[str, Any] = json.loads(_fetch(key.rpartition("/")[0] + "/model.json"))
    content = _fetch(key)
    if hashlib.sha256(content).hexdigest() != os.environ["MODEL_SHA256"]:
        raise ValueError("the model has another hash")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return manifest, onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


MANIFEST, SESSION = _load()
NAMES: list[str] = [field["name"] for field in MANIFEST["inputs"]]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


_columns: Any = {
    field["name"]: (float, Field(ge=field.get("minimum"), le=field.get("maximum")))
    for field in MANIFEST["inputs"]
}
Row: Any = create_model("Row", __base__=Strict, **_columns)


class Request(Strict):
    instances: list[Row] = Field(min_length=1, max_length=int(os.environ.get("MAX_ROWS", "1000")))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    started = time.perf_counter()
    metrics.add_metric(name="Invocations", unit=MetricUnit.Count, value=1)
    try:
        request = Request.model_validate_json(event["body"])
    except ValidationError as error:
        metrics.add_metric(name="ValidationErrors", unit=MetricUnit.Count, value=1)
        return _answer(422, {"error": {"type": "ValidationError", "fields": error.errors(include_url=False)}})
    table = np.array([[getattr(row, name) for name in NAMES] for row in request.instances], dtype=np.float32)
    labels, probabilities = SESSION.run(["label", "probabilities"], {"input": table})
    classes = MANIFEST["classes"]
    predictions = [
        {"label": classes[label], "probabilities": dict(zip(classes, row, strict=True))}
        for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True)
    ]
    metrics.add_metric(name="Rows", unit=MetricUnit.Count, value=len(predictions))
    elapsed = (time.perf_counter() - started) * 1000
    metrics.add_metric(name="Latency", unit=MetricUnit.Milliseconds, value=elapsed)
    model = {"sha256": os.environ["MODEL_SHA256"], "version": context.function_version}
    return _answer(200, {"predictions": predictions, "model": model})


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
