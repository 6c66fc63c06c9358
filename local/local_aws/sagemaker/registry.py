"""The model registry: model package groups, and model packages with versions and approval.

Runs: versions counted within a group, ARNs as AWS forms them, ClientToken idempotence, approval with its
EventBridge event and who gave it, everything that a request gave kept and described. State: policies of
groups for other accounts, of which there are none here.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from local_aws.sagemaker import callers, events, validation
from local_aws.sagemaker.errors import ApiError, invalid
from local_aws.sagemaker.paging import page

_lock = threading.RLock()
_groups: dict[str, dict[str, Any]] = {}
_packages: dict[str, dict[str, Any]] = {}
_last_version: dict[str, int] = {}
_policies: dict[str, str] = {}
_by_token: dict[str, tuple[dict[str, Any], str]] = {}

_PACKAGE_MEMBERS = (
    "ModelPackageGroupName",
    "ModelPackageDescription",
    "InferenceSpecification",
    "SourceAlgorithmSpecification",
    "ValidationSpecification",
    "CertifyForMarketplace",
    "MetadataProperties",
    "ModelMetrics",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
    "ManagedStorageType",
)
_GROUP_SORT = {"Name": "ModelPackageGroupName", "CreationTime": "CreationTime"}
_PACKAGE_SORT = {"Name": "ModelPackageArn", "CreationTime": "CreationTime"}


def create_group(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateModelPackageGroup", request)
    name = request["ModelPackageGroupName"]
    arn = _arn(f"model-package-group/{name}")
    with _lock:
        if arn in _groups:
            raise invalid(f"Model Package Group already exists: {arn}")
        _groups[arn] = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "CreationTime": time.time(),
            "CreatedBy": callers.context_of_user(),
            "ModelPackageGroupStatus": "Completed",
            **_given(request, "ModelPackageGroupDescription"),
        }
    return {"ModelPackageGroupArn": arn}


def describe_group(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeModelPackageGroup", request)
    return dict(_group(request["ModelPackageGroupName"]))


def list_groups(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListModelPackageGroups", request)
    with _lock:
        groups = [{k: v for k, v in group.items() if k != "CreatedBy"} for group in _groups.values()]
    return page(
        groups, request, member="ModelPackageGroupSummaryList", name="ModelPackageGroupName", sort=_GROUP_SORT
    )


def delete_group(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteModelPackageGroup", request)
    with _lock:
        group = _group(request["ModelPackageGroupName"])
        if _versions(group["ModelPackageGroupName"]):
            arn = group["ModelPackageGroupArn"]
            message = f"Model Package Group {arn} is not empty: delete its model packages first."
            raise ApiError("ConflictException", message)
        del _groups[group["ModelPackageGroupArn"]]
        _policies.pop(group["ModelPackageGroupArn"], None)
    return {}


def put_policy(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("PutModelPackageGroupPolicy", request)
    arn = str(_group(request["ModelPackageGroupName"])["ModelPackageGroupArn"])
    try:
        statements = json.loads(request["ResourcePolicy"])["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise invalid(f"The policy of {arn} is no policy document: {error!r}") from error
    for statement in statements:
        if "Principal" not in statement:
            raise invalid(f"The policy of {arn} has a statement without a principal")
    with _lock:
        _policies[arn] = request["ResourcePolicy"]
    return {"ModelPackageGroupArn": arn}


def get_policy(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("GetModelPackageGroupPolicy", request)
    arn = str(_group(request["ModelPackageGroupName"])["ModelPackageGroupArn"])
    if arn not in _policies:
        raise invalid(f"Cannot find a resource policy of {arn}")
    return {"ResourcePolicy": _policies[arn]}


def delete_policy(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteModelPackageGroupPolicy", request)
    arn = str(_group(request["ModelPackageGroupName"])["ModelPackageGroupArn"])
    with _lock:
        _policies.pop(arn, None)
    return {}


def create_package(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateModelPackage", request)
    token = request.get("ClientToken")
    with _lock:
        if token in _by_token:
            earlier, arn = _by_token[token]
            if earlier != request:
                raise ApiError("ConflictException", f"ClientToken {token} was used with other parameters.")
            return {"ModelPackageArn": arn}
        package = _versioned(request) if "ModelPackageGroupName" in request else _named(request)
        arn = package["ModelPackageArn"]
        _packages[arn] = package
        if token is not None:
            _by_token[token] = (request, arn)
    events.model_package_changed(arn, _event(package))
    return {"ModelPackageArn": arn}


def describe_package(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeModelPackage", request)
    return dict(_package(request["ModelPackageName"]))


def list_packages(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListModelPackages", request)
    group = request.get("ModelPackageGroupName")
    if group is not None:
        group = _group(group)["ModelPackageGroupName"]
    kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
    with _lock:
        packages = [
            _summary(package)
            for package in _packages.values()
            if (group is None or package.get("ModelPackageGroupName") == group)
            and (kind == "Both" or (kind == "Versioned") == ("ModelPackageVersion" in package))
        ]
    return page(
        packages,
        request,
        member="ModelPackageSummaryList",
        name="ModelPackageArn",
        filters={"ModelApprovalStatus": "ModelApprovalStatus"},
        sort=_PACKAGE_SORT,
    )


def update_package(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("UpdateModelPackage", request)
    with _lock:
        package = _package(request["ModelPackageArn"])
        approval_before = package.get("ModelApprovalStatus")
        for name in ("ModelApprovalStatus", "ApprovalDescription", "SourceUri", "InferenceSpecification"):
            package.update(_given(request, name))
        metadata = dict(package.get("CustomerMetadataProperties", {}))
        metadata.update(request.get("CustomerMetadataProperties", {}))
        for name in request.get("CustomerMetadataPropertiesToRemove", []):
            metadata.pop(name, None)
        if metadata:
            package["CustomerMetadataProperties"] = metadata
        else:
            package.pop("CustomerMetadataProperties", None)
        package["LastModifiedTime"] = time.time()
        package["LastModifiedBy"] = callers.context_of_user()
        arn = str(package["ModelPackageArn"])
    if package.get("ModelApprovalStatus") != approval_before:
        events.model_package_changed(arn, _event(package))
    return {"ModelPackageArn": arn}


def delete_package(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteModelPackage", request)
    with _lock:
        del _packages[_package(request["ModelPackageName"])["ModelPackageArn"]]
    return {}


def arns() -> set[str]:
    return set(_groups) | set(_packages)


def _versioned(request: dict[str, Any]) -> dict[str, Any]:
    group = _group(request["ModelPackageGroupName"])
    name = group["ModelPackageGroupName"]
    version = _last_version.get(group["ModelPackageGroupArn"], 0) + 1
    _last_version[group["ModelPackageGroupArn"]] = version
    approval = request.get("ModelApprovalStatus", "PendingManualApproval")
    return _record(request, f"model-package/{name}/{version}") | {
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelApprovalStatus": approval,
    }


def _named(request: dict[str, Any]) -> dict[str, Any]:
    name = request.get("ModelPackageName")
    if name is None:
        raise invalid("Either ModelPackageName or ModelPackageGroupName must be given.")
    if _arn(f"model-package/{name}") in _packages:
        raise invalid(f"Model package already exists: {_arn(f'model-package/{name}')}")
    return _record(request, f"model-package/{name}") | {"ModelPackageName": name}


def _record(request: dict[str, Any], resource: str) -> dict[str, Any]:
    known = {name: request[name] for name in _PACKAGE_MEMBERS if name in request}
    return known | {
        "ModelPackageArn": _arn(resource),
        "CreationTime": time.time(),
        "CreatedBy": callers.context_of_user(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }


def _summary(package: dict[str, Any]) -> dict[str, Any]:
    names = (
        "ModelPackageName",
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
    )
    return {name: package[name] for name in names if name in package}


def _event(package: dict[str, Any]) -> dict[str, Any]:
    return _summary(package) | _given(package, "CustomerMetadataProperties")


def _group(name_or_arn: str) -> dict[str, Any]:
    arn = name_or_arn if name_or_arn.startswith("arn:") else _arn(f"model-package-group/{name_or_arn}")
    group = _groups.get(arn)
    if group is None:
        raise invalid(f"Model Package Group {arn} does not exist")
    return group


def _package(name_or_arn: str) -> dict[str, Any]:
    arn = name_or_arn if name_or_arn.startswith("arn:") else _arn(f"model-package/{name_or_arn}")
    package = _packages.get(arn)
    if package is None:
        raise invalid(f"ModelPackage {arn} does not exist.")
    return package


def _versions(group: str) -> list[str]:
    return [arn for arn, package in _packages.items() if package.get("ModelPackageGroupName") == group]


def _given(request: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: request[name]} if name in request else {}


def _arn(resource: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{resource}"
