"""ComponentEndpoint and its components: what they share, how they scale to none, what is refused."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import ConfigurationError, Model
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import (
    Artifact,
    ComponentEndpoint,
    Compute,
    Container,
    CopyScaling,
    ManagedInstances,
    Rolling,
    ScheduledCapacity,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from tests.compliance.test_cfn_lint import problems
from tests.constructs import nag, support
from tests.constructs.serving import endpoints
from tests.constructs.serving.endpoints import properties

COMPONENT = "AWS::SageMaker::InferenceComponent"
CONFIG = "AWS::SageMaker::EndpointConfig"
GPU_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi18.0.0-cu128"
SMALL = Compute(memory_mb=2048, cpus=1)


def model(stack: Any, id: str = "Model", **changes: Any) -> Model:
    return endpoints.model(stack, id, **({"image": GPU_IMAGE} | changes))


def shared(stack: cdk.Stack, id: str = "Shared", **changes: Any) -> ComponentEndpoint:
    return ComponentEndpoint(stack, id, **({"instance_type": "ml.g5.12xlarge"} | changes))


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN an endpoint that scales to no instance, with two models, an adapter, and two that may ask
    stack = support.stack()
    endpoint = shared(
        stack,
        instances=ManagedInstances(minimum=0, maximum=4, consolidate=True),
        volume_size_gb=None,
        provision_timeout=cdk.Duration.minutes(30),
    )
    everyone = iam.Role(stack, "Everyone", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    endpoint.grant_invoke(everyone)
    chat = endpoint.add_component(
        "Chat",
        model=model(stack, "ChatModel"),
        compute=Compute(memory_mb=16_384, max_memory_mb=32_768, cpus=2, accelerators=1),
        scaling=CopyScaling(
            minimum=0,
            maximum=4,
            policies=[TrackConcurrency(per_model=8), TrackUtilization(of="GPU", percent=70)],
            schedule=ScheduledCapacity.working_hours(minimum=1, maximum=4, days="MON-FRI"),
        ),
        placement="SPREAD",
        startup_timeout=cdk.Duration.minutes(20),
        rollout=Rolling(percent=50, bake=cdk.Duration.minutes(3), rollback_percent=100),
        slow=cdk.Duration.seconds(5),
    )
    endpoint.add_component(
        "Summaries",
        model=model(stack, "SummaryModel", artifact=Artifact(zone=endpoints.lake(stack).models, key="s/1/")),
        compute=SMALL,
        scaling=CopyScaling(minimum=1, maximum=3, policies=[TrackInvocations(per_minute=100)]),
        name="summaries",
    )
    chat.add_adapter(
        "French", artifact=Artifact(zone=endpoints.lake(stack).models, key="adapters/french.tar.gz")
    )
    chat.grant_invoke(iam.Role(stack, "One", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com")))
    return stack


def component(stack: cdk.Stack, start: str) -> dict[str, Any]:
    found = support.resources(stack, COMPONENT)
    (only,) = [each for key, each in found.items() if key.startswith(start)]
    return only


def statements(stack: cdk.Stack, start: str) -> str:
    found = support.resources(stack, "AWS::IAM::Policy")
    (only,) = [each for key, each in found.items() if key.startswith(start)]
    return json.dumps(only["Properties"]["PolicyDocument"]["Statement"])


def test_whoever_asks_one_component_may_have_its_answers_streamed_and_asks_no_other(stack: cdk.Stack) -> None:
    found = support.resources(stack, "AWS::IAM::Policy")
    (only,) = [each for key, each in found.items() if key.startswith("OneDefaultPolicy")]
    allowed = only["Properties"]["PolicyDocument"]["Statement"]
    streamed = [each for each in allowed if "sagemaker:InvokeEndpointWithResponseStream" in each["Action"]]
    assert streamed == [each for each in allowed if "sagemaker:InvokeEndpoint" in each["Action"]]
    resources = json.dumps([each["Resource"] for each in streamed])
    assert ":inference-component/" in resources and "-chat-" in resources
    assert "summaries" not in resources and '"*"' not in resources


def test_the_instances_have_no_model_and_may_be_none(stack: cdk.Stack) -> None:
    config = properties(stack, CONFIG)
    (variant,) = config["ProductionVariants"]
    assert "ModelName" not in variant and "InitialVariantWeight" not in variant
    assert variant["InitialInstanceCount"] == 1
    assert variant["ManagedInstanceScaling"] == {
        "Status": "ENABLED",
        "MinInstanceCount": 0,
        "MaxInstanceCount": 4,
        "ScaleInPolicy": {"Strategy": "CONSOLIDATION"},
    }
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert variant["VariantInstanceProvisionTimeoutInSeconds"] == 1800
    assert config["EnableNetworkIsolation"] is True
    assert "Role" in json.dumps(config["ExecutionRoleArn"])


def test_an_update_of_the_instances_keeps_how_many_there_are(stack: cdk.Stack) -> None:
    endpoint = properties(stack, "AWS::SageMaker::Endpoint")
    assert endpoint["RetainAllVariantProperties"] is True


def test_a_component_says_what_a_copy_takes(stack: cdk.Stack) -> None:
    chat = component(stack, "SharedChatComponent")["Properties"]
    assert chat["Specification"]["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 16_384,
        "MaxMemoryRequiredInMb": 32_768,
        "NumberOfCpuCoresRequired": 2,
        "NumberOfAcceleratorDevicesRequired": 1,
    }
    assert chat["Specification"]["StartupParameters"] == {"ContainerStartupHealthCheckTimeoutInSeconds": 1200}
    assert chat["Specification"]["SchedulingConfig"]["PlacementStrategy"] == "SPREAD"
    assert chat["RuntimeConfig"] == {"CopyCount": 1}
    assert chat["VariantName"] == "shared"


def test_an_update_goes_copy_by_copy_and_is_rolled_back_by_the_components_own_alarms(
    stack: cdk.Stack,
) -> None:
    deployment = component(stack, "SharedChatComponent")["Properties"]["DeploymentConfig"]
    assert deployment["RollingUpdatePolicy"] == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
        "WaitIntervalInSeconds": 180,
    }
    alarms = json.dumps(deployment["AutoRollbackConfiguration"])
    assert "SharedChatServerErrors" in alarms and "SharedChatSlow" in alarms
    assert "Summaries" not in alarms


def test_alarms_are_of_the_component_by_the_name_that_it_has(stack: cdk.Stack) -> None:
    name = component(stack, "SharedChatComponent")["Properties"]["InferenceComponentName"]
    found = support.resources(stack, "AWS::CloudWatch::Alarm")
    (slow,) = [each["Properties"] for key, each in found.items() if key.startswith("SharedChatSlow")]
    assert slow["Dimensions"] == [{"Name": "InferenceComponentName", "Value": name}]
    assert slow["Threshold"] == 5_000_000


def test_copies_scale_on_metrics_of_copies_and_begin_at_none(stack: cdk.Stack) -> None:
    name = component(stack, "SharedChatComponent")["Properties"]["InferenceComponentName"]
    targets = support.resources(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    (target,) = [each for key, each in targets.items() if key.startswith("SharedChat")]
    assert target["Properties"]["ResourceId"] == f"inference-component/{name}"
    assert target["Properties"]["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert (target["Properties"]["MinCapacity"], target["Properties"]["MaxCapacity"]) == (0, 4)
    # AND it is registered when the component is there
    assert any(each.startswith("SharedChatComponent") for each in target["DependsOn"])
    policies = [
        each["Properties"]["TargetTrackingScalingPolicyConfiguration"]
        for each in support.resources(stack, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
        if "TargetTrackingScalingPolicyConfiguration" in each["Properties"]
    ]
    assert sorted(
        each["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for each in policies
        if "PredefinedMetricSpecification" in each
    ) == [
        "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
        "SageMakerInferenceComponentInvocationsPerCopy",
    ]
    # AND utilization is of what the copies have: it is not multiplied by the GPUs of the instance
    (custom,) = [each for each in policies if "CustomizedMetricSpecification" in each]
    assert custom["TargetValue"] == 70
    assert custom["CustomizedMetricSpecification"]["Namespace"] == "/aws/sagemaker/InferenceComponents"
    assert custom["CustomizedMetricSpecification"]["MetricName"] == "GPUUtilizationNormalized"
    assert custom["CustomizedMetricSpecification"]["Dimensions"] == [
        {"Name": "InferenceComponentName", "Value": name}
    ]


def test_the_first_request_starts_the_first_copy_of_what_has_none(stack: cdk.Stack) -> None:
    found = support.resources(stack, "AWS::CloudWatch::Alarm")
    waking = {
        key: each["Properties"]
        for key, each in found.items()
        if each["Properties"].get("MetricName") == "NoCapacityInvocationFailures"
    }
    # Of the one with a minimum of 0, and not of the other
    ((key, alarm),) = waking.items()
    assert key.startswith("SharedChat")
    assert (alarm["Threshold"], alarm["Statistic"], alarm["Period"]) == (1, "Maximum", 60)
    (steps,) = [
        each["Properties"]["StepScalingPolicyConfiguration"]
        for each in support.resources(stack, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
        if "StepScalingPolicyConfiguration" in each["Properties"]
    ]
    assert steps["StepAdjustments"][-1]["ScalingAdjustment"] == 1


def test_nights_and_weekends_have_no_copies(stack: cdk.Stack) -> None:
    targets = support.resources(stack, "AWS::ApplicationAutoScaling::ScalableTarget")
    (target,) = [each["Properties"] for key, each in targets.items() if key.startswith("SharedChat")]
    actions = [(a["Schedule"], a["ScalableTargetAction"]) for a in target["ScheduledActions"]]
    assert actions == [
        ("cron(0 8 ? * MON-FRI *)", {"MinCapacity": 1, "MaxCapacity": 4}),
        ("cron(0 19 * * ? *)", {"MinCapacity": 0, "MaxCapacity": 0}),
    ]


def test_the_shared_role_loads_what_was_added_and_no_more(stack: cdk.Stack) -> None:
    policy = statements(stack, "SharedRoleDefaultPolicy")
    for expected in (
        "models/1/model.tar.gz",
        "s/1/*",
        "adapters/french.tar.gz",
        "repository/djl-inference",
        "/aws/sagemaker/InferenceComponents/summaries",
    ):
        assert expected in policy
    assert "s3:PutObject" not in policy
    role = support.resources(stack, "AWS::IAM::Role")
    (name,) = [key for key in role if key.startswith("SharedRole")]
    # AND the copies wait for it
    assert name in component(stack, "SharedChatComponent")["DependsOn"]


def test_an_adapter_takes_the_compute_of_its_component(stack: cdk.Stack) -> None:
    adapter = component(stack, "SharedChatFrench")
    base = component(stack, "SharedChatComponent")["Properties"]["InferenceComponentName"]
    specification = adapter["Properties"]["Specification"]
    assert specification["BaseInferenceComponentName"] == base
    assert "ComputeResourceRequirements" not in specification and "RuntimeConfig" not in adapter["Properties"]
    assert json.dumps(specification["Container"]["ArtifactUrl"]).endswith('"/adapters/french.tar.gz"]]}')
    assert any(each.startswith("SharedChatComponent") for each in adapter["DependsOn"])


def test_one_is_granted_one_component_and_the_other_all(stack: cdk.Stack) -> None:
    name = component(stack, "SharedChatComponent")["Properties"]["InferenceComponentName"]
    one, everyone = statements(stack, "OneDefaultPolicy"), statements(stack, "EveryoneDefaultPolicy")
    assert f"inference-component/{name}" in one and "inference-component/summaries" not in one
    # Granted before the components were added
    assert f"inference-component/{name}" in everyone and "inference-component/summaries" in everyone


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


def test_another_endpoint_means_another_component_of_another_name() -> None:
    # GIVEN the same component on an endpoint that is renamed
    found = []
    for name in ("first", "second"):
        stack = support.stack()
        shared(stack, endpoint_name=name).add_component("Chat", model=model(stack), compute=SMALL)
        ((key, each),) = support.resources(stack, COMPONENT).items()
        found.append((key, each["Properties"]["InferenceComponentName"]))
    # THEN CloudFormation makes the new one beside the old one
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


def test_the_dashboard_draws_each_component() -> None:
    stack = support.stack()
    endpoint = shared(stack)
    endpoint.add_component("Chat", model=model(stack), compute=SMALL)
    drawn = json.dumps([stack.resolve(widget.to_json()) for widget in endpoint.dashboard_widgets()])
    for metric in (
        "Invocations",
        "NoCapacityInvocationFailures",
        "ModelLatency",
        "OverheadLatency",
        "GPUUtilization",
    ):
        assert f'"{metric}"' in drawn
    assert endpoint.components[0].component_name in drawn


@functools.cache
def workshop() -> cdk.Stack:
    """Where endpoints are tried that are refused: nobody synthesizes it."""
    return support.stack()


REFUSED_ENDPOINTS = [
    ({"instance_type": "ml.m5.large"}, "newer types that do not burst"),
    ({"instance_type": "ml.t2.medium"}, "newer types that do not burst"),
    ({"instance_type": "ml.g5.12xlage"}, "such as ml.g5.12xlarge"),
    ({"instance_type": "ml.g5.xlarge", "volume_size_gb": 64}, "types with local NVMe disks"),
    ({"instances": ManagedInstances(minimum=-1)}, "ManagedInstances minimum=-1"),
    ({"instances": ManagedInstances(minimum=3, maximum=4, first=2)}, "a first number between"),
    ({"instances": ManagedInstances(maximum=0)}, "a first number between"),
    ({"variant_name": "-"}, "variant_name='-'"),
    ({"provision_timeout": cdk.Duration.seconds(60)}, "provision_timeout=60 s"),
    ({"security_groups": []}, "security_groups without vpc"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED_ENDPOINTS)
def test_instances_that_components_cannot_share_are_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    with pytest.raises(ConfigurationError) as failure:
        shared(stack, f"Try{len(stack.node.children)}", **changes)
    assert expected in str(failure.value)


def scaling(**changes: Any) -> CopyScaling:
    return CopyScaling(**({"maximum": 4, "policies": [TrackConcurrency(per_model=4)]} | changes))


REFUSED = [
    ({"compute": Compute(memory_mb=64)}, "memory_mb=64 of a component; allowed: 128 or more"),
    ({"compute": Compute(memory_mb=2048, max_memory_mb=1024)}, "max_memory_mb=1024 below"),
    ({"compute": Compute(memory_mb=2048, cpus=0.1)}, "cpus=0.1"),
    ({"compute": Compute(memory_mb=2048, cpus=49)}, "at most the 48 of one instance"),
    ({"compute": Compute(memory_mb=2048, accelerators=0)}, "accelerators=0"),
    ({"compute": Compute(memory_mb=2048, accelerators=5)}, "at most the 4 of one instance"),
    ({"compute": Compute(memory_mb=300_000)}, "memory_mb=300000 of a component on ml.g5.12xlarge"),
    ({"copies": -1}, "copies=-1"),
    ({"copies": 5, "scaling": scaling()}, "copies=5 of component 'Chat'"),
    ({"scaling": scaling(minimum=-1)}, "minimum=-1"),
    ({"scaling": scaling(policies=[])}, "without policies and schedule"),
    ({"scaling": scaling(policies=[TrackInvocations(per_minute=0)])}, "TrackInvocations of 0"),
    (
        {"scaling": scaling(policies=[TrackConcurrency(per_model=1), TrackConcurrency(per_model=2)])},
        "each metric once",
    ),
    ({"scaling": scaling(policies=[TrackUtilization(of="CPU", percent=101)])}, "CPU percent=101"),
    ({"startup_timeout": cdk.Duration.seconds(30)}, "startup_timeout=30 s"),
    ({"rollout": Rolling(percent=60)}, "Rolling percent=60"),
    ({"name": "a_b"}, "component name 'a_b'"),
    ({"slow": cdk.Duration.seconds(61)}, "slow=61 s"),
    (
        {"model": lambda place: model(place, network_isolation=False)},
        "a model with network_isolation=False on an endpoint with True",
    ),
    (
        {
            "model": lambda place: Model(
                place, "Two", containers=[Container(image=GPU_IMAGE), Container(image=GPU_IMAGE)]
            )
        },
        "components are what makes many of them",
    ),
    (
        {"model": lambda place: model(place, image=endpoints.INF1_IMAGE)},
        "whose model was compiled for Inf1",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED)
def test_a_component_that_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    place: Any = Construct(workshop(), f"Try{len(workshop().node.children)}")
    host: Any = workshop().node.try_find_child("Host") or shared(workshop(), "Host")
    given: dict[str, Any] = {"model": model, "compute": SMALL} | changes
    given["model"] = given["model"](place)
    with pytest.raises(ConfigurationError) as failure:
        host.add_component("Chat", **given)
    assert expected in str(failure.value)


def test_gpus_of_a_type_without_any_are_not_followed() -> None:
    stack = support.stack()
    endpoint = shared(stack, instance_type="ml.m6i.large")
    with pytest.raises(ConfigurationError, match="a type without GPUs publishes no metric"):
        endpoint.add_component(
            "Chat",
            model=endpoints.model(stack),
            compute=SMALL,
            scaling=scaling(policies=[TrackUtilization(of="GPU", percent=50)]),
        )


def test_an_adapter_is_an_archive() -> None:
    stack = support.stack()
    chat = shared(stack).add_component("Chat", model=model(stack), compute=SMALL)
    with pytest.raises(ConfigurationError, match=r"the key of a \.tar\.gz archive"):
        chat.add_adapter("French", artifact=Artifact(zone=endpoints.lake(stack).models, key="adapters/"))


def test_calls_of_components_name_no_models() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    with pytest.raises(ConfigurationError, match="target_models"):
        shared(stack).grant_invoke(role, target_models=["acme"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"start": "8:00"}, "start='8:00'"),
        ({"start": "19:00", "end": "08:00"}, "an end after the start"),
        ({"days": "MONDAY"}, "days='MONDAY'"),
    ],
)
def test_working_hours_that_never_begin_are_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        ScheduledCapacity.working_hours(minimum=1, maximum=2, **changes)
    assert expected in str(failure.value)


def test_the_packs_and_our_rules_find_nothing_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    endpoint = shared(stack, instances=ManagedInstances(minimum=0))
    chat = endpoint.add_component("Chat", model=model(stack), compute=SMALL, scaling=scaling(minimum=0))
    chat.add_adapter("French", artifact=Artifact(zone=endpoints.lake(stack).models, key="a/french.tar.gz"))
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    # Whether a model is in a VPC is the model's own test.
    cdk.Validations.of(app).add_plugins(
        DataScienceChecks(app, leave_out=["DataScience-COST3", "DataScience-SM21"])
    )
    assert [each for each in nag.unacknowledged(app) if "/Shared" in each] == []
