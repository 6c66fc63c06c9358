"""Calls of SQS and Firehose, whose API is JSON over one address, without boto3."""

import json
import os
from typing import Any

from connection import Connection, NoCredentials, Target, pause, region_of, suffix_of

ATTEMPTS = 4
_BACKOFF_SECONDS = 0.1
_RETRIED = frozenset({429, 500, 502, 503, 504})
_THROTTLED = ("Throttl", "ServiceUnavailable", "RequestLimitExceeded", "InternalFailure", "InternalError")
_APIS = {
    "sqs": ("AmazonSQS", "application/x-amz-json-1.0"),
    "firehose": ("Firehose_20150804", "application/x-amz-json-1.1"),
}


class ServiceError(Exception):
    """The service refused, or could not be reached."""


class Service:
    """One service of the function's region, over one kept connection."""

    def __init__(self, name: str, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._name = name
        self._api, self._content_type = _APIS[name]
        self._target = _locate(name, environment)
        self._connection = Connection(environment, name)

    def call(self, operation: str, **arguments: object) -> dict[str, Any]:
        """Call an operation that may be repeated.

        Raises:
            ServiceError: it was refused, or there was no answer after a few attempts.
        """
        from http.client import HTTPException

        payload = json.dumps(arguments).encode()
        headers = {"content-type": self._content_type, "x-amz-target": f"{self._api}.{operation}"}
        failure = ServiceError(f"{self._name}:{operation} was not tried")
        for attempt in range(ATTEMPTS):
            if attempt:
                pause(attempt, _BACKOFF_SECONDS)
            try:
                response, body = self._connection.exchange(
                    "POST", self._target, payload=payload, extra=headers
                )
            except NoCredentials as error:
                raise ServiceError(str(error)) from error
            except (OSError, HTTPException) as error:
                self.close()
                what = str(error) or type(error).__name__
                failure = ServiceError(f"{self._name}:{operation}: no answer: {what}")
                continue
            if response.status < 300:
                answer: dict[str, Any] = json.loads(body) if body else {}
                return answer
            kind = _kind(body)
            text = body[:300].decode("utf-8", "replace")
            failure = ServiceError(f"{self._name}:{operation}: {response.status} {kind} {text}".rstrip())
            if response.status not in _RETRIED and not any(word in kind for word in _THROTTLED):
                break
        raise failure

    def close(self) -> None:
        self._connection.close()


def _locate(name: str, environment: "os._Environ[str] | dict[str, str]") -> Target:
    region = region_of(environment)
    override = environment.get(f"AWS_ENDPOINT_URL_{name.upper()}") or environment.get("AWS_ENDPOINT_URL")
    if override:
        scheme, _, rest = override.partition("://")
        host, _, path = rest.rstrip("/").partition("/")
        return Target(scheme == "https", host, f"/{path}", region)
    return Target(True, f"{name}.{region}.{suffix_of(region)}", "/", region)


def _kind(body: bytes) -> str:
    """The type of an error, without its namespace."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    kind = answer.get("__type", "") if isinstance(answer, dict) else ""
    return str(kind).rpartition("#")[2]
