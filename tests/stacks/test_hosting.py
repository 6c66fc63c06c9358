"""The optional tables of SageMaker's hosting and of devices: what is made of them, judged by every check, and
what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk_data_science.cost import at_rest, prices
from settings.model import FOLDER, Settings, SettingsError, load
from stacks import checks
from stacks.platform import compose
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.compliance.test_boundaries import missing, roles
from tests.constructs import support
from tests.stacks.small import SMALL

DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MODEL = f'image = "{IMAGE}"\nartifact = "models/reviews/1/model.tar.gz"\n'
ENDPOINT = f"[endpoint]\n{MODEL}instance_type = 'ml.m5.large'\nmax_instances = 4\npeak_per_second = 40\n"
SHADOW = """[endpoint.shadow]
artifact = "models/reviews/2/model.tar.gz"
variables = { LEVEL = "2" }
percent = 20
start = 2026-12-01T09:00:00+01:00
end = 2026-12-08T08:00:00Z
"""
ASYNC = f"[async_endpoint]\n{MODEL}waiting_per_instance = 3\n"
SHARED = f"""[shared_endpoint.models.churn]
{MODEL}memory_mb = 2048
cpus = 1
max_copies = 3
[shared_endpoint.models.fraud-risk]
{MODEL}memory_mb = 4096
min_copies = 1
"""
BATCH = f"""[batch_transform.churn]
{MODEL}data = "curated/customers/day={{day}}/"
predictions = "curated/predictions/churn/day={{day}}/"
schedule = "cron(15 4 * * ? *)"
time_zone = "Europe/Berlin"
join_input = true
"""
EDGE = f"""[edge.defects]
component = "com.example.Defects"
version = "1.4.0"
model = "models/defects/7/model.onnx"
sha256 = "{DIGEST}"
target = "arn:aws:iot:us-east-1:111122223333:thinggroup/cameras"
[edge.defects.program]
archive = "edge/camera.zip"
sha256 = "{DIGEST}"
run = "python3 -u serve.py"
"""
HOURS = '[endpoint.working_hours]\ntime_zone = "Europe/Berlin"\n'
STACKS = ("ds-dev-async", "ds-dev-batch", "ds-dev-edge", "ds-dev-endpoint", "ds-dev-shared")


def settings(folder: Path, *tables: str, text: str = DEV) -> Settings:
    (folder / "dev.toml").write_text("\n".join([text, *tables]), encoding="utf-8")
    return load("dev", folder=folder)


def synthesized(folder: Path, *tables: str, judged: bool, text: str = DEV) -> Assembly:
    """The tables beside the lake, the network, the budget and the roles of people."""
    app = support.app(outdir=folder / "cdk.out")
    others = dict.fromkeys(("training", "inference", "pipeline"))
    compose(app, settings(folder, *tables, text=text).model_copy(update=others))
    if judged:
        checks.attach(app)
    app.synth()
    return Assembly(folder / "cdk.out")


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN the platform of dev.toml with all of them, judged by the packs and by our rules
    tables = (ENDPOINT, SHADOW, ASYNC, SHARED, BATCH, EDGE)
    return synthesized(tmp_path_factory.mktemp("hosting"), *tables, judged=True)


def resources(assembly: Assembly, stack: str, type: str) -> list[dict[str, Any]]:
    found = assembly.templates[f"ds-dev-{stack}"]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]


def test_requests_wait_in_the_raw_zone_and_are_answered_into_the_curated_one(assembly: Assembly) -> None:
    (config,) = resources(assembly, "async", "AWS::SageMaker::EndpointConfig")
    output = config["AsyncInferenceConfig"]["OutputConfig"]
    assert json.dumps(output["S3OutputPath"]).endswith('"/async/answers"]]}')
    assert json.dumps(output["S3FailurePath"]).endswith('"/async/failures"]]}')
    (target,) = resources(assembly, "async", "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 2)
    tracked = [
        each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for each in resources(assembly, "async", "AWS::ApplicationAutoScaling::ScalingPolicy")
        if "TargetTrackingScalingPolicyConfiguration" in each
    ]
    assert tracked == [3]


def test_models_share_instances_and_each_scales_by_itself(assembly: Assembly) -> None:
    (config,) = resources(assembly, "shared", "AWS::SageMaker::EndpointConfig")
    (variant,) = config["ProductionVariants"]
    assert variant["ManagedInstanceScaling"]["MinInstanceCount"] == 0
    components = resources(assembly, "shared", "AWS::SageMaker::InferenceComponent")
    needs = [
        each["Specification"]["ComputeResourceRequirements"]["MinMemoryRequiredInMb"] for each in components
    ]
    assert needs == [2048, 4096]
    # One from none to three copies; the other has one that stays
    (target,) = resources(assembly, "shared", "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 3)
    outputs = assembly.templates["ds-dev-shared"]["Outputs"]
    assert {"ChurnComponent", "FraudRiskComponent"} <= set(outputs)


def test_a_folder_is_predicted_by_the_clock(assembly: Assembly) -> None:
    (schedule,) = resources(assembly, "batch", "AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(15 4 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    (machine,) = resources(assembly, "batch", "AWS::StepFunctions::StateMachine")
    definition = json.dumps(machine["DefinitionString"])
    assert "customers/day=" in definition and "predictions/churn/day=" in definition


def test_a_device_downloads_its_files_and_nothing_else(assembly: Assembly) -> None:
    (deployment,) = resources(assembly, "edge", "AWS::GreengrassV2::Deployment")
    assert deployment["TargetArn"].endswith("thinggroup/cameras")
    (policy,) = resources(assembly, "edge", "AWS::IAM::Policy")
    read = json.dumps(policy["PolicyDocument"])
    assert "/models/defects/7/model.onnx" in read and "/edge/camera.zip" in read
    # Of the bucket it sees these two keys alone
    listed = [each for each in policy["PolicyDocument"]["Statement"] if "s3:ListBucket" in each["Action"]]
    assert sorted(each["Condition"]["StringLike"]["s3:prefix"] for each in listed) == [
        "edge/camera.zip",
        "models/defects/7/model.onnx",
    ]


def test_another_model_gets_copies_for_a_week(assembly: Assembly) -> None:
    (experiment,) = resources(assembly, "endpoint", "AWS::SageMaker::InferenceExperiment")
    # 9 o'clock in Berlin
    assert experiment["Schedule"] == {"StartTime": "2026-12-01T08:00:00Z", "EndTime": "2026-12-08T08:00:00Z"}
    shadow = experiment["ShadowModeConfig"]["ShadowModelVariants"][0]
    assert (shadow["ShadowModelVariantName"], shadow["SamplingPercentage"]) == ("shadow", 20)
    models = resources(assembly, "endpoint", "AWS::SageMaker::Model")
    urls = json.dumps([each["PrimaryContainer"]["ModelDataUrl"] for each in models])
    assert "reviews/1/" in urls and "reviews/2/" in urls
    assert {"LEVEL": "2"} in [each["PrimaryContainer"].get("Environment") for each in models]


@pytest.mark.parametrize("stack", STACKS)
def test_no_check_finds_anything(assembly: Assembly, stack: str) -> None:
    assert cfn_lint.problems(assembly.templates[stack]) == []
    assert assembly.found_in(stack) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_role_has_a_boundary_that_holds_what_it_needs(assembly: Assembly, stack: str) -> None:
    template = assembly.templates[stack]
    bounded = [key for key, each in roles(template).items() if "PermissionsBoundary" in each["Properties"]]
    assert bounded == list(roles(template))
    assert {key: gone for key in bounded if (gone := missing(template, key))} == {}


def test_nothing_costs_by_the_hour_but_the_endpoint_that_is_always_there(assembly: Assembly) -> None:
    monthly = dict.fromkeys(STACKS, 0.0)
    unknown = []
    for line in at_rest.assembly_lines(assembly.folder, prices.load()):
        if line.stack in monthly and line.monthly_usd is not None:
            monthly[line.stack] += line.monthly_usd
        elif line.stack in monthly:
            unknown.append((line.stack, line.what))
    # One of the models has a copy that stays, whose instances cannot be told
    assert unknown == [("ds-dev-shared", "as many instances as the copies of its components need, or none")]
    assert monthly.pop("ds-dev-endpoint") > 100
    assert max(monthly.values()) < 10


def test_working_hours_bound_their_function_too(tmp_path: Path) -> None:
    tables = (ENDPOINT, HOURS, "[security]")
    template = synthesized(tmp_path, *tables, judged=False, text=SMALL).templates["ds-dev-endpoint"]
    assert {key: gone for key in roles(template) if (gone := missing(template, key))} == {}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([ENDPOINT, SHADOW, HOURS], "shadow and working_hours are given"),
        ([ENDPOINT, SHADOW.replace("+01:00", "")], "the time has no offset"),
        ([ENDPOINT, SHADOW.replace("12-08", "11-08")], "the end has to be later"),
        ([f"{ASYNC}min_instances = 3\n"], "min_instances is 3, which is more than max_instances (2)"),
        ([f"{SHARED}max_copies = 0\n"], "shared_endpoint.models.fraud-risk.max_copies"),
        ([SHARED.replace("max_copies = 3", "min_copies = 2")], "min_copies is 2, which is more than"),
        (["[shared_endpoint]\nmodels = {}\n"], "shared_endpoint.models"),
        ([BATCH.replace("{day}", "{month}")], "batch_transform.churn.data"),
        ([f'{BATCH}content_type = "image/png"\n'], "SageMaker joins text/csv"),
        ([f"{BATCH}colour = 1\n"], "batch_transform.churn.colour: unknown key; allowed here: artifact"),
        ([EDGE.replace("com.example", "aws.example")], "names that begin with aws. are AWS's"),
        ([EDGE.replace(DIGEST, "abc")], "edge.defects.sha256"),
        ([BATCH.replace("[batch_transform.churn]", "[batch_transform.Churn]")], "batch_transform.Churn"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, tables: list[str], expected: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, *tables)
    assert expected in str(failure.value)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (ASYNC, "async_endpoint"),
        (SHARED, "shared_endpoint.models.churn"),
        (BATCH, "batch_transform.churn"),
        (f'{ENDPOINT.replace("us-east-1", "eu-west-1")}{SHADOW}image = "{IMAGE}"\n', "endpoint.shadow"),
    ],
)
def test_an_image_of_another_region_is_told(tmp_path: Path, table: str, name: str) -> None:
    text = DEV.replace('name = "ds-dev"', 'name = "ds-dev"\nregion = "eu-west-1"')
    text = text.replace("us-east-1", "eu-west-1")
    with pytest.raises(SettingsError, match=rf"{name}\.image is in us-east-1, but platform\.region"):
        settings(tmp_path, table, text=text)


@pytest.mark.parametrize("table", [ASYNC, SHARED, BATCH])
def test_somebody_hears_of_the_alarms(tmp_path: Path, table: str) -> None:
    text = DEV.replace('alert_emails = ["data-platform@example.com"]', "")
    with pytest.raises(SettingsError, match="nobody would hear of the alerts"):
        settings(tmp_path, table, text=text)
