"""One attempt of a training job: from fresh folders to uploaded artifacts, or to the loss of its capacity."""

from __future__ import annotations

import contextlib
import enum
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws import context, identity
from local_aws.sagemaker import children, environments, file_systems, mlflow, script_mode
from local_aws.sagemaker.jobs import JobFailed
from local_aws.sagemaker.logs import JobLog
from local_aws.sagemaker.storage import CheckpointSync, DataError, JobStorage, Location, unpack

if TYPE_CHECKING:
    from local_aws.sagemaker.training import TrainingJob

_FAILURE_TEXT = 900
_ATTEMPTS = 6
"""SageMaker tries again when S3 or CloudWatch throttles it."""
_NO_SCRIPT = (
    "ClientError: the local AWS runs script mode only, not container images: name the script with the "
    "hyperparameters sagemaker_program and sagemaker_submit_directory, or with the variables "
    "SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY"
)


class Ending(enum.Enum):
    COMPLETED = "Completed"
    STOPPED = "Stopped"
    INTERRUPTED = "Interrupted"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    MAX_WAIT = "MaxWaitTimeExceeded"


class Attempt:
    """A job on one piece of capacity. Everything that it does in AWS, it does in the role's name."""

    def __init__(self, job: TrainingJob, root: Path, wait_until: float) -> None:
        self._job = job
        self._request = job.request
        self._wait_until = wait_until
        self._runtime_ends = float("inf")
        self.layout = script_mode.Layout(root)
        role = self._request["RoleArn"]
        self._credentials = identity.assume(role, "sagemaker", "SageMaker", job.arn)
        s3 = context.client("s3", self._credentials, attempts=_ATTEMPTS)
        self._storage = JobStorage(s3, role, self._request["OutputDataConfig"].get("KmsKeyId"))
        root.mkdir(parents=True)
        stream = f"{job.name}/algo-1-{int(job.created)}"
        self._log = JobLog(
            context.client("logs", self._credentials, attempts=_ATTEMPTS),
            stream,
            root / "job.log",
            self._request["AlgorithmSpecification"].get("MetricDefinitions", []),
        )

    def run(self) -> Ending:
        try:
            return self._run()
        except DataError as error:
            self._log.write(str(error))
            raise JobFailed(str(error)) from error
        except environments.InstallError as error:
            self._log.write(str(error))
            raise JobFailed(f"AlgorithmError: InstallRequirementsError: {error}, exit code: 1") from error
        finally:
            self._log.close()
            self._job.metrics = list(self._log.metrics.values()) or self._job.metrics

    def _run(self) -> Ending:
        self._job.enter("Downloading")
        self.layout.create()
        with contextlib.ExitStack() as mounts:
            return self._run_with(mounts)

    def _run_with(self, mounts: contextlib.ExitStack) -> Ending:
        program = self._fetch(mounts)
        try:
            python = environments.interpreter(self.layout.code, self._run_to_log)
        except environments.InstallError:
            if self._wanted_ending() is None:
                raise
        early = self._wanted_ending()
        if early is not None:
            return early
        self._job.enter("Training")
        self._job.started = self._job.started or time.time()
        with self._checkpoints():
            ending, code = self._run_script(python, program)
        if ending is Ending.INTERRUPTED:
            return ending
        self._job.enter("Uploading")
        self._upload(succeeded=code == 0 or ending is not Ending.COMPLETED)
        if ending is Ending.COMPLETED and code != 0:
            raise JobFailed(self._failure(code))
        return ending

    def _fetch(self, mounts: contextlib.ExitStack) -> str:
        program = script_mode.entry(self._request)
        if program is None:
            raise JobFailed(_NO_SCRIPT)
        if program.source is not None:
            archive = self.layout.root / "source.tar.gz"
            self._storage.fetch_object(Location.parse(program.source), archive)
            unpack(archive, self.layout.code)
        for channel in self._request.get("InputDataConfig", []):
            folder, source = self.layout.data / channel["ChannelName"], channel["DataSource"]
            if "FileSystemDataSource" in source:
                mounted = file_systems.mounted(source["FileSystemDataSource"], folder, self._credentials)
                mounts.enter_context(mounted)
            else:
                self._storage.fetch_channel(source["S3DataSource"], folder)
        if not (self.layout.code / program.program).is_file():
            raise JobFailed(f"ClientError: the source holds no {program.program}")
        script_mode.write_config(self.layout, self._request)
        return program.program

    def _checkpoints(self) -> contextlib.AbstractContextManager[Any]:
        config = self._request.get("CheckpointConfig")
        if not config:
            return contextlib.nullcontext()
        folder = self.layout.local(config.get("LocalPath", f"{script_mode.BASE}/checkpoints"))
        location = Location.parse(config["S3Uri"])
        self._storage.fetch_prefix(Location(location.bucket, location.key.rstrip("/") + "/"), folder)
        every = context.settings().checkpoint_sync_seconds
        return CheckpointSync(self._storage, folder, location, self._log.write, every)

    def _run_script(self, python: Path, program: str) -> tuple[Ending, int]:
        variables = script_mode.environment(
            self.layout,
            self._request
            | {"Environment": mlflow.translate(self._request.get("Environment", {}), self._log.write)},
            self._job.arn,
            self._credentials,
            context.settings().endpoint,
            context.settings().region,
        )
        command = [str(python), program, *script_mode.arguments(self.layout, self._request)]
        # The limit is the job's: what earlier attempts took of it is gone.
        self._runtime_ends = time.time() + self._job.max_runtime - self._job.capacity_seconds
        return self._supervise(command, self.layout.code, variables)

    def _run_to_log(self, command: list[str], folder: Path, variables: dict[str, str]) -> int:
        """Run a step of the preparation; a stop or an interruption ends it, and is seen again afterwards."""
        _, code = self._supervise(command, folder, variables)
        return code

    def _supervise(self, command: list[str], folder: Path, variables: dict[str, str]) -> tuple[Ending, int]:
        ending, code = children.supervise(command, folder, variables, self._log.write, self._wanted_ending)
        return ending or Ending.COMPLETED, code

    def _wanted_ending(self) -> Ending | None:
        """Why the attempt must end now, if it must."""
        now = time.time()
        if self._job.stop_requested.is_set():
            return Ending.STOPPED
        if self._job.interruption_requested.is_set():
            return Ending.INTERRUPTED
        limits = [(self._runtime_ends, Ending.MAX_RUNTIME)]
        if self._job.spot:
            limits.append((self._wait_until, Ending.MAX_WAIT))
        # Where both are over when we look, the one that came first ended the job.
        over = [limit for limit in limits if now >= limit[0]]
        return min(over, key=lambda limit: limit[0])[1] if over else None

    def _upload(self, *, succeeded: bool) -> None:
        output = self._request["OutputDataConfig"]
        target = Location.parse(output["S3OutputPath"]).child(f"{self._job.name}/output")
        plain = output.get("CompressionType") == "NONE"
        if any(self.layout.output_data.iterdir()):
            self._put(self.layout.output_data, target, "output", plain=plain)
        if succeeded:
            self._job.artifacts = self._put(self.layout.model, target, "model", plain=plain)

    def _put(self, folder: Path, target: Location, name: str, *, plain: bool) -> str:
        if plain:
            self._storage.put_folder(folder, target.child(name))
            return f"{target.child(name).uri}/"
        archive = target.child(f"{name}.tar.gz")
        self._storage.put_archive(folder, self.layout.root / f"{name}.tar.gz", archive)
        return archive.uri

    def _failure(self, code: int) -> str:
        """What the script wrote into its failure file, else what the framework toolkits write there."""
        if self.layout.failure.is_file():
            text = self.layout.failure.read_text(errors="replace")
        else:
            text = f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{self._last_words()}"'
        return f"AlgorithmError: {text[:_FAILURE_TEXT]}, exit code: {code}"

    def _last_words(self) -> str:
        """The traceback at the end of the log, or its last lines."""
        lines = (self.layout.root / "job.log").read_text(errors="replace").splitlines()
        starts = [i for i, line in enumerate(lines) if line.startswith("Traceback ")]
        text = "\n".join(lines[starts[-1] :] if starts else lines[-10:])
        return text[-700:]
