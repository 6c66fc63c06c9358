"""Script mode: the contract between SageMaker and a training script, as its framework toolkits keep it.

Runs: the folders, configuration files, ``SM_*`` variables and ``--name value`` arguments of a container with
one host. ``/opt/ml`` cannot be a real path of this machine, so each job has its own root: the variables hold
its paths, ``SAGEMAKER_BASE_DIR`` is its ``/opt/ml``, and a hyperparameter, argument or variable whose value
is a path under ``/opt/ml`` is given as the path in the job's root. Not there: GPUs and further hosts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "/opt/ml"
_CODE_VARIABLES = ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")
_OF_THE_TOOLKIT = ("_tuning_objective_metric", "default_user_module_name")
"""Hyperparameters that containers keep from the program, as those that begin with ``sagemaker_``: a tuning
job adds the first one to its trials'."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one run of a job: a new one for each time that it gets capacity."""

    root: Path

    @property
    def base(self) -> Path:
        return self.root / "opt" / "ml"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.base / "output" / "failure"

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        return self.base / "input" / "data"

    def local(self, path: str) -> Path:
        """Where a container's path lies in this root."""
        return self.root / path.lstrip("/")

    def create(self) -> None:
        for folder in (self.model, self.output_data, self.code, self.config, self.data):
            folder.mkdir(parents=True)

    def translate(self, value: str) -> str:
        return str(self.local(value)) if value == BASE or value.startswith(f"{BASE}/") else value


@dataclass(frozen=True, slots=True)
class Entry:
    """Which script to run, and where its source lies."""

    program: str
    source: str | None


def entry(request: dict[str, Any]) -> Entry | None:
    """The script that a request names by hyperparameters or variables; None when it names none."""
    given = {name: _decode(value) for name, value in request.get("HyperParameters", {}).items()}
    environment = request.get("Environment", {})
    program = given.get("sagemaker_program") or environment.get(_CODE_VARIABLES[0])
    source = given.get("sagemaker_submit_directory") or environment.get(_CODE_VARIABLES[1])
    return Entry(str(program), str(source) if source else None) if program else None


def write_config(layout: Layout, request: dict[str, Any]) -> None:
    files = {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", "File"),
                "ContentType": channel.get("ContentType", ""),
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in request.get("InputDataConfig", [])
        },
        "resourceconfig.json": _resource_config(request),
    }
    for name, content in files.items():
        (layout.config / name).write_text(json.dumps(content))


def arguments(layout: Layout, request: dict[str, Any]) -> list[str]:
    """The script's command line: each hyperparameter of the user, sorted by name, as the toolkit does."""
    line: list[str] = []
    for name, value in sorted(_hyperparameters(layout, request).items()):
        line += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(value)]
    return line


def environment(
    layout: Layout, request: dict[str, Any], arn: str, credentials: dict[str, str], endpoint: str, region: str
) -> dict[str, str]:
    """The whole environment of the script."""
    values = _hyperparameters(layout, request)
    resources = _resource_config(request)
    program = entry(request)
    channels = {
        c["ChannelName"]: str(layout.data / c["ChannelName"]) for c in request.get("InputDataConfig", [])
    }
    toolkit: dict[str, Any] = {
        "SM_CHANNELS": sorted(channels),
        "SM_HPS": values,
        "SM_USER_ARGS": arguments(layout, request),
        "SM_HOSTS": resources["hosts"],
        "SM_CURRENT_HOST": resources["current_host"],
        "SM_CURRENT_INSTANCE_TYPE": resources["current_instance_type"],
        "SM_CURRENT_INSTANCE_GROUP": resources["current_group_name"],
        "SM_RESOURCE_CONFIG": resources,
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_INPUT_DIR": str(layout.base / "input"),
        "SM_INPUT_CONFIG_DIR": str(layout.config),
        "SM_MODEL_DIR": str(layout.model),
        "SM_OUTPUT_DIR": str(layout.base / "output"),
        "SM_OUTPUT_DATA_DIR": str(layout.output_data),
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_GPUS": 0,
        "SM_NUM_NEURONS": 0,
        "SM_LOG_LEVEL": 20,
        "SM_USER_ENTRY_POINT": program.program if program else "",
        "SM_MODULE_NAME": Path(program.program).stem if program else "",
        "SM_MODULE_DIR": (program.source if program else None) or "",
    }
    toolkit |= {f"SM_CHANNEL_{name.upper()}": path for name, path in channels.items()}
    toolkit |= {f"SM_HP_{name.upper()}": value for name, value in values.items()}
    given = {name: layout.translate(value) for name, value in request.get("Environment", {}).items()}
    return (
        base_environment(layout, credentials, endpoint, region)
        | {name: _variable(value) for name, value in toolkit.items()}
        | {"TRAINING_JOB_NAME": request["TrainingJobName"], "TRAINING_JOB_ARN": arn}
        | given
        | credentials
    )


def base_environment(
    layout: Layout, credentials: dict[str, str], endpoint: str, region: str
) -> dict[str, str]:
    """What every script that SageMaker runs finds: where it lies, and who it is in which AWS."""
    return (
        _inherited()
        | {
            "SAGEMAKER_BASE_DIR": str(layout.base),
            "PYTHONPATH": str(layout.code),
            "PYTHONUNBUFFERED": "1",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": endpoint,
        }
        | credentials
    )


def _inherited() -> dict[str, str]:
    from local_aws.settings import MARKER, STATE_DIR_VARIABLE

    own = ("TMPDIR", "NO_PROXY", "no_proxy", MARKER, STATE_DIR_VARIABLE)
    names = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", *own)
    return {name: os.environ[name] for name in names if name in os.environ}


def _hyperparameters(layout: Layout, request: dict[str, Any]) -> dict[str, Any]:
    """The user's hyperparameters, decoded: the toolkit's own stay out."""
    decoded = {
        name: _decode(value)
        for name, value in request.get("HyperParameters", {}).items()
        if not name.startswith("sagemaker_") and name not in _OF_THE_TOOLKIT
    }
    return {n: layout.translate(v) if isinstance(v, str) else v for n, v in decoded.items()}


def _decode(value: str) -> Any:
    """Toolkits write hyperparameters as JSON, people as plain text: both are read, as the toolkits do."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in sorted(value.items()))
    return str(value)


def _variable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _resource_config(request: dict[str, Any]) -> dict[str, Any]:
    kind = request.get("ResourceConfig", {}).get("InstanceType", "")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": ["algo-1"]}
    return {
        "current_host": "algo-1",
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
