"""The VPC itself: subnets by zone and their routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_cdk import Fn, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._validation import is_token
from cdk_data_science.network._firewall import Firewalls
from cdk_data_science.network.addresses import AddressPlan
from cdk_data_science.network.egress import Egress, FirewallEgress

JOBS, SERVICES, PUBLIC, FIREWALL = "Jobs", "Services", "Public", "Firewall"

PACKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
"""The rule packs of cdk-nag that judge networks."""


@dataclass(slots=True)
class _Subnets:
    ids: list[str]
    tables: list[str]
    ranges: list[str]


class VpcResources(Construct):
    """A VPC that was divided by plan, as a construct for CDK: :attr:`vpc`.

    CDK's own ``Vpc`` asks the account for its zones at synthesis as soon as the account is known; this one
    takes the zones that it is given.
    """

    vpc: ec2.IVpc
    """The VPC with its subnets."""

    firewalls: Firewalls | None
    """What stands before the NAT gateways, if anything does."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zones: Sequence[str],
        plan: AddressPlan,
        egress: Egress | None,
        ipv6: bool,
        log_key: Callable[[], kms.IKey],
    ) -> None:
        super().__init__(scope, id)
        self._zones, self._plan, self._ipv6 = zones, plan, ipv6
        self.firewalls = None
        self.resource = ec2.CfnVPC(
            self, "Vpc", cidr_block=plan.cidr, enable_dns_hostnames=True, enable_dns_support=True
        )
        Tags.of(self.resource).add("Name", self.node.path)
        self.ipv6_block: ec2.CfnVPCCidrBlock | None = None
        if ipv6:
            self.ipv6_block = ec2.CfnVPCCidrBlock(
                self, "Ipv6", vpc_id=self.resource.ref, amazon_provided_ipv6_cidr_block=True
            )
        self._tables = [self._route_table(f"Private{number}") for number in range(1, len(zones) + 1)]
        subnets = {
            JOBS: self._subnets(JOBS, [plan.jobs(zone) for zone in range(len(zones))], self._tables),
            SERVICES: self._subnets(
                SERVICES, [plan.services(zone) for zone in range(len(zones))], self._tables
            ),
        }
        if egress is not None:
            subnets[PUBLIC] = self._make_egress(egress, log_key)
        self.vpc = self._as_vpc(subnets, egress is not None)

    def _route_table(self, id: str) -> ec2.CfnRouteTable:
        table = ec2.CfnRouteTable(self, f"{id}Routes", vpc_id=self.resource.ref)
        Tags.of(table).add("Name", f"{self.node.path}/{id}")
        return table

    def _subnets(self, tier: str, ranges: list[str], tables: Sequence[ec2.CfnRouteTable]) -> _Subnets:
        found = _Subnets([], [], ranges)
        zones = self._zones[: len(ranges)]
        for number, (zone, cidr, table) in enumerate(zip(zones, ranges, tables, strict=True), 1):
            # What replaces a subnet is in its id, so that whoever reads the id in another stack follows it.
            place = number if is_token(zone) else zone
            subnet = ec2.CfnSubnet(
                self,
                f"{tier}-{place}-{cidr.replace('/', '-')}",
                vpc_id=self.resource.ref,
                availability_zone=zone,
                cidr_block=cidr,
                map_public_ip_on_launch=False,
            )
            Tags.of(subnet).add("Name", f"{self.node.path}/{tier}{number}")
            acknowledge(
                subnet,
                ["CloudFormation-Validate::W3010"],
                "The zones are the app's choice: those with the instance types that it trains on.",
            )
            if self.ipv6_block is not None and tier in (JOBS, SERVICES):
                self._add_ipv6(subnet, self.ipv6_block, tier, number)
            ec2.CfnSubnetRouteTableAssociation(
                self, f"{tier}{number}Routes", subnet_id=subnet.ref, route_table_id=table.ref
            )
            found.ids.append(subnet.ref)
            found.tables.append(table.ref)
        return found

    def _add_ipv6(self, subnet: ec2.CfnSubnet, block: ec2.CfnVPCCidrBlock, tier: str, number: int) -> None:
        """One /64 of the VPC's /56 for each subnet, at a place that more zones do not move."""
        place = (JOBS, SERVICES).index(tier) * 8 + number - 1
        whole = Fn.select(0, self.resource.attr_ipv6_cidr_blocks)
        subnet.ipv6_cidr_block = Fn.select(place, Fn.cidr(whole, place + 1, "64"))
        subnet.assign_ipv6_address_on_creation = True
        subnet.add_resource_dependency(block)
        acknowledge(
            subnet,
            (f"{pack}-VPCSubnetAutoAssignPublicIpDisabled" for pack in PACKS),
            "The rule takes IPv6 addresses for public ones. The subnet has no route from the internet: at "
            "most an egress-only gateway, which lets nothing in.",
        )

    def _make_egress(self, egress: Egress, log_key: Callable[[], kms.IKey]) -> _Subnets:
        """Public subnets that hold NAT gateways and nothing else, and the private subnets' way to them."""
        zones = range(len(self._zones))
        count = egress.gateways if egress.gateways is not None else len(self._zones)
        gateway = ec2.CfnInternetGateway(self, "InternetGateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "InternetGatewayAttachment", vpc_id=self.resource.ref, internet_gateway_id=gateway.ref
        )
        # What comes back from a NAT gateway has to pass the firewall that let it out.
        guarded = isinstance(egress, FirewallEgress)
        names = [f"{PUBLIC}Zone{one + 1}" for one in range(count)] if guarded else [PUBLIC]
        tables = [self._route_table(name) for name in names]
        ways = [
            self._to_internet(name, table, gateway, attachment)
            for name, table in zip(names, tables, strict=True)
        ]
        subnets = self._subnets(
            PUBLIC,
            [self._plan.public(zone) for zone in zones],
            [tables[zone % len(tables)] for zone in zones],
        )
        gateways = [
            self._nat_gateway(one + 1, subnets.ids[one], ways[one % len(ways)]) for one in range(count)
        ]
        if isinstance(egress, FirewallEgress):
            self.firewalls = self._make_firewalls(egress, gateways, tables, log_key())
        for zone, private in enumerate(self._tables):
            self._route_out(private, gateways[zone % count], zone, count)
        if self._ipv6:
            self._make_ipv6_egress()
        return subnets

    def _to_internet(
        self,
        name: str,
        table: ec2.CfnRouteTable,
        gateway: ec2.CfnInternetGateway,
        attachment: ec2.CfnVPCGatewayAttachment,
    ) -> ec2.CfnRoute:
        route = ec2.CfnRoute(
            self,
            "ToInternet" if name == PUBLIC else f"{name}ToInternet",
            route_table_id=table.ref,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.ref,
        )
        route.add_resource_dependency(attachment)
        acknowledge(
            route,
            (f"{pack}-VPCNoUnrestrictedRouteToIGW" for pack in PACKS),
            "The subnets of this route table hold the NAT gateways that the app asked for and nothing else; "
            "they give no public address to what is launched in them.",
        )
        return route

    def _route_out(
        self, private: ec2.CfnRouteTable, gateway: ec2.CfnNatGateway, zone: int, count: int
    ) -> None:
        if self.firewalls is None:
            ec2.CfnRoute(
                self,
                f"ToNat{zone + 1}",
                route_table_id=private.ref,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateway.ref,
            )
        else:
            ec2.CfnRoute(
                self,
                f"ToFirewall{zone + 1}",
                route_table_id=private.ref,
                destination_cidr_block="0.0.0.0/0",
                vpc_endpoint_id=self.firewalls.endpoint_id(zone % count),
            )

    def _make_firewalls(
        self,
        egress: FirewallEgress,
        gateways: Sequence[ec2.CfnNatGateway],
        public: Sequence[ec2.CfnRouteTable],
        key: kms.IKey,
    ) -> Firewalls:
        """A firewall for each NAT gateway, in a subnet of its own, and the routes through it both ways."""
        count = len(gateways)
        tables = [self._route_table(f"{FIREWALL}Zone{one + 1}") for one in range(count)]
        subnets = self._subnets(FIREWALL, [self._plan.firewall(one) for one in range(count)], tables)
        made = Firewalls(
            self,
            "Firewalls",
            vpc_id=self.resource.ref,
            subnet_ids=subnets.ids,
            domains=egress.domains,
            key=key,
        )
        for one, (table, gateway) in enumerate(zip(tables, gateways, strict=True)):
            ec2.CfnRoute(
                self,
                f"{FIREWALL}Zone{one + 1}ToNat",
                route_table_id=table.ref,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateway.ref,
            )
        for zone in range(len(self._zones)):
            for tier, cidr in ((JOBS, self._plan.jobs(zone)), (SERVICES, self._plan.services(zone))):
                ec2.CfnRoute(
                    self,
                    f"{PUBLIC}To{tier}{zone + 1}",
                    route_table_id=public[zone % count].ref,
                    destination_cidr_block=cidr,
                    vpc_endpoint_id=made.endpoint_id(zone % count),
                )
        return made

    def _nat_gateway(self, number: int, subnet_id: str, route: ec2.CfnRoute) -> ec2.CfnNatGateway:
        address = ec2.CfnEIP(self, f"NatAddress{number}", domain="vpc")
        gateway = ec2.CfnNatGateway(
            self, f"NatGateway{number}", subnet_id=subnet_id, allocation_id=address.attr_allocation_id
        )
        gateway.add_resource_dependency(route)
        return gateway

    def _make_ipv6_egress(self) -> None:
        gateway = ec2.CfnEgressOnlyInternetGateway(self, "Ipv6Gateway", vpc_id=self.resource.ref)
        for number, private in enumerate(self._tables, 1):
            ec2.CfnRoute(
                self,
                f"ToIpv6Gateway{number}",
                route_table_id=private.ref,
                destination_ipv6_cidr_block="::/0",
                egress_only_internet_gateway_id=gateway.ref,
            )

    def _as_vpc(self, subnets: dict[str, _Subnets], has_egress: bool) -> ec2.IVpc:
        private = _joined(subnets[JOBS], subnets[SERVICES])
        # CDK calls private subnets isolated where they have no way out.
        none = _Subnets([], [], [])
        isolated, private = (none, private) if has_egress else (private, none)
        names, public = [JOBS, SERVICES], subnets.get(PUBLIC, none)
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Attributes",
            vpc_id=self.resource.ref,
            vpc_cidr_block=self._plan.cidr,
            availability_zones=list(self._zones),
            isolated_subnet_ids=isolated.ids or None,
            isolated_subnet_names=None if has_egress else names,
            isolated_subnet_route_table_ids=isolated.tables or None,
            isolated_subnet_ipv4_cidr_blocks=isolated.ranges or None,
            private_subnet_ids=private.ids or None,
            private_subnet_names=names if has_egress else None,
            private_subnet_route_table_ids=private.tables or None,
            private_subnet_ipv4_cidr_blocks=private.ranges or None,
            public_subnet_ids=public.ids or None,
            public_subnet_names=[PUBLIC] if has_egress else None,
            public_subnet_route_table_ids=public.tables or None,
            public_subnet_ipv4_cidr_blocks=public.ranges or None,
        )


def _joined(one: _Subnets, other: _Subnets) -> _Subnets:
    return _Subnets(one.ids + other.ids, one.tables + other.tables, one.ranges + other.ranges)
