"""ResearchNetwork: no way to the internet unless asked for, endpoints for what is needed, for our account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2

from cdk_data_science import ConfigurationError
from cdk_data_science.network import (
    AddressPlan,
    Cluster,
    ExistingVpc,
    FlowLogs,
    NatEgress,
    NetworkFeature,
    PrefixLists,
    ResearchNetwork,
    interface_endpoints,
)
from tests.constructs import nag, support

ZONES = ["eu-west-1a", "eu-west-1b"]
Made = tuple[ResearchNetwork, cdk.Stack]
FEATURES = [NetworkFeature.CONTAINERS, NetworkFeature.JUMPSTART, NetworkFeature.SAGEMAKER_API]


@pytest.fixture(scope="module")
def plain() -> Made:
    """A network with no options, in a known account."""
    stack = support.stack(env=support.environment())
    return ResearchNetwork(stack, "Network", zones=ZONES), stack


@pytest.fixture(scope="module")
def full() -> Made:
    """A network with every option."""
    stack = support.stack(env=support.environment())
    network = ResearchNetwork(
        stack,
        "Network",
        zones=ZONES,
        features=FEATURES,
        egress=NatEgress(gateways=1),
        ipv6=True,
        clients=["10.200.0.0/16"],
        trusted_accounts=["444455556666"],
        flow_logs=FlowLogs(traffic="REJECT", aggregation_seconds=60),
    )
    return network, stack


def properties(stack: cdk.Stack, kind: str) -> list[dict[str, Any]]:
    return [found["Properties"] for found in support.resources(stack, f"AWS::EC2::{kind}").values()]


def endpoint(stack: cdk.Stack, service: str) -> dict[str, Any]:
    name = "".join(part.capitalize() for part in service.split("."))
    endpoints = support.resources(stack, "AWS::EC2::VPCEndpoint")
    return support.only(
        {key: found for key, found in endpoints.items() if key[:-8] == f"NetworkEndpoints{name}"}
    )["Properties"]


def statements(stack: cdk.Stack, service: str) -> dict[str, dict[str, Any]]:
    return {each["Sid"]: each for each in endpoint(stack, service)["PolicyDocument"]["Statement"]}


def rules(stack: cdk.Stack, group: str) -> list[tuple[str, str, str, int | None, int | None]]:
    """Direction, peer, protocol and ports of the rules of a group between groups."""
    found = []
    for direction, peer in (("Ingress", "SourceSecurityGroupId"), ("Egress", "DestinationSecurityGroupId")):
        for rule in properties(stack, f"SecurityGroup{direction}"):
            if f"NetworkGroups{group}" in json.dumps(rule["GroupId"]) and peer in rule:
                other = rule[peer]["Fn::GetAtt"][0].removeprefix("NetworkGroups")[:-8]
                ports = (rule.get("FromPort"), rule.get("ToPort"))
                found.append((direction, other, rule["IpProtocol"], *ports))
    return sorted(found, key=str)


def test_there_is_no_way_to_the_internet(plain: Made) -> None:
    types = {found["Type"] for found in support.resources(plain[1]).values()}
    ways_out = {"InternetGateway", "NatGateway", "Route", "EgressOnlyInternetGateway", "EIP"}
    assert types.isdisjoint(f"AWS::EC2::{way}" for way in ways_out)
    assert all(subnet["MapPublicIpOnLaunch"] is False for subnet in properties(plain[1], "Subnet"))


def test_each_zone_has_a_subnet_for_jobs_and_one_for_services(
    plain: Made,
) -> None:
    found = [(subnet["AvailabilityZone"], subnet["CidrBlock"]) for subnet in properties(plain[1], "Subnet")]
    assert sorted(found) == [
        ("eu-west-1a", "10.0.0.0/19"),
        ("eu-west-1a", "10.0.32.0/26"),
        ("eu-west-1b", "10.0.64.0/19"),
        ("eu-west-1b", "10.0.96.0/26"),
    ]


def test_a_zone_can_be_added_and_moves_no_subnet(plain: Made) -> None:
    stack = support.stack(env=support.environment())
    ResearchNetwork(stack, "Network", zones=[*ZONES, "eu-west-1c"])
    before = support.resources(plain[1], "AWS::EC2::Subnet")
    after = support.resources(stack, "AWS::EC2::Subnet")
    assert {key: after[key] for key in before} == before


def test_the_account_is_not_asked_for_its_zones(plain: Made) -> None:
    support.synth(plain[1])
    app = plain[1].node.root
    assert isinstance(app, cdk.App)
    assert "missing" not in json.loads((Path(app.outdir) / "manifest.json").read_text(encoding="utf-8"))


def test_without_features_only_the_free_endpoints_are_made(plain: Made) -> None:
    network, stack = plain
    assert {found["VpcEndpointType"] for found in properties(stack, "VPCEndpoint")} == {"Gateway"}
    assert set(network.gateway_endpoints) == {"s3", "dynamodb"}
    assert network.hourly_usd == 0


def test_gateway_endpoints_serve_every_private_subnet(plain: Made) -> None:
    stack = plain[1]
    routed = {
        json.dumps(association["RouteTableId"])
        for association in properties(stack, "SubnetRouteTableAssociation")
    }
    for service in ("s3", "dynamodb"):
        assert {json.dumps(table) for table in endpoint(stack, service)["RouteTableIds"]} == routed


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([], []),
        ([NetworkFeature.JUMPSTART], []),
        ([NetworkFeature.STUDIO], ["logs", "sagemaker.api", "sagemaker.runtime", "sts"]),
        ([NetworkFeature.MLFLOW, NetworkFeature.SAGEMAKER_API], ["experiments", "sagemaker.api"]),
    ],
)
def test_features_bring_their_endpoints_once_and_no_other(
    features: list[NetworkFeature], expected: list[str]
) -> None:
    assert interface_endpoints(features) == expected


def test_every_feature_can_be_had() -> None:
    stack = support.stack(env=support.environment())
    network = ResearchNetwork(stack, "Network", zones=ZONES[:1], features=list(NetworkFeature))
    assert sorted(network.interface_endpoints) == interface_endpoints(NetworkFeature)
    for found in properties(stack, "VPCEndpoint"):
        (first, *_) = found["PolicyDocument"]["Statement"]
        assert first["Condition"]["StringEquals"]["aws:PrincipalAccount"] == [support.ACCOUNT]


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_gateways_let_our_principals_reach_our_resources(plain: Made, service: str) -> None:
    found = statements(plain[1], service)
    assert set(found) == {"OurPrincipalsToOurResources"}
    accounts = {"aws:PrincipalAccount": [support.ACCOUNT], "aws:ResourceAccount": [support.ACCOUNT]}
    assert found["OurPrincipalsToOurResources"]["Condition"] == {"StringEquals": accounts}


def test_image_layers_can_be_read_and_nothing_else_of_others(full: Made) -> None:
    found = statements(full[1], "s3")
    layers = found["ImageLayersOfEcr"]
    assert layers["Action"] == "s3:GetObject"
    assert "prod-eu-west-1-starport-layer-bucket/*" in json.dumps(layers["Resource"])
    assert list(layers["Condition"]["StringEquals"]) == ["aws:SourceVpc"]
    models = found["ModelsOfJumpStart"]
    assert set(models["Action"]) == {"s3:GetObject", "s3:ListBucket"}
    assert "jumpstart-cache-prod-eu-west-1" in json.dumps(models["Resource"])


def test_images_of_other_accounts_can_be_pulled_and_not_pushed(
    full: Made,
) -> None:
    found = statements(full[1], "ecr.api")
    assert set(found) == {"OurPrincipalsToOurResources", "ImagesOfOthers"}
    others = found["ImagesOfOthers"]
    assert not [action for action in others["Action"] if "Put" in action or "Upload" in action]
    assert set(statements(full[1], "sagemaker.api")) == {"OurPrincipalsToOurResources"}


def test_trusted_accounts_are_on_both_sides(full: Made) -> None:
    conditions = statements(full[1], "sagemaker.api")["OurPrincipalsToOurResources"]["Condition"]
    both = [support.ACCOUNT, "444455556666"]
    assert conditions["StringEquals"]["aws:PrincipalAccount"] == both
    assert conditions["StringEqualsIfExists"]["aws:ResourceAccount"] == both


def test_interface_endpoints_are_in_the_small_subnets_under_their_private_names(
    full: Made,
) -> None:
    found = endpoint(full[1], "sagemaker.api")
    assert "VpcServiceseuwest1a" in json.dumps(found["SubnetIds"])
    assert "VpcJobs" not in json.dumps(found["SubnetIds"])
    assert found["PrivateDnsEnabled"] is True


def test_instances_of_a_job_have_all_traffic_among_themselves_both_ways(
    plain: Made,
) -> None:
    assert rules(plain[1], "Cluster") == [
        ("Egress", "Cluster", "-1", None, None),
        ("Ingress", "Cluster", "-1", None, None),
    ]


def test_lustre_is_open_on_both_of_its_port_ranges_to_itself_and_to_clients(
    plain: Made,
) -> None:
    expected = sorted(
        (
            (direction, peer, "tcp", *ports)
            for direction in ("Ingress", "Egress")
            for peer in ("Lustre", "Workload")
            for ports in ((988, 988), (1018, 1023))
        ),
        key=str,
    )
    assert rules(plain[1], "Lustre") == expected


@pytest.mark.parametrize("group", ["Cluster", "Lustre", "Endpoints"])
def test_a_group_lets_nothing_out_but_its_rules(plain: Made, group: str) -> None:
    """Without a rule of its own, EC2 would let everything out."""
    (found,) = [
        resource["Properties"]
        for key, resource in support.resources(plain[1], "AWS::EC2::SecurityGroup").items()
        if key.startswith(f"NetworkGroups{group}")
    ]
    assert {rule["CidrIp"] for rule in found["SecurityGroupEgress"]} <= {"127.0.0.1/32", "255.255.255.255/32"}
    assert found["SecurityGroupEgress"]


def test_with_prefix_lists_workloads_reach_these_services_alone() -> None:
    stack = support.stack(env=support.environment())
    lists = PrefixLists(s3="pl-6da54004", dynamodb="pl-6fa54006")
    ResearchNetwork(stack, "Network", zones=ZONES, prefix_lists=lists)
    text = json.dumps(support.resources(stack, "AWS::EC2::SecurityGroup"))
    text += json.dumps(support.resources(stack, "AWS::EC2::SecurityGroupEgress"))
    assert "pl-6da54004" in text
    assert "0.0.0.0/0" not in text


def test_clients_are_a_prefix_list_that_may_use_the_endpoints(
    full: Made,
) -> None:
    (clients,) = properties(full[1], "PrefixList")
    assert clients["Entries"] == [{"Cidr": "10.200.0.0/16"}]
    (rule,) = [rule for rule in properties(full[1], "SecurityGroupIngress") if "SourcePrefixListId" in rule]
    assert "Endpoints" in json.dumps(rule["GroupId"])
    assert (rule["FromPort"], rule["ToPort"]) == (443, 443)


def test_traffic_is_recorded_encrypted_for_a_year(plain: Made) -> None:
    (flow_log,) = properties(plain[1], "FlowLog")
    assert (flow_log["TrafficType"], flow_log["ResourceType"]) == ("ALL", "VPC")
    group = support.resources(plain[1], "AWS::Logs::LogGroup")[flow_log["LogGroupName"]["Ref"]]["Properties"]
    assert group["RetentionInDays"] == 365
    assert "KmsKeyId" in group


def test_the_recorders_role_is_for_flow_logs_of_this_account(
    plain: Made,
) -> None:
    roles = support.resources(plain[1], "AWS::IAM::Role")
    (trust,) = [
        role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
        for role in roles.values()
        if "vpc-flow-logs" in json.dumps(role)
    ]
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": support.ACCOUNT}
    assert "vpc-flow-log/*" in json.dumps(trust["Condition"]["ArnLike"])


def test_the_default_group_loses_both_of_its_rules(full: Made) -> None:
    calls = json.dumps(support.resources(full[1], "Custom::ClosedDefaultSecurityGroup"))
    assert "revokeSecurityGroupIngress" in calls
    assert "revokeSecurityGroupEgress" in calls
    assert "::/0" in calls


def test_without_its_function_the_default_group_is_left_to_its_owner() -> None:
    stack = support.stack(env=support.environment())
    network = ResearchNetwork(stack, "Network", zones=ZONES, close_default_group=False, flow_logs=None)
    assert support.resources(stack, "AWS::Lambda::Function") == {}
    assert support.resources(stack, "AWS::KMS::Key") == {}
    assert network.key is None
    assert network.flow_log_group is None


def test_egress_goes_through_the_nat_gateways_that_were_asked_for(
    full: Made,
) -> None:
    network, stack = full
    assert len(properties(stack, "NatGateway")) == 1
    ways = [route for route in properties(stack, "Route") if "NatGatewayId" in route]
    assert len(ways) == len(ZONES)
    # three interface endpoints in two zones, and one NAT gateway
    assert network.hourly_usd == pytest.approx(3 * 2 * 0.01 + 0.045)


def test_ipv6_goes_out_and_nothing_comes_in(full: Made) -> None:
    stack = full[1]
    routes = [route for route in properties(stack, "Route") if "DestinationIpv6CidrBlock" in route]
    assert {next(iter(set(route) & {"GatewayId", "EgressOnlyInternetGatewayId"})) for route in routes} == {
        "EgressOnlyInternetGatewayId"
    }
    ranges = [
        json.dumps(subnet["Ipv6CidrBlock"])
        for subnet in properties(stack, "Subnet")
        if "Ipv6CidrBlock" in subnet
    ]
    assert len(ranges) == len(set(ranges)) == 4


def test_jobs_and_functions_can_be_put_into_it(plain: Made) -> None:
    network, _ = plain
    jobs = network.vpc.select_subnets(subnet_group_name=network.jobs.subnet_group_name)
    services = network.vpc.select_subnets(subnet_group_name=network.services.subnet_group_name)
    assert jobs.availability_zones == ZONES
    assert set(jobs.subnet_ids).isdisjoint(services.subnet_ids)
    assert jobs.has_public is False


def test_all_mistakes_are_told_at_once() -> None:
    stack = support.stack(env=support.environment())
    with pytest.raises(ConfigurationError) as failure:
        ResearchNetwork(
            stack,
            "Network",
            zones=["us-east-1a", "us-east-1a"],
            addresses=AddressPlan(cidr="10.0.0.0/22"),
            clusters=[Cluster(instance_type="ml.p4d.24xlarge", instances=500)],
            egress=NatEgress(gateways=3),
            clients=["0.0.0.0/0", "my office"],
            trusted_accounts=["1234"],
        )
    told = str(failure.value)
    assert "7 problems" in told
    for part in (
        "zones of eu-west-1",
        "each of them once",
        "2500 addresses",
        "1 to 2",
        "'my office'",
        "12 digits",
    ):
        assert part in told
    assert stack.node.find_child("Network").node.children == []


@pytest.mark.parametrize("options", [{}, {"egress": NatEgress(), "ipv6": True, "features": FEATURES}])
def test_no_rule_pack_finds_anything(options: dict[str, Any]) -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    ResearchNetwork(stack, "Network", zones=ZONES, clients=["10.200.0.0/16"], **options)
    assert nag.unacknowledged(app) == []


def existing(stack: cdk.Stack, **facts: Any) -> ExistingVpc:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Existing",
        vpc_id="vpc-0123456789abcdef0",
        vpc_cidr_block="10.20.0.0/16",
        availability_zones=ZONES,
        isolated_subnet_ids=["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"],
        isolated_subnet_route_table_ids=["rtb-0aaaaaaaaaaaaaaaa", "rtb-0bbbbbbbbbbbbbbbb"],
    )
    jobs = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    return ExistingVpc(vpc=vpc, jobs=jobs, **facts)


def test_an_existing_vpc_that_lacks_something_is_refused_with_all_that_it_lacks() -> None:
    stack = support.stack(env=support.environment())
    with pytest.raises(ConfigurationError, match="3 problems") as failure:
        ResearchNetwork.from_existing(
            stack,
            "Network",
            existing=existing(stack, endpoints=["sts"], dns=False, addresses_for_jobs=100),
            features=[NetworkFeature.STUDIO],
            clusters=[Cluster(instance_type="ml.p4d.24xlarge", instances=32)],
        )
    assert "s3, logs, sagemaker.api, sagemaker.runtime too" in str(failure.value)


def test_a_way_out_replaces_interface_endpoints_and_not_that_of_s3() -> None:
    stack = support.stack(env=support.environment())
    with pytest.raises(ConfigurationError, match="a VPC with s3 too"):
        ResearchNetwork.from_existing(
            stack, "Network", existing=existing(stack, internet=True), features=[NetworkFeature.STUDIO]
        )


def test_what_an_existing_vpc_lacks_is_added_if_asked_for() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    network = ResearchNetwork.from_existing(
        stack,
        "Network",
        existing=existing(stack, endpoints=["s3", "sts"], flow_logs=True),
        features=[NetworkFeature.STUDIO],
        add_missing_endpoints=True,
    )
    assert sorted(network.interface_endpoints) == ["logs", "sagemaker.api", "sagemaker.runtime"]
    assert network.gateway_endpoints == {}
    assert network.flow_log_group is None
    assert network.hourly_usd == pytest.approx(0.06)
    assert nag.unacknowledged(app) == []


def test_a_sufficient_existing_vpc_gets_groups_and_flow_logs_alone() -> None:
    stack = support.stack(env=support.environment())
    ResearchNetwork.from_existing(stack, "Network", existing=existing(stack, endpoints=["s3"]))
    types = {found["Type"] for found in support.resources(stack).values()}
    assert "AWS::EC2::FlowLog" in types
    assert "AWS::EC2::SecurityGroup" in types
    assert types.isdisjoint({"AWS::EC2::VPCEndpoint", "AWS::EC2::VPC", "AWS::EC2::Subnet"})
