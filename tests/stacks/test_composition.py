"""What the stacks are, how they hang together, and what they tell a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from settings.model import Settings, load
from stacks.platform import compose
from tests.compliance import task_parameters
from tests.compliance.assembly import Assembly
from tests.constructs import support

STACKS = ("lake", "network", "operations", "training", "serving", "pipeline", "protection", "cost")


def composed(settings: Settings, outdir: Path) -> dict[str, cdk.Stack]:
    """The stacks by what follows the platform's name."""
    stacks = compose(support.app(outdir=outdir), settings)
    return {stack.stack_name.removeprefix(f"{settings.platform.name}-"): stack for stack in stacks}


def depth(stack: str, dependencies: dict[str, set[str]]) -> int:
    return 1 + max((depth(other, dependencies) for other in dependencies[stack]), default=0)


def written_outputs(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outputs that are written for a person, without those that carry references between stacks."""
    for name, output in template.get("Outputs", {}).items():
        if not name.startswith("PublishOutput"):
            yield name, output


def test_every_environment_has_the_whole_platform(synthesized: Assembly, environment: str) -> None:
    name = load(environment).platform.name
    assert sorted(synthesized.templates) == sorted(f"{name}-{stack}" for stack in STACKS)


def test_stacks_stand_on_each_other_three_deep_at_most(synthesized: Assembly) -> None:
    depths = {stack: depth(stack, synthesized.dependencies) for stack in synthesized.dependencies}
    assert {stack: deep for stack, deep in depths.items() if deep > 3} == {}


def test_the_lake_stands_on_nothing(synthesized: Assembly, environment: str) -> None:
    assert synthesized.dependencies[f"{load(environment).platform.name}-lake"] == set()


def test_every_stack_and_every_output_says_what_it_is(synthesized: Assembly) -> None:
    silent = [
        name for name, template in synthesized.templates.items() if len(template.get("Description", "")) < 10
    ]
    silent += [
        f"{name}.{output}"
        for name, template in synthesized.templates.items()
        for output, content in written_outputs(template)
        if len(content.get("Description", "")) < 10
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("stack", "outputs"),
    [
        ("lake", {"RawBucket", "CuratedBucket", "FeaturesBucket", "ModelsBucket", "RawDatabase", "KeyArn"}),
        ("operations", {"AlertTopicArn"}),
        ("training", {"TrainingRoleArn", "TrainingSourcePrefix"}),
        ("serving", {"FunctionName", "AliasName", "FunctionUrl"}),
        ("pipeline", {"StateMachineArn"}),
        ("cost", {"BudgetName"}),
        ("network", {"VpcId", "HourlyUsd"}),
        ("protection", {"DataScientistRoleArn", "AuditorRoleArn"}),
    ],
)
def test_a_stack_puts_out_what_a_person_needs_next(
    synthesized: Assembly, environment: str, stack: str, outputs: set[str]
) -> None:
    template = synthesized.templates[f"{load(environment).platform.name}-{stack}"]
    assert {name for name, _ in written_outputs(template)} >= outputs


def test_an_environment_with_an_account_lands_nowhere_else(synthesized: Assembly, environment: str) -> None:
    platform = load(environment).platform
    expected = f"aws://{platform.account or 'unknown-account'}/{platform.region or 'unknown-region'}"
    stacks = [
        a for a in synthesized.manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"
    ]
    assert {stack["environment"] for stack in stacks} == {expected}


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ({"cost"}, {*STACKS} - {"cost"}),
        ({"pipeline"}, {*STACKS} - {"pipeline"}),
        ({"pipeline", "training"}, {*STACKS} - {"pipeline", "training"}),
        ({"network"}, {*STACKS} - {"network"}),
        ({"security"}, {*STACKS} - {"protection"}),
        ({"pipeline", "inference", "training", "cost", "network", "security"}, {"lake"}),
    ],
    ids=lambda names: "+".join(sorted(names)),
)
def test_a_table_left_out_of_the_settings_leaves_its_stack_out(
    tmp_path: Path, left_out: set[str], expected: set[str]
) -> None:
    settings = load("dev").model_copy(update=dict.fromkeys(left_out))
    assert set(composed(settings, tmp_path)) == expected


def test_a_lake_alone_is_useful(tmp_path: Path) -> None:
    others = ("training", "inference", "pipeline", "cost", "network", "security")
    settings = load("dev").model_copy(update=dict.fromkeys(others))
    template = support.synth(composed(settings, tmp_path)["lake"])
    assert len(support.resources(template, "AWS::S3::Bucket")) >= 4


def test_one_topic_tells_the_people_in_the_settings_of_everything(
    synthesized: Assembly, environment: str
) -> None:
    name = load(environment).platform.name
    [topic] = synthesized.platform.resources("AWS::SNS::Topic")
    assert topic.stack == f"{name}-operations"
    subscribed = [s.properties for s in synthesized.platform.resources("AWS::SNS::Subscription")]
    assert [(s["Protocol"], s["Endpoint"]) for s in subscribed] == [("email", "data-platform@example.com")]
    for speaking in ("serving", "pipeline", "cost"):
        assert f"{name}-operations" in synthesized.dependencies[f"{name}-{speaking}"]
    alarms = {a.path: a.properties for a in synthesized.platform.resources("AWS::CloudWatch::Alarm")}
    assert [path for path, alarm in alarms.items() if "AlarmActions" not in alarm] == []
    for alarm in alarms.values():
        for action in alarm.get("AlarmActions", ()):
            assert topic.logical_id in action["Fn::GetStackOutput"]["OutputName"]


def test_what_expires_is_where_jobs_and_runs_write(synthesized: Assembly, environment: str) -> None:
    lake = load(environment).lake
    name = load(environment).platform.name
    rules = {
        rule["Prefix"]: rule["ExpirationInDays"]
        for bucket in synthesized.platform.resources("AWS::S3::Bucket")
        for rule in bucket.properties["LifecycleConfiguration"]["Rules"]
        if "Prefix" in rule
    }
    runs = lake.runs_expire_days
    assert rules == {
        "runs/": runs,
        "runs-train/": runs,
        "checkpoints/": lake.checkpoints_expire_days,
    }
    written = {"runs/": "pipeline", "runs-train/": "pipeline", "checkpoints/": "training"}
    for folder, stack in written.items():
        assert f"/{folder}*" in str(synthesized.templates[f"{name}-{stack}"])


def test_the_evidence_that_the_registry_names_never_expires(synthesized: Assembly, environment: str) -> None:
    name = load(environment).platform.name
    [machine] = task_parameters.definitions(synthesized.templates[f"{name}-pipeline"]).values()
    report = machine["States"]["Evaluate"]["Arguments"]["Payload"]["report"]["key"]
    for bucket in synthesized.platform.resources("AWS::S3::Bucket"):
        for rule in bucket.properties["LifecycleConfiguration"]["Rules"]:
            assert "Prefix" not in rule or rule["Prefix"] not in report
    for reads_or_writes in ("pipeline", "protection"):
        assert "/evaluations/*" in str(synthesized.templates[f"{name}-{reads_or_writes}"])


@pytest.mark.parametrize(("days", "refused"), [(4, True), (5, False)])
def test_checkpoints_outlive_all_tries_of_a_run(tmp_path: Path, days: int, *, refused: bool) -> None:
    # GIVEN four tries of a day each, and the waits between them
    settings = load("dev")
    assert settings.training is not None
    training = settings.training.model_copy(update={"max_wait_minutes": 1440})
    lake = settings.lake.model_copy(update={"checkpoints_expire_days": days})
    others = dict.fromkeys(("inference", "pipeline", "cost", "network", "security", "audit"))
    changed = settings.model_copy(update={"training": training, "lake": lake, **others})
    # WHEN they are composed, THEN they are refused if the last try could lose what the first one left
    wanted = pytest.raises(ConfigurationError, match=r"checkpoints_expire_days is 4, .* write 5 or more")
    with wanted if refused else contextlib.nullcontext():
        composed(changed, tmp_path)


def test_keys_say_what_they_encrypt(synthesized: Assembly, environment: str) -> None:
    """The alerts have one topic, with a key of its own."""
    name = load(environment).platform.name
    alerts = {
        key.stack
        for key in synthesized.platform.resources("AWS::KMS::Key")
        if "alerts" in key.properties["Description"].lower()
    }
    assert alerts == {f"{name}-operations"}


@pytest.fixture(scope="module")
def taken_up(tmp_path_factory: pytest.TempPathFactory) -> cdk.Stack:
    """A pipeline that goes on with the registry group of an earlier one."""
    settings = load("dev")
    assert settings.pipeline is not None
    pipeline = settings.pipeline.model_copy(update={"import_registry": True})
    again = settings.model_copy(update={"pipeline": pipeline})
    return composed(again, tmp_path_factory.mktemp("again"))["pipeline"]


def test_a_registry_group_that_was_kept_is_taken_up_again(taken_up: cdk.Stack) -> None:
    template = support.synth(taken_up)
    assert not support.resources(template, "AWS::SageMaker::ModelPackageGroup")
    text = str(support.resources(template, "AWS::IAM::Policy"))
    assert "model-package-group/ds-dev-review-sentiment" in text
    assert "model-package/ds-dev-review-sentiment/*" in text


@pytest.mark.parametrize("destroy", [True, False])
def test_the_lake_cannot_be_deleted_by_accident(tmp_path: Path, *, destroy: bool) -> None:
    settings = load("dev")
    settings = settings.model_copy(
        update={
            "platform": settings.platform.model_copy(update={"destroy_data": destroy}),
            **dict.fromkeys(("training", "inference", "pipeline", "cost")),
        }
    )
    assert composed(settings, tmp_path)["lake"].termination_protection is not destroy


@pytest.mark.parametrize(
    ("asked", "allowed", "policy"), [(True, True, "Delete"), (True, False, "Retain"), (False, True, "Retain")]
)
def test_data_is_deleted_with_its_stack_only_if_both_keys_say_so(
    tmp_path: Path, asked: bool, allowed: bool, policy: str
) -> None:
    settings = load("dev")
    settings = settings.model_copy(
        update={
            "platform": settings.platform.model_copy(update={"destroy_data": asked}),
            **dict.fromkeys(("training", "inference", "pipeline", "cost")),
        }
    )
    app = support.app({"cdk-data-science:destroyData": allowed}, outdir=tmp_path)
    [lake, *_] = compose(app, settings)
    found = {bucket["DeletionPolicy"] for bucket in support.resources(lake, "AWS::S3::Bucket").values()}
    assert found == {policy}


def test_the_settings_reach_the_resources(synthesized: Assembly, environment: str) -> None:
    settings = load(environment)
    assert settings.inference is not None
    sizes = {
        function.properties.get("MemorySize")
        for function in synthesized.platform.resources("AWS::Lambda::Function")
        if function.stack.endswith("-serving")
    }
    assert settings.inference.memory_mb in sizes


def test_training_and_inference_run_in_the_network_and_the_rest_beside_it(
    synthesized: Assembly, environment: str
) -> None:
    name = load(environment).platform.name
    inside = {
        function.path
        for function in synthesized.platform.resources("AWS::Lambda::Function")
        if "VpcConfig" in function.properties
    }
    assert inside == {f"{name}-serving/Inference/Inference/Function/Resource"}
    (machine,) = [
        machine
        for machine in synthesized.platform.resources("AWS::StepFunctions::StateMachine")
        if machine.stack == f"{name}-pipeline"
    ]
    assert "VpcConfig" in str(machine.properties["DefinitionString"])


def test_a_network_with_the_pipeline_inside_has_the_endpoints_that_its_functions_call(
    tmp_path: Path,
) -> None:
    settings = load("dev")
    assert settings.network is not None
    network = settings.network.model_copy(update={"inside": ("training", "inference", "pipeline")})
    stacks = composed(settings.model_copy(update={"network": network}), tmp_path)
    endpoints = support.resources(stacks["network"], "AWS::EC2::VPCEndpoint")
    interfaces = [e for e in endpoints.values() if e["Properties"]["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == 4
    functions = support.resources(stacks["pipeline"], "AWS::Lambda::Function").values()
    assert functions
    assert [f for f in functions if "VpcConfig" not in f["Properties"] and "Code" in f["Properties"]] == []


def test_what_costs_by_the_hour_is_off(synthesized: Assembly) -> None:
    endpoints = synthesized.platform.resources("AWS::EC2::VPCEndpoint")
    assert {endpoint.properties["VpcEndpointType"] for endpoint in endpoints} == {"Gateway"}
    assert list(synthesized.platform.resources("AWS::EC2::NatGateway")) == []
