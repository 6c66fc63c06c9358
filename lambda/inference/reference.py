"""Requests and answers that are too large for an invocation: both are objects in S3."""

import os
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from contract import MAX_REPORTED, InvalidJson, shown_name
from model import positive
from s3 import Client, S3Error

FIELD = "instances_from"
_LONGEST_KEY = 1024
DEFAULT_MAX_BYTES = 32 * 1024 * 1024
DEFAULT_MAX_ROWS = 100_000


class NotAReference(Exception):
    """The request names no object that may be read; the message says which may."""


class NoObject(Exception):
    """The object that the request names cannot be read."""


class Reference(NamedTuple):
    """An object with a request."""

    bucket: str
    key: str


class References:
    """Which objects a request may name, and where their answers go."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._environment = environment
        self._requests = _split(environment.get("REQUESTS_AT", ""))
        self._answers = _split(environment.get("ANSWERS_AT", ""))
        self.max_rows = positive(environment, "MAX_REFERENCED_ROWS", DEFAULT_MAX_ROWS)
        self._max_bytes = positive(environment, "MAX_REFERENCED_BYTES", DEFAULT_MAX_BYTES)

    def of(self, request: object) -> Reference | None:
        """The object that a request names; None where it names none.

        Raises:
            NotAReference: it names one that this function does not read.
        """
        if not isinstance(request, dict) or FIELD not in request:
            return None
        if self._requests is None or self._answers is None:
            raise NotAReference(f"{FIELD} is not known here: this function reads no requests from S3")
        bucket, prefix = self._requests
        given = request[FIELD]
        wanted = f"s3://{bucket}/{prefix}"
        if not isinstance(given, str) or not given.startswith(wanted) or given == wanted:
            raise NotAReference(f"{FIELD} must be an object below {wanted}")
        if len(request) > 1:
            names = sorted(shown_name(name) for name in islice(request, MAX_REPORTED) if name != FIELD)
            others = ", ".join(names)
            raise NotAReference(f"{FIELD} stands alone; there is {others} beside it")
        key = given.removeprefix(f"s3://{bucket}/")
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise NotAReference(f"{FIELD} holds half of a surrogate pair, which is in no key") from None
        if length > _LONGEST_KEY:
            raise NotAReference(f"{FIELD} has a key of {length} bytes; S3 takes {_LONGEST_KEY}")
        return Reference(bucket, key)

    def read(self, reference: Reference) -> object:
        """Fetch and decode a request.

        Raises:
            NoObject: it is not there, cannot be read, or is too large.
            InvalidJson: it is no JSON.
        """
        client = Client(self._environment)
        try:
            body = client.get(reference.bucket, reference.key, limit=self._max_bytes)
        except S3Error as error:
            if error.status in (403, 404, 413):
                raise NoObject(str(error)) from None
            raise
        finally:
            client.close()
        try:
            decoded: object = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidJson(f"s3://{reference.bucket}/{reference.key} is not JSON: {error}") from None
        return decoded

    def write(self, reference: Reference, sha256: str, answer: dict[str, Any]) -> str:
        """Store an answer; the same request to the same model has its answer at the same place."""
        assert self._requests is not None
        assert self._answers is not None
        bucket, prefix = self._answers
        key = f"{prefix}{sha256}/{reference.key.removeprefix(self._requests[1])}"
        client = Client(self._environment)
        try:
            client.put(bucket, key, msgspec.json.encode(answer), content_type="application/json")
        finally:
            client.close()
        return f"s3://{bucket}/{key}"


def _split(address: str) -> tuple[str, str] | None:
    """Bucket and prefix of s3://bucket/prefix/."""
    if not address:
        return None
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, prefix
