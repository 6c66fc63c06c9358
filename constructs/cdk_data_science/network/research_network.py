"""A network without internet, in which data is worked on."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.network import _endpoints, _vpc
from cdk_data_science.network._default_group import ClosedDefaultGroup
from cdk_data_science.network.addresses import AddressPlan, Cluster
from cdk_data_science.network.egress import Egress, FirewallEgress
from cdk_data_science.network.existing import ExistingVpc
from cdk_data_science.network.features import NetworkFeature, interface_endpoints
from cdk_data_science.network.flow_logs import FlowLogGroup, FlowLogs
from cdk_data_science.network.security_groups import PrefixLists, SecurityGroups


class ResearchNetworkBase(Construct):
    """What a network that was built here and one around an existing VPC have in common."""

    vpc: ec2.IVpc
    """The VPC."""

    jobs: ec2.SubnetSelection
    """The subnets of jobs, one in each zone."""

    services: ec2.SubnetSelection
    """The subnets of interface endpoints and functions, one in each zone."""

    security_groups: SecurityGroups
    """Who may talk to whom: ``workload``, ``cluster`` (EFA), ``lustre``, ``endpoints``, and ``jobs``, the two
    that a training job gets."""

    gateway_endpoints: Mapping[str, ec2.GatewayVpcEndpoint]
    """The gateway endpoints that were made here: ``s3``, ``dynamodb``."""

    interface_endpoints: Mapping[str, ec2.InterfaceVpcEndpoint]
    """The interface endpoints that were made here, by short name."""

    clients: ec2.CfnPrefixList | None
    """The customer-managed prefix list of the clients, if there are any."""

    flow_log_group: logs.ILogGroup | None
    """Where the traffic is recorded, if it is recorded here."""

    key: kms.IKey | None
    """What encrypts the records."""

    firewall_log_group: logs.ILogGroup | None = None
    """What the firewalls dropped, if there are any."""

    hourly_usd: float
    """What the endpoints, NAT gateways and firewalls that are made here cost an hour in us-east-1, without
    the traffic through them (AWS's prices of November 2026; of firewalls, July 2024)."""

    def _protect(
        self,
        *,
        vpc_cidr: str,
        gateways: Collection[str],
        interfaces: Sequence[str],
        features: Collection[NetworkFeature],
        clients: Sequence[str],
        prefix_lists: PrefixLists,
        trusted_accounts: Sequence[str],
        zones: int,
        internet: bool,
        ipv6: bool,
    ) -> None:
        """Make the groups and the endpoints; :attr:`vpc` and the subnets are there."""
        self.clients = self._prefix_list(clients) if clients else None
        self.security_groups = SecurityGroups(
            self,
            "Groups",
            vpc=self.vpc,
            vpc_cidr=vpc_cidr,
            prefix_lists=prefix_lists,
            clients=self.clients,
            internet=internet,
            ipv6=ipv6,
        )
        endpoints = _endpoints.Endpoints(
            self,
            "Endpoints",
            vpc=self.vpc,
            subnets=self.services,
            security_group=self.security_groups.endpoints,
            gateways=gateways,
            interfaces=interfaces,
            features=features,
            accounts=[Stack.of(self).account, *trusted_accounts],
        )
        self.gateway_endpoints, self.interface_endpoints = endpoints.gateways, endpoints.interfaces
        self.hourly_usd = round(len(interfaces) * zones * _endpoints.INTERFACE_ENDPOINT_USD, 3)

    def _record(self, vpc_id: str, options: FlowLogs | None) -> None:
        self.flow_log_group = None
        if options is not None:
            recorded = FlowLogGroup(self, "FlowLogs", vpc_id=vpc_id, options=options, key=self._own_key())
            self.flow_log_group = recorded.log_group

    def _own_key(self) -> kms.IKey:
        if self.key is None:
            self.key = operations_key(self, "Key", description=f"Records of the network {self.node.path}")
        return self.key

    def _prefix_list(self, clients: Sequence[str]) -> ec2.CfnPrefixList:
        return ec2.CfnPrefixList(
            self,
            "Clients",
            prefix_list_name=f"{self.node.path}/Clients"[-255:],
            address_family="IPv4",
            max_entries=max(len(clients), 10),
            entries=[ec2.CfnPrefixList.EntryProperty(cidr=cidr) for cidr in clients],
        )


class ResearchNetwork(ResearchNetworkBase):
    """A VPC without internet, with endpoints for exactly the services that its features need.

    Each zone has a large subnet for jobs and a small one for interface endpoints and functions, so that a
    cluster cannot take the addresses of the endpoints. S3 and DynamoDB are reached through gateway endpoints,
    other services through interface endpoints. Each endpoint lets through our account's principals to our
    account's resources; what must be open beside that is opened by name: the bucket of ECR's image layers
    (with ``CONTAINERS``), AWS's own images (read only), JumpStart's models (with ``JUMPSTART``). Traffic is
    recorded. The VPC's default security group is emptied.

    SageMaker's jobs need no endpoint but S3's: SageMaker pulls their images and delivers their logs outside
    of the VPC (https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html).

    **Costs at rest**, us-east-1, prices of November 2026: each interface endpoint 0.01 USD an hour in each
    zone, which is 7.30 USD a month; gateway endpoints nothing; 1 USD a month for the key of the records. A
    NAT gateway, if asked for, costs 0.045 USD an hour, and a firewall 0.395 USD (July 2024).
    :attr:`hourly_usd` has the sum. Use costs 0.01 USD a GB through interface endpoints, 0.045 USD through NAT
    gateways, 0.065 USD through firewalls, and 0.50 USD a GB of flow-log records.

    ```python
    from cdk_data_science.network import Cluster, NetworkFeature, ResearchNetwork

    network = ResearchNetwork(
        self,
        "Network",
        zones=["us-east-1a", "us-east-1b"],
        features=[NetworkFeature.STUDIO, NetworkFeature.MLFLOW],
        clusters=[Cluster(instance_type="ml.p4d.24xlarge", instances=64)],
    )
    network.vpc, network.jobs, network.security_groups.jobs  # for SpotTraining(vpc=…, subnets=…, …)
    ```

    Args:
        zones: Names of 1 to 8 availability zones, for example ``us-east-1a``. Add further ones at the end:
            the order is the order of the subnets. They are not looked up.
        features: What programs in the network do beside reading and writing S3 and DynamoDB. Default:
            nothing, and no interface endpoint.
        addresses: The VPC's range and how it is divided. Default: 10.0.0.0/16 with room for four zones.
        clusters: Clusters that run at the same time in one zone, to check that their addresses fit. Default:
            none.
        egress: A way out: to the internet by NAT gateways (``NatEgress``), or to named hosts alone, past a
            firewall (``FirewallEgress``). Default: None, there is none.
        clients: IPv4 ranges outside of the VPC, such as that of a VPN, whose hosts may use the interface
            endpoints; they become a prefix list. Default: none.
        prefix_lists: The ids of AWS's prefix lists, to let workloads out to S3 and DynamoDB alone. Default:
            not known; port 443 is open to where the routes lead.
        trusted_accounts: Further accounts whose principals and resources may be reached. Default: none.
        flow_logs: What is recorded of the traffic. Default: all of it, for a year. None records nothing.
        ipv6: Give the subnets IPv6 ranges too, and with ``egress`` a way out over IPv6. Default: no.
        close_default_group: Empty the VPC's default security group, by a function of CDK. Default: yes.
        key: Encrypts the records. CloudWatch Logs must be allowed to use it. Default: a new key.

    Raises:
        ConfigurationError: For values that AWS would refuse or that do not fit each other, all at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/infrastructure-give-access.html and
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zones: Sequence[str],
        features: Collection[NetworkFeature] = (),
        addresses: AddressPlan = AddressPlan(),  # noqa: B008 -- immutable
        clusters: Sequence[Cluster] = (),
        egress: Egress | None = None,
        clients: Sequence[str] = (),
        prefix_lists: PrefixLists = PrefixLists(),  # noqa: B008 -- immutable
        trusted_accounts: Sequence[str] = (),
        flow_logs: FlowLogs | None = FlowLogs(),  # noqa: B008 -- immutable
        ipv6: bool = False,
        close_default_group: bool = True,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("ResearchNetwork", self)
        _check_zones(problems, zones, Stack.of(self).region)
        for cluster in clusters:
            cluster.check(problems)
        addresses.check(problems, zones=len(zones), clusters=clusters)
        if egress is not None:
            egress.check(problems, zones=len(zones), ipv6=ipv6)
        _check_shared(problems, clients, trusted_accounts)
        problems.raise_if_any()

        self.key = key
        made = _vpc.VpcResources(
            self, "Vpc", zones=zones, plan=addresses, egress=egress, ipv6=ipv6, log_key=self._own_key
        )
        self.vpc = made.vpc
        if made.firewalls is not None:
            self.firewall_log_group = made.firewalls.log_group
        self.jobs = ec2.SubnetSelection(subnet_group_name=_vpc.JOBS)
        self.services = ec2.SubnetSelection(subnet_group_name=_vpc.SERVICES)
        self._record(made.resource.ref, flow_logs)
        acknowledge(
            made.resource,
            [f"{pack}-VPCDefaultSecurityGroupClosed" for pack in _vpc.PACKS],
            "CloudFormation has no property for the default group, so the rule finds every VPC. The child "
            "DefaultGroup takes its rules away when the VPC is made, unless the app closes it otherwise.",
        )
        if close_default_group:
            ClosedDefaultGroup(self, "DefaultGroup", vpc=made, log_key=self._own_key())
        self._protect(
            vpc_cidr=addresses.cidr,
            gateways=tuple(_endpoints.GATEWAYS),
            interfaces=interface_endpoints(features),
            features=features,
            clients=clients,
            prefix_lists=prefix_lists,
            trusted_accounts=trusted_accounts,
            zones=len(zones),
            internet=egress is not None,
            ipv6=ipv6,
        )
        if egress is not None:
            gateways = egress.gateways if egress.gateways is not None else len(zones)
            each = _endpoints.NAT_GATEWAY_USD
            if isinstance(egress, FirewallEgress):
                each += _endpoints.FIREWALL_USD
            self.hourly_usd = round(self.hourly_usd + gateways * each, 3)

    @staticmethod
    def from_existing(
        scope: Construct,
        id: str,
        *,
        existing: ExistingVpc,
        features: Collection[NetworkFeature] = (),
        add_missing_endpoints: bool = False,
        clusters: Sequence[Cluster] = (),
        clients: Sequence[str] = (),
        prefix_lists: PrefixLists = PrefixLists(),  # noqa: B008 -- immutable
        trusted_accounts: Sequence[str] = (),
        flow_logs: FlowLogs | None = FlowLogs(),  # noqa: B008 -- immutable
        key: kms.IKey | None = None,
    ) -> ExistingResearchNetwork:
        """Work in a VPC that another app owns, after a check that it has what the features need.

        Security groups are made here, and so are flow logs if it has none, and endpoints that it lacks if
        ``add_missing_endpoints`` asks for them.

        ```python
        from aws_cdk import aws_ec2 as ec2
        from cdk_data_science.network import ExistingVpc, NetworkFeature, ResearchNetwork

        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id="vpc-0123456789abcdef0",
            vpc_cidr_block="10.20.0.0/16",
            availability_zones=["eu-west-1a", "eu-west-1b"],
            isolated_subnet_ids=["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"],
            isolated_subnet_route_table_ids=["rtb-0aaaaaaaaaaaaaaaa", "rtb-0bbbbbbbbbbbbbbbb"],
        )
        network = ResearchNetwork.from_existing(
            self,
            "Network",
            existing=ExistingVpc(
                vpc=vpc,
                jobs=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
                endpoints=["s3", "dynamodb", "sts"],
            ),
            features=[NetworkFeature.SAGEMAKER_API],
            add_missing_endpoints=True,
        )
        ```

        Args:
            existing: What is known of the VPC.
            features: What programs in it do beside S3. DynamoDB's endpoint is not asked for.
            add_missing_endpoints: Make the endpoints that it lacks. Default: refuse a VPC that lacks some.
            clusters: As for a new network; checked where the free addresses are known.
            clients: As for a new network.
            prefix_lists: As for a new network.
            trusted_accounts: As for a new network, for the endpoints that are made here.
            flow_logs: As for a new network, if the VPC has none.
            key: As for a new network.

        Raises:
            ConfigurationError: If the VPC lacks something, all of it at once.
        """
        return ExistingResearchNetwork(
            scope,
            id,
            existing=existing,
            features=features,
            add_missing_endpoints=add_missing_endpoints,
            clusters=clusters,
            clients=clients,
            prefix_lists=prefix_lists,
            trusted_accounts=trusted_accounts,
            flow_logs=flow_logs,
            key=key,
        )


class ExistingResearchNetwork(ResearchNetworkBase):
    """A network around a VPC of another app. Made by :meth:`ResearchNetwork.from_existing`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        existing: ExistingVpc,
        features: Collection[NetworkFeature],
        add_missing_endpoints: bool,
        clusters: Sequence[Cluster],
        clients: Sequence[str],
        prefix_lists: PrefixLists,
        trusted_accounts: Sequence[str],
        flow_logs: FlowLogs | None,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("ResearchNetwork.from_existing", self)
        for cluster in clusters:
            cluster.check(problems)
        needed = interface_endpoints(features)
        existing.check(
            problems,
            gateways=("s3",),
            interfaces=needed,
            add_missing=add_missing_endpoints,
            clusters=clusters,
        )
        _check_shared(problems, clients, trusted_accounts)
        problems.raise_if_any()
        self.vpc, self.jobs = existing.vpc, existing.jobs
        self.services = existing.services if existing.services is not None else existing.jobs
        self.key = key
        self._record(self.vpc.vpc_id, None if existing.flow_logs else flow_logs)
        added = [name for name in needed if name not in existing.endpoints] if add_missing_endpoints else []
        self._protect(
            vpc_cidr=self.vpc.vpc_cidr_block,
            gateways=("s3",) if add_missing_endpoints and "s3" not in existing.endpoints else (),
            interfaces=added,
            features=features,
            clients=clients,
            prefix_lists=prefix_lists,
            trusted_accounts=trusted_accounts,
            zones=len(self.vpc.availability_zones),
            internet=existing.internet,
            ipv6=False,
        )


def _check_zones(problems: Problems, zones: Sequence[str], region: str) -> None:
    known = [zone for zone in zones if not is_token(zone)]
    problems.check(
        1 <= len(zones) <= 8, given=f"{len(zones)} zones", allowed="1 to 8", write='zones=["us-east-1a"]'
    )
    problems.check(len(set(known)) == len(known), given=f"zones {list(known)}", allowed="each of them once")
    if not is_token(region):
        elsewhere = [zone for zone in known if not zone.startswith(region)]
        problems.check(
            not elsewhere,
            given=f"zones {elsewhere}",
            allowed=f"zones of {region}, where the stack is",
            write=f'zones=["{region}a"]',
        )


def _check_shared(problems: Problems, clients: Sequence[str], accounts: Sequence[str]) -> None:
    for client in clients:
        problems.check(
            is_token(client) or _is_private_range(client),
            given=f"client {client!r}",
            allowed="an IPv4 range that is not the whole internet",
            write='clients=["10.200.0.0/16"]',
        )
    for account in accounts:
        problems.check(
            is_token(account) or (account.isdigit() and len(account) == 12),
            given=f"trusted account {account!r}",
            allowed="an account's 12 digits",
        )


def _is_private_range(text: str) -> bool:
    try:
        return ipaddress.IPv4Network(text).prefixlen > 0
    except ValueError:
        return False
