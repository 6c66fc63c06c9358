"""MLflow of SageMaker: apps and servers as state, and where a job finds the MLflow of this machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ROOT, LocalAws, free_port, local_aws_command, unique

APP = "arn:aws:sagemaker:us-east-1:000000000000:mlflow-app/app-1"
SERVER = "arn:aws:sagemaker:us-east-1:000000000000:mlflow-tracking-server/research"
LOCAL = "http://127.0.0.1:4567"
# Asks the code of the instance itself, which has an environment of its own.
TRANSLATE = """
import json, sys
from pathlib import Path
from local_aws import context
from local_aws.sagemaker import mlflow
from local_aws.settings import Settings
context.configure(Settings(state_dir=Path("."), mlflow_port=int(sys.argv[1])))
said = []
print(json.dumps([mlflow.translate(json.loads(sys.argv[2]), said.append), said]))
"""


@pytest.fixture
def sagemaker(local_aws: LocalAws) -> Any:
    return local_aws.client("sagemaker")


@pytest.fixture
def role(local_aws: LocalAws) -> str:
    return local_aws.role("sagemaker")


def test_an_app_is_kept_changed_and_deleted(sagemaker: Any, role: str) -> None:
    # GIVEN an app
    name = unique("app")
    arn = sagemaker.create_mlflow_app(Name=name, ArtifactStoreUri="s3://models/mlflow", RoleArn=role)["Arn"]
    assert ":mlflow-app/app-" in arn
    # WHEN it is changed
    sagemaker.update_mlflow_app(Arn=arn, WeeklyMaintenanceWindowStart="Sun:03:30")
    # THEN it is described and listed so, and a second one of its name is refused
    described = sagemaker.describe_mlflow_app(Arn=arn)
    assert (described["Status"], described["WeeklyMaintenanceWindowStart"]) == ("Updated", "Sun:03:30")
    listed = sagemaker.list_mlflow_apps(MaxResults=100)["Summaries"]
    assert arn in [each["Arn"] for each in listed]
    with pytest.raises(ClientError, match="exists already"):
        sagemaker.create_mlflow_app(Name=name, ArtifactStoreUri="s3://models/x", RoleArn=role)
    # AND it is gone when it is deleted
    sagemaker.delete_mlflow_app(Arn=arn)
    with pytest.raises(ClientError, match="not found"):
        sagemaker.describe_mlflow_app(Arn=arn)


def test_a_server_stops_and_starts(sagemaker: Any, role: str) -> None:
    name = unique("server")
    sagemaker.create_mlflow_tracking_server(
        TrackingServerName=name,
        ArtifactStoreUri="s3://models/mlflow",
        RoleArn=role,
        TrackingServerSize="Small",
    )
    sagemaker.stop_mlflow_tracking_server(TrackingServerName=name)
    assert sagemaker.describe_mlflow_tracking_server(TrackingServerName=name)["IsActive"] == "Inactive"
    sagemaker.start_mlflow_tracking_server(TrackingServerName=name)
    described = sagemaker.describe_mlflow_tracking_server(TrackingServerName=name)
    assert (described["IsActive"], described["TrackingServerStatus"]) == ("Active", "Started")
    sagemaker.delete_mlflow_tracking_server(TrackingServerName=name)


def test_a_role_that_sagemaker_may_not_take_is_refused(sagemaker: Any, local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="sagemaker"):
        sagemaker.create_mlflow_app(
            Name=unique("app"), ArtifactStoreUri="s3://models/mlflow", RoleArn=local_aws.role("lambda")
        )


def test_no_page_is_opened_where_no_mlflow_runs(sagemaker: Any, role: str) -> None:
    arn = sagemaker.create_mlflow_app(
        Name=unique("app"), ArtifactStoreUri="s3://models/mlflow", RoleArn=role
    )["Arn"]
    with pytest.raises(ClientError, match="local-aws up --mlflow"):
        sagemaker.create_presigned_mlflow_app_url(Arn=arn)


def test_both_are_deployed_and_changed(local_aws: LocalAws, role: str) -> None:
    # GIVEN a stack with an app and a server
    name = unique("mlflow")
    properties = {"ArtifactStoreUri": "s3://models/mlflow", "RoleArn": role}
    resources = {
        "App": {"Type": "AWS::SageMaker::MlflowApp", "Properties": {"Name": name, **properties}},
        "Server": {
            "Type": "AWS::SageMaker::MlflowTrackingServer",
            "Properties": {"TrackingServerName": name, "TrackingServerSize": "Small", **properties},
        },
    }
    outputs = {"App": {"Value": {"Fn::GetAtt": ["App", "Arn"]}}}
    outputs["Server"] = {"Value": {"Fn::GetAtt": ["Server", "TrackingServerArn"]}}
    cloudformation = local_aws.client("cloudformation")

    def deployed(operation: str) -> dict[str, str]:
        template = json.dumps({"Resources": resources, "Outputs": outputs})
        getattr(cloudformation, f"{operation}_stack")(StackName=name, TemplateBody=template)
        waiter = cloudformation.get_waiter(f"stack_{operation}_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    arns = deployed("create")
    # WHEN the server gets a larger size, and the app a time for its maintenance
    for resource in resources.values():
        resource["Properties"] |= {"WeeklyMaintenanceWindowStart": "Mon:01:00"}  # type: ignore[operator]
    resources["Server"]["Properties"] |= {"TrackingServerSize": "Large"}  # type: ignore[operator]
    # THEN they are the same ones, changed
    assert deployed("update") == arns
    sagemaker = local_aws.client("sagemaker")
    server = sagemaker.describe_mlflow_tracking_server(TrackingServerName=name)
    assert (server["TrackingServerArn"], server["TrackingServerSize"]) == (arns["Server"], "Large")
    app = sagemaker.describe_mlflow_app(Arn=arns["App"])
    assert app["WeeklyMaintenanceWindowStart"] == "Mon:01:00"
    # AND they go with the stack
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="not found"):
        sagemaker.describe_mlflow_app(Arn=arns["App"])


@pytest.mark.parametrize(
    ("port", "given", "found", "told"),
    [
        (
            4567,
            {"MLFLOW_TRACKING_URI": APP, "A": "b"},
            {"MLFLOW_TRACKING_URI": LOCAL, "A": "b"},
            0,
        ),
        (4567, {"MLFLOW_TRACKING_URI": SERVER}, {"MLFLOW_TRACKING_URI": LOCAL}, 0),
        (0, {"MLFLOW_TRACKING_URI": APP, "A": "b"}, {"A": "b"}, 1),
        (0, {"MLFLOW_TRACKING_URI": "http://own:80"}, {"MLFLOW_TRACKING_URI": "http://own:80"}, 0),
    ],
    ids=["app", "server", "none runs", "another one"],
)
def test_a_job_finds_the_mlflow_of_this_machine(
    port: int, given: dict[str, str], found: dict[str, str], told: int
) -> None:
    python = ROOT / "local" / ".venv" / "bin" / "python"
    asked = subprocess.run(
        [str(python), "-c", TRANSLATE, str(port), json.dumps(given)],
        cwd=ROOT / "local",
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    variables, said = json.loads(asked.stdout)
    assert variables == found
    assert len(said) == told


def test_a_running_instance_gets_no_mlflow_afterwards(local_aws: LocalAws) -> None:
    port = local_aws.endpoint.rpartition(":")[2]
    asked = local_aws.run("up", "--port", port, "--mlflow", str(free_port()))
    assert asked.returncode == 1
    assert "without MLflow" in asked.stderr


def test_mlflow_needs_a_port_of_its_own(tmp_path: Path, local_aws: LocalAws) -> None:
    taken = local_aws.endpoint.rpartition(":")[2]
    asked = local_aws_command(
        "up", "--port", str(free_port()), "--mlflow", taken, "--state-dir", str(tmp_path / "state")
    )
    assert asked.returncode == 1
    assert f"Port {taken} is in use" in asked.stderr


def test_what_cannot_be_installed_leaves_nothing_running(state_dir: Path, tmp_path: Path) -> None:
    # GIVEN a machine without a package index, on which MLflow was never installed
    alone = {
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    port = free_port()
    # WHEN the local AWS is started with MLflow
    asked = local_aws_command(
        *("up", "--port", str(port), "--mlflow", str(free_port()), "--state-dir", str(state_dir)),
        env={**os.environ, **alone},
    )
    # THEN it says why it cannot, and is not up
    assert asked.returncode == 1
    assert "MLflow cannot be installed" in asked.stderr
    assert local_aws_command("status", "--state-dir", str(state_dir)).returncode == 3
