"""Rules of security groups that are resources of their own: what a stack deploys is what EC2 then shows."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_PEERS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


def create_ingress(logical_id: str, props: Props, stack: str) -> Created:
    return _authorize("Ingress", logical_id, props, stack)


def create_egress(logical_id: str, props: Props, stack: str) -> Created:
    return _authorize("Egress", logical_id, props, stack)


def delete_ingress(physical_id: str, props: Props) -> None:
    _revoke("Ingress", props)


def delete_egress(physical_id: str, props: Props) -> None:
    _revoke("Egress", props)


def _authorize(direction: str, logical_id: str, props: Props, stack: str) -> Created:
    calls.call("ec2", f"AuthorizeSecurityGroup{direction}", _rule(props))
    physical_id = f"{stack}-{logical_id}"
    return physical_id, {"Id": physical_id}


def _revoke(direction: str, props: Props) -> None:
    missing = ("InvalidGroup.NotFound", "InvalidPermission.NotFound")
    calls.call_if_there("ec2", f"RevokeSecurityGroup{direction}", _rule(props), *missing)


def _rule(props: Props) -> Props:
    permission: Props = {name: props[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in props}
    for name, (peers, key) in _PEERS.items():
        if name in props:
            described = {"Description": props["Description"]} if "Description" in props else {}
            permission[peers] = [{key: props[name], **described}]
    return {"GroupId": props["GroupId"], "IpPermissions": [permission]}
