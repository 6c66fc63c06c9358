"""AddressPlan: what a range is divided into, and whether clusters fit."""

from __future__ import annotations

import gzip
import ipaddress
import json
from importlib import resources

import pytest

from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.hardware import InstanceUse, instance_types
from cdk_data_science.network import AddressPlan, Cluster, addresses_of


def check(plan: AddressPlan, *clusters: Cluster, zones: int = 2) -> None:
    problems = Problems("Plan")
    for cluster in clusters:
        cluster.check(problems)
    plan.check(problems, zones=zones, clusters=clusters)
    problems.raise_if_any()


@pytest.mark.parametrize("plan", [AddressPlan(), AddressPlan(cidr="172.16.0.0/22", zone_blocks=4)])
def test_no_subnet_overlaps_another_and_all_are_in_the_range(plan: AddressPlan) -> None:
    subnets = [
        ipaddress.IPv4Network(subnet(zone))
        for zone in range(plan.zone_blocks)
        for subnet in (plan.jobs, plan.services, plan.public)
    ]
    assert all(subnet.subnet_of(ipaddress.IPv4Network(plan.cidr)) for subnet in subnets)
    for number, one in enumerate(subnets):
        assert not [other for other in subnets[number + 1 :] if one.overlaps(other)]


def test_the_default_range_holds_1637_instances_of_p4d_in_a_zone() -> None:
    assert AddressPlan().addresses_for_jobs == 8187
    check(AddressPlan(), Cluster(instance_type="ml.p4d.24xlarge", instances=1637))
    with pytest.raises(ConfigurationError, match=r"1638 ml\.p4d\.24xlarge, which take 8190 addresses"):
        check(AddressPlan(), Cluster(instance_type="ml.p4d.24xlarge", instances=1638))


def test_clusters_of_one_zone_are_added_up() -> None:
    small = AddressPlan(cidr="10.0.0.0/22")
    fits = Cluster(instance_type="ml.p4d.24xlarge", instances=20)
    check(small, fits)
    with pytest.raises(ConfigurationError, match="take 165 addresses in one zone"):
        check(small, fits, Cluster(instance_type="ml.p4d.24xlarge", instances=13))


@pytest.mark.parametrize(
    ("instance_type", "addresses"),
    [("ml.m5.xlarge", 2), ("ml.p4d.24xlarge", 5), ("ml.p5.48xlarge", 33), ("ml.trn1.32xlarge", 9)],
)
def test_an_instance_takes_an_address_for_each_network_card_and_one_more(
    instance_type: str, addresses: int
) -> None:
    assert addresses_of(instance_type) == addresses


def test_every_type_with_several_network_cards_is_known() -> None:
    """What EC2 says about its types, as moto recorded it, for those that SageMaker trains on."""
    file = resources.files("moto.ec2.resources") / "instance_types.json.gz"
    types = json.loads(gzip.decompress(file.read_bytes()))
    several = {
        f"ml.{name}": facts["NetworkInfo"]["MaximumNetworkCards"]
        for name, facts in types.items()
        if facts["NetworkInfo"]["MaximumNetworkCards"] > 1
        and facts["NetworkInfo"].get("EfaSupported")
        and f"ml.{name}" in instance_types(InstanceUse.TRAINING)
    }
    assert several
    assert {name: addresses_of(name) for name in several} == {
        name: max(5, cards + 1) for name, cards in several.items()
    }


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (AddressPlan(cidr="10.0.0.0/23"), "/16 .* to /22"),
        (AddressPlan(cidr="10.0.0.0/15"), "/16 .* to /22"),
        (AddressPlan(cidr="8.8.0.0/16"), "a private range"),
        (AddressPlan(cidr="10.0.0.1/16"), "an IPv4 range"),
        (AddressPlan(zone_blocks=3), "1, 2, 4 or 8"),
        (AddressPlan(zone_blocks=1), "no more zones than blocks; write: zone_blocks=2"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(plan: AddressPlan, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        check(plan)


def test_a_cluster_of_nothing_or_of_no_known_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 problems") as failure:
        check(AddressPlan(), Cluster(instance_type="ml.p4d.24xlarg", instances=0))
    assert "such as ml.p4d.24xlarge" in str(failure.value)
