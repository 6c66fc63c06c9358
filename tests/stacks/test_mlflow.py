"""MLflow in the platform: where it is, who records in it, and who may only look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from settings.mlflow import Mlflow
from settings.model import Settings, load
from stacks import checks
from stacks.platform import compose
from tests.compliance import task_parameters
from tests.constructs import support
from tests.stacks.test_studio import settings as with_studio

LEFT_OUT = ("training", "inference", "pipeline", "cost", "security", "audit", "endpoint", "etl")


def composed(settings: Settings, outdir: Path, *, checked: bool = False) -> dict[str, cdk.Stack]:
    app = support.app(outdir=outdir)
    stacks = compose(app, settings)
    if checked:
        checks.attach(app)
        app.synth()  # four packs and ours: a finding fails it
    return {stack.stack_name.removeprefix(f"{settings.platform.name}-"): stack for stack in stacks}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> dict[str, cdk.Stack]:
    """Work places whose people record their runs on a server."""
    given: dict[str, Any] = {**with_studio(), "mlflow": {"server": "Small"}}
    given["network"]["features"] = ["studio", "mlflow"]
    for part in LEFT_OUT:
        given.pop(part, None)
    return composed(Settings.model_validate(given), tmp_path_factory.mktemp("mlflow"), checked=True)


def roles_that(stack: cdk.Stack, action: str) -> set[str]:
    """The roles of a stack that may do this, by the beginning of their ids."""
    return {
        role["Ref"].removeprefix("Team").partition("Role")[0]
        for policy in support.resources(stack, "AWS::IAM::Policy").values()
        if action in json.dumps(policy["Properties"]["PolicyDocument"])
        for role in policy["Properties"]["Roles"]
    }


def test_the_server_is_where_nothing_takes_it_down(studio: dict[str, cdk.Stack]) -> None:
    server = support.only(support.resources(studio["lake"], "AWS::SageMaker::MlflowTrackingServer"))
    assert server["DeletionPolicy"] == "RetainExceptOnCreate"


def test_those_who_train_record_and_the_approver_looks(studio: dict[str, cdk.Stack]) -> None:
    team = studio["studio-reviews"]
    recording, reading = (
        roles_that(team, "sagemaker-mlflow:LogBatch"),
        roles_that(team, "sagemaker-mlflow:SearchRuns"),
    )
    assert len(recording) == 3  # data scientist, ML engineer, jobs
    assert len(reading - recording) == 1  # the approver
    assert len(roles_that(team, "CreatePresignedMlflowTrackingServerUrl")) == 3


def test_runs_of_jobs_are_recorded_where_the_settings_say_so(tmp_path: Path) -> None:
    # GIVEN a platform whose jobs reach a server of MLflow by endpoints
    settings = load("dev")
    assert settings.network is not None
    network = settings.network.model_copy(update={"features": ("mlflow",)})
    recorded = Mlflow(server="Small", experiment="reviews")
    others = dict.fromkeys(each for each in LEFT_OUT if each != "training")
    asked = settings.model_copy(update={"mlflow": recorded, "network": network, **others})
    stacks = composed(asked, tmp_path)
    # THEN jobs may record there, and nothing waits for the server to be made
    training = json.dumps(support.resources(stacks["training"], "AWS::IAM::Policy"))
    assert "mlflow-tracking-server/ds-dev" in training
    assert "sagemaker-mlflow:LogBatch" in training
    assert "CallMlflowAppApi" not in training


def test_a_person_decides_where_the_settings_say_so(tmp_path: Path) -> None:
    # GIVEN a platform in which a model waits for two days
    settings = load("dev")
    assert settings.pipeline is not None
    pipeline = settings.pipeline.model_copy(update={"approval_minutes": 2880})
    others = dict.fromkeys(("cost", "security", "audit", "endpoint", "etl"))
    stacks = composed(settings.model_copy(update={"pipeline": pipeline, **others}), tmp_path)
    # THEN its pipeline asks before it deploys
    (machine,) = task_parameters.definitions(support.document(stacks["pipeline"])).values()
    assert machine["States"]["Register"]["Arguments"]["Payload"]["approval"] == "PendingManualApproval"
    assert machine["States"]["Approve: done"]["Next"].startswith("Deploy")
