"""How clients reach the servers of a file system."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2


def allow(servers: ec2.SecurityGroup, clients: ec2.ISecurityGroup, port: ec2.Port, says: str) -> None:
    """Let clients reach servers on a port, both ways in beside the servers' group.

    A group that lets everything out already needs no rule for it, and CDK would warn of one.
    """
    servers.add_ingress_rule(clients, port, says)
    if not clients.allow_all_outbound:
        clients.add_egress_rule(servers, port, says, remote_rule=True)
