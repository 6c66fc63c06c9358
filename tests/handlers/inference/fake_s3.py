"""A small S3 over HTTP that checks each request's signature with botocore and can be told to fail."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token+/="


@dataclass
class Fault:
    """One answer that is not S3's usual one; `cut` promises more bytes than it sends."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass
class FakeS3:
    region: str = "eu-west-1"
    objects: dict[str, bytes] = field(default_factory=dict)  # "bucket/key" or "bucket/key?versionId=…"
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            # A machine that is busy is no store that hangs.
            "REQUEST_TIMEOUT_SECONDS": "300",
            **more,
        }


def signature_of(method: str, url: str, headers: dict[str, str], body: bytes, region: str) -> str:
    """The Authorization header that botocore would send for these headers."""
    request = AWSRequest(method, url, headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, TOKEN), "s3", region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"


@contextmanager
def serve() -> Iterator[FakeS3]:
    store = FakeS3()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self._do(b"")

        def do_PUT(self) -> None:
            self._do(self.rfile.read(int(self.headers["content-length"])))

        def _do(self, body: bytes) -> None:
            store.requests.append(f"{self.command} {self.path}")
            if store.faults:
                fault = store.faults.pop(0)
                return self._answer(fault.status, fault.body, fault.headers, cut=fault.cut)
            if not self._signed(body):
                return self._error(403, "SignatureDoesNotMatch")
            parts = urlsplit(self.path)
            name = unquote(parts.path)[1:]
            version = parse_qs(parts.query).get("versionId")
            if version:
                name += f"?versionId={version[0]}"
            if self.command == "PUT":
                store.objects[name] = body
                return self._answer(200, b"")
            if name not in store.objects:
                return self._error(404, "NoSuchKey")
            return self._answer(200, store.objects[name])

        def _signed(self, body: bytes) -> bool:
            given = self.headers["authorization"] or ""
            names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
            if "x-amz-date" not in names or self.headers["x-amz-security-token"] != TOKEN:
                return False
            headers = {name: self.headers[name] for name in names}
            url = f"http://{self.headers['host']}{self.path}"
            return given == signature_of(self.command, url, headers, body, store.region)

        def _error(self, status: int, code: str) -> None:
            self._answer(status, f"<Error><Code>{code}</Code><Message>told so</Message></Error>".encode())

        def _answer(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body) + (10 if cut else 0)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = cut

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
