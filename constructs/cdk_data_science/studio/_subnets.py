"""Where the apps of a domain are: their subnets, and their security group."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

_MOST = 16


def choose_subnets(
    problems: Problems, vpc: ec2.IVpc, selection: ec2.SubnetSelection | None
) -> ec2.SelectedSubnets:
    """The selected subnets. Where there are none, all problems so far are raised."""
    wanted = selection if selection is not None else ec2.SubnetSelection()
    try:
        chosen = vpc.select_subnets(
            availability_zones=wanted.availability_zones,
            one_per_az=wanted.one_per_az,
            subnet_filters=wanted.subnet_filters,
            subnet_group_name=wanted.subnet_group_name,
            subnets=wanted.subnets,
            subnet_type=wanted.subnet_type,
        )
    except RuntimeError as error:  # what CDK says where there are none of the kind
        said = str(error).splitlines()[0].removeprefix("Error: ")
        problems.check(False, given=f"no subnets: {said}", allowed="private subnets in two zones or more")
        problems.raise_if_any()
        raise
    _check(problems, vpc, chosen)
    return chosen


def _check(problems: Problems, vpc: ec2.IVpc, chosen: ec2.SelectedSubnets) -> None:
    found = chosen.subnet_ids
    problems.check(bool(found), given="no subnets", allowed="private subnets in two zones or more")
    public = {subnet.subnet_id for subnet in vpc.public_subnets}
    problems.check(
        not any(subnet in public for subnet in found),
        given="public subnets",
        allowed="subnets without a route from the internet",
        write="subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)",
    )
    zones = sorted({*chosen.availability_zones})
    problems.check(
        not found or any(is_token(zone) for zone in zones) or len(zones) > 1,
        given=f"{len(found)} subnets in one zone, {zones}",
        allowed="subnets in two zones or more: the home file system and the apps outlive the loss of one",
        write="subnets of a further zone",
    )
    problems.check(len(found) <= _MOST, given=f"{len(found)} subnets", allowed=f"{_MOST} or fewer")


def apps_group(scope: Construct, vpc: ec2.IVpc) -> ec2.SecurityGroup:
    """A group for apps: HTTPS out, nothing in."""
    group = ec2.SecurityGroup(
        scope,
        "Apps",
        vpc=vpc,
        description="Apps of Studio: HTTPS out, nothing in",
        allow_all_outbound=False,
    )
    group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "to all that there are routes to")
    return group
