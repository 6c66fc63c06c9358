"""How the properties of a resource tell what of it is billed at rest, as quantities of names in the price
table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Quantities = Sequence[tuple[str, float]]

_DEFAULT_NOTEBOOK_GB = 5
_DEFAULT_MEMORY_MB = 128
_HIGH_RESOLUTION_SECONDS = 60
_MINIMUM_LUSTRE_GB = 1200


class Undecided(Exception):
    """The properties do not tell; the message says what is missing."""


class Template:
    """A template, to follow its references."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._resources: Mapping[str, Any] = document.get("Resources", {})
        self._parameters: Mapping[str, Any] = document.get("Parameters", {})

    def value(self, given: Any, what: str) -> Any:
        """A literal, or the default of the parameter that is referred to."""
        if isinstance(given, dict):
            default = self._parameters.get(given.get("Ref", ""), {}).get("Default")
            if default is None:
                raise Undecided(f"only the deployment knows the {what}")
            return default
        return given

    def number(self, given: Any, what: str, default: float) -> float:
        """A number, which templates may write as text."""
        return default if given is None else float(self.value(given, what))

    def length(self, given: Any, what: str) -> int:
        """How many there are in a list."""
        if given is None:
            return 0
        if not isinstance(given, list):
            raise Undecided(f"only the deployment knows the {what}")
        return len(given)

    def referred(self, given: Any, type: str) -> Mapping[str, Any]:
        """The properties of the resource that is referred to."""
        target = given.get("Ref") or given.get("Fn::GetAtt") if isinstance(given, dict) else None
        logical_id = target[0] if isinstance(target, list) else str(target or "").partition(".")[0]
        resource = self._resources.get(logical_id, {})
        if resource.get("Type") != type:
            raise Undecided(f"its {type} is not in this template")
        found: Mapping[str, Any] = resource.get("Properties", {})
        return found

    def fewest(self, variant: str) -> float | None:
        """The fewest instances that a variant of this name scales to; of several endpoints that have one, the
        most of these. None where none scales."""
        found = [
            self.number(target["Properties"].get("MinCapacity"), "fewest instances", 1)
            for target in self._resources.values()
            if target.get("Type") == "AWS::ApplicationAutoScaling::ScalableTarget"
            and f'/variant/{variant}"' in json.dumps(target["Properties"].get("ResourceId"))
        ]
        return max(found, default=None)


def _one(name: str) -> Callable[[Mapping[str, Any], Template], Quantities]:
    return lambda _properties, _template: [(name, 1)]


def _alarm(properties: Mapping[str, Any], template: Template) -> Quantities:
    """An alarm is billed for each metric that it looks at; one on an anomaly band for three."""
    queries = properties.get("Metrics") or []
    statistics = [query["MetricStat"] for query in queries if "MetricStat" in query]
    count = len(statistics) if statistics else 1
    if any("ANOMALY_DETECTION_BAND" in str(query.get("Expression", "")) for query in queries):
        count += 2
    periods = [statistic.get("Period") for statistic in statistics] or [properties.get("Period")]
    fast = any(template.number(period, "period", 300) < _HIGH_RESOLUTION_SECONDS for period in periods)
    return [("cloudwatch.high-resolution-alarm-metric" if fast else "cloudwatch.alarm-metric", count)]


def _vpc_endpoint(properties: Mapping[str, Any], template: Template) -> Quantities:
    if template.value(properties.get("VpcEndpointType", "Gateway"), "kind of endpoint") == "Gateway":
        return []
    return [("vpc.interface-endpoint-zone", template.length(properties.get("SubnetIds"), "subnets"))]


def _endpoint(properties: Mapping[str, Any], template: Template) -> Quantities:
    config = template.referred(properties.get("EndpointConfigName"), "AWS::SageMaker::EndpointConfig")
    variants = [*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ())]
    found: list[tuple[str, float]] = []
    for variant in variants:
        if "ServerlessConfig" in variant:
            if "ProvisionedConcurrency" in variant["ServerlessConfig"]:
                raise Undecided("no price for provisioned concurrency of serverless endpoints")
        elif "InstanceType" in variant:
            instance_type = template.value(variant["InstanceType"], "instance type")
            waiting = "AsyncInferenceConfig" in config
            found.append((f"sagemaker.{instance_type}", _instances_at_rest(variant, template, waiting)))
        else:
            raise Undecided("a variant without an instance type")
    return found


def _instances_at_rest(variant: Mapping[str, Any], template: Template, waiting: bool) -> float:
    """Those of asynchronous endpoints follow their queue, which is empty at rest."""
    fewest = template.fewest(variant.get("VariantName", "")) if waiting else None
    if fewest is not None:
        return fewest
    managed = variant.get("ManagedInstanceScaling", {})
    if template.value(managed.get("Status", "DISABLED"), "managed scaling") != "ENABLED":
        return template.number(variant.get("InitialInstanceCount"), "number of instances", 1)
    fewest = template.number(managed.get("MinInstanceCount"), "fewest instances", 1)
    if not fewest:
        raise Undecided("as many instances as the copies of its components need, or none")
    return fewest


def _notebook(properties: Mapping[str, Any], template: Template) -> Quantities:
    instance_type = template.value(properties["InstanceType"], "instance type")
    size = template.number(properties.get("VolumeSizeInGB"), "size of the volume", _DEFAULT_NOTEBOOK_GB)
    return [(f"sagemaker.{instance_type}", 1), ("sagemaker.volume-gb", size)]


def _app(properties: Mapping[str, Any], template: Template) -> Quantities:
    spec = properties.get("ResourceSpec", {})
    if "InstanceType" not in spec:
        raise Undecided("an app on the default instance type of its domain")
    instance_type = template.value(spec["InstanceType"], "instance type")
    return [] if instance_type == "system" else [(f"sagemaker.{instance_type}", 1)]


def _feature_group(properties: Mapping[str, Any], template: Template) -> Quantities:
    mode = properties.get("ThroughputConfig", {}).get("ThroughputMode", "OnDemand")
    if template.value(mode, "throughput mode") != "OnDemand":
        raise Undecided("no price for provisioned throughput of feature groups")
    if properties.get("OnlineStoreConfig", {}).get("StorageType") == "InMemory":
        raise Undecided("no price for online stores in memory")
    return []


def _file_system(properties: Mapping[str, Any], template: Template) -> Quantities:
    if properties.get("FileSystemType") != "LUSTRE":
        raise Undecided(f"no price for file systems of type {properties.get('FileSystemType')}")
    size = template.number(properties.get("StorageCapacity"), "storage capacity", _MINIMUM_LUSTRE_GB)
    options = properties.get("LustreConfiguration", {})
    deployment = template.value(options.get("DeploymentType", "SCRATCH_1"), "deployment type")
    if str(deployment).startswith("SCRATCH"):
        return [("fsx.lustre.scratch-gb", size)]
    throughput = template.number(options.get("PerUnitStorageThroughput"), "throughput", 0)
    name = str(deployment).lower().replace("_", "-")
    return [(f"fsx.lustre.{name}-{throughput:g}-gb", size)]


def _elastic_file_system(properties: Mapping[str, Any], template: Template) -> Quantities:
    if template.value(properties.get("ThroughputMode", "bursting"), "throughput mode") != "provisioned":
        return []
    given = properties.get("ProvisionedThroughputInMibps")
    return [("efs.provisioned-mibps", template.number(given, "provisioned throughput", 0))]


def _firewall(properties: Mapping[str, Any], template: Template) -> Quantities:
    """One endpoint in each of its subnets, or zones."""
    endpoints = sum(
        template.length(properties.get(name), "endpoints")
        for name in ("AvailabilityZoneMappings", "SubnetMappings")
    )
    return [("vpc.network-firewall-endpoint", endpoints)]


def _space(properties: Mapping[str, Any], template: Template) -> Quantities:
    """A space has a volume from its first start on, whether it runs or not."""
    settings = properties.get("SpaceSettings", {})
    storage = settings.get("SpaceStorageSettings", {}).get("EbsStorageSettings", {})
    if "EbsVolumeSizeInGb" not in storage:
        raise Undecided("a volume of its domain's default size, once it was started")
    size = template.number(storage["EbsVolumeSizeInGb"], "size of the volume", 0)
    return [("sagemaker.studio-volume-gb", size)]


def _stream(properties: Mapping[str, Any], template: Template) -> Quantities:
    mode = properties.get("StreamModeDetails", {}).get("StreamMode")
    if mode is None:
        mode = "PROVISIONED" if "ShardCount" in properties else "ON_DEMAND"
    if template.value(mode, "stream mode") == "ON_DEMAND":
        return [("kinesis.on-demand-stream", 1)]
    return [("kinesis.shard", template.number(properties.get("ShardCount"), "number of shards", 1))]


def _table(properties: Mapping[str, Any], template: Template) -> Quantities:
    if template.value(properties.get("BillingMode", "PROVISIONED"), "billing mode") != "PAY_PER_REQUEST":
        raise Undecided("no price for provisioned throughput of DynamoDB")
    return []


def _provisioned_concurrency(properties: Mapping[str, Any], template: Template) -> Quantities:
    """Of an alias or a version, by the memory of its function."""
    provisioned = properties.get("ProvisionedConcurrencyConfig", {}).get("ProvisionedConcurrentExecutions")
    if provisioned is None:
        return []
    function = template.referred(properties.get("FunctionName"), "AWS::Lambda::Function")
    gigabytes = template.number(function.get("MemorySize"), "memory", _DEFAULT_MEMORY_MB) / 1024
    architecture = (function.get("Architectures") or ["x86_64"])[0]
    count = template.number(provisioned, "provisioned concurrency", 0)
    return [(f"lambda.provisioned-gb.{architecture}", count * gigabytes)]


def _redshift(properties: Mapping[str, Any], template: Template) -> Quantities:
    nodes = template.number(properties.get("NumberOfNodes"), "number of nodes", 1)
    return [(f"redshift.{template.value(properties['NodeType'], 'node type')}", nodes)]


def _volume(properties: Mapping[str, Any], template: Template) -> Quantities:
    kind = template.value(properties.get("VolumeType", "gp2"), "kind of volume")
    return [(f"ebs.{kind}-gb", template.number(properties.get("Size"), "size", 0))]


def _analyzer(properties: Mapping[str, Any], template: Template) -> Quantities:
    kind = str(template.value(properties.get("Type"), "kind of analyzer"))
    if kind not in ("ACCOUNT", "ORGANIZATION"):  # external access costs nothing
        raise Undecided("billed by the number of roles, users and resources that it analyzes")
    return []


def _cluster(properties: Mapping[str, Any], template: Template) -> Quantities:
    """HyperPod's instances are there from its making on, and have prices of their own."""
    groups = [*properties.get("InstanceGroups", ()), *properties.get("RestrictedInstanceGroups", ())]
    counted = [
        (template.number(group.get("InstanceCount"), "number of instances", 0), group.get("InstanceType"))
        for group in groups
    ]
    there = [f"{count:g} x {type_}" for count, type_ in counted if count]
    if there:
        raise Undecided(f"no price for instances of HyperPod: {', '.join(there)}")
    return []


def _compute_environment(properties: Mapping[str, Any], template: Template) -> Quantities:
    """Batch keeps as many processors as it is told to, jobs or not."""
    resources = properties.get("ComputeResources", {})
    kept = template.number(resources.get("MinvCpus"), "least number of vCPUs", 0)
    if kept and not str(resources.get("Type", "")).startswith("FARGATE"):
        raise Undecided(f"by the instances that it keeps for {kept:g} vCPUs")
    return []


def _parameter(properties: Mapping[str, Any], template: Template) -> Quantities:
    tier = template.value(properties.get("Tier", "Standard"), "tier")
    if tier == "Intelligent-Tiering":
        raise Undecided("advanced, and billed, if its value is large or has policies")
    return [("ssm.advanced-parameter", 1)] if tier == "Advanced" else []


PRICED: Mapping[str, Callable[[Mapping[str, Any], Template], Quantities]] = {
    "AWS::AccessAnalyzer::Analyzer": _analyzer,
    "AWS::Batch::ComputeEnvironment": _compute_environment,
    "AWS::Budgets::BudgetsAction": _one("budgets.action"),
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _one("cloudwatch.composite-alarm"),
    "AWS::CloudWatch::Dashboard": _one("cloudwatch.dashboard"),
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::EIP": _one("vpc.public-ipv4"),
    "AWS::EC2::NatGateway": _one("vpc.nat-gateway"),
    "AWS::EC2::VPCEndpoint": _vpc_endpoint,
    "AWS::EC2::Volume": _volume,
    "AWS::EFS::FileSystem": _elastic_file_system,
    "AWS::FSx::FileSystem": _file_system,
    "AWS::KMS::Key": _one("kms.key"),
    "AWS::KMS::ReplicaKey": _one("kms.key"),
    "AWS::Kinesis::Stream": _stream,
    "AWS::Lambda::Alias": _provisioned_concurrency,
    "AWS::Lambda::Version": _provisioned_concurrency,
    "AWS::NetworkFirewall::Firewall": _firewall,
    "AWS::Redshift::Cluster": _redshift,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SageMaker::App": _app,
    "AWS::SageMaker::Cluster": _cluster,
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::SageMaker::FeatureGroup": _feature_group,
    "AWS::SageMaker::NotebookInstance": _notebook,
    "AWS::SageMaker::Space": _space,
    "AWS::SecretsManager::Secret": _one("secretsmanager.secret"),
}
