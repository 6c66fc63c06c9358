"""SQS and Firehose over HTTP: signatures are checked with botocore, and what was sent is kept."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from handlers.inference.fake_s3 import ACCESS_KEY, SECRET_KEY, TOKEN

REGION = "eu-west-1"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/000000000000/predictions"
LETTERS = "https://sqs.eu-west-1.amazonaws.com/000000000000/letters"


@dataclass
class FakeServices:
    port: int = 0
    queues: dict[str, list[str]] = field(default_factory=dict)
    stream: list[bytes] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Words: an entry with one of them is not taken."""
    faults: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    calls: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.port}"
        return {"AWS_ENDPOINT_URL_SQS": address, "AWS_ENDPOINT_URL_FIREHOSE": address}

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "SendMessage":
            self.queues.setdefault(given["QueueUrl"], []).append(given["MessageBody"])
            return {"MessageId": "1"}
        if operation == "SendMessageBatch":
            assert 1 <= len(given["Entries"]) <= 10
            return self._send(given)
        assert operation == "PutRecordBatch"
        assert 1 <= len(given["Records"]) <= 500
        return self._put(given)

    def _send(self, given: dict[str, Any]) -> dict[str, Any]:
        good, bad = [], []
        for entry in given["Entries"]:
            if any(word in entry["MessageBody"] for word in self.refused):
                bad.append({"Id": entry["Id"], "SenderFault": False, "Code": "Busy", "Message": "later"})
            else:
                self.queues.setdefault(given["QueueUrl"], []).append(entry["MessageBody"])
                good.append({"Id": entry["Id"]})
        return {"Successful": good, "Failed": bad}

    def _put(self, given: dict[str, Any]) -> dict[str, Any]:
        responses = []
        for record in given["Records"]:
            data = base64.b64decode(record["Data"])
            if any(word.encode() in data for word in self.refused):
                responses.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "slow down"})
            else:
                self.stream.append(data)
                responses.append({"RecordId": str(len(self.stream))})
        return {"FailedPutCount": 0, "RequestResponses": responses}


def signature(service: str, url: str, headers: dict[str, str], body: bytes) -> str:
    request = AWSRequest("POST", url, headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, TOKEN), service, REGION)
    made = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={made}"


@contextmanager
def serve() -> Iterator[FakeServices]:
    known = FakeServices()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            api, _, operation = self.headers["x-amz-target"].partition(".")
            service = {"AmazonSQS": "sqs", "Firehose_20150804": "firehose"}[api]
            given = self.headers["authorization"]
            names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
            headers = {name: self.headers[name] for name in names}
            url = f"http://{self.headers['host']}{self.path}"
            if known.faults:
                status = known.faults.pop(0)
                kind = "com.amazonaws.sqs#QueueDoesNotExist" if status == 400 else "InternalFailure"
                return self._answer(status, {"__type": kind, "message": "told so"})
            if given != signature(service, url, headers, body):
                return self._answer(403, {"__type": "InvalidSignatureException", "message": "wrong"})
            return self._answer(200, known.answer(operation, json.loads(body)))

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
