"""Processing jobs: the entry point as a child process, inputs from S3, outputs to S3, in the job's role.

Runs: entry point and arguments, inputs from prefixes and manifests, outputs, environment, configuration
files, the exit message, logs, StopProcessingJob and the maximum run time. ``/opt/ml`` lies in a root of the
job's own: arguments and variables that are paths under it arrive translated, and ``SAGEMAKER_BASE_DIR`` is
its ``/opt/ml``. Not there: container images, more than one host, dataset definitions, feature-store outputs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from local_aws import context, identity
from local_aws.emulator import trust
from local_aws.sagemaker import children, environments, jobs, mlflow, script_mode
from local_aws.sagemaker.logs import JobLog
from local_aws.sagemaker.storage import DataError, JobStorage, Location, unpack

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DEFAULT_RUNTIME = 86_400
_ATTEMPTS = 6
_NO_ENTRY = (
    "ClientError: the local AWS runs no container images: give AppSpecification.ContainerEntrypoint, for "
    'example ["python3", "/opt/ml/processing/input/code/job.py"]'
)


def run(job: jobs.Job) -> str:
    try:
        return _Run(job).run()
    except (DataError, environments.InstallError, trust.NotTrusted) as error:
        raise jobs.JobFailed(str(error)) from error


class _Run:
    def __init__(self, job: jobs.Job) -> None:
        self._job, self._request = job, job.request
        self._layout = script_mode.Layout(job.root)
        self._credentials = identity.assume(self._request["RoleArn"], "sagemaker", "SageMaker", job.arn)
        s3 = context.client("s3", self._credentials, attempts=_ATTEMPTS)
        outputs = self._request.get("ProcessingOutputConfig", {})
        self._storage = JobStorage(s3, self._request["RoleArn"], outputs.get("KmsKeyId"))
        limit = self._request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME)
        self._ends = time.time() + limit
        job.root.mkdir(parents=True)
        stream = f"{job.name}/algo-1-{int(job.created)}"
        logs = context.client("logs", self._credentials, attempts=_ATTEMPTS)
        self._log = JobLog(logs, stream, job.root / "job.log", [], group=LOG_GROUP)

    def run(self) -> str:
        try:
            return self._run()
        finally:
            self._log.close()

    def _run(self) -> str:
        entry = self._request["AppSpecification"].get("ContainerEntrypoint")
        if not entry:
            raise jobs.JobFailed(_NO_ENTRY)
        self._refuse_what_does_not_run()
        self._fetch()
        self._write_config()
        given = self._request["AppSpecification"].get("ContainerArguments", [])
        command = [self._layout.translate(part) for part in [*entry, *given]]
        self._job.started = time.time()
        folder = self._layout.base
        reason, code = children.supervise(
            [*self._program(command), *command[1:]], folder, self._variables(), self._log.write, self._wanted
        )
        self._job.tell(**self._exit_message())
        if reason == "runtime":
            raise jobs.JobFailed("ClientError: the job exceeded its maximum run time")
        if reason is None and code != 0:
            raise jobs.JobFailed(f"AlgorithmError: See job logs for more information, exit code: {code}")
        self._put_outputs()
        return "Completed" if reason is None else "Stopped"

    def _wanted(self) -> str | None:
        if self._job.stop_requested.is_set():
            return "stopped"
        return "runtime" if time.time() > self._ends else None

    def _refuse_what_does_not_run(self) -> None:
        cluster = self._request["ProcessingResources"]["ClusterConfig"]
        outputs = self._request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        found = {
            "more than one host": cluster["InstanceCount"] > 1,
            "FeatureStoreOutput": any("FeatureStoreOutput" in each for each in outputs),
        }
        for what, given in found.items():
            if given:
                raise jobs.JobFailed(f"ClientError: {what} does not run on the local AWS")

    def _fetch(self) -> None:
        for given in self._request.get("ProcessingInputs", []):
            source = given.get("S3Input")
            name = given["InputName"]
            if source is None:
                raise jobs.JobFailed(f"ClientError: input {name}: only S3Input runs on the local AWS")
            folder = self._layout.local(source.get("LocalPath", f"/opt/ml/processing/input/{name}"))
            self._storage.fetch_channel(source, folder)
            for archive in folder.glob("*.tar.gz") if name == "code" else ():
                unpack(archive, folder)
        for output in self._outputs():
            self._layout.local(output["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _outputs(self) -> list[dict[str, Any]]:
        given = self._request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return [output["S3Output"] for output in given if "S3Output" in output]

    def _put_outputs(self) -> None:
        for output in self._outputs():
            target = Location.parse(output["S3Uri"])
            self._storage.put_folder(self._layout.local(output["LocalPath"]), target)

    def _program(self, command: list[str]) -> list[str]:
        """Python is the one of this machine, with the requirements that lie beside the script."""
        if Path(command[0]).name not in ("python", "python3"):
            return command[:1]
        scripts = [Path(part) for part in command[1:] if part.endswith(".py")]
        if not scripts:
            return [sys.executable]
        python = environments.interpreter(scripts[0].parent, self._install)
        return [str(python)]

    def _install(self, command: list[str], folder: Path, variables: dict[str, str]) -> int:
        return children.supervise(command, folder, variables, self._log.write, self._wanted)[1]

    def _variables(self) -> dict[str, str]:
        given = mlflow.translate(self._request.get("Environment", {}), self._log.write)
        return script_mode.base_environment(
            self._layout, self._credentials, context.settings().endpoint, context.settings().region
        ) | {
            "PROCESSING_JOB_NAME": self._job.name,
            "PROCESSING_JOB_ARN": self._job.arn,
            **{name: self._layout.translate(value) for name, value in given.items()},
        }

    def _write_config(self) -> None:
        folder = self._layout.base / "config"
        folder.mkdir(parents=True)
        (folder / "processingjobconfig.json").write_text(json.dumps(self._request))
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
        (folder / "resourceconfig.json").write_text(json.dumps(hosts))
        (self._layout.base / "output").mkdir(exist_ok=True)

    def _exit_message(self) -> dict[str, str]:
        file = self._layout.base / "output" / "message"
        return {"ExitMessage": file.read_text(errors="replace")[:1024]} if file.is_file() else {}


JOBS = jobs.Jobs(
    jobs.Kind(
        noun="ProcessingJob",
        arn="processing-job",
        event="SageMaker Processing Job State Change",
        start_member="ProcessingStartTime",
        end_member="ProcessingEndTime",
    ),
    run,
)
