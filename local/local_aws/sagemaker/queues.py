"""Asynchronous endpoints: requests from S3, answers and failures to S3 and to topics, in the model's role."""

from __future__ import annotations

import datetime as dt
import json
import logging
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_aws import context
from local_aws.sagemaker.serving import ModelError, Served
from local_aws.sagemaker.storage import DataError, Location

_WORKERS = 4
_log = logging.getLogger("local_aws.sagemaker")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as its caller left it."""

    location: Location
    content_type: str
    accept: str
    inference_id: str


class Queue:
    """Works through the requests of one endpoint, a few at a time."""

    def __init__(self, config: dict[str, Any], endpoint: str) -> None:
        output = config["OutputConfig"]
        self._endpoint, self._key = endpoint, output.get("KmsKeyId")
        self._answers = output.get("S3OutputPath")
        self._failures = output.get("S3FailurePath")
        topics = output.get("NotificationConfig", {})
        self._success, self._error = topics.get("SuccessTopic"), topics.get("ErrorTopic")
        wanted = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _WORKERS)
        self._threads = ThreadPoolExecutor(min(wanted, _WORKERS), thread_name_prefix=f"queue-{endpoint}")

    def put(self, served: Served, asked: Asked) -> tuple[str, str | None]:
        """Queue a request; returns where its answer will be, and where its failure."""
        name = str(uuid.uuid4())
        answer = f"{self._answers.rstrip('/')}/{name}.out"
        failure = None if self._failures is None else f"{self._failures.rstrip('/')}/{name}-error.out"
        received = _now()
        self._threads.submit(self._work, served, asked, answer, failure, received)
        return answer, failure

    def end(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, served: Served, asked: Asked, answer: str, failure: str | None, received: str) -> None:
        told = {
            "awsRegion": context.settings().region,
            "receivedTime": received,
            "requestParameters": {
                "endpointName": self._endpoint,
                "inputLocation": asked.location.uri,
                "accept": asked.accept,
                "contentType": asked.content_type,
            },
            "inferenceId": asked.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        try:
            body, kind = served.invoke(_fetched(served, asked.location), asked.content_type, asked.accept)
            served.storage(self._key).put_bytes(body, Location.parse(answer))
        except (ModelError, DataError) as error:
            self._fail(served, told, str(error), failure)
        except Exception:  # noqa: BLE001 - whoever waits for the answer has to hear of it
            _log.exception("An asynchronous request of %s failed by an error of the emulator", self._endpoint)
            self._fail(served, told, "internal error of the local AWS", failure)
        else:
            response = {"contentType": kind, "outputLocation": answer}
            self._tell(served, self._success, told, "Completed", {"responseParameters": response})

    def _fail(self, served: Served, told: dict[str, Any], reason: str, failure: str | None) -> None:
        more: dict[str, Any] = {"failureReason": reason}
        if failure is not None:
            try:
                served.storage(self._key).put_bytes(reason.encode(), Location.parse(failure))
                more["responseParameters"] = {"outputLocation": failure}
            except DataError as error:
                _log.warning("Failure of %s: %s", self._endpoint, error)
        self._tell(served, self._error, told, "Failed", more)

    def _tell(
        self, served: Served, topic: str | None, told: dict[str, Any], status: str, more: dict[str, Any]
    ) -> None:
        if topic is None:
            return
        message = told | {"eventTime": _now(), "invocationStatus": status} | more
        try:
            served.client("sns").publish(TopicArn=topic, Message=json.dumps(message))
        except ClientError as error:
            # As in AWS: the answer is in S3, and the topic hears nothing.
            _log.warning("Topic of %s: %s", self._endpoint, error)


def _fetched(served: Served, location: Location) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "request"
        served.storage().fetch_object(location, file)
        return file.read_bytes()


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
