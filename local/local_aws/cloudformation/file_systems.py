"""AWS::FSx::FileSystem and AWS::FSx::DataRepositoryAssociation, deployed through FSx's API."""

from __future__ import annotations

from typing import Any

from local_aws import context, fsx
from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_REPLACED = ("BackupId", "FileSystemType", "KmsKeyId", "SecurityGroupIds", "StorageType", "SubnetIds")
_LINK_REPLACED = ("FileSystemId", "FileSystemPath", "DataRepositoryPath", "BatchImportMetaDataOnCreate")


def create(logical_id: str, props: Props, stack: str) -> Created:
    return _shown(calls.call("fsx", "CreateFileSystem", props)["FileSystem"])


def update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    client = context.client("fsx")
    shape = client.meta.service_model.shape_for("UpdateFileSystemLustreConfiguration")
    before, after = (given.get("LustreConfiguration", {}) for given in (old, new))
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if any(old.get(name) != new.get(name) for name in _REPLACED) or changed - set(shape.members):
        return create("", new, stack)
    changes: Props = {"FileSystemId": physical_id}
    if changed & after.keys():
        changes["LustreConfiguration"] = {name: after[name] for name in changed & after.keys()}
    if new.get("StorageCapacity") != old.get("StorageCapacity"):
        changes["StorageCapacity"] = new["StorageCapacity"]
    return _shown(calls.call("fsx", "UpdateFileSystem", changes)["FileSystem"])


def delete(physical_id: str, props: Props) -> None:
    calls.call_if_there("fsx", "DeleteFileSystem", {"FileSystemId": physical_id}, "FileSystemNotFound")


def create_link(logical_id: str, props: Props, stack: str) -> Created:
    created = calls.call("fsx", "CreateDataRepositoryAssociation", props)["Association"]
    return created["AssociationId"], _link_attributes(created)


def update_link(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if any(old.get(name) != new.get(name) for name in _LINK_REPLACED):
        # Two links of one directory cannot be at the same time.
        delete_link(physical_id, old)
        return create_link("", new, stack)
    changes = {"AssociationId": physical_id} | {
        n: new[n] for n in ("ImportedFileChunkSize", "S3") if n in new
    }
    updated = calls.call("fsx", "UpdateDataRepositoryAssociation", changes)["Association"]
    return physical_id, _link_attributes(updated)


def delete_link(physical_id: str, props: Props) -> None:
    missing = "DataRepositoryAssociationNotFound"
    calls.call_if_there("fsx", "DeleteDataRepositoryAssociation", {"AssociationId": physical_id}, missing)


def _shown(described: dict[str, Any]) -> Created:
    names = ("DNSName", "ResourceARN")
    attributes = {name: described[name] for name in names} | {"LustreMountName": fsx.mount_name(described)}
    return described["FileSystemId"], attributes | {"Id": described["FileSystemId"]}


def _link_attributes(described: dict[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in ("AssociationId", "ResourceARN")}
