"""S3 objects without boto3, whose client alone costs more of a cold start than everything else together."""

import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

import sigv4

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

ATTEMPTS = 4
TIMEOUT_SECONDS = 5.0
_RETRIED = frozenset({429, 500, 502, 503, 504})
_BACKOFF_SECONDS = 0.1
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
    "eusc-": "amazonaws.eu",
}


class S3Error(Exception):
    """S3 refused, or could not be reached. `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Target(NamedTuple):
    """Where one object is reached."""

    secure: bool
    host: str  # with the port, if it is not the scheme's own
    path: str
    region: str


class Client:
    """Reads and writes objects over one kept connection. Credentials are those of the function's role."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._environment = environment
        self._region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._connection: HTTPConnection | None = None
        self._connected: tuple[bool, str] | None = None

    def get(self, bucket: str, key: str, *, version_id: str | None = None) -> bytes:
        query = f"versionId={sigv4.quote(version_id)}" if version_id else ""
        return self._send("GET", bucket, key, query=query)

    def put(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        self._send("PUT", bucket, key, payload=body, extra={"content-type": content_type})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connected = None

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        query: str = "",
        payload: bytes = b"",
        extra: dict[str, str] | None = None,
    ) -> bytes:
        """Send a request until it has an answer that trying again would not change."""
        # This import takes longer than all else here: it waits until the engine starts beside it.
        from http.client import HTTPException

        where = f"s3://{bucket}/{key}"
        region = self._region
        failure = S3Error(f"{where}: not tried")
        for attempt in range(ATTEMPTS):
            if attempt:
                jitter = 0.5 + os.urandom(1)[0] / 512
                time.sleep(jitter * _BACKOFF_SECONDS * 2**attempt)
            target = locate(bucket, key, region, self._environment)
            try:
                response, body = self._exchange(method, target, query, payload, extra or {})
            except (OSError, HTTPException) as error:
                self.close()
                failure = S3Error(
                    f"{where}: no answer from {target.host}: {str(error) or type(error).__name__}"
                )
                continue
            if response.status < 300:
                return body
            failure = S3Error(_explain(where, response, body), response.status)
            home = response.getheader("x-amz-bucket-region")
            if home and home != region and response.status in (301, 307, 400):
                region = home
            elif response.status not in _RETRIED:
                break
        raise failure

    def _exchange(
        self, method: str, target: Target, query: str, payload: bytes, extra: dict[str, str]
    ) -> "tuple[HTTPResponse, bytes]":
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
        )
        connection = self._connect(target)
        url = f"{target.path}?{query}" if query else target.path
        connection.request(method, url, body=payload or None, headers=headers)
        response = connection.getresponse()
        return response, response.read()

    def _connect(self, target: Target) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection

        wanted = (target.secure, target.host)
        if self._connection is None or self._connected != wanted:
            self.close()
            kind = HTTPSConnection if target.secure else HTTPConnection
            self._connection = kind(target.host, timeout=TIMEOUT_SECONDS)
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
            raise S3Error("there are no AWS credentials in the environment")
        parts = urlsplit(uri)
        connection = HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
        try:
            token = self._environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
            url = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("GET", url, headers={"Authorization": token})
            answer = json.loads(connection.getresponse().read())
            return sigv4.Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"])
        except (KeyError, ValueError) as error:
            raise S3Error(f"{parts.netloc} gave no credentials") from error
        finally:
            connection.close()


def locate(
    bucket: str, key: str, region: str, environment: "os._Environ[str] | dict[str, str]" = os.environ
) -> Target:
    """Find the host and path of an object: an endpoint that was set, else S3 of the region's partition."""
    path = "/" + sigv4.quote(key, keep="/")
    override = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if override:
        scheme, _, rest = override.partition("://")
        host, slash, prefix = rest.rstrip("/").partition("/")
        return Target(scheme == "https", host, f"{slash}{prefix}/{bucket}{path}", region)
    suffix = next((found for start, found in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    service = "s3-fips" if environment.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else "s3"
    if environment.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true":
        service += ".dualstack"
    host = f"{service}.{region}.{suffix}"
    if "." in bucket:  # the certificate of *.s3… does not cover a name with dots
        return Target(True, host, f"/{bucket}{path}", region)
    return Target(True, f"{bucket}.{host}", path, region)


def _explain(where: str, response: "HTTPResponse", body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    code = _element(text, "Code") or response.reason or "error"
    message = _element(text, "Message") or ""
    advice = {
        403: " (the function's role may not read it, or its key; a missing object answers the same"
        " without s3:ListBucket)",
        404: " (no such object or bucket)",
    }.get(response.status, "")
    return f"{where}: {response.status} {code} {message}".rstrip() + advice


def _element(xml: str, name: str) -> str | None:
    _, found, rest = xml.partition(f"<{name}>")
    return rest.partition(f"</{name}>")[0] if found else None
