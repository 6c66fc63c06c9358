"""CloudFormation hears the answer, and the function does not give up on the first try."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from handlers.studio.asset import answers


class Ear(HTTPServer):
    heard: list[tuple[str, dict[str, Any]]]
    refusals: int = 0


class Listening(BaseHTTPRequestHandler):
    server: Ear

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(503)
        else:
            self.server.heard.append((self.headers["content-type"], json.loads(body)))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    monkeypatch.setattr(answers, "_SECONDS", 300)  # a machine that is busy hears, too
    server = Ear(("127.0.0.1", 0), Listening)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def request(ear: Ear) -> dict[str, Any]:
    return {
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "End",
        "ResponseURL": f"http://127.0.0.1:{ear.server_port}/answer",
    }


def test_an_answer_names_the_request_and_has_no_type_of_content(ear: Ear) -> None:
    answers.succeeded(request(ear), "d-1")
    assert ear.heard == [
        (
            "",
            {
                "StackId": "stack",
                "RequestId": "request",
                "LogicalResourceId": "End",
                "Status": "SUCCESS",
                "PhysicalResourceId": "d-1",
            },
        )
    ]


def test_a_long_reason_is_cut_to_what_cloudformation_takes(ear: Ear) -> None:
    answers.failed(request(ear), "d-1", "x" * 10_000)
    ((_, told),) = ear.heard
    assert told["Status"] == "FAILED"
    assert len(json.dumps(told)) < 4096


def test_an_answer_that_does_not_arrive_is_sent_again(ear: Ear) -> None:
    ear.refusals = 2
    answers.succeeded(request(ear), "d-1")
    assert len(ear.heard) == 1
    ear.refusals = 3
    with pytest.raises(OSError, match="503"):
        answers.succeeded(request(ear), "d-1")
