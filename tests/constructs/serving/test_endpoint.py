"""ModelEndpoint: its parts, what its roles may, what is watched, who may ask."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    Artifact,
    Canary,
    ConfigurationError,
    DataCapture,
    Model,
    ModelEndpoint,
    Scaling,
    TrackInvocations,
)
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import CoreDumps, ServerlessVariant
from tests.compliance.assembly import Assembly
from tests.compliance.test_cfn_lint import problems
from tests.constructs import nag, support
from tests.constructs.serving import endpoints

CONFIG = "AWS::SageMaker::EndpointConfig"
ENDPOINT = "AWS::SageMaker::Endpoint"


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN an endpoint of two variants that captures data and keeps core dumps, and one that may ask it
    stack = support.stack()
    lake = endpoints.lake(stack)
    endpoint = endpoints.endpoint(
        stack,
        variants=[
            endpoints.variant(
                stack,
                weight=9,
                volume_size_gb=64,
                download_timeout=cdk.Duration.minutes(10),
                startup_timeout=cdk.Duration.minutes(5),
                provision_timeout=cdk.Duration.minutes(15),
                routing="LEAST_OUTSTANDING_REQUESTS",
                core_dumps=CoreDumps(zone=lake.raw, prefix="dumps/"),
            ),
            endpoints.variant(
                stack,
                name="silent",
                model=endpoints.model(stack, "Other"),
                weight=0,
                instance_type="ml.g5.xlarge",
            ),
        ],
        data_capture=DataCapture(zone=lake.curated, prefix="captured/reviews/", percent=20),
        slow=cdk.Duration.millis(250),
    )
    endpoint.grant_invoke(
        iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )
    return stack


def variants(stack: cdk.Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = endpoints.properties(stack, CONFIG)["ProductionVariants"]
    return found


def policy(stack: cdk.Stack, name: str) -> str:
    found = support.resources(stack, "AWS::IAM::Policy")
    (only,) = [each for key, each in found.items() if key.startswith(name)]
    return json.dumps(only["Properties"]["PolicyDocument"]["Statement"])


def test_a_variant_has_its_options(stack: cdk.Stack) -> None:
    main = variants(stack)[0]
    assert main["VariantName"] == "main"
    assert (main["InstanceType"], main["InitialInstanceCount"]) == ("ml.m6i.large", 2)
    assert main["VolumeSizeInGB"] == 64
    assert main["ModelDataDownloadTimeoutInSeconds"] == 600
    assert main["ContainerStartupHealthCheckTimeoutInSeconds"] == 300
    assert main["VariantInstanceProvisionTimeoutInSeconds"] == 900
    assert main["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert json.dumps(main["CoreDumpConfig"]["DestinationS3Uri"]).endswith('"/dumps"]]}')
    assert main["CoreDumpConfig"]["KmsKeyId"] == stack.resolve(endpoints.lake(stack).raw.key.key_arn)


def test_instances_are_of_a_reservation_with_drivers_of_ones_choice() -> None:
    stack = support.stack()
    plan = "arn:aws:sagemaker:us-east-1:111122223333:training-plan/p5"
    drivers = "al2023-ami-sagemaker-inference-gpu-4-1"
    variant = endpoints.variant(
        stack, instance_type="ml.p5.48xlarge", reservation_arn=plan, ami_version=drivers
    )
    endpoints.endpoint(stack, variants=[variant])
    (main,) = variants(stack)
    assert main["CapacityReservationConfig"] == {
        "CapacityReservationPreference": "capacity-reservations-only",
        "MlReservationArn": plan,
    }
    assert main["InferenceAmiVersion"] == drivers
    assert problems(support.document(stack)) == []


def test_a_weight_of_zero_stays_zero(stack: cdk.Stack) -> None:
    assert [each["InitialVariantWeight"] for each in variants(stack)] == [9, 0]


def test_models_are_referred_to(stack: cdk.Stack) -> None:
    assert variants(stack)[0]["ModelName"] == stack.resolve(endpoints.model(stack).model_name)


def test_requests_and_answers_are_captured_readably_under_the_zones_key(stack: cdk.Stack) -> None:
    capture = endpoints.properties(stack, CONFIG)["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 20
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert json.dumps(capture["DestinationS3Uri"]).endswith('"/captured/reviews"]]}')
    assert capture["KmsKeyId"] == stack.resolve(endpoints.lake(stack).curated.key.key_arn)
    assert capture["CaptureContentTypeHeader"]["JsonContentTypes"] == ["application/json"]


def test_the_volumes_have_a_key_that_rotates(stack: cdk.Stack) -> None:
    key = endpoints.properties(stack, CONFIG)["KmsKeyId"]["Fn::GetAtt"][0]
    assert support.resources(stack, "AWS::KMS::Key")[key]["Properties"]["EnableKeyRotation"] is True


def test_configuration_can_be_replaced_and_the_endpoint_keeps_its_name(stack: cdk.Stack) -> None:
    assert "EndpointConfigName" not in endpoints.properties(stack, CONFIG)
    name = endpoints.properties(stack, ENDPOINT)["EndpointName"]
    assert name == name.lower()
    # AND another endpoint, or one in another stack, has another name
    other = support.stack(id="Other")
    endpoints.endpoint(other)
    assert endpoints.properties(other, ENDPOINT)["EndpointName"] != name


def test_each_models_role_writes_its_log_and_captured_data_and_its_own_dumps(stack: cdk.Stack) -> None:
    name = endpoints.properties(stack, ENDPOINT)["EndpointName"]
    main, other = policy(stack, "ModelRole"), policy(stack, "OtherRole")
    for each in (main, other):
        assert f":log-group:/aws/sagemaker/Endpoints/{name}" in each
        assert "/captured/reviews/*" in each
    assert "/dumps/*" in main and "kms:Encrypt" in main
    assert "/dumps/*" not in other and "kms:Encrypt" not in other


def test_the_configuration_waits_for_the_permissions(stack: cdk.Stack) -> None:
    waits = " ".join(support.only(support.resources(stack, CONFIG))["DependsOn"])
    assert waits.count("DefaultPolicy") == 2


def test_alarms_see_each_variant_by_the_name_that_the_endpoint_has(stack: cdk.Stack) -> None:
    name = endpoints.properties(stack, ENDPOINT)["EndpointName"]
    alarms = [each["Properties"] for each in support.resources(stack, "AWS::CloudWatch::Alarm").values()]
    seen = {
        (each["Namespace"], each["MetricName"], each["Threshold"], str(each["Dimensions"]))
        for each in alarms
        if each["AlarmActions"]
    }
    dimensions = [
        [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": variant}]
        for variant in ("main", "silent")
    ]
    assert seen == {
        ("AWS/SageMaker", metric, threshold, str(each))
        for metric, threshold in (("Invocation5XXErrors", 1), ("ModelLatency", 250_000))
        for each in dimensions
    }


def test_alarms_roll_a_deployment_back(stack: cdk.Stack) -> None:
    deployment = endpoints.properties(stack, ENDPOINT)["DeploymentConfig"]
    watched = {each["AlarmName"]["Ref"] for each in deployment["AutoRollbackConfiguration"]["Alarms"]}
    assert watched == set(support.resources(stack, "AWS::CloudWatch::Alarm"))


def test_asking_is_granted_for_the_endpoint_and_nothing_else(stack: cdk.Stack) -> None:
    (statement,) = json.loads(policy(stack, "CallerDefaultPolicy"))
    assert statement["Action"] == ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"]
    (logical_id,) = support.resources(stack, ENDPOINT)
    assert statement["Resource"] == {"Ref": logical_id}
    assert "Condition" not in statement


def test_asking_may_be_granted_for_some_models_of_a_multi_model_endpoint() -> None:
    stack = support.stack()
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    imported = ModelEndpoint.from_endpoint_name(stack, "Endpoint", "Tenants")
    imported.grant_invoke(caller, target_models=["acme/*"])
    (statement,) = json.loads(policy(stack, "CallerDefaultPolicy"))
    assert statement["Condition"] == {"StringLike": {"sagemaker:TargetModel": ["acme/*"]}}
    # AND SageMaker writes ARNs of endpoints in lower case
    assert json.dumps(statement["Resource"]).endswith(':endpoint/tenants"]]}')
    assert imported.endpoint_name == "Tenants"


def test_metrics_of_several_variants_take_a_name() -> None:
    stack = support.stack()
    both = [endpoints.variant(stack), endpoints.variant(stack, name="other")]
    endpoint = endpoints.endpoint(stack, variants=both)
    dimensions = endpoint.metric_invocations("other").dimensions
    assert dimensions is not None
    assert dimensions["VariantName"] == "other"
    with pytest.raises(ConfigurationError, match="without its variant; allowed: one of 'main', 'other'"):
        endpoint.metric_invocations()
    with pytest.raises(ConfigurationError, match="given variant='third'"):
        endpoint.metric_model_latency("third")


def test_metrics_are_in_the_namespaces_that_sagemaker_publishes_them_in() -> None:
    stack = support.stack()
    endpoint = endpoints.endpoint(stack)
    requests = [
        endpoint.metric_invocations(),
        endpoint.metric_client_errors(),
        endpoint.metric_server_errors(),
        endpoint.metric_model_latency(),
        endpoint.metric_overhead_latency(),
    ]
    instances = [
        endpoint.metric_cpu_utilization(),
        endpoint.metric_memory_utilization(),
        endpoint.metric_gpu_utilization(),
        endpoint.metric_gpu_memory_utilization(),
        endpoint.metric_disk_utilization(),
    ]
    assert {each.namespace for each in requests} == {"AWS/SageMaker"}
    assert {each.namespace for each in instances} == {"/aws/sagemaker/Endpoints"}
    assert [each.metric_name for each in requests] == [
        *("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency", "OverheadLatency")
    ]


def test_given_key_topic_and_name_are_used() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Mine")
    alerts = AlertTopic(stack, "Alerts", key=key)
    endpoint = endpoints.endpoint(stack, key=key, alerts=alerts, endpoint_name="reviews")
    assert endpoints.properties(stack, CONFIG)["KmsKeyId"] == stack.resolve(key.key_arn)
    assert endpoints.properties(stack, ENDPOINT)["EndpointName"] == "reviews"
    assert len(support.resources(stack, "AWS::SNS::Topic")) == 1
    assert endpoint.node.default_child is endpoint.endpoint


def test_a_serverless_variant_has_no_instances_no_volume_key_and_no_guardrails() -> None:
    stack = support.stack()
    model = endpoints.model(stack, network_isolation=False)
    serverless = ServerlessVariant(name="main", model=model, memory_mb=4096, max_concurrency=7)
    endpoints.endpoint(stack, variants=[serverless])
    config = endpoints.properties(stack, CONFIG)
    assert config["ProductionVariants"][0]["ServerlessConfig"] == {
        "MemorySizeInMB": 4096,
        "MaxConcurrency": 7,
    }
    assert "InstanceType" not in config["ProductionVariants"][0]
    assert "KmsKeyId" not in config
    assert "DeploymentConfig" not in endpoints.properties(stack, ENDPOINT)


def test_a_shadow_stands_beside_the_variant_and_shares_its_permissions() -> None:
    stack = support.stack()
    shadow = endpoints.variant(stack, name="next", model=endpoints.model(stack, "Next"), weight=0.5)
    endpoints.endpoint(stack, shadow=shadow)
    config = endpoints.properties(stack, CONFIG)
    assert [each["VariantName"] for each in config["ProductionVariants"]] == ["main"]
    (rendered,) = config["ShadowProductionVariants"]
    assert (rendered["VariantName"], rendered["InitialVariantWeight"]) == ("next", 0.5)
    name = endpoints.properties(stack, ENDPOINT)["EndpointName"]
    assert f"/aws/sagemaker/Endpoints/{name}" in policy(stack, "NextRole")
    # AND nobody sees its answers: no alarm watches it, no deployment goes back for it
    assert '"next"' not in json.dumps(support.resources(stack, "AWS::CloudWatch::Alarm"))


def drawn(stack: cdk.Stack, endpoint: Any) -> set[tuple[str, str]]:
    """Variants and metrics of the endpoint's widgets; a hyphen for metrics of the whole endpoint."""
    found = set()
    for widget in endpoint.dashboard_widgets():
        for rendered in stack.resolve(widget.to_json()):
            for namespace, name, *rest in rendered["properties"].get("metrics", []):
                pairs = [each for each in rest if isinstance(each, str)]
                dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
                assert namespace in ("AWS/SageMaker", "/aws/sagemaker/Endpoints")
                found.add((dimensions.get("VariantName", "-"), name))
    return found


def test_the_dashboard_draws_what_is_published_of_each_variant() -> None:
    stack = support.stack()
    on_gpus = endpoints.variant(stack, name="gpus", instance_type="ml.g5.xlarge")
    both = endpoints.endpoint(stack, variants=[endpoints.variant(stack), on_gpus])
    requests = {
        "Invocations",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "ModelLatency",
        "OverheadLatency",
    }
    instances = {"CPUUtilization", "MemoryUtilization"}
    assert drawn(stack, both) == {
        *(("main", name) for name in requests | instances),
        *(("gpus", name) for name in requests | instances | {"GPUUtilization", "GPUMemoryUtilization"}),
    }
    # AND a serverless variant has no instances
    model = endpoints.model(stack, "Open", network_isolation=False)
    serverless = endpoints.endpoint(
        stack, "Serverless", variants=[ServerlessVariant(name="main", model=model)]
    )
    assert drawn(stack, serverless) == {("main", name) for name in requests}


def test_the_cost_of_a_thousand_requests_follows_from_the_requests_of_an_instance() -> None:
    # GIVEN instances of 0.60 USD an hour, which is a cent a minute
    stack = support.stack()
    endpoint = endpoints.endpoint(stack)
    widgets = endpoint.dashboard_widgets(hourly_usd={"main": 0.6})
    drawn = json.dumps([stack.resolve(widget.to_json()) for widget in widgets])
    # THEN a thousand requests cost ten dollars, divided by the requests of one instance in a minute
    assert '"expression": "10 / requests"' in drawn
    assert "InvocationsPerInstance" in drawn
    # AND it is not drawn without a price
    assert "InvocationsPerInstance" not in json.dumps(
        [stack.resolve(widget.to_json()) for widget in endpoint.dashboard_widgets()]
    )
    with pytest.raises(ConfigurationError, match="hourly_usd=0"):
        endpoint.metric_cost_per_thousand(hourly_usd=0)
    with pytest.raises(ConfigurationError, match="given variant='other'"):
        endpoint.dashboard_widgets(hourly_usd={"other": 1})


def test_what_is_known_only_at_deployment_passes_unvalidated() -> None:
    stack = support.stack()

    def parameter(id: str, type: str = "Number") -> cdk.CfnParameter:
        return cdk.CfnParameter(stack, id, type=type)

    wait = cdk.Duration.seconds(parameter("Seconds").value_as_number)
    variant = endpoints.variant(
        stack,
        instance_type=parameter("Type", "String").value_as_string,
        instance_count=parameter("Count").value_as_number,
        weight=parameter("Weight").value_as_number,
        volume_size_gb=parameter("Volume").value_as_number,
        startup_timeout=wait,
        scaling=Scaling(
            minimum=parameter("Least").value_as_number,
            maximum=parameter("Most").value_as_number,
            policies=[TrackInvocations(per_minute=parameter("Load").value_as_number)],
        ),
    )
    rollout = Canary(percent=10, bake=wait)
    endpoints.endpoint(
        stack, variants=[variant], rollout=rollout, termination_wait=wait, rollout_timeout=wait
    )
    (rendered,) = endpoints.properties(stack, CONFIG)["ProductionVariants"]
    assert rendered["InitialInstanceCount"] == {"Ref": "Count"}
    assert rendered["ContainerStartupHealthCheckTimeoutInSeconds"] == {"Ref": "Seconds"}
    policy = endpoints.properties(stack, ENDPOINT)["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] == {"Ref": "Seconds"}
    assert policy["TerminationWaitInSeconds"] == {"Ref": "Seconds"}
    assert policy["MaximumExecutionTimeoutInSeconds"] == {"Ref": "Seconds"}
    # AND a name that is known only then is not changed
    name = parameter("Name", "String").value_as_string
    imported = ModelEndpoint.from_endpoint_name(stack, "Imported", name)
    assert {"Ref": "Name"} in stack.resolve(imported.endpoint_arn)["Fn::Join"][1]


@functools.cache
def workshop() -> cdk.Stack:
    """Where endpoints are tried that are refused: nobody synthesizes it."""
    return support.stack()


def refused(**changes: Any) -> str:
    """What is said of an endpoint of these options, built by functions that take the stack."""
    stack = workshop()
    built = {name: value(stack) if callable(value) else value for name, value in changes.items()}
    built.setdefault("variants", [endpoints.variant(stack)])
    with pytest.raises(ConfigurationError) as failure:
        ModelEndpoint(Construct(stack, f"Try{len(stack.node.children)}"), "Endpoint", **built)
    return str(failure.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "a_b"}, "variant name 'a_b'; allowed: 1 to 63"),
        ({"weight": -1}, "weight=-1 of variant 'main'; allowed: 0 or more"),
        ({"weight": 0}, "the weight 0 for all variants"),
        ({"instance_count": 0}, "instance_count=0"),
        ({"instance_type": "ml.m6i.larg"}, "allowed: an instance type of endpoints, such as ml.m6i"),
        ({"instance_type": "m6i.large"}, "an instance type of endpoints"),
        ({"volume_size_gb": 513}, "volume_size_gb=513 of variant 'main'; allowed: 1 to 512 GB"),
        ({"volume_size_gb": 64, "instance_type": "ml.g5.xlarge"}, "no size for types with local NVMe disks"),
        ({"startup_timeout": cdk.Duration.seconds(59)}, "startup_timeout=59 s"),
        ({"download_timeout": cdk.Duration.minutes(61)}, "download_timeout=3660 s"),
        (
            {"provision_timeout": cdk.Duration.minutes(4)},
            "provision_timeout=240 s; allowed: whole seconds, 300 s",
        ),
        ({"startup_timeout": cdk.Duration.millis(60_500)}, "startup_timeout=60.5 s; allowed: whole seconds"),
        ({"reservation_arn": "p5"}, "the ARN of a capacity reservation"),
        ({"ami_version": "latest"}, "ami_version='latest'"),
        (
            {"ami_version": "al2-ami-sagemaker-inference-gpu-2"},
            "none for types without accelerators",
        ),
        (
            {"ami_version": "al2-ami-sagemaker-inference-neuron-2", "instance_type": "ml.g5.xlarge"},
            "drivers of the accelerators that the type has",
        ),
    ],
)
def test_a_variant_that_sagemaker_refuses_is_refused(change: dict[str, Any], expected: str) -> None:
    assert expected in refused(variants=lambda stack: [endpoints.variant(stack, **change)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"memory_mb": 1500}, "memory_mb=1500 of variant 'main'; allowed: 1024, 2048"),
        ({"max_concurrency": 201}, "max_concurrency=201"),
        (
            {"provisioned_concurrency": 30},
            "provisioned_concurrency=30 of variant 'main'; allowed: 1 to max_concur",
        ),
    ],
)
def test_a_serverless_variant_that_sagemaker_refuses_is_refused(
    options: dict[str, Any], expected: str
) -> None:
    def serverless(stack: cdk.Stack) -> list[ServerlessVariant]:
        model = endpoints.model(stack, "Open", network_isolation=False)
        return [ServerlessVariant(name="main", model=model, **options)]

    assert expected in refused(variants=serverless)


def test_what_serverless_variants_do_not_have_is_refused_with_its_replacement() -> None:
    def serverless(stack: cdk.Stack) -> list[Any]:
        model = endpoints.model(stack, "Attached", vpc=ec2.Vpc(stack, "Vpc", max_azs=2))
        return [
            ServerlessVariant(name="main", model=model),
            endpoints.variant(stack, name="other", model=model),
        ]

    def capture(stack: cdk.Stack) -> DataCapture:
        return DataCapture(zone=endpoints.lake(stack).curated)

    told = refused(variants=serverless, data_capture=capture)
    assert "a model in a VPC for the serverless variant 'main'" in told
    assert "a model without network for the serverless variant 'main'" in told
    assert "network_isolation=False" in told
    assert "a serverless variant beside others" in told
    assert "data_capture with a serverless variant" in told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"variants": []}, "given 0 variants; allowed: 1 to 10"),
        ({"endpoint_name": "-reviews"}, "endpoint_name='-reviews'"),
        ({"slow": cdk.Duration.seconds(61)}, "slow=61 s; allowed: more than zero, at most 60 s"),
        (
            {"variants": lambda stack: [endpoints.variant(stack), endpoints.variant(stack)]},
            "several variants of the name 'main'",
        ),
        (
            {"shadow": lambda stack: endpoints.variant(stack, name="next", instance_type="ml.inf1.xlarge")},
            "shadow with variant 'next' on Inf1",
        ),
        (
            {
                "variants": lambda stack: [endpoints.variant(stack), endpoints.variant(stack, name="b")],
                "shadow": lambda stack: endpoints.variant(stack, name="next"),
            },
            "shadow beside 2 variants",
        ),
        (
            {"data_capture": lambda stack: DataCapture(zone=endpoints.lake(stack).raw, percent=101)},
            "percent=101; allowed: a whole number, 0 to 100",
        ),
        (
            {
                "data_capture": lambda stack: DataCapture(
                    zone=endpoints.lake(stack).raw, inputs=False, outputs=False
                )
            },
            "DataCapture of neither inputs nor outputs",
        ),
        (
            {
                "data_capture": lambda stack: DataCapture(
                    zone=endpoints.lake(stack).raw, json_types=["text/csv"]
                )
            },
            "text/csv as JSON and as CSV",
        ),
    ],
)
def test_an_endpoint_that_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert expected in refused(**changes)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """What cdk-nag and our own rules find of endpoints of both kinds that nobody acknowledged."""
    app = support.app(
        {"@aws-cdk/core:strictCfnValidateErrors": False}, outdir=tmp_path_factory.mktemp("judged")
    )
    stack = support.stack(app)
    network = support.stack(app, "Network")
    vpc = ec2.Vpc(
        network,
        "Vpc",
        max_azs=2,
        subnet_configuration=[
            ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
    )
    lake = endpoints.lake(network)
    artifact = Artifact(zone=lake.models, key="models/1/model.tar.gz")
    endpoints.model(stack, vpc=vpc, artifact=artifact)
    variant = endpoints.variant(stack, core_dumps=CoreDumps(zone=lake.raw))
    endpoints.endpoint(
        stack,
        variants=[variant],
        shadow=endpoints.variant(stack, name="next"),
        data_capture=DataCapture(zone=lake.curated),
    )
    open_model = Model(stack, "Open", image=endpoints.IMAGE, network_isolation=False)
    serverless = ServerlessVariant(name="main", model=open_model)
    endpoints.endpoint(stack, "Serverless", variants=[serverless])
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    by_packs = nag.unacknowledged(app)
    plugins = Assembly(Path(app.outdir)).report.get("pluginReports", [])
    ours = [
        f"{violation['ruleName']} at {construct['constructPath']}"
        for plugin in plugins
        if plugin["pluginName"] == "DataScience"
        for violation in plugin.get("violations", ())
        for construct in violation["violatingConstructs"]
    ]
    return by_packs, ours


def test_the_packs_find_nothing_that_is_not_acknowledged(judged: tuple[list[str], list[str]]) -> None:
    assert [each for each in judged[0] if " at Test/" in each and not each.startswith("DataScience")] == []


def test_our_own_rules_find_nothing_that_is_not_acknowledged(judged: tuple[list[str], list[str]]) -> None:
    assert [each for each in judged[1] if " at Test/" in each] == []
