"""FSx for Lustre, as state: file systems, and the prefixes of S3 that their directories are linked to.

Training jobs ask it what a channel's directory holds (``sagemaker/file_systems.py``). Not there: other types
of file systems, data repository tasks, backups and file caches.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import string
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local_aws import context
from local_aws.moto_backend import Answer
from local_aws.sagemaker import validation
from local_aws.sagemaker.errors import ApiError

_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_MOST_ASSOCIATIONS = 8
_KEPT = (
    "FileSystemType",
    "FileSystemTypeVersion",
    "StorageCapacity",
    "StorageType",
    "SubnetIds",
    "KmsKeyId",
    "NetworkType",
    "Tags",
)
_lock = threading.RLock()
_file_systems: dict[str, dict[str, Any]] = {}
_associations: dict[str, dict[str, Any]] = {}
_tokens: dict[str, tuple[dict[str, Any], str]] = {}
"""What was created with a client request token: the request, and the id."""


@dataclass(frozen=True, slots=True)
class Link:
    """A directory of a file system and the prefix that it is linked to."""

    path: str
    """Below the mount name, for example ``/raw``; the root is ``/``."""
    uri: str
    imports: frozenset[str]
    """Which events in S3 become visible in the directory: NEW, CHANGED, DELETED."""
    exports: frozenset[str]


def links(file_system_id: str) -> list[Link]:
    """Where the data of a file system come from and go to."""
    with _lock:
        linked = [_link_of(each) for each in _of_file_system(file_system_id)]
        lustre = _file_systems[file_system_id]["LustreConfiguration"]
    repository = lustre.get("DataRepositoryConfiguration")
    if repository:
        # What is there when the file system is created is always imported.
        imports = {"NEW"} | set(repository.get("AutoImportPolicy", "NONE").split("_")) - {"NONE"}
        linked.append(Link("/", repository["ImportPath"], frozenset(imports), frozenset()))
    return linked


def mount_name(described: dict[str, Any]) -> str:
    return str(described["LustreConfiguration"]["MountName"])


def _link_of(association: dict[str, Any]) -> Link:
    s3 = association.get("S3", {})
    imports = set(s3.get("AutoImportPolicy", {}).get("Events", []))
    if association.get("BatchImportMetaDataOnCreate"):
        imports.add("NEW")
    exports = s3.get("AutoExportPolicy", {}).get("Events", [])
    path, uri = _folder(association["FileSystemPath"]), association["DataRepositoryPath"]
    return Link(path, uri, frozenset(imports), frozenset(exports))


def create_file_system(request: dict[str, Any]) -> dict[str, Any]:
    if request["FileSystemType"] != "LUSTRE":
        raise ApiError("BadRequest", "Only file systems of the type LUSTRE are there on the local AWS.")
    with _lock:
        known = _created_before(request)
        if known is not None:
            return {"FileSystem": _file_systems[known]}
        number = f"fs-{secrets.token_hex(8)}{secrets.token_hex(1)[:1]}"
        region, account = context.settings().region, context.settings().account
        created = {name: request[name] for name in _KEPT if name in request} | {
            "FileSystemId": number,
            "OwnerId": account,
            "CreationTime": time.time(),
            "Lifecycle": "AVAILABLE",
            "DNSName": f"{number}.fsx.{region}.amazonaws.com",
            "ResourceARN": f"arn:aws:fsx:{region}:{account}:file-system/{number}",
            "LustreConfiguration": _lustre(request.get("LustreConfiguration", {})),
        }
        _file_systems[number] = created
        _remember(request, number)
    return {"FileSystem": created}


def describe_file_systems(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        wanted = request.get("FileSystemIds") or list(_file_systems)
        return {"FileSystems": [_file_system(number) for number in wanted]}


def update_file_system(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        known = _file_system(request["FileSystemId"])
        known["StorageCapacity"] = request.get("StorageCapacity", known.get("StorageCapacity"))
        changes = dict(request.get("LustreConfiguration", {}))
        policy = changes.pop("AutoImportPolicy", None)
        known["LustreConfiguration"] |= changes
        if policy is not None:
            known["LustreConfiguration"].setdefault("DataRepositoryConfiguration", {})["AutoImportPolicy"] = (
                policy
            )
        return {"FileSystem": known}


def delete_file_system(request: dict[str, Any]) -> dict[str, Any]:
    number = request["FileSystemId"]
    with _lock:
        _file_system(number)
        for association in _of_file_system(number):
            del _associations[association["AssociationId"]]
        del _file_systems[number]
    shutil.rmtree(context.settings().file_systems_dir / number, ignore_errors=True)
    return {"FileSystemId": number, "Lifecycle": "DELETING"}


def create_association(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        known = _created_before(request)
        if known is not None:
            return {"Association": _associations[known]}
        _check_association(request)
        number = f"dra-{secrets.token_hex(8)}{secrets.token_hex(1)[:1]}"
        region, account = context.settings().region, context.settings().account
        created = {name: value for name, value in request.items() if name != "ClientRequestToken"} | {
            "AssociationId": number,
            "ResourceARN": f"arn:aws:fsx:{region}:{account}:association/{request['FileSystemId']}/{number}",
            "Lifecycle": "AVAILABLE",
            "CreationTime": time.time(),
        }
        _associations[number] = created
        _remember(request, number)
    return {"Association": created}


def describe_associations(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        wanted = request.get("AssociationIds") or list(_associations)
        found = [_association(number) for number in wanted]
    for given in request.get("Filters", []):
        if given.get("Name") == "file-system-id":
            found = [each for each in found if each["FileSystemId"] in given.get("Values", [])]
    return {"Associations": found}


def update_association(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        known = _association(request["AssociationId"])
        known |= {name: request[name] for name in ("ImportedFileChunkSize", "S3") if name in request}
        return {"Association": known}


def delete_association(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        _association(request["AssociationId"])
        del _associations[request["AssociationId"]]
    return {"AssociationId": request["AssociationId"], "Lifecycle": "DELETING"}


def tag(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        known = _tagged(request["ResourceARN"])
        tags = {each["Key"]: each for each in [*known.get("Tags", []), *request["Tags"]]}
        known["Tags"] = list(tags.values())
    return {}


def untag(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        known = _tagged(request["ResourceARN"])
        known["Tags"] = [each for each in known.get("Tags", []) if each["Key"] not in request["TagKeys"]]
    return {}


def list_tags(request: dict[str, Any]) -> dict[str, Any]:
    with _lock:
        return {"Tags": _tagged(request["ResourceARN"]).get("Tags", [])}


def tagged() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The ARN of everything with its tags, for conditions on a resource's tags."""
    with _lock:
        found = [*_file_systems.values(), *_associations.values()]
    yield from ((each["ResourceARN"], each.get("Tags", [])) for each in found)


_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "CreateFileSystem": create_file_system,
    "DescribeFileSystems": describe_file_systems,
    "UpdateFileSystem": update_file_system,
    "DeleteFileSystem": delete_file_system,
    "CreateDataRepositoryAssociation": create_association,
    "DescribeDataRepositoryAssociations": describe_associations,
    "UpdateDataRepositoryAssociation": update_association,
    "DeleteDataRepositoryAssociation": delete_association,
    "TagResource": tag,
    "UntagResource": untag,
    "ListTagsForResource": list_tags,
}


async def handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> Answer:
    name = headers.get("x-amz-target", "").rpartition(".")[2]
    operation = _OPERATIONS.get(name)
    try:
        if operation is None:
            raise ApiError("UnsupportedOperation", f"FSx's {name} is not there on the local AWS.")
        request = json.loads(body or b"{}")
        answer = await asyncio.to_thread(_perform, name, operation, request)
    except ApiError as error:
        text = json.dumps({"__type": error.code, "Message": error.message})
        return 400, dict(_JSON), text.encode()
    return 200, dict(_JSON), json.dumps(answer).encode()


def _perform(
    name: str, operation: Callable[[dict[str, Any]], dict[str, Any]], request: dict[str, Any]
) -> dict[str, Any]:
    validation.check(name, request, "fsx")
    return operation(request)


def _lustre(given: dict[str, Any]) -> dict[str, Any]:
    deployment = given.get("DeploymentType", "SCRATCH_1")
    letters = string.ascii_lowercase + string.digits
    mount = "fsx" if deployment == "SCRATCH_1" else "".join(secrets.choice(letters) for _ in range(8))
    repository = {
        name: given[name]
        for name in ("ImportPath", "ExportPath", "AutoImportPolicy", "ImportedFileChunkSize")
        if name in given
    }
    if repository and "ImportPath" not in repository:
        raise ApiError("BadRequest", f"{', '.join(repository)} can be given only with ImportPath.")
    if repository and deployment == "PERSISTENT_2":
        message = "ImportPath is not supported for PERSISTENT_2: create a data repository association."
        raise ApiError("BadRequest", message)
    kept = {name: value for name, value in given.items() if name not in repository}
    linked = {"DataRepositoryConfiguration": repository | {"Lifecycle": "AVAILABLE"}} if repository else {}
    return kept | linked | {"DeploymentType": deployment, "MountName": mount}


def _check_association(request: dict[str, Any]) -> None:
    lustre = _file_system(request["FileSystemId"])["LustreConfiguration"]
    if lustre["DeploymentType"] == "SCRATCH_1":
        message = "Data repository associations are not supported for SCRATCH_1 file systems."
        raise ApiError("UnsupportedOperation", message)
    if "DataRepositoryConfiguration" in lustre:
        message = "The file system is linked by its ImportPath: it cannot have data repository associations."
        raise ApiError("BadRequest", message)
    request["FileSystemPath"] = path = request.get("FileSystemPath", "/")
    uri = request["DataRepositoryPath"]
    if not path.startswith("/") or not uri.startswith("s3://"):
        message = "FileSystemPath must begin with / and DataRepositoryPath with s3://."
        raise ApiError("BadRequest", message)
    others = _of_file_system(request["FileSystemId"])
    if len(others) >= _MOST_ASSOCIATIONS:
        message = f"A file system has at most {_MOST_ASSOCIATIONS} data repository associations."
        raise ApiError("ServiceLimitExceeded", message)
    for other in others:
        if is_below(path, other["FileSystemPath"]) or is_below(other["FileSystemPath"], path):
            message = f"FileSystemPath {path} overlaps with {other['FileSystemPath']}."
            raise ApiError("BadRequest", message)
        if other["DataRepositoryPath"].rstrip("/") == uri.rstrip("/"):
            raise ApiError("BadRequest", f"{uri} is linked to {other['FileSystemPath']} already.")


def is_below(path: str, folder: str) -> bool:
    """Whether a path of a file system is the folder or lies in it."""
    return _folder(path) == _folder(folder) or _folder(path).startswith(_folder(folder).rstrip("/") + "/")


def _folder(path: str) -> str:
    return "/" + path.strip("/")


def _of_file_system(number: str) -> list[dict[str, Any]]:
    found = [each for each in _associations.values() if each["FileSystemId"] == number]
    return sorted(found, key=lambda each: str(each["FileSystemPath"]))


def _created_before(request: dict[str, Any]) -> str | None:
    earlier, number = _tokens.get(request.get("ClientRequestToken", ""), ({}, None))
    if number is not None and earlier != request:
        message = "The client request token was used with other parameters."
        raise ApiError("IncompatibleParameterError", message)
    return number


def _remember(request: dict[str, Any], number: str) -> None:
    if "ClientRequestToken" in request:
        _tokens[request["ClientRequestToken"]] = (request, number)


def _file_system(number: str) -> dict[str, Any]:
    if number not in _file_systems:
        raise ApiError("FileSystemNotFound", f"File system '{number}' does not exist.")
    return _file_systems[number]


def _association(number: str) -> dict[str, Any]:
    if number not in _associations:
        message = f"Data repository association '{number}' does not exist."
        raise ApiError("DataRepositoryAssociationNotFound", message)
    return _associations[number]


def _tagged(arn: str) -> dict[str, Any]:
    def every() -> Iterator[dict[str, Any]]:
        yield from _file_systems.values()
        yield from _associations.values()

    found = next((each for each in every() if each["ResourceARN"] == arn), None)
    if found is None:
        raise ApiError("ResourceNotFound", f"{arn} does not exist.")
    return found
