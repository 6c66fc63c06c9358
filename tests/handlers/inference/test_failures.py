"""What fails, by its name: a model that is missing, wrong, too large or deadly, a store that hangs."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from handlers.inference import models
from handlers.inference.asset import app, shelf
from handlers.inference.asset import model as model_module
from handlers.inference.asset import s3 as s3_module
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3
from handlers.inference.test_app import post, send
from onnx import TensorProto, helper, numpy_helper

from benchmarks.inference_runtime import Sandbox, SandboxError

ROW = {"instances": [{"age": 1, "income (k$)": 1}]}


def refusal(environment: dict[str, str]) -> tuple[int, str, str]:
    status, answer = send(app.Function(environment), post(ROW))
    return status, answer["error"]["type"], answer["error"]["message"]


def test_a_model_that_is_gone_is_503_with_its_address(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    del s3.objects[f"lake/{environment['MODEL_KEY']}"]
    status, kind, message = refusal(environment)
    assert (status, kind) == (503, "ModelUnavailable")
    assert f"s3://lake/{environment['MODEL_KEY']}: 404" in message


def test_a_model_with_another_hash_is_503_with_both_hashes(s3: FakeS3) -> None:
    environment = {**put(s3, models.tabular()), "MODEL_SHA256": "0" * 64}
    status, kind, message = refusal(environment)
    assert (status, kind) == (503, "ModelUnavailable")
    assert models.tabular().sha256 in message
    assert "0" * 64 in message


def test_a_model_that_the_function_cannot_hold_is_not_even_fetched(s3: FakeS3) -> None:
    # GIVEN a model that takes more than half of the memory
    environment = {**put(s3, models.tabular()), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1"}
    s3.objects[f"lake/{environment['MODEL_KEY']}"] = b"x" * (600 * 1024)
    # THEN it is refused by its size, where Lambda would end the process without a word
    status, kind, message = refusal(environment)
    assert (status, kind) == (503, "ModelUnavailable")
    assert "has 614400 bytes, more than 524288" in message
    assert "the function has 1 MB" in message


def test_a_model_that_asks_for_more_memory_than_there_is_does_not_end_the_process(s3: FakeS3) -> None:
    """A small file can ask for any amount when it runs: each request is told, and the function lives."""
    environment = put(s3, bomb())
    for _ in range(2):
        status, kind, message = refusal(environment)
        assert (status, kind) == (500, "InferenceError")
        assert "Failed to allocate memory" in message


def bomb() -> models.Artifact:
    made = models.tabular()
    model = onnx.load_from_string(made.model)
    shape = numpy_helper.from_array(np.array([2**40, 2**12], dtype=np.int64), "shape")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["huge"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["huge"], ["total"], keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))
    return models.Artifact(model.SerializeToString(), made.manifest)


def test_a_model_that_kills_the_process_is_what_the_smoke_test_meets(
    built: Path, s3: FakeS3, tmp_path: Path
) -> None:
    """Nothing in the process can catch it. Lambda reports `Runtime.ExitError` to whoever invoked."""
    environment = put(s3, models.tabular())
    deadly = (
        "import os, signal\nimport ort\nort.Session.bind = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "deadly.py").write_text(f"{deadly}from app import handler\n")
    path = f"{tmp_path}:{built}:{tmp_path / 'runtime-client'}"
    more = {**environment, "PYTHONPATH": path}
    with (
        Sandbox(built, "deadly.handler", more, log=tmp_path / "log.txt") as function,
        pytest.raises(SandboxError, match="the function ended"),
    ):
        function.ready()
    assert function.returncode == -signal.SIGKILL


def test_a_store_that_does_not_answer_is_given_up_before_lambda_gives_up(
    monkeypatch: pytest.MonkeyPatch, s3: FakeS3
) -> None:
    # GIVEN a store that takes connections and says nothing, and the time of a function with a second
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            **put(s3, models.tabular()),
            "AWS_ENDPOINT_URL_S3": address,
            "REQUEST_TIMEOUT_SECONDS": "0.1",
        }
        waits: list[float] = []
        connect = socket.create_connection

        def connected(to: tuple[str, int], timeout: float, *more: Any) -> socket.socket:
            waits.append(timeout)
            return connect(to, timeout, *more)

        monkeypatch.setattr(socket, "create_connection", connected)
        status, kind, message = refusal(environment)
    # THEN all attempts together wait for less than that second, and the answer says what did not answer
    assert len(waits) == s3_module.ATTEMPTS
    assert sum(waits) < 1
    assert (status, kind) == (503, "ModelUnavailable")
    assert f"no answer from {address.removeprefix('http://')}: timed out" in message


def test_a_timeout_that_is_no_number_is_the_usual_one(s3: FakeS3) -> None:
    environment = {**put(s3, models.tabular()), "REQUEST_TIMEOUT_SECONDS": "soon"}
    assert send(app.Function(environment), post(ROW))[0] == 200


def test_after_a_load_that_failed_the_next_one_begins_with_short_pauses_again(s3: FakeS3) -> None:
    environment = s3.environment(MODEL_POINTER_BUCKET="lake", MODEL_POINTER_KEY="models/current.json")
    clock = [0.0]
    keeper = shelf.Keeper(environment, now=lambda: clock[0])
    for _ in range(4):
        with pytest.raises(model_module.NoModel):
            keeper.get()
        clock[0] += 100
    own = put(s3, models.tabular())
    pointer = {"bucket": "lake", "key": own["MODEL_KEY"], "sha256": own["MODEL_SHA256"]}
    s3.objects["lake/models/current.json"] = json.dumps(pointer).encode()
    assert keeper.get().sha256 == models.tabular().sha256
    assert keeper.failures == 4
