"""What a domain leaves in a VPC: mount targets, network interfaces and two security groups for NFS."""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)

_GROUPS = ("security-group-for-inbound-nfs-{}", "security-group-for-outbound-nfs-{}")
_NO_FILE_SYSTEM = "FileSystemNotFound"
_GONE = ("InvalidNetworkInterfaceID.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound")
_BUSY = (
    "DependencyViolation",
    "InvalidParameterValue",
    "OperationNotPermitted",
    "FileSystemInUse",
    "MountTargetNotFound",
)


def end_file_system(efs: Any, file_system: str, *, destroy: bool) -> list[str]:
    """Take a step: no mount targets, whose interfaces hold subnets and groups back, and no files if they may
    be lost. Files that are kept stay without mount targets; make some to read them."""
    try:
        targets = efs.describe_mount_targets(FileSystemId=file_system)["MountTargets"]
        for target in targets:
            if target["LifeCycleState"] != "deleting":
                efs.delete_mount_target(MountTargetId=target["MountTargetId"])
        if targets:
            return [f"mount target {target['MountTargetId']}" for target in targets]
        if not destroy:
            return []
        (found,) = efs.describe_file_systems(FileSystemId=file_system)["FileSystems"]
        if found["LifeCycleState"] != "deleting":
            efs.delete_file_system(FileSystemId=file_system)
        return [f"file system {file_system}"]
    except ClientError as error:
        if _code(error) == _NO_FILE_SYSTEM:
            return []
        if _code(error) in _BUSY:
            return [f"file system {file_system} ({_code(error)})"]
        raise


def end_interfaces_and_groups(ec2: Any, domain: str, vpc: str | None) -> list[str]:
    """Take a step: no interface of the domain's, and neither of the groups that SageMaker made for it."""
    here = [] if vpc is None else [{"Name": "vpc-id", "Values": [vpc]}]
    names = [name.format(domain) for name in _GROUPS]
    groups = _all(
        ec2, "describe_security_groups", "SecurityGroups", [*here, {"Name": "group-name", "Values": names}]
    )
    waiting = _end_interfaces(ec2, domain, here, [group["GroupId"] for group in groups])
    if waiting:
        return waiting
    # Each group names the other in a rule, which holds the other back.
    for group in groups:
        _revoke(ec2.revoke_security_group_ingress, group, "IpPermissions")
        _revoke(ec2.revoke_security_group_egress, group, "IpPermissionsEgress")
    for group in groups:
        if not _done(ec2.delete_security_group, GroupId=group["GroupId"]):
            waiting.append(f"security group {group['GroupName']}")
    return waiting


def _end_interfaces(ec2: Any, domain: str, here: list[dict[str, Any]], groups: list[str]) -> list[str]:
    filters = [{"Name": "description", "Values": [f"*{domain}*"]}]
    if groups:
        filters.append({"Name": "group-id", "Values": groups})
    found = {
        interface["NetworkInterfaceId"]: interface
        for each in filters
        for interface in _all(ec2, "describe_network_interfaces", "NetworkInterfaces", [*here, each])
        # What is deleted hangs on this: it is not left to filters alone.
        if domain in interface.get("Description", "")
        or any(group["GroupId"] in groups for group in interface.get("Groups", ()))
    }
    waiting = []
    for name, interface in found.items():
        # One in use is released by the service that made it, some minutes after what used it has ended.
        free = interface["Status"] == "available"
        if not free or not _done(ec2.delete_network_interface, NetworkInterfaceId=name):
            waiting.append(f"network interface {name} ({interface['Status']})")
    return waiting


def _revoke(operation: Any, group: dict[str, Any], member: str) -> None:
    if group.get(member):
        _done(operation, GroupId=group["GroupId"], IpPermissions=group[member])


def _done(operation: Any, **given: Any) -> bool:
    """Whether it is done, or was already; not if something still holds it back."""
    try:
        operation(**given)
    except ClientError as error:
        if _code(error) in _BUSY:
            logger.info("not yet: %s", error)
            return False
        if _code(error) not in _GONE:
            raise
    return True


def _all(ec2: Any, operation: str, member: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pages = ec2.get_paginator(operation).paginate(Filters=filters)
    return [item for page in pages for item in page[member]]


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
