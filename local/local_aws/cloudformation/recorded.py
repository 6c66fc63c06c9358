"""Types that deploy without any effect: they protect, observe or scale what does not exist on a laptop.

This list is the whole of it. ``local-aws status`` and ``deploy-watch`` print the ones that were deployed.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from local_aws.cloudformation import schemas

TYPES = (
    "AWS::AccessAnalyzer::Analyzer",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::CloudTrail::Trail",
    "AWS::Config::ConfigRule",
    "AWS::DataBrew::Dataset",
    "AWS::DataBrew::Job",
    "AWS::DataBrew::Recipe",
    "AWS::DataSync::LocationS3",
    "AWS::DataSync::Task",
    "AWS::EC2::EgressOnlyInternetGateway",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::NetworkAclEntry",
    "AWS::EC2::PlacementGroup",
    "AWS::EC2::PrefixList",
    "AWS::EC2::SubnetNetworkAclAssociation",
    "AWS::EC2::VPCCidrBlock",
    "AWS::Glue::DataCatalogEncryptionSettings",
    "AWS::Glue::DataQualityRuleset",
    "AWS::Glue::SecurityConfiguration",
    "AWS::Glue::TableOptimizer",
    "AWS::GreengrassV2::ComponentVersion",
    "AWS::GreengrassV2::Deployment",
    "AWS::GuardDuty::Detector",
    "AWS::IoT::RoleAlias",
    "AWS::LakeFormation::DataCellsFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Macie::Session",
    "AWS::NetworkFirewall::Firewall",
    "AWS::NetworkFirewall::FirewallPolicy",
    "AWS::NetworkFirewall::LoggingConfiguration",
    "AWS::NetworkFirewall::RuleGroup",
    "AWS::S3::StorageLens",
    "AWS::S3Tables::TableBucketPolicy",
    "AWS::SageMaker::Cluster",
    "AWS::SageMaker::InferenceComponent",
    "AWS::SageMaker::InferenceExperiment",
    "AWS::SecurityHub::Hub",
    "AWS::SSM::Association",
    "AWS::XRay::Group",
    "Custom::ClosedDefaultSecurityGroup",
    "Custom::DataBrewPublishedRecipe",
    "Custom::GluePartitionIndex",
)

_deployed: dict[str, str] = {}


def in_use() -> dict[str, int]:
    """How many resources of each such type are deployed now."""
    return dict(sorted(Counter(_deployed.values()).items()))


def handlers() -> dict[str, dict[str, Any]]:
    return {name: handlers_of(name) for name in TYPES}


def handlers_of(name: str) -> dict[str, Any]:
    """Handlers of one type that do nothing but tell of it."""
    return {"create": _create(name), "update": _update, "delete": _delete}


def _create(name: str) -> Any:
    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        physical_id = f"{stack_name}-{logical_id}-{uuid.uuid4().hex[:12]}"
        _deployed[physical_id] = name
        kind = name.rpartition("::")[2].lower()
        attributes: dict[str, Any] = dict.fromkeys(_attributes(name), physical_id)
        if name == "AWS::NetworkFirewall::Firewall":  # the one attribute that routes take apart
            attributes["EndpointIds"] = [f"local:vpce-{uuid.uuid4().hex[:17]}"]
        return physical_id, attributes | {"Id": physical_id, "Arn": f"arn:aws:local:::{kind}/{physical_id}"}

    return create


def _attributes(name: str) -> list[str]:
    """What `Fn::GetAtt` may ask of the type."""
    read_only = (schemas.of(name) or {}).get("readOnlyProperties", [])
    return [path.removeprefix("/properties/").replace("/", ".") for path in read_only]


def _update(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
) -> tuple[str, dict[str, Any]]:
    return physical_id, {"Id": physical_id}


def _delete(physical_id: str, props: dict[str, Any]) -> None:
    _deployed.pop(physical_id, None)
