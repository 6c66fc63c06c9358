"""Ask the deployed model: through the function's URL, signed, or by invoking the alias."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from examples.review_sentiment.aws import Aws
from examples.review_sentiment.deployed import Platform

_TIMEOUT_SECONDS = 60


class PredictionError(RuntimeError):
    """The function answered with an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    text: str
    label: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The predictions, the model that made them, and how long it took."""

    predictions: list[Prediction]
    model_sha256: str
    function_version: str
    seconds: float
    via: str


def predict(aws: Aws, platform: Platform, texts: Sequence[str]) -> Answer:
    """One request with all texts.

    Raises:
        PredictionError: the function refused the request or has no model.
    """
    request = {"instances": [{"text": text} for text in texts]}
    began = time.perf_counter()
    if platform.function_url:
        via, answer = platform.function_url, _post(aws, platform.function_url, request)
    else:
        via, answer = f"{platform.function_name}:{platform.alias_name}", _invoke(aws, platform, request)
    seconds = time.perf_counter() - began
    if "error" in answer or "predictions" not in answer:
        raise PredictionError(_explain(answer))
    return Answer(
        predictions=[
            Prediction(text=text, label=p["label"], probability=p["probabilities"][p["label"]])
            for text, p in zip(texts, answer["predictions"], strict=True)
        ],
        model_sha256=answer["model"]["sha256"],
        function_version=str(answer["model"]["version"]),
        seconds=seconds,
        via=via,
    )


def _post(aws: Aws, function_url: str, request: dict[str, Any]) -> dict[str, Any]:
    credentials = aws.session.get_credentials()
    if credentials is None:
        raise PredictionError("There are no AWS credentials to sign the request with.")
    signed = AWSRequest(
        method="POST",
        url=function_url,
        data=json.dumps(request).encode(),
        headers={"Content-Type": "application/json", "Host": urlsplit(function_url).netloc},
    )
    SigV4Auth(credentials.get_frozen_credentials(), "lambda", aws.region).add_auth(signed)
    # The local AWS has the URLs of the real one, which its endpoint serves by their Host header.
    address = urlsplit(aws.endpoint or function_url)
    connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = connect(address.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(
            "POST", urlsplit(function_url).path or "/", signed.data, dict(signed.headers.items())
        )
        response = connection.getresponse()
        return _decode(response.read(), f"HTTP {response.status}")
    finally:
        connection.close()


def _invoke(aws: Aws, platform: Platform, request: dict[str, Any]) -> dict[str, Any]:
    response = aws.functions.invoke(
        FunctionName=platform.function_name,
        Qualifier=platform.alias_name,
        Payload=json.dumps(request).encode(),
    )
    return _decode(response["Payload"].read(), response.get("FunctionError", "an answer"))


def _decode(body: bytes, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        raise PredictionError(f"{what} without JSON: {body[:300]!r}") from None
    return answer if isinstance(answer, dict) else {"answer": answer}


def _explain(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    if not isinstance(error, dict):
        return f"The function answered {json.dumps(answer)[:500]}"
    fields = "".join(f"\n  {field['path']}: {field['message']}" for field in error.get("fields", []))
    return f"{error.get('type')}: {error.get('message')}{fields}"
