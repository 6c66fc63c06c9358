"""MLflow: the app and the server, what their role reaches, and who may record and read."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from cdk_data_science import ConfigurationError, DataLake, Mlflow
from cdk_data_science.studio import TrackingServer
from tests.constructs import machines, nag, support
from tests.constructs.training.stacks import IMAGE, job, run, training

SERVER = "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/research"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """An app with a logger, a reader and somebody who opens the page; a server; a job that records."""
    stack = support.stack(env=support.environment())
    lake = DataLake(stack, "Lake")
    mlflow = Mlflow(stack, "Mlflow", artifacts=lake.models, maintenance="Sun:03:30")
    Mlflow(
        stack,
        "Own",
        artifacts=lake.curated,
        artifacts_prefix="teams/nlp/",
        name="research",
        server=TrackingServer(size="Medium", mlflow_version="3.0"),
    )
    own = Mlflow.from_arn(stack, "Known", SERVER, artifacts=lake.models)
    for who, grants in {
        "Logger": [mlflow.grant_log],
        "Reader": [own.grant_read],
        "Visitor": [mlflow.grant_open, mlflow.grant_read],
    }.items():
        role = iam.Role(stack, who, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        for grant in grants:
            grant(role).assert_success()
    spot = training(
        stack, lake, image=IMAGE.replace("us-east-1", "eu-west-1"), tracking=mlflow, job_name_prefix="reviews"
    )
    run(stack, spot)
    return stack


@pytest.fixture(scope="module")
def template(stack: cdk.Stack) -> Template:
    return support.synth(stack)


def actions(stack: cdk.Stack, role: str) -> set[str]:
    return set(machines.actions(machines.statements(stack, role)))


def test_the_managed_app_is_the_default(template: Template) -> None:
    # THEN the app keeps its files in one folder of the zone, and enters nothing in the registry by itself
    app = support.only(support.resources(template, "AWS::SageMaker::MlflowApp"))
    assert app["Properties"]["ModelRegistrationMode"] == "AutoModelRegistrationDisabled"
    assert app["Properties"]["WeeklyMaintenanceWindowStart"] == "Sun:03:30"
    uri = app["Properties"]["ArtifactStoreUri"]["Fn::Join"][1]
    assert (uri[0], uri[-1]) == ("s3://", "/mlflow")


def test_a_server_has_the_size_and_the_version_that_were_asked_for(template: Template) -> None:
    server = support.only(support.resources(template, "AWS::SageMaker::MlflowTrackingServer"))["Properties"]
    assert (server["TrackingServerName"], server["TrackingServerSize"]) == ("research", "Medium")
    assert (server["MlflowVersion"], server["AutomaticModelRegistration"]) == ("3.0", False)


@pytest.mark.parametrize("type", ["AWS::SageMaker::MlflowApp", "AWS::SageMaker::MlflowTrackingServer"])
def test_what_was_recorded_is_kept_with_the_role_that_reaches_its_files(
    template: Template, type: str
) -> None:
    resource = support.only(support.resources(template, type))
    # The role's policy is there first, and all three stay.
    waits_for = resource["DependsOn"]
    found = support.resources(template)
    policies = [each for each in waits_for if found[each]["Type"] == "AWS::IAM::Policy"]
    role = resource["Properties"]["RoleArn"]["Fn::GetAtt"][0]
    assert policies
    for kept in (resource, found[role], found[policies[0]]):
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"


def test_both_keys_let_it_go() -> None:
    # GIVEN an app whose owner asks for deletion in both places
    stack = support.stack(context={"cdk-data-science:destroyData": True})
    Mlflow(stack, "Mlflow", artifacts=DataLake(stack, "Lake", zones=["models"]).models, destroy=True)
    # THEN CloudFormation deletes it
    app = support.only(support.resources(stack, "AWS::SageMaker::MlflowApp"))
    assert app.get("DeletionPolicy", "Delete") == "Delete"


def test_the_role_reaches_one_folder_and_its_key_alone(stack: cdk.Stack) -> None:
    statements = machines.statements(stack, "MlflowRole")
    reached = {str(statement["Resource"]) for statement in statements}
    # THEN there is no statement beyond the folder's objects, its listing, and the key
    objects = [text for text in reached if "/mlflow/*" in text]
    assert len(objects) == 1
    assert {action.partition(":")[0] for action in machines.actions(statements)} == {"s3", "kms"}
    listing = next(each for each in statements if "s3:ListBucket" in machines.actions([each]))
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "mlflow/*"}}


def test_sagemaker_of_this_account_alone_takes_the_role(template: Template) -> None:
    roles = support.resources(template, "AWS::IAM::Role")
    trust = next(role for name, role in roles.items() if name.startswith("MlflowRole"))["Properties"]
    (statement,) = trust["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": support.ACCOUNT}


def test_a_logger_records_and_reads_no_files(stack: cdk.Stack) -> None:
    granted = actions(stack, "Logger")
    assert {"sagemaker:CallMlflowAppApi", "sagemaker-mlflow:LogBatch", "s3:PutObject"} <= granted
    assert not {"s3:GetObject", "sagemaker-mlflow:DeleteRun", "sagemaker-mlflow:CreateModelVersion"} & granted
    calls = next(
        each
        for each in machines.statements(stack, "Logger")
        if "sagemaker:CallMlflowAppApi" in machines.actions([each])
    )
    assert calls["Resource"] == {"Fn::GetAtt": ["MlflowApp" + _suffix(stack, "MlflowApp"), "Arn"]}


def _suffix(stack: cdk.Stack, prefix: str) -> str:
    return next(each for each in support.resources(stack) if each.startswith(prefix)).removeprefix(prefix)


def test_a_reader_of_a_server_changes_nothing(stack: cdk.Stack) -> None:
    granted = actions(stack, "Reader")
    assert {"sagemaker-mlflow:SearchRuns", "s3:GetObject"} <= granted
    assert not {"sagemaker-mlflow:LogBatch", "sagemaker-mlflow:CreateRun", "s3:PutObject"} & granted
    assert "sagemaker:CallMlflowAppApi" not in granted
    on = [
        each["Resource"]
        for each in machines.statements(stack, "Reader")
        if "sagemaker-mlflow:SearchRuns" in machines.actions([each])
    ]
    assert on == [SERVER]


def test_who_opens_the_page_gets_a_signed_address(stack: cdk.Stack) -> None:
    assert "sagemaker:CreatePresignedMlflowAppUrl" in actions(stack, "Visitor")
    assert "sagemaker:CreatePresignedMlflowAppUrl" not in actions(stack, "Logger")


def test_a_job_records_in_the_experiment_of_its_name(stack: cdk.Stack) -> None:
    environment = job(stack)["Environment"]
    assert environment["MLFLOW_EXPERIMENT_NAME"] == "reviews"
    assert "MLFLOW_TRACKING_URI" in environment
    granted = actions(stack, "TrainingRole")
    assert {"sagemaker:CallMlflowAppApi", "sagemaker-mlflow:CreateRun"} <= granted


def test_nothing_is_left_to_acknowledge() -> None:
    # GIVEN both, with everybody who uses them
    app = support.app()
    stack = cdk.Stack(app, "Nag")
    lake = DataLake(stack, "Lake")
    for kind, server in {"App": None, "Server": TrackingServer()}.items():
        mlflow = Mlflow(stack, kind, artifacts=lake.models, artifacts_prefix=f"{kind}/", server=server)
        user = iam.Role(
            stack,
            f"{kind}User",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        )
        for grant in (mlflow.grant_log, mlflow.grant_read, mlflow.grant_open):
            grant(user)
    # THEN what is found is not about them
    found = [each for each in nag.unacknowledged(app) if "IAMNoInlinePolicy" not in each]
    assert found == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "-x"}, "name='-x'"),
        ({"maintenance": "Sunday 3"}, "maintenance='Sunday 3'"),
        ({"maintenance": "Sun:24:00"}, "maintenance='Sun:24:00'"),
        ({"artifacts_prefix": "mlflow"}, "artifacts_prefix='mlflow'"),
        ({"artifacts_prefix": "/"}, "artifacts_prefix='/'"),
        ({"server": TrackingServer(mlflow_version="three")}, "mlflow_version='three'"),
        ({"server": TrackingServer(size="Tiny")}, "size='Tiny'"),  # type: ignore[arg-type]
    ],
)
def test_what_sagemaker_would_refuse_is_told(options: dict[str, Any], told: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    with pytest.raises(ConfigurationError, match="Mlflow at Test/Mlflow: 1 problem") as error:
        Mlflow(stack, "Mlflow", artifacts=lake.models, **options)
    assert told in str(error.value)


@pytest.mark.parametrize("arn", ["research", SERVER.replace("mlflow-tracking-server", "domain"), SERVER[:-8]])
def test_only_mlflow_is_imported(arn: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="the ARN of an mlflow-app or an mlflow-tracking-server"):
        Mlflow.from_arn(stack, "Known", arn, artifacts=DataLake(stack, "Lake", zones=["models"]).models)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"network_isolation": True}, "tracking with network_isolation"),
        ({"environment": {"MLFLOW_TRACKING_URI": "http://x"}}, "'MLFLOW_TRACKING_URI'"),
        ({"experiment": "x" * 257}, "experiment of 257 characters"),
        ({"tracking": None, "experiment": "reviews"}, "experiment='reviews' without tracking"),
    ],
)
def test_what_keeps_a_job_from_recording_is_told(options: dict[str, Any], told: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    known = Mlflow.from_arn(stack, "Known", SERVER, artifacts=lake.models)
    with pytest.raises(ConfigurationError) as error:
        training(stack, lake, **{"tracking": known, **options})
    assert told in str(error.value)
