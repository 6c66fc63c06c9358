"""The optional endpoint of the platform: what it is made of, judged by every check, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science.cost import at_rest, prices
from settings.model import FOLDER, Settings, SettingsError, load
from stacks import checks
from stacks.platform import compose
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.constructs import support

DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
TABLE = f'[endpoint]\nimage = "{IMAGE}"\nartifact = "models/reviews/1/model.tar.gz"\n'
OTHERS: dict[str, Any] = dict.fromkeys(("training", "inference", "pipeline"))
FULL = f"""{TABLE}variables = {{ SAGEMAKER_PROGRAM = "inference.py" }}
instance_type = "ml.m5.large"
max_instances = 6
peak_per_second = 40
slow_ms = 200
dashboard = true
hourly_usd = 0.115
"""


def settings(folder: Path, table: str, *, text: str = DEV) -> Settings:
    (folder / "dev.toml").write_text(f"{text}\n{table}", encoding="utf-8")
    return load("dev", folder=folder)


def synthesized(app: cdk.App) -> Assembly:
    app.synth()
    return Assembly(Path(app.outdir))


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN the platform of dev.toml with an endpoint in its network, judged by the packs and by our rules
    folder = tmp_path_factory.mktemp("endpoint")
    app = support.app(outdir=folder / "cdk.out")
    inside = DEV.replace(
        'zones = ["us-east-1a"', 'inside = ["training", "inference", "endpoint"]\nzones = ["us-east-1a"'
    )
    compose(app, settings(folder, FULL, text=inside).model_copy(update=OTHERS))
    checks.attach(app)
    return synthesized(app)


def resources(assembly: Assembly, type: str) -> list[dict[str, Any]]:
    found = assembly.templates["ds-dev-endpoint"]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]


def test_the_endpoint_is_what_the_settings_say(assembly: Assembly) -> None:
    (config,) = resources(assembly, "AWS::SageMaker::EndpointConfig")
    (variant,) = config["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 2)
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 20
    (model,) = resources(assembly, "AWS::SageMaker::Model")
    assert model["PrimaryContainer"]["Environment"] == {"SAGEMAKER_PROGRAM": "inference.py"}
    assert len(model["VpcConfig"]["Subnets"]) == 2
    (target,) = resources(assembly, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    (policy,) = resources(assembly, "AWS::ApplicationAutoScaling::ScalingPolicy")
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 1200
    (endpoint,) = resources(assembly, "AWS::SageMaker::Endpoint")
    assert (
        endpoint["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"]
        == "CANARY"
    )


def test_the_alarms_tell_the_platforms_topic(assembly: Assembly) -> None:
    alarms = resources(assembly, "AWS::CloudWatch::Alarm")
    assert {json.dumps(each["AlarmActions"]) for each in alarms if "AlarmActions" in each} != set()
    assert resources(assembly, "AWS::SNS::Topic") == []


def test_the_dashboard_shows_what_a_thousand_requests_cost(assembly: Assembly) -> None:
    (dashboard,) = resources(assembly, "AWS::CloudWatch::Dashboard")
    drawn = json.dumps(dashboard["DashboardBody"])
    # 0.115 USD an hour are 1.91667 USD a minute for a thousand such instances
    assert "1.91667 / requests" in drawn and "InvocationsPerInstance" in drawn
    for metric in ("Invocations", "ModelLatency", "OverheadLatency", "Invocation5XXErrors", "CPUUtilization"):
        assert metric in drawn


def test_no_check_finds_anything(assembly: Assembly) -> None:
    assert cfn_lint.problems(assembly.templates["ds-dev-endpoint"]) == []
    assert assembly.found_in("ds-dev-endpoint") == []


def test_what_it_costs_at_rest_is_known(assembly: Assembly) -> None:
    lines = [
        line for line in at_rest.assembly_lines(assembly.folder, prices.load()) if "endpoint" in line.stack
    ]
    assert [line for line in lines if line.monthly_usd is None] == []
    assert any(line.monthly_usd is not None and line.monthly_usd > 100 for line in lines)


def test_working_hours_delete_it_in_the_evening(tmp_path: Path) -> None:
    app = support.app(outdir=tmp_path / "cdk.out")
    hours = '[endpoint.working_hours]\ntime_zone = "Europe/Berlin"\nend = "18:30"\n'
    scaling = "max_instances = 3\npeak_per_second = 5\n"
    table = f"{TABLE}instance_count = 1\ncapture_percent = 0\n{scaling}{hours}"
    compose(app, settings(tmp_path, table).model_copy(update=OTHERS))
    assembly = synthesized(app)
    schedules = {each["ScheduleExpression"] for each in resources(assembly, "AWS::Scheduler::Schedule")}
    assert schedules == {"cron(0 8 ? * MON,TUE,WED,THU,FRI *)", "cron(30 18 ? * * *)"}
    # AND what scales it is registered again when it is back
    (rule,) = resources(assembly, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail-type"] == ["SageMaker Endpoint State Change"]
    assert cfn_lint.problems(assembly.templates["ds-dev-endpoint"]) == []


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (TABLE + "max_instances = 4\n", "max_instances and peak_per_second belong together"),
        (TABLE + "max_instances = 1\npeak_per_second = 5\n", "max_instances is 1, but there are 2"),
        (TABLE + "hourly_usd = 1\n", "dashboard is false: nothing would show it"),
        (TABLE + "instance_kind = 1\n", "endpoint.instance_kind: unknown key"),
        (TABLE.replace("model.tar.gz", "model.zip"), "endpoint.artifact"),
        (
            TABLE + '[endpoint.working_hours]\ntime_zone = "UTC"\nend = "25:00"\n',
            "endpoint.working_hours.end",
        ),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, table)
    assert expected in str(failure.value)


def test_an_image_of_another_region_is_told(tmp_path: Path) -> None:
    text = DEV.replace('name = "ds-dev"', 'name = "ds-dev"\nregion = "us-east-1"')
    with pytest.raises(SettingsError, match=r"endpoint\.image is in eu-west-1, but platform\.region"):
        settings(tmp_path, TABLE.replace("us-east-1", "eu-west-1"), text=text)
