"""S3 objects without boto3, whose client alone costs more of a cold start than everything else together."""

import os
from typing import TYPE_CHECKING

import sigv4
from connection import Connection, NoCredentials, Target, TooLarge, pause, region_of, suffix_of

if TYPE_CHECKING:
    from http.client import HTTPResponse

ATTEMPTS = 4
_RETRIED = frozenset({429, 500, 502, 503, 504})
_BACKOFF_SECONDS = 0.1


class S3Error(Exception):
    """S3 refused, or could not be reached. `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Reads and writes objects over one kept connection. Credentials are those of the function's role."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._environment = environment
        self._region = region_of(environment)
        self._connection = Connection(environment, "s3")

    def get(self, bucket: str, key: str, *, version_id: str | None = None, limit: int | None = None) -> bytes:
        """Read an object.

        Raises:
            S3Error: it cannot be read, or has more than `limit` bytes (status 413).
        """
        query = f"versionId={sigv4.quote(version_id)}" if version_id else ""
        return self._send("GET", bucket, key, query=query, limit=limit)

    def put(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        self._send("PUT", bucket, key, payload=body, extra={"content-type": content_type})

    def close(self) -> None:
        self._connection.close()

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        query: str = "",
        payload: bytes = b"",
        extra: dict[str, str] | None = None,
        limit: int | None = None,
    ) -> bytes:
        """Send a request until it has an answer that trying again would not change."""
        # This import takes longer than all else here: it waits until the engine starts beside it.
        from http.client import HTTPException

        where = f"s3://{bucket}/{key}"
        region = self._region
        failure = S3Error(f"{where}: not tried")
        for attempt in range(ATTEMPTS):
            if attempt:
                pause(attempt, _BACKOFF_SECONDS)
            target = locate(bucket, key, region, self._environment)
            try:
                response, body = self._connection.exchange(
                    method, target, query=query, payload=payload, extra=extra, limit=limit
                )
            except NoCredentials as error:
                raise S3Error(str(error)) from error
            except TooLarge as error:
                raise S3Error(f"{where} has {error.size} bytes, more than {limit}", 413) from None
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
    suffix = suffix_of(region)
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
