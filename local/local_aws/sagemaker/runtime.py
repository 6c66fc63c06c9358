"""The data plane of SageMaker: InvokeEndpoint and InvokeEndpointAsync, each authorized by its own name."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_aws.moto_backend import Answer
from local_aws.sagemaker import endpoints
from local_aws.sagemaker.errors import ApiError
from local_aws.sagemaker.queues import Asked
from local_aws.sagemaker.serving import ModelError
from local_aws.sagemaker.storage import DataError, Location

_ROUTE = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
_LARGEST = 6 * 1024 * 1024
_threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="invoke-endpoint")


def endpoint_of(path: str) -> str | None:
    """The endpoint that a request to the data plane names; None for other requests."""
    match = _ROUTE.fullmatch(path)
    return match[1] if match else None


def action_of(path: str) -> str:
    """What IAM calls a request to the data plane."""
    return "InvokeEndpointAsync" if path.endswith("/async-invocations") else "InvokeEndpoint"


async def handle(path: str, headers: dict[str, str], body: bytes) -> Answer:
    import contextvars

    ctx = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, ctx.run, _invoke, path, headers, body)


def _invoke(path: str, headers: dict[str, str], body: bytes) -> Answer:
    name = endpoint_of(path) or ""
    try:
        if path.endswith("/async-invocations"):
            return _queue(name, headers)
        if not path.endswith("/invocations"):
            raise ApiError("ValidationError", "Answers are not streamed on the local AWS.")
        if len(body) > _LARGEST:
            raise ApiError("ValidationError", f"Payload is too large: {len(body)} bytes of {_LARGEST}.")
        endpoint = endpoints.find(name)
        if endpoint.fleet is not None and endpoint.fleet.queue is not None:
            raise ApiError("ValidationError", f"Endpoint {name} is asynchronous: use InvokeEndpointAsync.")
        kind = headers.get("content-type") or "application/octet-stream"
        accept = headers.get("accept") or "*/*"
        inference_id = headers.get("x-amzn-sagemaker-inference-id")
        with endpoint.call(headers.get("x-amzn-sagemaker-target-variant")) as (fleet, variant, served):
            answer, answer_kind = served.invoke(body, kind, accept)
            if fleet.capture is not None:
                fleet.capture.add(variant, (body, kind), (answer, answer_kind), inference_id)
    except ApiError as error:
        return _error(400, "ValidationError", {"Message": error.message})
    except ModelError as error:
        return _model_error(error, name)
    return 200, {"Content-Type": answer_kind, "x-Amzn-Invoked-Production-Variant": variant}, answer


def _queue(name: str, headers: dict[str, str]) -> Answer:
    endpoint = endpoints.find(name)
    fleet, _, served = endpoint.choose(None)
    if fleet.queue is None:
        raise ApiError("ValidationError", f"Endpoint {name} is not asynchronous: use InvokeEndpoint.")
    given = {key.removeprefix("x-amzn-sagemaker-"): value for key, value in headers.items()}
    try:
        location = Location.parse(given.get("inputlocation", ""))
    except DataError as error:
        raise ApiError("ValidationError", str(error)) from error
    asked = Asked(
        location=location,
        content_type=given.get("content-type", "application/octet-stream"),
        accept=given.get("accept", "*/*"),
        inference_id=given.get("inference-id") or str(uuid.uuid4()),
    )
    answer, failure = fleet.queue.put(served, asked)
    told = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": answer}
    if failure is not None:
        told["X-Amzn-SageMaker-FailureLocation"] = failure
    return 202, told, json.dumps({"InferenceId": asked.inference_id}).encode()


def _model_error(error: ModelError, endpoint: str) -> Answer:
    log = f"/aws/sagemaker/Endpoints/{endpoint}"
    message = (
        f'Received server error ({error.status}) from primary with message "{error}". See {log} in '
        "CloudWatch Logs for more information."
    )
    details = {"OriginalStatusCode": error.status, "OriginalMessage": str(error), "LogStreamArn": log}
    return _error(424, "ModelError", {"Message": message} | details)


def _error(status: int, code: str, body: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps(body).encode()
