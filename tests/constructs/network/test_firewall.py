"""FirewallEgress: what leaves goes past a firewall that knows the names, in both directions."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.cost import prices
from cdk_data_science.network import FirewallEgress, ResearchNetwork, _endpoints
from tests.constructs import nag, support

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
DOMAINS = ["files.pythonhosted.org", "pypi.org", ".example.com"]
Routes = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """Three zones with two ways out: the first and the third zone share one."""
    stack = support.stack(env=support.environment())
    network = ResearchNetwork(
        stack, "Network", zones=ZONES, egress=FirewallEgress(domains=DOMAINS, gateways=2)
    )
    assert network.firewall_log_group is not None
    return stack


def routes(stack: cdk.Stack) -> Routes:
    """Where each route table leads, by the table's name and the range: ``{table: {range: target}}``."""
    tables = support.resources(stack, "AWS::EC2::RouteTable")
    found: Routes = {}
    for route in support.resources(stack, "AWS::EC2::Route").values():
        properties = route["Properties"]
        tags = tables[properties["RouteTableId"]["Ref"]]["Properties"]["Tags"]
        table = next(tag["Value"] for tag in tags if tag["Key"] == "Name").rpartition("/")[2]
        target = properties.get("GatewayId") or properties.get("NatGatewayId")
        name = target["Ref"] if target is not None else _firewall(properties["VpcEndpointId"])
        found.setdefault(table, {})[properties["DestinationCidrBlock"]] = name.removeprefix("NetworkVpc")[:-8]
    return found


def _firewall(endpoint: dict[str, Any]) -> str:
    """The firewall whose endpoint a route names: the part behind the zone of its first endpoint."""
    number, split = endpoint["Fn::Select"]
    separator, one = split["Fn::Split"]
    first, ids = one["Fn::Select"]
    assert (number, separator, first, ids["Fn::GetAtt"][1]) == (1, ":", 0, "EndpointIds")
    return str(ids["Fn::GetAtt"][0])


def test_nothing_leaves_but_past_a_firewall_and_answers_come_back_through_the_same_one(
    stack: cdk.Stack,
) -> None:
    one, two = "FirewallsFirewall1", "FirewallsFirewall2"
    jobs, services = (
        ["10.0.0.0/19", "10.0.64.0/19", "10.0.128.0/19"],
        [
            "10.0.32.0/26",
            "10.0.96.0/26",
            "10.0.160.0/26",
        ],
    )
    assert routes(stack) == {
        "Private1": {"0.0.0.0/0": one},
        "Private2": {"0.0.0.0/0": two},
        "Private3": {"0.0.0.0/0": one},
        "FirewallZone1": {"0.0.0.0/0": "NatGateway1"},
        "FirewallZone2": {"0.0.0.0/0": "NatGateway2"},
        "PublicZone1": {
            "0.0.0.0/0": "InternetGateway",
            **dict.fromkeys((jobs[0], services[0], jobs[2], services[2]), one),
        },
        "PublicZone2": {"0.0.0.0/0": "InternetGateway", jobs[1]: two, services[1]: two},
    }


def test_each_firewall_is_alone_in_its_subnet_and_zone(stack: cdk.Stack) -> None:
    subnets = support.resources(stack, "AWS::EC2::Subnet")
    places = [
        subnets[mapping["SubnetId"]["Ref"]]["Properties"]
        for found in support.resources(stack, "AWS::NetworkFirewall::Firewall").values()
        for mapping in found["Properties"]["SubnetMappings"]
    ]
    assert [(place["AvailabilityZone"], place["CidrBlock"]) for place in places] == [
        ("eu-west-1a", "10.0.32.80/28"),
        ("eu-west-1b", "10.0.96.80/28"),
    ]
    every = [subnet["Properties"]["CidrBlock"] for subnet in subnets.values()]
    assert len(every) == len(set(every)) == 3 + 3 + 3 + 2


def test_only_tls_to_the_named_hosts_passes(stack: cdk.Stack) -> None:
    group = support.only(support.resources(stack, "AWS::NetworkFirewall::RuleGroup"))["Properties"]
    assert group["RuleGroup"]["RulesSource"] == {
        "RulesSourceList": {
            "GeneratedRulesType": "ALLOWLIST",
            "TargetTypes": ["TLS_SNI"],
            "Targets": DOMAINS,
        }
    }
    policy = support.only(support.resources(stack, "AWS::NetworkFirewall::FirewallPolicy"))["Properties"]
    rules = policy["FirewallPolicy"]
    # The name is read from an established connection: a handshake has to get through, and nothing after it.
    assert rules["StatefulDefaultActions"] == ["aws:drop_established", "aws:alert_established"]
    assert rules["StatelessDefaultActions"] == ["aws:forward_to_sfe"]
    assert rules["StatelessFragmentDefaultActions"] == ["aws:forward_to_sfe"]
    # AND the order of the group is that of the policy, or Network Firewall refuses it
    orders = {
        rules["StatefulEngineOptions"]["RuleOrder"],
        group["RuleGroup"]["StatefulRuleOptions"]["RuleOrder"],
    }
    assert orders == {"STRICT_ORDER"}


def test_what_was_dropped_is_recorded_encrypted(stack: cdk.Stack) -> None:
    logged = [
        found["Properties"]["LoggingConfiguration"]["LogDestinationConfigs"]
        for found in support.resources(stack, "AWS::NetworkFirewall::LoggingConfiguration").values()
    ]
    assert len(logged) == 2
    groups = support.resources(stack, "AWS::Logs::LogGroup")
    for (destination,) in logged:
        assert (destination["LogType"], destination["LogDestinationType"]) == ("ALERT", "CloudWatchLogs")
        group = groups[destination["LogDestination"]["logGroup"]["Ref"]]["Properties"]
        assert "KmsKeyId" in group


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"domains": []}, "a list of 1 to 500 names"),
        ({"domains": "pypi.org"}, "a list of 1 to 500 names"),
        ({"domains": ["https://pypi.org"]}, "without scheme"),
        ({"domains": ["*.example.com"]}, '".example.com"'),
        ({"domains": ["PyPI.org"]}, "in lower case"),
        ({"domains": ["pypi.org", "pypi.org"]}, "each of them once"),
        ({"domains": [f"h{n}.example.com" for n in range(501)]}, "501 domains"),
        ({"domains": DOMAINS, "gateways": 4}, "1 to 3, the number of zones"),
    ],
)
def test_what_no_firewall_could_do_is_refused(options: dict[str, Any], told: str) -> None:
    stack = support.stack(env=support.environment())
    with pytest.raises(ConfigurationError) as failure:
        ResearchNetwork(stack, "Network", zones=ZONES, egress=FirewallEgress(**options))
    assert told in str(failure.value)
    assert stack.node.find_child("Network").node.children == []


def test_ipv6_would_go_past_the_firewall_and_is_refused() -> None:
    stack = support.stack(env=support.environment())
    with pytest.raises(ConfigurationError, match="lead past the firewall"):
        ResearchNetwork(stack, "Network", zones=ZONES, egress=FirewallEgress(domains=DOMAINS), ipv6=True)


def test_each_firewall_and_its_nat_gateway_cost_by_the_hour(stack: cdk.Stack) -> None:
    network = stack.node.find_child("Network")
    assert isinstance(network, ResearchNetwork)
    assert network.hourly_usd == pytest.approx(2 * (0.395 + 0.045))


def test_the_prices_of_a_network_are_those_of_the_table() -> None:
    for name, usd in (
        ("vpc.interface-endpoint-zone", _endpoints.INTERFACE_ENDPOINT_USD),
        ("vpc.nat-gateway", _endpoints.NAT_GATEWAY_USD),
        ("vpc.network-firewall-endpoint", _endpoints.FIREWALL_USD),
    ):
        assert prices.load().get(name) == prices.Price(usd=usd, per="hour")


def test_no_rule_pack_finds_anything() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    ResearchNetwork(stack, "Network", zones=ZONES[:1], egress=FirewallEgress(domains=DOMAINS))
    assert nag.unacknowledged(app) == []
    # AND names that CloudFormation requires are within what Network Firewall takes
    names = [
        value
        for found in support.resources(stack).values()
        for key, value in found.get("Properties", {}).items()
        if key in ("FirewallName", "FirewallPolicyName", "RuleGroupName")
    ]
    assert len(names) == len(set(names)) == 3
    assert all(len(name) <= 128 and name.replace("-", "").isalnum() for name in names), json.dumps(names)
