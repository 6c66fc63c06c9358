"""What a domain of Studio makes in a VPC: the file system of home directories, groups and interfaces."""

from __future__ import annotations

from typing import Any

from local_aws import context


def create(domain: dict[str, Any]) -> str:
    """The file system of home directories, its mount targets, and the two groups between it and apps."""
    efs, ec2, number = context.client("efs"), context.client("ec2"), domain["DomainId"]
    tags = [{"Key": "ManagedByAmazonSageMakerResource", "Value": domain["DomainArn"]}]
    groups = {
        side: ec2.create_security_group(
            GroupName=f"security-group-for-{side}-nfs-{number}",
            Description=f"[DO NOT DELETE] {side} NFS of {number}",
            VpcId=domain["VpcId"],
        )["GroupId"]
        for side in ("inbound", "outbound")
    }
    for side, call in (
        ("inbound", ec2.authorize_security_group_ingress),
        ("outbound", ec2.authorize_security_group_egress),
    ):
        (other,) = (group for name, group in groups.items() if name != side)
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 2049,
            "ToPort": 2049,
            "UserIdGroupPairs": [{"GroupId": other}],
        }
        call(GroupId=groups[side], IpPermissions=[rule])
    ec2.create_tags(Resources=list(groups.values()), Tags=tags)
    made = efs.create_file_system(CreationToken=number, Encrypted=True, Tags=tags)
    for subnet in domain["SubnetIds"]:
        efs.create_mount_target(
            FileSystemId=made["FileSystemId"], SubnetId=subnet, SecurityGroups=[groups["inbound"]]
        )
    ec2.create_network_interface(
        SubnetId=domain["SubnetIds"][0],
        Groups=[groups["outbound"]],
        Description=f"[DO NOT DELETE] ENI managed by SageMaker for Studio Domain ({number})",
    )
    return str(made["FileSystemId"])


def delete(number: str) -> None:
    """The file system, with its mount targets."""
    from botocore.exceptions import ClientError

    efs = context.client("efs")
    try:
        for target in efs.describe_mount_targets(FileSystemId=number)["MountTargets"]:
            efs.delete_mount_target(MountTargetId=target["MountTargetId"])
        efs.delete_file_system(FileSystemId=number)
    except ClientError as error:
        if error.response["Error"]["Code"] != "FileSystemNotFound":
            raise
