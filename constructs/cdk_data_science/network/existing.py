"""What is known of a VPC that another app owns, and what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aws_cdk import aws_ec2 as ec2

from cdk_data_science._validation import Problems
from cdk_data_science.network.addresses import Cluster


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingVpc:
    """A VPC as its owner describes it: nothing is looked up in the account."""

    vpc: ec2.IVpc
    """The VPC, for example ``ec2.Vpc.from_vpc_attributes(…)`` with its zones, subnets, route tables and
    range."""

    jobs: ec2.SubnetSelection
    """The private subnets of jobs, one in each zone."""

    services: ec2.SubnetSelection | None = None
    """Where interface endpoints and functions go. Default: the subnets of jobs."""

    endpoints: Sequence[str] = ()
    """The endpoints that it has, by short name: ``s3``, ``dynamodb``, ``sagemaker.api``, ``sts`` … Their
    policies and security groups are their owner's."""

    internet: bool = False
    """Whether its private subnets have a way out to the internet. Default: no."""

    dns: bool = True
    """Whether both of its DNS attributes are on, which private names of endpoints need. Default: yes."""

    flow_logs: bool = False
    """Whether its traffic is recorded already. Default: no, so that it is recorded here."""

    addresses_for_jobs: int | None = None
    """Free addresses in the smallest subnet of jobs. Default: not known, and clusters are not checked."""

    def check(
        self,
        problems: Problems,
        *,
        gateways: Collection[str],
        interfaces: Sequence[str],
        add_missing: bool,
        clusters: Sequence[Cluster],
    ) -> None:
        """Record what it lacks and nobody asked to add."""
        problems.check(
            self.dns,
            given="dns=False",
            allowed="both DNS attributes on: without them no private name of an endpoint is resolved",
            write="aws ec2 modify-vpc-attribute --enable-dns-hostnames, and dns=True",
        )
        missing = [name for name in (*gateways, *interfaces) if name not in self.endpoints]
        unreachable = [name for name in missing if name == "s3" or not self.internet]
        problems.check(
            add_missing or not unreachable,
            given=f"endpoints {sorted(self.endpoints)}",
            allowed=f"a VPC with {', '.join(unreachable)} too",
            write="add_missing_endpoints=True, if they are to be made here",
        )
        if self.addresses_for_jobs is not None and clusters:
            wanted = sum(cluster.addresses for cluster in clusters)
            problems.check(
                wanted <= self.addresses_for_jobs,
                given=f"clusters that take {wanted} addresses in one zone",
                allowed=f"{self.addresses_for_jobs}, what the smallest subnet of jobs has free",
                write="larger subnets, or smaller clusters",
            )
