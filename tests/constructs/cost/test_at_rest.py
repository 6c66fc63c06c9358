"""What resources cost at rest: hand-computed cases, what is unknown, and a whole app by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science.cost import CostReport, at_rest, prices
from cdk_data_science.cost.__main__ import main
from cdk_data_science.cost._at_rest_types import FREE, UNKNOWN
from cdk_data_science.cost._priced_types import PRICED
from cdk_data_science.cost.at_rest import Line
from tests.constructs import support
from tests.constructs.cost import generate_taggable_types

FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": {"MemorySize": 2048, "Architectures": ["arm64"]}}


def line(type: str, properties: dict[str, Any], **more: Any) -> Line | None:
    """The line of one resource in a template with others."""
    resources = {"It": {"Type": type, "Properties": properties}, **more.pop("others", {})}
    found = {entry.path: entry for entry in at_rest.lines("Test", {"Resources": resources, **more})}
    return found.get("Test/It")


def endpoint(*variants: dict[str, Any]) -> Line | None:
    config = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": list(variants)}}
    name = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    return line("AWS::SageMaker::Endpoint", {"EndpointConfigName": name}, others={"Config": config})


@pytest.mark.parametrize(
    ("type", "properties", "monthly"),
    [
        ("AWS::KMS::Key", {}, 1.00),
        ("AWS::CloudWatch::Alarm", {"Period": 300}, 0.10),
        ("AWS::CloudWatch::Alarm", {"Period": 10}, 0.30),
        ("AWS::CloudWatch::CompositeAlarm", {}, 0.50),
        ("AWS::CloudWatch::Dashboard", {}, 3.00),
        # 0.045 USD an hour, 730 hours
        ("AWS::EC2::NatGateway", {}, 32.85),
        ("AWS::EC2::EIP", {}, 3.65),
        # 0.01 USD an hour in each of three zones
        ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface", "SubnetIds": ["a", "b", "c"]}, 21.90),
        ("AWS::NetworkFirewall::Firewall", {"AvailabilityZoneMappings": [{"AvailabilityZone": "a"}]}, 288.35),
        ("AWS::Kinesis::Stream", {"ShardCount": 4}, 43.80),
        ("AWS::Kinesis::Stream", {}, 29.20),
        ("AWS::Kinesis::Stream", {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}, 29.20),
        # 1200 GB at 0.14 and at 0.145 USD
        ("AWS::FSx::FileSystem", {"FileSystemType": "LUSTRE", "StorageCapacity": 1200}, 168.00),
        (
            "AWS::FSx::FileSystem",
            {
                "FileSystemType": "LUSTRE",
                "StorageCapacity": "1200",
                "LustreConfiguration": {"DeploymentType": "PERSISTENT_2", "PerUnitStorageThroughput": 125},
            },
            174.00,
        ),
        # 0.05 USD an hour and 20 GB at 0.14 USD
        ("AWS::SageMaker::NotebookInstance", {"InstanceType": "ml.t3.medium", "VolumeSizeInGB": 20}, 39.30),
        ("AWS::SageMaker::App", {"ResourceSpec": {"InstanceType": "ml.t3.medium"}}, 36.50),
        ("AWS::SecretsManager::Secret", {}, 0.40),
        # 0.395 USD an hour for each of two endpoints
        (
            "AWS::NetworkFirewall::Firewall",
            {"SubnetMappings": [{"SubnetId": "a"}, {"SubnetId": "b"}]},
            576.70,
        ),
        # 50 GB at 0.112 USD
        (
            "AWS::SageMaker::Space",
            {"SpaceSettings": {"SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": 50}}}},
            5.60,
        ),
        # 20 MiB/s at 6 USD
        (
            "AWS::EFS::FileSystem",
            {"ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": 20},
            120.00,
        ),
        ("AWS::SSM::Parameter", {"Tier": "Advanced"}, 0.05),
        ("AWS::EC2::Volume", {"VolumeType": "gp3", "Size": 100}, 8.00),
        ("AWS::Redshift::Cluster", {"NodeType": "ra3.xlplus", "NumberOfNodes": 2}, 1585.56),
        # 0.10 USD a day, 730 / 24 days
        ("AWS::Budgets::BudgetsAction", {}, 3.0417),
    ],
)
def test_a_resource_costs_what_was_computed_by_hand(
    type: str, properties: dict[str, Any], monthly: float
) -> None:
    found = line(type, properties)
    assert found is not None
    assert found.monthly_usd == pytest.approx(monthly, abs=0.005)


def test_an_alarm_on_several_metrics_is_billed_for_each() -> None:
    metric = {"MetricStat": {"Period": 60}}
    found = line("AWS::CloudWatch::Alarm", {"Metrics": [metric, metric, {"Expression": "m1/m2"}]})
    assert found is not None
    assert found.monthly_usd == pytest.approx(0.20)


def test_an_alarm_on_a_band_is_billed_for_three() -> None:
    band = {"Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}
    found = line("AWS::CloudWatch::Alarm", {"Metrics": [{"MetricStat": {"Period": 300}}, band]})
    assert found is not None
    assert found.monthly_usd == pytest.approx(0.30)


def test_an_endpoint_costs_the_instances_of_its_variants() -> None:
    found = endpoint(
        {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 2}, {"InstanceType": "ml.m5.large"}
    )
    assert found is not None
    # 2 x 0.23 x 730 + 0.115 x 730
    assert found.monthly_usd == pytest.approx(335.80 + 83.95)
    assert found.what == "2 x sagemaker.ml.m5.xlarge + 1 x sagemaker.ml.m5.large"


def test_instances_of_components_cost_the_fewest_of_them_and_are_unknown_where_that_is_none() -> None:
    def shared(fewest: int) -> Line | None:
        scaling = {"Status": "ENABLED", "MinInstanceCount": fewest, "MaxInstanceCount": 9}
        return endpoint(
            {"InstanceType": "ml.m5.large", "InitialInstanceCount": 4, "ManagedInstanceScaling": scaling}
        )

    one, two, none = shared(1), shared(2), shared(0)
    assert one is not None and two is not None and none is not None
    assert one.monthly_usd is not None and two.monthly_usd == pytest.approx(2 * one.monthly_usd)
    assert none.monthly_usd is None and "copies of its components" in none.what


@pytest.mark.parametrize(("fewest", "monthly"), [(0, None), (2, 2 * 83.95)])
def test_an_asynchronous_endpoint_costs_the_fewest_instances_of_its_queue(
    fewest: int, monthly: float | None
) -> None:
    variant = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 3}
    config = {"ProductionVariants": [variant], "AsyncInferenceConfig": {"OutputConfig": {}}}
    resource = {"Fn::Join": ["", ["endpoint/", {"Fn::GetAtt": ["E", "EndpointName"]}, "/variant/main"]]}
    others = {
        "C": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": config},
        "T": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {"ResourceId": resource, "MinCapacity": fewest, "MaxCapacity": 4},
        },
    }
    name = {"EndpointConfigName": {"Fn::GetAtt": ["C", "EndpointConfigName"]}}
    found = line("AWS::SageMaker::Endpoint", name, others=others)
    assert (found is None) if monthly is None else (found is not None and found.monthly_usd == monthly)


def test_a_serverless_endpoint_costs_nothing_at_rest() -> None:
    assert endpoint({"ServerlessConfig": {"MemorySizeInMB": 2048}}) is None


def test_provisioned_concurrency_costs_the_memory_of_its_function() -> None:
    alias = {
        "FunctionName": {"Ref": "F"},
        "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 3},
    }
    found = line("AWS::Lambda::Alias", alias, others={"F": FUNCTION})
    assert found is not None
    # 3 x 2 GB x 730 x 3600 s x 0.0000033334 USD
    assert found.monthly_usd == pytest.approx(52.56, abs=0.01)
    assert line("AWS::Lambda::Alias", {"FunctionName": {"Ref": "F"}}, others={"F": FUNCTION}) is None


@pytest.mark.parametrize(
    ("type", "properties"),
    [
        ("AWS::S3::Bucket", {}),
        ("AWS::Lambda::Function", {"MemorySize": 10240}),
        ("AWS::EC2::VPCEndpoint", {"RouteTableIds": ["a"]}),
        ("AWS::SageMaker::Domain", {}),
        ("AWS::SageMaker::FeatureGroup", {"OnlineStoreConfig": {"EnableOnlineStore": True}}),
        ("AWS::EFS::FileSystem", {}),
        ("AWS::DynamoDB::Table", {"BillingMode": "PAY_PER_REQUEST"}),
        ("AWS::RedshiftServerless::Workgroup", {}),
        ("Custom::S3AutoDeleteObjects", {}),
        ("AWS::CDK::Metadata", {}),
        ("AWS::SSM::Parameter", {}),
        ("AWS::AccessAnalyzer::Analyzer", {"Type": "ACCOUNT"}),
    ],
)
def test_what_is_billed_by_use_is_not_listed(type: str, properties: dict[str, Any]) -> None:
    assert line(type, properties) is None


@pytest.mark.parametrize(
    ("type", "properties", "reason"),
    [
        ("AWS::MSK::Cluster", {}, "by its brokers and their storage"),
        ("Custom::Anything", {}, "not in the list of types"),
        ("AWS::Nobody::Knows", {}, "not in the list of types"),
        ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface", "SubnetIds": {"Ref": "S"}}, "subnets"),
        ("AWS::Kinesis::Stream", {"ShardCount": {"Ref": "Shards"}}, "number of shards"),
        (
            "AWS::SageMaker::Endpoint",
            {"EndpointConfigName": "other"},
            "EndpointConfig is not in this template",
        ),
        (
            "AWS::SageMaker::NotebookInstance",
            {"InstanceType": "ml.x9.huge"},
            "no price for sagemaker.ml.x9.huge",
        ),
        ("AWS::DynamoDB::Table", {}, "provisioned throughput"),
        ("AWS::FSx::FileSystem", {"FileSystemType": "ONTAP"}, "of type ONTAP"),
        ("AWS::SSM::Parameter", {"Tier": "Intelligent-Tiering"}, "if its value is large"),
        ("AWS::SageMaker::Space", {"SpaceSettings": {"AppType": "JupyterLab"}}, "domain's default size"),
        ("AWS::NetworkFirewall::Firewall", {"SubnetMappings": {"Ref": "S"}}, "endpoints"),
        ("AWS::AccessAnalyzer::Analyzer", {"Type": "ACCOUNT_UNUSED_ACCESS"}, "number of roles"),
    ],
)
def test_what_has_no_known_price_is_unknown_and_never_nothing(
    type: str, properties: dict[str, Any], reason: str
) -> None:
    found = line(type, properties)
    assert found is not None
    assert found.monthly_usd is None
    assert reason in found.what


def test_a_parameter_with_a_default_is_known() -> None:
    found = line(
        "AWS::Kinesis::Stream", {"ShardCount": {"Ref": "Shards"}}, Parameters={"Shards": {"Default": 2}}
    )
    assert found is not None
    assert found.monthly_usd == pytest.approx(21.90)


def test_every_classified_type_exists_and_is_classified_once() -> None:
    known = {name for name, _ in generate_taggable_types.schemas()} | {"AWS::CDK::Metadata"}
    listed = {
        f"AWS::{service}::{name}" for service, names in FREE.items() for name in names.split() if name != "*"
    }
    classified = [*listed, *UNKNOWN, *PRICED]
    assert sorted(set(classified) - known) == []
    assert len(classified) == len(set(classified))
    services = {service for service, names in FREE.items() if names == "*"}
    assert [name for name in [*UNKNOWN, *PRICED] if name.split("::")[1] in services] == []


# The whole list --------------------------------------------------


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people write: a lake, a VPC as CDK makes it, an endpoint on one instance."""
    folder = tmp_path_factory.mktemp("by-hand")
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    stack = cdk.Stack(app, "ByHand")
    key = kms.Key(stack, "Key")
    for zone in ("Raw", "Curated", "Features", "Models"):
        s3.Bucket(stack, zone, encryption=s3.BucketEncryption.KMS, encryption_key=key)
    ec2.Vpc(stack, "Network", max_azs=2)
    role = cdk.aws_iam.Role(stack, "Role", assumed_by=cdk.aws_iam.ServicePrincipal("sagemaker.amazonaws.com"))
    model = sagemaker.CfnModel(stack, "Model", execution_role_arn=role.role_arn)
    variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        model_name=model.attr_model_name,
        variant_name="all",
        instance_type="ml.m5.xlarge",
        initial_instance_count=1,
        initial_variant_weight=1,
    )
    config = sagemaker.CfnEndpointConfig(stack, "Config", production_variants=[variant])
    sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name)
    app.synth()
    return folder


def test_the_app_by_hand_costs_what_a_calculator_says(by_hand: Path) -> None:
    found = {entry.type: 0.0 for entry in at_rest.assembly_lines(by_hand)}
    for entry in at_rest.assembly_lines(by_hand):
        assert entry.monthly_usd is not None
        found[entry.type] += entry.monthly_usd
    assert found == pytest.approx(
        {
            "AWS::KMS::Key": 1.00,
            "AWS::EC2::NatGateway": 2 * 32.85,
            "AWS::EC2::EIP": 2 * 3.65,
            "AWS::SageMaker::Endpoint": 167.90,
        }
    )
    assert sum(found.values()) == pytest.approx(241.90)


def test_the_command_lists_the_stacks_with_their_sums(
    by_hand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["at-rest", str(by_hand)]) == 0
    printed = capsys.readouterr().out
    assert "ByHand: 241.90 USD a month" in printed
    assert "167.90  ByHand/Endpoint  (1 x sagemaker.ml.m5.xlarge)" in printed
    assert "Together: 241.90 USD a month at rest, 0 unknown." in printed
    assert "List prices of us-east-1, a snapshot of" in printed
    assert "Of this 1.00 for KMS keys; each of a key's first two rotations adds its price again." in printed


def test_the_command_can_answer_in_json(by_hand: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["at-rest", str(by_hand), "--json"]) == 0
    assert sum(entry["monthly_usd"] for entry in json.loads(capsys.readouterr().out)) == pytest.approx(241.90)


def test_a_folder_that_is_no_assembly_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["at-rest", str(tmp_path)]) == 1
    assert "is no cloud assembly" in capsys.readouterr().err


def test_the_synthesis_says_what_each_stack_costs(capsys: pytest.CaptureFixture[str]) -> None:
    app = support.app()
    CostReport(app)
    kms.Key(support.stack(app, "Keys"), "Key")
    cdk.aws_guardduty.CfnDetector(support.stack(app, "Odd"), "Detector", enable=True)
    app.synth()
    said = capsys.readouterr().err.splitlines()
    assert any(text.startswith("Keys costs 1.00 USD a month at rest (us-east-1, prices of") for text in said)
    assert any(
        "Odd costs 0.00 USD a month at rest, and unknown: AWS::GuardDuty::Detector" in text for text in said
    )


# Prices ----------------------------------------------------------


def test_each_price_says_where_and_when_it_was_read() -> None:
    document = json.loads(prices.DATA.read_text(encoding="utf-8"))
    assert document["currency"] == "USD"
    for name, entry in document["prices"].items():
        assert entry["usd"] > 0, name
        assert entry["per"] in ("hour", "day", "month"), name
        assert entry["source"], name
        assert entry["date"] <= document["date"], name
        assert ("usage" in entry) == ("service" in entry), name


class FakePricing:
    """The Price List API with one answer for each usage type."""

    def __init__(self, **products: list[dict[str, Any]]) -> None:
        self.products = products
        self.asked: list[tuple[str, str]] = []

    def get_paginator(self, name: str) -> FakePricing:
        assert name == "get_products"
        return self

    def paginate(self, *, ServiceCode: str, Filters: list[dict[str, str]]) -> list[dict[str, Any]]:  # noqa: N803
        values = {entry["Field"]: entry["Value"] for entry in Filters}
        self.asked.append((ServiceCode, values["regionCode"]))
        return [{"PriceList": [json.dumps(product) for product in self.products.get(ServiceCode, [])]}]


def product(usage: str, *steps: tuple[str, str]) -> dict[str, Any]:
    dimensions = {
        str(n): {"beginRange": begin, "pricePerUnit": {"USD": usd}} for n, (begin, usd) in enumerate(steps)
    }
    return {
        "product": {"attributes": {"usagetype": usage}},
        "terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}},
    }


TABLE = {
    "region": "us-east-1",
    "date": "2026-01-01",
    "prices": {
        "kms.key": {"usd": 1, "per": "month", "service": "awskms", "usage": "KMS-Keys", "date": "2026-01-01"},
        "odd": {"usd": 2, "per": "hour", "source": "a page", "date": "2025-01-01"},
    },
}


def test_a_renewal_takes_the_first_step_of_the_regions_usage_type() -> None:
    pricing = FakePricing(
        awskms=[
            product("EUC1-KMS-Keys", ("0", "1.25"), ("100", "1.00")),
            product("EUC1-KMS-Keys-Other", ("0", "9")),
            product("EUC1-Custom-KMS-Keys", ("0", "7")),
        ]
    )
    table, missing = prices.renewed(TABLE, pricing, region="eu-central-1", today="2026-11-24")
    assert pricing.asked == [("awskms", "eu-central-1")]
    assert table["prices"]["kms.key"]["usd"] == 1.25
    assert table["prices"]["kms.key"]["date"] == table["date"] == "2026-11-24"
    # A price of another region is not passed off as this one's.
    assert missing == ["odd"]
    assert "odd" not in table["prices"]


def test_a_renewal_keeps_what_the_price_list_does_not_answer_with_its_old_date() -> None:
    ambiguous = [product("KMS-Keys", ("0", "1")), product("X-KMS-Keys", ("0", "2"))]
    table, missing = prices.renewed(
        TABLE, FakePricing(awskms=ambiguous), region="us-east-1", today="2026-11-24"
    )
    assert missing == ["kms.key", "odd"]
    assert table["prices"]["kms.key"] == TABLE["prices"]["kms.key"]  # type: ignore[index]
