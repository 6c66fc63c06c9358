"""SageMaker endpoint configurations and endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cdk_data_science.hardware import has_local_storage
from cdk_data_science.security.checks.expectations import (
    but,
    disabled,
    enabled,
    example,
    has,
    is_true,
    number,
    present,
    resource,
)
from cdk_data_science.security.checks.intrinsics import UNKNOWN, is_unknown
from cdk_data_science.security.checks.rule import (
    Problem,
    Rule,
    Severity,
    Unknown,
    cloudformation,
    control,
    guide,
)
from cdk_data_science.security.checks.rules.sagemaker_models import COMPLIANT, CONFIG, MODEL, variants
from cdk_data_science.security.checks.templates import Resource

ENDPOINT = "AWS::SageMaker::Endpoint"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_VARIANT = {
    "VariantName": "main",
    "ModelName": "model",
    "InstanceType": "ml.m6i.large",
    "InitialInstanceCount": 2,
    "InitialVariantWeight": 1,
}
_config = example(
    CONFIG,
    KmsKeyId=_KEY,
    ProductionVariants=[_VARIANT],
    DataCaptureConfig={
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "DestinationS3Uri": "s3://capture/",
        "InitialSamplingPercentage": 20,
        "EnableCapture": True,
        "KmsKeyId": _KEY,
    },
)
_ASYNC = {
    "S3OutputPath": "s3://out/",
    "S3FailurePath": "s3://failed/",
    "KmsKeyId": _KEY,
    "NotificationConfig": {"SuccessTopic": "arn:aws:sns:::done", "ErrorTopic": "arn:aws:sns:::failed"},
}
_async = but(_config, AsyncInferenceConfig={"OutputConfig": _ASYNC})
_GUARDED = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}
_endpoint = example(ENDPOINT, EndpointConfigName="config", DeploymentConfig=_GUARDED)


def has_local_disks(instance_type: Any) -> bool:
    """Whether an instance type keeps data on disks of its own; False for what is no instance type."""
    try:
        return has_local_storage(str(instance_type))
    except ValueError:
        return False


def _volume_key(config: Resource) -> Iterator[Problem]:
    if config.get("KmsKeyId") is not None:
        return
    for _, variant in variants(config):
        instance = variant.get("InstanceType")
        if "ServerlessConfig" in variant or instance is None:
            continue
        if is_unknown(instance):
            yield Problem(at="KmsKeyId", uncertain=True)
        elif not has_local_disks(instance):
            yield Problem(at="KmsKeyId")
            return


def _two_instances(config: Resource) -> Iterator[Problem]:
    if config.get("AsyncInferenceConfig") is not None:
        return
    for path, variant in variants(config):
        count, scaling = variant.get("InitialInstanceCount"), variant.get("ManagedInstanceScaling", {})
        if "ServerlessConfig" in variant:
            continue
        least = scaling.get("MinInstanceCount", count) if isinstance(scaling, dict) else UNKNOWN
        where = Problem(at=f"{path}.InitialInstanceCount", detail=str(variant.get("VariantName", "")))
        if least is not None and is_unknown(least):
            yield replace(where, uncertain=True)
        elif least is not None and (number(least) or 0) < 2:
            yield where


def _spread(config: Resource) -> Iterator[Problem]:
    for path, variant in variants(config):
        model = config.templates.target(variant.get("ModelName"))
        subnets = model.get("VpcConfig.Subnets") if model is not None else None
        if (number(variant.get("InitialInstanceCount")) or 0) < 2 or subnets is None or model is None:
            continue
        where = Problem(at=f"{path}.ModelName", detail=str(variant.get("VariantName", "")))
        if not isinstance(subnets, list):
            yield replace(where, uncertain=True)
        elif len(subnets) < 2:
            said = f"The variant has several instances, and its model {model.path} is in one subnet"
            yield replace(where, said=said)


def _no_burstable(config: Resource) -> Iterator[Problem]:
    for path, variant in variants(config):
        instance = variant.get("InstanceType")
        where = Problem(at=f"{path}.InstanceType", detail=str(variant.get("VariantName", "")))
        if instance is not None and is_unknown(instance):
            yield replace(where, uncertain=True)
        elif isinstance(instance, str) and instance.startswith(("ml.t2.", "ml.t3.", "ml.t4g.")):
            yield where


def _some_traffic(config: Resource) -> Iterator[Problem]:
    weights = [variant.get("InitialVariantWeight", 1) for _, variant in variants(config)]
    if weights and any(is_unknown(weight) for weight in weights):
        yield Problem(at="ProductionVariants", uncertain=True)
    elif weights and not any(number(weight) for weight in weights):
        yield Problem(at="ProductionVariants")


def _other_topic(config: Resource) -> Iterator[Problem]:
    path = "AsyncInferenceConfig.OutputConfig.NotificationConfig"
    success, error = config.get(f"{path}.SuccessTopic"), config.get(f"{path}.ErrorTopic")
    if UNKNOWN in (success, error):
        yield Problem(at=f"{path}.ErrorTopic", uncertain=True)
    elif success is not None and success == error:
        yield Problem(at=f"{path}.ErrorTopic")


def _can_capture(config: Resource) -> bool:
    """Not from serverless variants, and not what is in S3 already, as asynchronous requests are."""
    serverless = any("ServerlessConfig" in variant for _, variant in variants(config))
    return not serverless and config.get("AsyncInferenceConfig") is None


def _keeps_capacity(endpoint: Resource) -> Iterator[Problem]:
    scaled = [
        target
        for target in endpoint.templates.resources("AWS::ApplicationAutoScaling::ScalableTarget")
        if endpoint in endpoint.templates.mentioned(target.get("ResourceId"))
    ]
    keep = endpoint.get("RetainAllVariantProperties")
    if scaled and not is_true(keep):
        uncertain = keep is not None and is_unknown(keep)
        yield Problem(at="RetainAllVariantProperties", uncertain=uncertain)


RULES = (
    Rule(
        id="DataScience-SM23",
        title="Endpoint volumes are encrypted with your key",
        fails="The volumes of the endpoint's instances are encrypted with a key of AWS",
        why="They hold model artifacts and whatever the container writes.",
        fix="Set KmsKeyId. Instance types with local NVMe alone encrypt that themselves",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/encryption-at-rest"),),
        types=(CONFIG,),
        check=_volume_key,
        compliant=_config,
        noncompliant=but(_config, KmsKeyId=None),
    ),
    Rule(
        id="DataScience-SM24",
        title="A real-time variant has two instances or more",
        fails="The variant starts with one instance",
        why="When it or its zone fails, nobody answers until another one has started.",
        fix="Set InitialInstanceCount to 2 or more, or acknowledge that an outage is acceptable",
        severity=Severity.WARNING,
        follows=(control("SageMaker.4"),),
        types=(CONFIG,),
        check=_two_instances,
        compliant=_config,
        noncompliant=but(_config, ProductionVariants=[_VARIANT | {"InitialInstanceCount": 1}]),
    ),
    Rule(
        id="DataScience-SM25",
        title="Several instances are spread over several subnets",
        fails="The instances of the variant are in one subnet",
        why="SageMaker spreads instances over the zones of the model's subnets; one subnet is one zone.",
        fix="Give the model's VpcConfig subnets of two zones or more",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/host-vpc"), control("SageMaker.4")),
        types=(CONFIG,),
        check=_spread,
        compliant={
            "Model": COMPLIANT["Resource"],
            "Resource": resource(
                CONFIG, ProductionVariants=[_VARIANT | {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}]
            ),
        },
        noncompliant={
            **but(COMPLIANT, VpcConfig__Subnets=["subnet-1"]),
            "Config": resource(
                CONFIG,
                ProductionVariants=[_VARIANT | {"ModelName": {"Fn::GetAtt": ["Resource", "ModelName"]}}],
            ),
        },
    ),
    Rule(
        id="DataScience-SM26",
        title="No burstable instances behind an endpoint",
        fails="The variant runs on burstable instances",
        why="When their CPU credits are used up they are slowed down, and that is under load.",
        fix="Choose a type with constant performance, such as ml.m6i.large, or a serverless variant",
        severity=Severity.INFO,
        follows=(guide("sagemaker/latest/dg/how-it-works-hosting"),),
        types=(CONFIG,),
        check=_no_burstable,
        compliant=_config,
        noncompliant=but(_config, ProductionVariants=[_VARIANT | {"InstanceType": "ml.t2.medium"}]),
    ),
    Rule(
        id="DataScience-SM27",
        title="Captured requests are encrypted with your key",
        fails="Captured requests and responses are written without a key of yours",
        why="They are the data that the model is asked about.",
        fix="Set DataCaptureConfig.KmsKeyId",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-sagemaker-endpointconfig-datacaptureconfig"),),
        types=(CONFIG,),
        check=present("DataCaptureConfig.KmsKeyId", when=has("DataCaptureConfig")),
        compliant=_config,
        noncompliant=but(_config, DataCaptureConfig__KmsKeyId=None),
    ),
    Rule(
        id="DataScience-SM28",
        title="An endpoint captures data to watch for drift",
        fails="The endpoint keeps none of its requests",
        why="A model that has grown stale then shows in the business before it shows in a metric.",
        fix="Set DataCaptureConfig with a sampling percentage that the traffic allows",
        severity=Severity.INFO,
        follows=(guide("sagemaker/latest/dg/model-monitor-data-capture"),),
        types=(CONFIG,),
        check=enabled("DataCaptureConfig.EnableCapture", absent=False, when=_can_capture),
        compliant=_config,
        noncompliant=but(_config, DataCaptureConfig=None),
    ),
    Rule(
        id="DataScience-SM29",
        title="Asynchronous results are encrypted with your key",
        fails="Asynchronous results are written without a key of yours",
        why="They are data as sensitive as the requests.",
        fix="Set AsyncInferenceConfig.OutputConfig.KmsKeyId",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-sagemaker-endpointconfig-asyncinferenceoutputconfig"),),
        types=(CONFIG,),
        check=present("AsyncInferenceConfig.OutputConfig.KmsKeyId", when=has("AsyncInferenceConfig")),
        compliant=_async,
        noncompliant=but(_async, AsyncInferenceConfig__OutputConfig__KmsKeyId=None),
    ),
    Rule(
        id="DataScience-SM30",
        title="Failed asynchronous requests are told to somebody",
        fails="Nobody is told when an asynchronous request fails",
        why="The caller has long gone: without a topic for errors the request is lost in silence.",
        fix="Set AsyncInferenceConfig.OutputConfig.NotificationConfig.ErrorTopic",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-sagemaker-endpointconfig-asyncinferencenotificationconfig"),),
        types=(CONFIG,),
        check=present(
            "AsyncInferenceConfig.OutputConfig.NotificationConfig.ErrorTopic",
            when=has("AsyncInferenceConfig"),
        ),
        compliant=_async,
        noncompliant=but(_async, AsyncInferenceConfig__OutputConfig__NotificationConfig=None),
    ),
    Rule(
        id="DataScience-SM31",
        title="Successes and failures of asynchronous requests go to different topics",
        fails="Successes and failures are told to the same topic",
        why="Whoever watches for failures is told of every success, or the topic was copied by mistake.",
        fix="Give ErrorTopic a topic of its own",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-sagemaker-endpointconfig-asyncinferencenotificationconfig"),),
        types=(CONFIG,),
        check=_other_topic,
        compliant=_async,
        noncompliant=but(
            _async,
            AsyncInferenceConfig__OutputConfig__NotificationConfig__ErrorTopic="arn:aws:sns:::done",
        ),
    ),
    Rule(
        id="DataScience-SM32",
        title="Nobody logs in to the containers of an endpoint",
        fails="Session Manager may open a shell in the variant's containers",
        why="Whoever has the permission can read requests and change what the model answers.",
        fix="Take EnableSSMAccess away once the debugging is over",
        severity=Severity.ERROR,
        follows=(cloudformation("aws-properties-sagemaker-endpointconfig-productionvariant"),),
        types=(CONFIG,),
        check=disabled("ProductionVariants[*].EnableSSMAccess"),
        compliant=_config,
        noncompliant=but(_config, ProductionVariants=[_VARIANT | {"EnableSSMAccess": True}]),
    ),
    Rule(
        id="DataScience-SM33",
        title="Some variant gets traffic",
        fails="All variants have the weight 0",
        why="The endpoint costs as usual and answers no request that names no variant.",
        fix="Give a variant an InitialVariantWeight above 0",
        severity=Severity.ERROR,
        follows=(guide("sagemaker/latest/dg/model-ab-testing"),),
        types=(CONFIG,),
        check=_some_traffic,
        compliant=_config,
        noncompliant=but(_config, ProductionVariants=[_VARIANT | {"InitialVariantWeight": 0}]),
    ),
    Rule(
        id="DataScience-SM34",
        title="Models and endpoint configurations have no fixed names",
        fails="The resource has a fixed name",
        why="Every change replaces it, and CloudFormation cannot create the new one while the old one has "
        "the name: the update fails.",
        fix="Leave the name to CloudFormation; the endpoint's name can stay fixed",
        severity=Severity.WARNING,
        follows=(
            cloudformation("aws-resource-sagemaker-endpointconfig"),
            cloudformation("aws-properties-name"),
        ),
        types=(MODEL, CONFIG),
        check=lambda resource: (
            Problem(at=name) for name in ("ModelName", "EndpointConfigName") if resource.get(name) is not None
        ),
        unknown=Unknown.FAILS,
        compliant=_config,
        noncompliant=but(_config, EndpointConfigName="reviews"),
    ),
    Rule(
        id="DataScience-SM35",
        title="An endpoint's update rolls back by itself when alarms go off",
        fails="A bad update stays until somebody notices",
        why="With alarms SageMaker keeps the old fleet until the new one has proven itself.",
        fix="Set DeploymentConfig.AutoRollbackConfiguration.Alarms",
        severity=Severity.WARNING,
        follows=(guide("sagemaker/latest/dg/deployment-guardrails"),),
        types=(ENDPOINT,),
        check=present("DeploymentConfig.AutoRollbackConfiguration.Alarms"),
        compliant=_endpoint,
        noncompliant=but(_endpoint, DeploymentConfig=None),
    ),
    Rule(
        id="DataScience-SM36",
        title="An update keeps the instance count that autoscaling has chosen",
        fails="An update sets the scaled endpoint back to its initial instance count",
        why="At peak load that is an outage until the scaling has caught up.",
        fix="Set RetainAllVariantProperties to true",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-resource-sagemaker-endpoint"),),
        types=(ENDPOINT,),
        check=_keeps_capacity,
        compliant={
            **but(_endpoint, RetainAllVariantProperties=True),
            "Target": resource(
                "AWS::ApplicationAutoScaling::ScalableTarget",
                MinCapacity=2,
                MaxCapacity=4,
                ServiceNamespace="sagemaker",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
                ResourceId={
                    "Fn::Sub": [
                        "endpoint/${E}/variant/main",
                        {"E": {"Fn::GetAtt": ["Resource", "EndpointName"]}},
                    ]
                },
            ),
        },
        noncompliant={
            **_endpoint,
            "Target": resource(
                "AWS::ApplicationAutoScaling::ScalableTarget",
                MinCapacity=2,
                MaxCapacity=4,
                ServiceNamespace="sagemaker",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
                ResourceId={"Fn::Sub": "endpoint/${Resource.EndpointName}/variant/main"},
            ),
        },
    ),
)
