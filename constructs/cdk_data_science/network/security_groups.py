"""Who may talk to whom in a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Tags
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science.network._vpc import PACKS

DESCRIPTION = "A group of a research network"
_HTTPS = ec2.Port.tcp(443)
LUSTRE_PORTS = (ec2.Port.tcp(988), ec2.Port.tcp_range(1018, 1023))
"""What FSx for Lustre and its clients speak on
(https://docs.aws.amazon.com/fsx/latest/LustreGuide/limit-access-security-groups.html)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefixLists:
    """AWS's own lists of the addresses of S3 and DynamoDB, which have another id in each region.

    ``aws ec2 describe-managed-prefix-lists`` shows them. With them, programs may open connections to these
    services alone; without, to any address on port 443, of which the network's routes reach only those.
    """

    s3: str | None = None
    """The id of ``com.amazonaws.<region>.s3``. Default: not known."""

    dynamodb: str | None = None
    """The id of ``com.amazonaws.<region>.dynamodb``. Default: not known."""


class SecurityGroups(Construct):
    """The groups of a network. None lets in anything from outside of the VPC but its known clients."""

    workload: ec2.SecurityGroup
    """Jobs, functions and notebooks: out to endpoints, S3 and DynamoDB, nothing in."""

    cluster: ec2.SecurityGroup
    """The instances of one job: all traffic among themselves, both ways, as EFA and MPI need."""

    lustre: ec2.SecurityGroup
    """FSx for Lustre file systems: in and out on their ports, from themselves and from workloads."""

    endpoints: ec2.SecurityGroup
    """Interface endpoints: HTTPS from the VPC and from the clients' prefix list."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        vpc_cidr: str,
        prefix_lists: PrefixLists,
        clients: ec2.CfnPrefixList | None,
        internet: bool,
        ipv6: bool,
    ) -> None:
        super().__init__(scope, id)
        self.endpoints = self._group("Endpoints", vpc, "Interface endpoints: HTTPS from the VPC")
        self.endpoints.add_ingress_rule(ec2.Peer.ipv4(vpc_cidr), _HTTPS, "from the VPC")
        if clients is not None:
            known = ec2.Peer.prefix_list(clients.attr_prefix_list_id)
            self.endpoints.add_ingress_rule(known, _HTTPS, "from known clients")
        self.cluster = self._group("Cluster", vpc, "Instances of one job: all traffic among themselves")
        everything = ec2.Port.all_traffic()
        self.cluster.add_ingress_rule(self.cluster, everything, "from the instances of a job")
        self.cluster.add_egress_rule(self.cluster, everything, "to the instances of a job")
        acknowledge(
            self.cluster,
            (f"{pack}-EC2RestrictedCommonPorts" for pack in PACKS),
            "EFA and MPI need all traffic between the instances of a job, and only members of this group are "
            "let in (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html).",
        )
        self.workload = self._group("Workload", vpc, "Jobs, functions and notebooks: nothing in")
        self._let_out(prefix_lists, internet=internet, ipv6=ipv6)
        self.lustre = self._group("Lustre", vpc, "FSx for Lustre and its clients")
        for port in LUSTRE_PORTS:
            self.lustre.add_ingress_rule(self.lustre, port, "among file servers")
            self.lustre.add_egress_rule(self.lustre, port, "among file servers")
            self.lustre.add_ingress_rule(self.workload, port, "from clients")
            self.lustre.add_egress_rule(self.workload, port, "to clients")
            self.workload.add_ingress_rule(self.lustre, port, "from file servers")
            self.workload.add_egress_rule(self.lustre, port, "to file servers")
        for group in (self.cluster, self.lustre):
            _keep_closed(group)

    @property
    def jobs(self) -> Sequence[ec2.ISecurityGroup]:
        """What the containers of a job get: a way to the services, and to each other."""
        return [self.workload, self.cluster]

    def _let_out(self, prefix_lists: PrefixLists, *, internet: bool, ipv6: bool) -> None:
        self.workload.add_egress_rule(self.endpoints, _HTTPS, "to interface endpoints")
        named = [name for name in (prefix_lists.s3, prefix_lists.dynamodb) if name is not None]
        if named and not internet:
            for name in named:
                self.workload.add_egress_rule(ec2.Peer.prefix_list(name), _HTTPS, "to S3 or DynamoDB")
            return
        reach = "to the internet" if internet else "to S3 and DynamoDB, all that there are routes to"
        self.workload.add_egress_rule(ec2.Peer.any_ipv4(), _HTTPS, reach)
        if ipv6 and internet:
            self.workload.add_egress_rule(ec2.Peer.any_ipv6(), _HTTPS, reach)

    def _group(self, id: str, vpc: ec2.IVpc, says: str) -> ec2.SecurityGroup:
        """A group that says in a tag what it is for: another description would replace it under its id."""
        group = ec2.SecurityGroup(self, id, vpc=vpc, description=DESCRIPTION, allow_all_outbound=False)
        Tags.of(group).add("Name", f"{self.node.path}/{id}")
        Tags.of(group).add("Description", says)
        return group


def _keep_closed(group: ec2.SecurityGroup) -> None:
    """Declare one rule that lets nothing out.

    Rules between groups are resources of their own, and EC2 lets everything out of a group that declares no
    rule itself
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ec2-securitygroup.html).
    """
    resource = cast("ec2.CfnSecurityGroup", group.node.default_child)
    nowhere = {"CidrIp": "127.0.0.1/32", "IpProtocol": "-1", "Description": "nothing but the rules apart"}
    resource.add_property_override("SecurityGroupEgress", [nowhere])
