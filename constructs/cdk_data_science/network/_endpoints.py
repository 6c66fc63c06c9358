"""The endpoints through which a network reaches AWS services."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science.network import _policies
from cdk_data_science.network.features import NetworkFeature, endpoint_service

GATEWAYS = {
    "s3": ec2.GatewayVpcEndpointAwsService.S3,
    "dynamodb": ec2.GatewayVpcEndpointAwsService.DYNAMODB,
}
"""Services with a gateway endpoint, which is free."""

# What AWS charges in us-east-1 in USD an hour, as the table of `cost` has it. Each adds a price for each GB.
INTERFACE_ENDPOINT_USD = 0.01
NAT_GATEWAY_USD = 0.045
FIREWALL_USD = 0.395


class Endpoints(Construct):
    """Gateway and interface endpoints, each with a policy for the accounts that it is for."""

    gateways: Mapping[str, ec2.GatewayVpcEndpoint]
    """The gateway endpoints by service: ``s3``, ``dynamodb``."""

    interfaces: Mapping[str, ec2.InterfaceVpcEndpoint]
    """The interface endpoints by short name: ``sagemaker.api``, ``sts`` …"""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        security_group: ec2.ISecurityGroup,
        gateways: Collection[str],
        interfaces: Sequence[str],
        features: Collection[NetworkFeature],
        accounts: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        policies = _policies.gateway_policy(self, accounts=accounts, features=features, vpc_id=vpc.vpc_id)
        self.gateways = {
            name: self._gateway(name, vpc, policies[name]) for name in GATEWAYS if name in gateways
        }
        self.interfaces = {
            name: self._interface(name, vpc, subnets, security_group, accounts) for name in interfaces
        }

    def _gateway(
        self, name: str, vpc: ec2.IVpc, statements: Sequence[iam.PolicyStatement]
    ) -> ec2.GatewayVpcEndpoint:
        endpoint = ec2.GatewayVpcEndpoint(self, _id(name), vpc=vpc, service=GATEWAYS[name])
        for statement in statements:
            endpoint.add_to_policy(statement)
        return endpoint

    def _interface(
        self,
        name: str,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        security_group: ec2.ISecurityGroup,
        accounts: Sequence[str],
    ) -> ec2.InterfaceVpcEndpoint:
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            _id(name),
            vpc=vpc,
            service=endpoint_service(name),
            subnets=subnets,
            security_groups=[security_group],
            # The group says who may come in; CDK's own rule would add the whole VPC once more.
            open=False,
            private_dns_enabled=True,
        )
        for statement in _policies.interface_policy(name, accounts=accounts):
            endpoint.add_to_policy(statement)
        return endpoint


def _id(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", ".").split("."))
