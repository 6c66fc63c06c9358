"""How a VPC's addresses are divided, and how many a cluster of training instances takes."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse, instance_types, similar_types

_RESERVED_BY_AWS = 5
"""AWS keeps the first four addresses and the last one of every subnet."""

# SageMaker asks for two addresses an instance, and for at least five where it uses an Elastic Fabric Adapter:
# on P4d that is one for each of the four network cards, and one more. More cards are counted likewise.
# Types with one card are taken for instances without EFA, except P3dn, which is made for it.
_WITHOUT_EFA = 2
_WITH_EFA = 5
_NETWORK_CARDS = {
    "ml.p3dn.24xlarge": 1,
    "ml.p4d.24xlarge": 4,
    "ml.p4de.24xlarge": 4,
    "ml.p5.48xlarge": 32,
    "ml.p5e.48xlarge": 32,
    "ml.p5en.48xlarge": 16,
    "ml.p6-b200.48xlarge": 8,
    "ml.p6-b300.48xlarge": 17,
    "ml.g6e.24xlarge": 2,
    "ml.g6e.48xlarge": 4,
    "ml.g7.48xlarge": 2,
    "ml.g7e.24xlarge": 2,
    "ml.g7e.48xlarge": 4,
    "ml.trn1.32xlarge": 8,
    "ml.trn1n.32xlarge": 16,
    "ml.trn2.48xlarge": 16,
}


def addresses_of(instance_type: str) -> int:
    """How many private addresses one instance of a training job takes in a subnet.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html.
    """
    cards = _NETWORK_CARDS.get(instance_type)
    return _WITHOUT_EFA if cards is None else max(_WITH_EFA, cards + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Instances of one training job, which are in one zone and so in one subnet."""

    instance_type: str
    """A type of SageMaker's training API, for example ``ml.p4d.24xlarge``."""

    instances: int
    """How many at the same time, 1 or more."""

    @property
    def addresses(self) -> int:
        """The private addresses that it takes."""
        return self.instances * addresses_of(self.instance_type)

    def check(self, problems: Problems) -> None:
        """Record what cannot work in this cluster."""
        if not is_token(self.instance_type):
            near = ", ".join(similar_types(self.instance_type, InstanceUse.TRAINING))
            problems.check(
                self.instance_type in instance_types(InstanceUse.TRAINING),
                given=f"a cluster of {self.instance_type!r}",
                allowed="types of SageMaker's training API" + (f", such as {near}" if near else ""),
            )
        problems.check(
            is_token(self.instances) or self.instances >= 1,
            given=f"a cluster of {self.instances} instances",
            allowed="1 or more",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressPlan:
    """The addresses of a VPC: one equal block for each zone, half of it for jobs.

    The other half of a zone's block begins with the subnet of services (interface endpoints, functions) and,
    with egress, those of the NAT gateway and the firewall; what follows is free for later. Blocks that no
    zone has yet stay free, so that a zone can be added without moving another one.
    """

    cidr: str = "10.0.0.0/16"
    """The VPC's private range, /16 to /22. Default: 10.0.0.0/16, 8,187 addresses for jobs in each of four
    zones: 1,637 instances of P4d."""

    zone_blocks: int = 4
    """Zones that the range has room for: 1, 2, 4 or 8. Default: 4."""

    def check(self, problems: Problems, *, zones: int, clusters: Sequence[Cluster]) -> None:
        """Record what cannot work with so many zones and with these clusters at the same time."""
        problems.check(
            self.zone_blocks in (1, 2, 4, 8),
            given=f"zone_blocks={self.zone_blocks}",
            allowed="1, 2, 4 or 8",
            write="zone_blocks=4",
        )
        problems.check(
            zones <= self.zone_blocks,
            given=f"{zones} zones for zone_blocks={self.zone_blocks}",
            allowed="no more zones than blocks",
            write=f"zone_blocks={2 ** math.ceil(math.log2(max(zones, 1)))}",
        )
        if self._check_range(problems) and self.zone_blocks in (1, 2, 4, 8):
            self._check_clusters(problems, clusters)

    def jobs(self, zone: int) -> str:
        """The subnet of jobs in the zone of this number, counted from 0."""
        return str(self._halves(zone)[0])

    def services(self, zone: int) -> str:
        """The subnet of interface endpoints and functions in a zone."""
        return str(self._small(zone, 26, 0))

    def public(self, zone: int) -> str:
        """The subnet of the NAT gateway in a zone."""
        return str(self._small(zone, 28, 4))

    def firewall(self, zone: int) -> str:
        """The subnet of the firewall in a zone."""
        return str(self._small(zone, 28, 5))

    @property
    def addresses_for_jobs(self) -> int:
        """How many addresses the jobs of one zone can have."""
        return self._halves(0)[0].num_addresses - _RESERVED_BY_AWS

    def _halves(self, zone: int) -> list[ipaddress.IPv4Network]:
        whole = ipaddress.IPv4Network(self.cidr)
        blocks = list(whole.subnets(prefixlen_diff=self.zone_blocks.bit_length() - 1))
        return list(blocks[zone].subnets(prefixlen_diff=1))

    def _small(self, zone: int, prefix: int, number: int) -> ipaddress.IPv4Network:
        return list(self._halves(zone)[1].subnets(new_prefix=prefix))[number]

    def _check_range(self, problems: Problems) -> bool:
        try:
            network = ipaddress.IPv4Network(self.cidr)
        except ValueError as error:
            problems.check(False, given=f"cidr={self.cidr!r}", allowed=f"an IPv4 range ({error})")
            return False
        # A zone's half block has to hold the services' /26, the NAT gateway's /28 and the firewall's.
        longest = 24 - (self.zone_blocks.bit_length() - 1) if self.zone_blocks > 0 else 22
        fits = 16 <= network.prefixlen <= longest
        problems.check(
            fits,
            given=f"cidr={self.cidr!r} for {self.zone_blocks} zones",
            allowed=f"/16 (the largest that a VPC can have) to /{longest}",
            write='cidr="10.0.0.0/16"',
        )
        problems.check(
            network.is_private,
            given=f"cidr={self.cidr!r}",
            allowed="a private range",
            write='cidr="10.0.0.0/16"',
        )
        return fits

    def _check_clusters(self, problems: Problems, clusters: Sequence[Cluster]) -> None:
        wanted = sum(cluster.addresses for cluster in clusters)
        named = ", ".join(f"{cluster.instances} {cluster.instance_type}" for cluster in clusters)
        problems.check(
            wanted <= self.addresses_for_jobs,
            given=f"clusters of {named}, which take {wanted} addresses in one zone",
            allowed=f"{self.addresses_for_jobs} addresses for jobs in a zone of {self.cidr}",
            write='AddressPlan(cidr="10.0.0.0/16", zone_blocks=2), or smaller clusters',
        )
