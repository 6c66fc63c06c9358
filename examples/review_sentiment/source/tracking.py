"""The run in MLflow: parameters, metrics, files and the model, recorded where `MLFLOW_TRACKING_URI` leads.

MLflow's REST API over the standard library, so that training needs no package for it: mlflow would bring some
thirty. An `http` address is called as it is. The ARN of SageMaker's managed app or tracking server is called
with a signature by botocore, which SageMaker's images have. Without the variable nothing is recorded.

A record is not worth a model: the first call that fails is told in the log, and the rest is left out.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_API = "/api/2.0/mlflow"
_SECONDS = 10
_HOSTS = {
    # By the kind of the resource: the host, the service that calls are signed for, the header with the ARN.
    "mlflow-app": ("mlflow.sagemaker.{region}.app.aws", "sagemaker", "x-sm-mlflow-app-arn"),
    "mlflow-tracking-server": (
        "{region}.experiments.sagemaker.aws",
        "sagemaker-mlflow",
        "x-mlflow-sm-tracking-server-arn",
    ),
}
_MODEL = """\
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: {version}
    providers: [CPUExecutionProvider]
model_id: {model_id}
run_id: {run_id}
signature:
  inputs: '[{{"name": "text", "type": "string", "required": true}}]'
"""


class Recorder:
    """One run of an experiment. It does nothing where nothing is recorded, or once a call has failed."""

    def __init__(self, server: Server | None, *, experiment: str, job: str) -> None:
        self._server = server
        self._experiment = experiment
        self._job = job
        self._run: dict[str, Any] = {}
        self._parameters: Mapping[str, object] = {}

    @classmethod
    def from_environment(cls) -> Recorder:
        """The run of this job, in the experiment that the variables name."""
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        return cls(
            Server(uri) if uri else None,
            experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default"),
            job=os.environ.get("TRAINING_JOB_NAME", "training"),
        )

    def begin(self, parameters: Mapping[str, object], tags: Mapping[str, str]) -> None:
        """Start the run, or go on with it: after an interruption, the job has it already."""
        self._parameters = parameters
        self._safely(lambda server: self._begin(server, parameters, tags))

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Record metrics of this moment."""
        self._safely(lambda server: self._log(server, metrics=_measured(values, step)))

    def file(self, path: Path) -> None:
        """Keep a file with the run."""
        self._safely(lambda server: server.upload(self._run["artifact_uri"], path.name, path.read_bytes()))

    def model(
        self, folder: Path, *, name: str, version: str, metrics: Mapping[str, float], step: int
    ) -> None:
        """Record the ONNX model that lies in a folder, as MLflow describes models.

        Args:
            folder: Where `model.onnx` and `model.json` are.
            name: The model's name.
            version: Version of the ONNX package.
            metrics: How good it is.
            step: The step of these metrics.
        """
        self._safely(lambda server: self._model(server, folder, name, version, _measured(metrics, step)))

    def end(self, status: str = "FINISHED") -> None:
        """Close the run: FINISHED, FAILED, or KILLED where the job goes on later."""
        self._safely(
            lambda server: server.call(
                "POST",
                "runs/update",
                {"run_id": self._run["run_id"], "status": status, "end_time": int(time.time() * 1000)},
            )
        )

    def _safely(self, record: Callable[[Server], Any]) -> None:
        if self._server is None:
            return
        try:
            record(self._server)
        except Exception as error:  # noqa: BLE001 - whatever it was, the model is worth more than its record
            print(f"The run is not recorded further: {error!r}", flush=True)
            self._server = None

    def _begin(self, server: Server, parameters: Mapping[str, object], tags: Mapping[str, str]) -> None:
        experiment = server.experiment(self._experiment)
        found = server.call(
            "POST",
            "runs/search",
            {
                "experiment_ids": [experiment],
                "filter": f"tags.training_job = '{self._job}'",
                "max_results": 1,
            },
        ).get("runs", [])
        if found:
            self._run = found[0]["info"]
            server.call("POST", "runs/update", {"run_id": self._run["run_id"], "status": "RUNNING"})
            return
        run = {
            "experiment_id": experiment,
            "run_name": self._job,
            "start_time": int(time.time() * 1000),
            "tags": _entries({"training_job": self._job, "mlflow.runName": self._job, **tags}),
        }
        self._run = server.call("POST", "runs/create", run)["run"]["info"]
        self._log(server, params=_entries(parameters))

    def _log(self, server: Server, **entries: list[dict[str, Any]]) -> None:
        server.call("POST", "runs/log-batch", {"run_id": self._run["run_id"], **entries})

    def _model(
        self, server: Server, folder: Path, name: str, version: str, metrics: list[dict[str, Any]]
    ) -> None:
        run = self._run["run_id"]
        asked = {
            "experiment_id": self._run["experiment_id"],
            "name": name,
            "source_run_id": run,
            "params": _entries(self._parameters),
        }
        model = server.call("POST", "logged-models", asked)["model"]["info"]
        described = _MODEL.format(version=version, model_id=model["model_id"], run_id=run)
        files = {"MLmodel": described.encode()}
        files |= {each: (folder / each).read_bytes() for each in ("model.onnx", "model.json")}
        for each, content in files.items():
            server.upload(model["artifact_uri"], each, content)
        ready = {"model_id": model["model_id"], "status": "LOGGED_MODEL_READY"}
        server.call("PATCH", f"logged-models/{model['model_id']}", ready)
        outputs = {"run_id": run, "models": [{"model_id": model["model_id"], "step": 0}]}
        server.call("POST", "runs/outputs", outputs)
        self._log(server, metrics=[{**each, "model_id": model["model_id"]} for each in metrics])


class Server:
    """MLflow's server: one of this network, or SageMaker's, which takes signed calls."""

    def __init__(self, uri: str) -> None:
        self._arn = uri if uri.startswith("arn:") else None
        self._kind, self._region = "", ""
        if self._arn is None:
            self._base = uri.rstrip("/")
            return
        parts = uri.split(":", 5)
        self._kind, self._region = parts[5].partition("/")[0], parts[3]
        host = _HOSTS[self._kind][0].format(region=self._region)
        self._base = f"https://{host}"

    def experiment(self, name: str) -> str:
        """The experiment's number; it is made if it is not there."""
        query = urllib.parse.urlencode({"experiment_name": name}, quote_via=urllib.parse.quote)
        try:
            found = self.call("GET", f"experiments/get-by-name?{query}")
        except NotFoundError:
            return str(self.call("POST", "experiments/create", {"name": name})["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call MLflow's API."""
        data = None if body is None else json.dumps(body).encode()
        answer = self._send(method, f"{self._base}{_API}/{path}", data, "application/json")
        parsed: dict[str, Any] = json.loads(answer or b"{}")
        return parsed

    def upload(self, folder: str, name: str, content: bytes) -> None:
        """Put a file below an artifact address: in S3, or where the server keeps files itself."""
        scheme, _, path = f"{folder.rstrip('/')}/{name}".partition(":/")
        if scheme == "s3":
            import boto3

            bucket, _, key = path.lstrip("/").partition("/")
            boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
            return
        url = f"{self._base}/api/2.0/mlflow-artifacts/artifacts/{urllib.parse.quote(path.lstrip('/'))}"
        self._send("PUT", url, content, "application/octet-stream")

    def _send(self, method: str, url: str, data: bytes | None, kind: str) -> bytes:
        headers = {"Content-Type": kind}
        if self._arn is not None:
            headers = self._signed(method, url, data, headers)
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            if error.code == http.client.NOT_FOUND:
                raise NotFoundError(said) from error
            raise RuntimeError(f"{method} {url}: {error.code} {said}") from error

    def _signed(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session

        _, service, header = _HOSTS[self._kind]
        # The service wants the body's hash as a header, too.
        digest = hashlib.sha256(data or b"").hexdigest()
        headers = {**headers, header: str(self._arn), "X-Amz-Content-SHA256": digest}
        request = AWSRequest(method=method, url=url, data=data, headers=headers)
        credentials = Session().get_credentials()
        if credentials is None:
            raise RuntimeError("no AWS credentials to sign with")
        SigV4Auth(credentials, service, self._region).add_auth(request)
        return dict(request.headers.items())


class NotFoundError(RuntimeError):
    """There is no such thing in MLflow yet."""


def _measured(values: Mapping[str, float], step: int) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [{"key": k, "value": v, "timestamp": now, "step": step} for k, v in values.items()]


def _entries(values: Mapping[str, object]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]
