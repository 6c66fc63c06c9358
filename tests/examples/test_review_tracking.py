"""The training job's record in MLflow: what is recorded, and that a model never waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import tracking

from tests.examples.support import Job, Row, small_data

MakeJob = Callable[[Sequence[Row]], Job]
APP = "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-app/app-1"


class Mlflow:
    """The calls of MLflow's API that the job makes, and what they left."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.broken = ""
        """A call that fails, by the end of its path."""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        path, _, query = path.partition("?")
        if self.broken and path.endswith(self.broken):
            return 503, {"error_code": "TEMPORARILY_UNAVAILABLE"}
        if "/mlflow-artifacts/artifacts/" in path:
            self.files[path.partition("/artifacts/")[2]] = body
            return 200, {}
        given = json.loads(body or b"{}")
        name = path.partition("/api/2.0/mlflow/")[2]
        if name == "experiments/get-by-name":
            known = self.experiments.get(query.partition("=")[2])
            return (200, {"experiment": {"experiment_id": known}}) if known else (404, {})
        return 200, self._done(method, name, given)

    def _done(self, method: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        if name == "experiments/create":
            self.experiments[given["name"]] = "7"
            return {"experiment_id": "7"}
        if name == "runs/search":
            return {
                "runs": [{"info": r["info"]} for r in self.runs.values() if self._fits(r, given["filter"])]
            }
        if name == "runs/create":
            info = {
                "run_id": f"r{len(self.runs)}",
                "experiment_id": "7",
                "artifact_uri": "mlflow-artifacts:/7/r",
            }
            self.runs[info["run_id"]] = {
                "info": info,
                "given": given,
                "metrics": [],
                "params": [],
                "states": [],
            }
            return {"run": {"info": info}}
        if name == "runs/log-batch":
            for kind in ("metrics", "params"):
                self.runs[given["run_id"]][kind] += given.get(kind, [])
        elif name == "runs/update":
            self.runs[given["run_id"]]["states"].append(given["status"])
        elif name == "runs/outputs":
            self.runs[given["run_id"]]["outputs"] = given["models"]
        elif name == "logged-models":
            self.models["m1"] = given
            return {"model": {"info": {"model_id": "m1", "artifact_uri": "mlflow-artifacts:/7/models/m1"}}}
        elif (method, name) == ("PATCH", "logged-models/m1"):
            self.models["m1"] |= given
        else:
            pytest.fail(f"no call of MLflow's: {method} {name}")
        return {}

    @staticmethod
    def _fits(run: dict[str, Any], asked: str) -> bool:
        job = next(tag["value"] for tag in run["given"]["tags"] if tag["key"] == "training_job")
        return bool(asked == f"tags.training_job = '{job}'")


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mlflow]:
    """MLflow on the loopback, which the job's variables name."""
    kept = Mlflow()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = kept.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setattr(tracking, "_SECONDS", 300)  # a machine that is busy is no MLflow that hangs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "reviews")
    monkeypatch.setenv("TRAINING_JOB_NAME", "ds--run-1")
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_is_recorded_with_its_parameters_metrics_and_model(job: MakeJob, mlflow: Mlflow) -> None:
    # WHEN a job trains
    work = job(small_data())
    assert work.run_here("--folds", "3", "--name", "tiny") == 0
    # THEN its run is in the experiment, under the job's name
    assert mlflow.experiments == {"reviews": "7"}
    (run,) = mlflow.runs.values()
    assert run["given"]["run_name"] == "ds--run-1"
    assert {"key": "folds", "value": "3"} in run["params"]
    # AND each fold's metric and the final ones are the ones of the model's manifest
    manifest = json.loads(work.file("model/model.json").read_text())
    steps = [each["step"] for each in run["metrics"] if each["key"] == "cv_auroc"]
    assert steps == [0, 1, 2, 3]
    final = {each["key"]: each["value"] for each in run["metrics"] if each.get("model_id") == "m1"}
    assert final == pytest.approx(manifest["metrics"], abs=1e-6)
    # AND the model is the one that the job left
    assert run["outputs"] == [{"model_id": "m1", "step": 0}]
    assert (mlflow.models["m1"]["name"], mlflow.models["m1"]["status"]) == ("tiny", "LOGGED_MODEL_READY")
    assert mlflow.files["7/models/m1/model.onnx"] == work.file("model/model.onnx").read_bytes()
    assert b"onnx_version" in mlflow.files["7/models/m1/MLmodel"]
    assert "7/r/cross-validation.json" in mlflow.files
    assert run["states"] == ["FINISHED"]


def test_a_job_that_goes_on_after_an_interruption_goes_on_with_its_run(job: MakeJob, mlflow: Mlflow) -> None:
    work = job(small_data())
    assert work.run_here("--folds", "3") == 0
    assert work.run_here("--folds", "3") == 0
    (run,) = mlflow.runs.values()
    assert run["states"] == ["FINISHED", "RUNNING", "FINISHED"]


def test_a_job_that_fails_has_a_run_that_failed(job: MakeJob, mlflow: Mlflow) -> None:
    rows = small_data()
    first = rows[0][1]
    work = job([(n, group, "positive" if group == first else "negative", t) for n, group, _, t in rows])
    assert work.run_here("--folds", "3") == 1
    (run,) = mlflow.runs.values()
    assert run["states"] == ["FAILED"]


@pytest.mark.parametrize("broken", ["get-by-name", "runs/create", "log-batch", "logged-models", "model.onnx"])
def test_a_model_never_waits_for_its_record(
    job: MakeJob, mlflow: Mlflow, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow.broken = broken
    work = job(small_data())
    assert work.run_here("--folds", "3") == 0
    assert work.file("model/model.onnx").is_file()
    # The log tells it once.
    assert capsys.readouterr().out.count("The run is not recorded further") == 1


def test_nothing_is_recorded_where_nobody_asks(
    job: MakeJob, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert job(small_data()).run_here("--folds", "3") == 0
    assert mlflow.runs == {}


@pytest.mark.parametrize(
    ("arn", "host", "service", "header"),
    [
        (APP, "mlflow.sagemaker.eu-west-1.app.aws", "sagemaker", "x-sm-mlflow-app-arn"),
        (
            "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/research",
            "eu-west-1.experiments.sagemaker.aws",
            "sagemaker-mlflow",
            "x-mlflow-sm-tracking-server-arn",
        ),
    ],
)
def test_calls_of_sagemakers_mlflow_are_signed(
    arn: str, host: str, service: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN the credentials of a job's role
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    sent = []

    def answered(request: Any, timeout: float) -> Any:
        sent.append(request)
        raise OSError("no network here")

    monkeypatch.setattr("urllib.request.urlopen", answered)
    # WHEN MLflow is called by its ARN
    with pytest.raises(OSError, match="no network"):
        tracking.Server(arn).call("POST", "runs/create", {})
    # THEN the call goes to SageMaker's host of the region, signed for its service
    (request,) = sent
    assert request.full_url == f"https://{host}/api/2.0/mlflow/runs/create"
    headers = {name.lower(): value for name, value in request.header_items()}
    assert headers[header] == arn
    assert f"/eu-west-1/{service}/aws4_request" in headers["authorization"]
    assert header in headers["authorization"]
    assert "x-amz-security-token" in headers
