"""Transform jobs: each object of a prefix sent to a served model, its answers written beside its name.

Runs: splitting and assembling by lines, single and multiple records, logs, stop; all in the model's role.
Not there: filters and joins of input and output (DataProcessing), compressed input, RecordIO.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_aws.emulator import trust
from local_aws.sagemaker import environments, hosting, jobs
from local_aws.sagemaker.errors import ApiError
from local_aws.sagemaker.serving import ModelError, Served, ServingError
from local_aws.sagemaker.storage import DataError, Location

LOG_GROUP = "/aws/sagemaker/TransformJobs"
_DEFAULT_PAYLOAD_MB = 6


def run(job: jobs.Job) -> str:
    try:
        return _run(job)
    except (DataError, ServingError, environments.InstallError, trust.NotTrusted) as error:
        raise jobs.JobFailed(str(error)) from error
    except ApiError as error:
        raise jobs.JobFailed(f"ClientError: {error.message}") from error
    except ModelError as error:
        raise jobs.JobFailed(f"AlgorithmError: the model answered {error.status}: {error}") from error


def _run(job: jobs.Job) -> str:
    request = job.request
    if request.get("DataProcessing", {}).keys() - {"JoinSource"}:
        raise jobs.JobFailed("ClientError: DataProcessing filters do not run on the local AWS")
    model = hosting.MODELS.find(request["ModelName"])
    given = request.get("Environment", {})
    container = dict(model.get("PrimaryContainer") or model["Containers"][0])
    container["Environment"] = container.get("Environment", {}) | given
    served = Served(model | {"PrimaryContainer": container}, LOG_GROUP, f"{job.name}/i-{int(job.created)}")
    try:
        served.start(job.stop_requested)
        job.started = time.time()
        return _transform(job, served)
    finally:
        served.end()


def _transform(job: jobs.Job, served: Served) -> str:
    source, target = job.request["TransformInput"], job.request["TransformOutput"]
    storage = served.storage(target.get("KmsKeyId"))
    folder = job.root / "input"
    storage.fetch_channel(source["DataSource"]["S3DataSource"], folder)
    kind, accept = source.get("ContentType", "application/octet-stream"), target.get("Accept", "*/*")
    lines = target.get("AssembleWith") == "Line"
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        answers = []
        for record in _records(path, job.request):
            if job.stop_requested.is_set():
                return "Stopped"
            answers.append(served.invoke(record, kind, accept)[0])
        name = f"{path.relative_to(folder).as_posix()}.out"
        body = b"".join(a.rstrip(b"\n") + b"\n" for a in answers) if lines else b"".join(answers)
        storage.put_bytes(body, Location.parse(target["S3OutputPath"]).child(name))
    return "Completed"


def _records(path: Path, request: dict[str, Any]) -> Iterator[bytes]:
    """What is sent in one request each: the file, a line, or as many lines as fit."""
    body = path.read_bytes()
    if request["TransformInput"].get("SplitType", "None") != "Line":
        yield body
        return
    lines = [line for line in body.splitlines(keepends=True) if line.strip()]
    if request.get("BatchStrategy", "MultiRecord") == "SingleRecord":
        yield from (line.rstrip(b"\r\n") for line in lines)
        return
    most = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB) * 1024 * 1024
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) > most:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield b"".join(batch)


JOBS = jobs.Jobs(
    jobs.Kind(
        noun="TransformJob",
        arn="transform-job",
        event="SageMaker Transform Job State Change",
        start_member="TransformStartTime",
        end_member="TransformEndTime",
    ),
    run,
)
