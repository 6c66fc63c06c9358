"""SageMaker feature groups, monitoring, the model registry, and what scales endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import (
    but,
    enabled,
    equals,
    example,
    is_true,
    present,
    ref,
    resource,
)
from cdk_data_science.security.checks.iam import is_public
from cdk_data_science.security.checks.rule import (
    Check,
    Problem,
    Rule,
    Severity,
    Source,
    cloudformation,
    control,
    guide,
)
from cdk_data_science.security.checks.templates import Resource, as_list

_GROUP = "AWS::SageMaker::FeatureGroup"
_SCHEDULE = "AWS::SageMaker::MonitoringSchedule"
_DEFINITIONS = tuple(
    f"AWS::SageMaker::{kind}JobDefinition"
    for kind in ("DataQuality", "ModelBias", "ModelExplainability", "ModelQuality")
)
_REGISTRY = "AWS::SageMaker::ModelPackageGroup"
_POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"
_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_JOB = "MonitoringScheduleConfig.MonitoringJobDefinition"
_NETWORK = {
    "EnableNetworkIsolation": True,
    "EnableInterContainerTrafficEncryption": True,
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
}
_CLUSTER = {
    "InstanceCount": 1,
    "InstanceType": "ml.m5.large",
    "VolumeSizeInGB": 30,
    "VolumeKmsKeyId": _KEY,
}
_OUTPUT = {
    "KmsKeyId": _KEY,
    "MonitoringOutputs": [{"S3Output": {"LocalPath": "/opt/ml/processing/out", "S3Uri": "s3://drift/"}}],
}
_ROLE = "arn:aws:iam::111122223333:role/monitoring"

_group = example(
    _GROUP,
    FeatureGroupName="customers",
    RecordIdentifierFeatureName="id",
    EventTimeFeatureName="time",
    FeatureDefinitions=[
        {"FeatureName": "id", "FeatureType": "String"},
        {"FeatureName": "time", "FeatureType": "Fractional"},
    ],
    RoleArn="arn:aws:iam::111122223333:role/features",
    OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://features/", "KmsKeyId": _KEY}},
    OnlineStoreConfig={
        "EnableOnlineStore": True,
        "SecurityConfig": {"KmsKeyId": _KEY},
        "TtlDuration": {"Unit": "Days", "Value": 90},
    },
)
_schedule = example(
    _SCHEDULE,
    MonitoringScheduleName="drift",
    MonitoringScheduleConfig={
        "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
        "MonitoringJobDefinition": {
            "MonitoringAppSpecification": {"ImageUri": "image"},
            "MonitoringInputs": [
                {"EndpointInput": {"EndpointName": "reviews", "LocalPath": "/opt/ml/processing/in"}}
            ],
            "MonitoringOutputConfig": _OUTPUT,
            "MonitoringResources": {"ClusterConfig": _CLUSTER},
            "NetworkConfig": _NETWORK,
            "RoleArn": _ROLE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        },
    },
)
_definition = example(
    _DEFINITIONS[0],
    DataQualityAppSpecification={"ImageUri": "image"},
    DataQualityJobInput={"EndpointInput": {"EndpointName": "reviews", "LocalPath": "/opt/ml/processing/in"}},
    DataQualityJobOutputConfig=_OUTPUT,
    JobResources={"ClusterConfig": _CLUSTER},
    NetworkConfig=_NETWORK,
    RoleArn=_ROLE,
    StoppingCondition={"MaxRuntimeInSeconds": 1800},
)
_registry = example(_REGISTRY, ModelPackageGroupName="reviews")


def _shared(*principals: str) -> dict[str, Any]:
    action = "sagemaker:DescribeModelPackageGroup"
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", "Principal": {"AWS": list(principals)}}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _closed(group: Resource) -> Iterator[Problem]:
    for statement in as_list(group.get("ModelPackageGroupPolicy.Statement")):
        if is_public(statement):
            yield Problem(at="ModelPackageGroupPolicy")


def _own(schedule: Resource) -> bool:
    """Whether a schedule defines its job itself, instead of naming a definition."""
    return schedule.get(_JOB) is not None


def _backlog(policy: Resource) -> Iterator[Problem]:
    path = "TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification"
    target = policy.templates.target(policy.get("ScalingTargetId"))
    metric = str(policy.get(f"{path}.MetricName"))
    if target is None or not metric.startswith("ApproximateBacklogSize"):
        return
    for endpoint in policy.templates.mentioned(target.get("ResourceId")):
        config = policy.templates.target(endpoint.get("EndpointConfigName"))
        if config is not None and config.get("AsyncInferenceConfig") is None:
            said = f"It scales on {metric}, and {endpoint.path} is a real-time endpoint"
            yield Problem(at=f"{path}.MetricName", said=said)


def _scaled(asynchronous: bool) -> dict[str, Any]:
    more = {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://out/"}}} if asynchronous else {}
    return {
        "Config": resource(
            "AWS::SageMaker::EndpointConfig",
            ProductionVariants=[
                {"VariantName": "main", "ModelName": "m", "InstanceType": "ml.m6i.large",
                 "InitialInstanceCount": 1, "InitialVariantWeight": 1}
            ],
            **more,
        ),
        "Endpoint": resource(
            "AWS::SageMaker::Endpoint",
            EndpointConfigName={"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        ),
        "Target": resource(
            _TARGET,
            MinCapacity=1,
            MaxCapacity=4,
            ServiceNamespace="sagemaker",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            ResourceId={"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/main"},
        ),
        "Policy": resource(
            _POLICY,
            PolicyName="backlog",
            PolicyType="TargetTrackingScaling",
            ScalingTargetId=ref("Target"),
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 5,
                "CustomizedMetricSpecification": {
                    "MetricName": "ApproximateBacklogSizePerInstance",
                    "Namespace": "AWS/SageMaker",
                    "Statistic": "Average",
                },
            },
        ),
    }  # fmt: skip


def _monitored(id: str, title: str, fails: str, why: str, fix: str, severity: Severity, path: str,
               check: Check, sources: tuple[Source, ...]) -> Rule:  # fmt: skip
    """A rule on job definitions."""
    changes: dict[str, Any] = {path.replace(".", "__"): None}
    return Rule(
        id=id, title=title, fails=fails, why=why, fix=fix, severity=severity, follows=sources,
        types=_DEFINITIONS, check=check, compliant=_definition,
        noncompliant=but(_definition, "Resource", **changes),
    )  # fmt: skip


RULES = (
    Rule(
        id="DataScience-SM40",
        title="An offline feature store is encrypted with your key",
        fails="The offline store is written without a key of yours",
        why="Features are personal data more often than not; the key's policy is the last fence around it.",
        fix="Set OfflineStoreConfig.S3StorageConfig.KmsKeyId",
        severity=Severity.WARNING,
        follows=(control("SageMaker.17"),),
        types=(_GROUP,),
        check=present(
            "OfflineStoreConfig.S3StorageConfig.KmsKeyId",
            when=lambda group: group.get("OfflineStoreConfig") is not None,
        ),
        compliant=_group,
        noncompliant=but(_group, OfflineStoreConfig__S3StorageConfig__KmsKeyId=None),
    ),
    Rule(
        id="DataScience-SM41",
        title="An online feature store is encrypted with your key",
        fails="The online store is encrypted with a key of AWS",
        why="Features are personal data more often than not; the key's policy is the last fence around it.",
        fix="Set OnlineStoreConfig.SecurityConfig.KmsKeyId",
        severity=Severity.WARNING,
        follows=(control("SageMaker.18"),),
        types=(_GROUP,),
        check=present(
            "OnlineStoreConfig.SecurityConfig.KmsKeyId",
            when=lambda group: (
                is_true(group.get("OnlineStoreConfig.EnableOnlineStore"))
                and group.get("OnlineStoreConfig.StorageType") in (None, "Standard")
            ),
        ),
        compliant=_group,
        noncompliant=but(_group, OnlineStoreConfig__SecurityConfig=None),
    ),
    Rule(
        id="DataScience-SM42",
        title="Records of an online feature store expire",
        fails="Records stay in the online store until somebody deletes them",
        why="It is the expensive store, and records of people who left stay readable.",
        fix="Set OnlineStoreConfig.TtlDuration; the offline store keeps the history",
        severity=Severity.INFO,
        follows=(cloudformation("aws-properties-sagemaker-featuregroup-ttlduration"),),
        types=(_GROUP,),
        check=present(
            "OnlineStoreConfig.TtlDuration", when=equals("OnlineStoreConfig.EnableOnlineStore", True)
        ),
        compliant=_group,
        noncompliant=but(_group, OnlineStoreConfig__TtlDuration=None),
    ),
    Rule(
        id="DataScience-SM43",
        title="A monitoring schedule's jobs have no network of their own",
        fails="The schedule's jobs can reach the network",
        why="They read captured requests, and their container needs no network for it.",
        fix="Set NetworkConfig.EnableNetworkIsolation to true",
        severity=Severity.WARNING,
        follows=(control("SageMaker.14"),),
        types=(_SCHEDULE,),
        check=enabled(f"{_JOB}.NetworkConfig.EnableNetworkIsolation", when=_own),
        compliant=_schedule,
        noncompliant=but(
            _schedule,
            MonitoringScheduleConfig__MonitoringJobDefinition__NetworkConfig__EnableNetworkIsolation=False,
        ),
    ),
    Rule(
        id="DataScience-SM44",
        title="A monitoring schedule's jobs encrypt what their instances tell each other",
        fails="Traffic between the instances of the schedule's jobs is not encrypted",
        why="It is captured requests in parts.",
        fix="Set NetworkConfig.EnableInterContainerTrafficEncryption to true",
        severity=Severity.WARNING,
        follows=(control("SageMaker.22"),),
        types=(_SCHEDULE,),
        check=enabled(f"{_JOB}.NetworkConfig.EnableInterContainerTrafficEncryption", when=_own),
        compliant=_schedule,
        noncompliant=but(_schedule, MonitoringScheduleConfig__MonitoringJobDefinition__NetworkConfig=None),
    ),
    _monitored(
        "DataScience-SM45",
        "A monitoring job definition's jobs have no network of their own",
        "The definition's jobs can reach the network",
        "They read captured requests, and their container needs no network for it.",
        "Set NetworkConfig.EnableNetworkIsolation to true",
        Severity.WARNING,
        "NetworkConfig.EnableNetworkIsolation",
        enabled("NetworkConfig.EnableNetworkIsolation"),
        tuple(control(f"SageMaker.{number}") for number in (11, 12, 20, 25)),
    ),
    _monitored(
        "DataScience-SM46",
        "A monitoring job definition's jobs encrypt what their instances tell each other",
        "Traffic between the instances of the definition's jobs is not encrypted",
        "It is captured requests in parts.",
        "Set NetworkConfig.EnableInterContainerTrafficEncryption to true",
        Severity.WARNING,
        "NetworkConfig.EnableInterContainerTrafficEncryption",
        enabled("NetworkConfig.EnableInterContainerTrafficEncryption"),
        tuple(control(f"SageMaker.{number}") for number in (9, 10, 13, 15)),
    ),
    _monitored(
        "DataScience-SM47",
        "A monitoring job definition's volumes are encrypted with your key",
        "The volumes of the definition's jobs are encrypted with a key of AWS",
        "They hold captured requests.",
        "Set JobResources.ClusterConfig.VolumeKmsKeyId",
        Severity.WARNING,
        "JobResources.ClusterConfig.VolumeKmsKeyId",
        present("JobResources.ClusterConfig.VolumeKmsKeyId"),
        (guide("sagemaker/latest/dg/encryption-at-rest"),),
    ),
    _monitored(
        "DataScience-SM48",
        "A monitoring job definition's jobs end in time",
        "The definition's jobs may run for as long as SageMaker allows",
        "A job that hangs costs until then, and delays the next one.",
        "Set StoppingCondition.MaxRuntimeInSeconds below the interval of the schedule",
        Severity.WARNING,
        "StoppingCondition",
        present("StoppingCondition.MaxRuntimeInSeconds"),
        (guide("sagemaker/latest/APIReference/API_MonitoringStoppingCondition"),),
    ),
    Rule(
        id="DataScience-SM49",
        title="A model registry is not open to everybody",
        fails="The policy of the model package group lets every AWS account in",
        why="Anybody could read the models, or register one that a pipeline then deploys.",
        fix="Name accounts or roles as principals, or add a condition on aws:PrincipalOrgID",
        severity=Severity.ERROR,
        follows=(guide("IAM/latest/UserGuide/reference_policies_elements_principal"),),
        types=(_REGISTRY,),
        check=_closed,
        compliant=but(_registry, ModelPackageGroupPolicy=_shared("arn:aws:iam::111122223333:root")),
        noncompliant=but(_registry, ModelPackageGroupPolicy=_shared("*")),
    ),
    Rule(
        id="DataScience-SM50",
        title="A real-time endpoint is not scaled on the backlog of asynchronous ones",
        fails="The scaling policy watches a metric that the endpoint never has",
        why="Real-time endpoints have no queue: the policy never acts, and nobody is told.",
        fix="Use the predefined metric SageMakerVariantInvocationsPerInstance",
        severity=Severity.ERROR,
        follows=(guide("autoscaling/application/userguide/application-auto-scaling-target-tracking"),),
        types=(_POLICY,),
        check=_backlog,
        compliant=_scaled(asynchronous=True),
        noncompliant=_scaled(asynchronous=False),
    ),
)
