"""One kept HTTP connection to AWS, with signed requests. Credentials are those of the function's role."""

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

import sigv4

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

TIMEOUT_SECONDS = 5.0
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
    "eusc-": "amazonaws.eu",
}


class NoCredentials(Exception):
    """The environment and the sandbox have none."""


class TooLarge(Exception):
    """The answer has more bytes than are wanted; nothing of it was read."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


class Target(NamedTuple):
    """Where one request goes."""

    secure: bool
    host: str  # with the port, if it is not the scheme's own
    path: str
    region: str


class Connection:
    """Sends signed requests to one host after the other; the last one's connection is kept."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]", service: str) -> None:
        self._environment = environment
        self._service = service
        self._timeout = _timeout(environment)
        self._connection: HTTPConnection | None = None
        self._connected: tuple[bool, str] | None = None

    def exchange(
        self,
        method: str,
        target: Target,
        *,
        query: str = "",
        payload: bytes = b"",
        extra: dict[str, str] | None = None,
        limit: int | None = None,
    ) -> "tuple[HTTPResponse, bytes]":
        """Send one request and read its answer.

        Raises:
            NoCredentials: nothing was sent.
            TooLarge: the answer announces more than `limit` bytes.
            OSError, http.client.HTTPException: there was no whole answer.
        """
        headers = sigv4.headers(
            method=method,
            host=target.host,
            path=target.path,
            query=query,
            payload=payload,
            credentials=self._credentials(),
            region=target.region,
            timestamp=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            extra=extra,
            service=self._service,
        )
        connection = self._connect(target)
        url = f"{target.path}?{query}" if query else target.path
        connection.request(method, url, body=payload or None, headers=headers)
        response = connection.getresponse()
        size = response.length
        if limit is not None and response.status < 300 and size is not None and size > limit:
            self.close()
            raise TooLarge(size)
        return response, response.read()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connected = None

    def _connect(self, target: Target) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection

        wanted = (target.secure, target.host)
        if self._connection is None or self._connected != wanted:
            self.close()
            kind = HTTPSConnection if target.secure else HTTPConnection
            self._connection = kind(target.host, timeout=self._timeout)
            self._connected = wanted
        return self._connection

    def _credentials(self) -> sigv4.Credentials:
        access_key = self._environment.get("AWS_ACCESS_KEY_ID")
        secret_key = self._environment.get("AWS_SECRET_ACCESS_KEY")
        if access_key and secret_key:
            return sigv4.Credentials(access_key, secret_key, self._environment.get("AWS_SESSION_TOKEN"))
        return self._container_credentials()

    def _container_credentials(self) -> sigv4.Credentials:
        """Functions with SnapStart have their credentials from an endpoint of the sandbox."""
        from http.client import HTTPConnection
        from urllib.parse import urlsplit

        uri = self._environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not uri:
            raise NoCredentials("there are no AWS credentials in the environment")
        parts = urlsplit(uri)
        connection = HTTPConnection(parts.netloc, timeout=self._timeout)
        try:
            token = self._environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
            url = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("GET", url, headers={"Authorization": token})
            answer = json.loads(connection.getresponse().read())
            return sigv4.Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"])
        except (KeyError, ValueError) as error:
            raise NoCredentials(f"{parts.netloc} gave no credentials") from error
        finally:
            connection.close()


def _timeout(environment: "os._Environ[str] | dict[str, str]") -> float:
    """How long one attempt waits: all of them together have to end before Lambda ends the function."""
    try:
        return float(environment.get("REQUEST_TIMEOUT_SECONDS") or TIMEOUT_SECONDS)
    except ValueError:
        return TIMEOUT_SECONDS


def region_of(environment: "os._Environ[str] | dict[str, str]") -> str:
    """The region that the function runs in."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"


def suffix_of(region: str) -> str:
    """What the hosts of a region's partition end in."""
    return next((found for start, found in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")


def pause(attempt: int, seconds: float) -> None:
    """Wait before another attempt: twice as long each time, give or take a half."""
    # The kernel's random numbers differ between sandboxes that were restored from one snapshot.
    jitter = 0.5 + os.urandom(1)[0] / 512
    time.sleep(jitter * seconds * 2**attempt)
