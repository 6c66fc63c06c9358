"""Enter the model in the registry: one version for each model, with where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import card
import objects
from botocore.exceptions import ClientError
from clients import sagemaker
from events import RegisterEvent, RegisterResult
from telemetry import logger, step

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateModelPackageInputTypeDef

# Repeated runs register what is new; older versions than these are not looked through.
_NEWEST_VERSIONS = 100
_VALUE_CHARACTERS = 256
# Where data are exported from a snapshot of a table, their key names both.
_SNAPSHOT = re.compile(r"(?:.*/)?table=([^/]+)/snapshot=([0-9]+)/.*")
_NOT_ALLOWED = re.compile(r"[^\w\s.:/=+\-@]")


@step("Register")
def handler(event: RegisterEvent) -> RegisterResult:
    """Create a version in the model package group `group`, or return the one that holds this model."""
    arn = _registered(event["group"], event["sha256"])
    if arn is None:
        arn = _register(_request(event))
        logger.info("registered", extra={"model_package": arn})
    else:
        logger.info("already registered", extra={"model_package": arn})
    return {"model_package_arn": arn, "version": int(arn.rpartition("/")[2])}


def _register(request: CreateModelPackageInputTypeDef) -> str:
    """Create the version. What a card may hold is SageMaker's to say, by a schema that no API tells: a card
    that it refuses is told and left out, since a model that passed its gates must not wait for it."""
    try:
        return sagemaker().create_model_package(**request)["ModelPackageArn"]
    except ClientError as error:
        refused = error.response["Error"]
        if refused["Code"] != "ValidationException" or "card" not in refused["Message"].lower():
            raise
        logger.warning("registered without its model card", extra={"refused": refused["Message"]})
        del request["ModelCard"]
        return sagemaker().create_model_package(**request)["ModelPackageArn"]


def _registered(group: str, digest: str) -> str | None:
    """The newest version of the group that holds the model with this hash."""
    pages = (
        sagemaker()
        .get_paginator("list_model_packages")
        .paginate(
            ModelPackageGroupName=group,
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"MaxItems": _NEWEST_VERSIONS},
        )
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            arn = summary["ModelPackageArn"]
            known = sagemaker().describe_model_package(ModelPackageName=arn)
            if known.get("CustomerMetadataProperties", {}).get("sha256") == digest:
                return arn
    return None


def _request(event: RegisterEvent) -> CreateModelPackageInputTypeDef:
    once = sha256("\0".join((event["group"], event["run"], event["sha256"])).encode()).hexdigest()
    request: CreateModelPackageInputTypeDef = {
        "ModelPackageGroupName": event["group"],
        "ModelPackageDescription": f"Trained by {event['run']} on {objects.uri(event['data'])}"[:1024],
        # It has passed the thresholds; what has not is never registered. Where a person decides, too, it
        # waits for that.
        "ModelApprovalStatus": event.get("approval", "Approved"),
        "ClientToken": once[:32],
        "CustomerMetadataProperties": _metadata(event),
        "MetadataProperties": {"GeneratedBy": event["training_job"]},
        "ModelCard": {"ModelCardContent": json.dumps(card.content(event)), "ModelCardStatus": "Draft"},
    }
    image = event.get("image")
    if image:
        folder = objects.uri(event["model"]).rpartition("/")[0] + "/"
        request["InferenceSpecification"] = {
            "Containers": [
                {
                    "Image": image,
                    "ModelDataSource": {
                        "S3DataSource": {"S3Uri": folder, "S3DataType": "S3Prefix", "CompressionType": "None"}
                    },
                }
            ],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        }
    report = event.get("report")
    if report:
        request["ModelMetrics"] = {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": objects.uri(report)}}
        }
    return request


def _metadata(event: RegisterEvent) -> dict[str, str]:
    data, trained_by = event["data"], event.get("trained_by", {})
    metadata = {
        "run": event["run"],
        "sha256": event["sha256"],
        "model": objects.uri(event["model"]),
        "data": objects.uri(data),
        "data.version": data.get("versionId") or "",
        "data.checksum": data.get("checksum") or "",
        **_snapshot(data["key"]),
        "training_job": event["training_job"],
        "training_image": trained_by.get("image", ""),
        # The archive's version is the newest one that was there when the job began.
        "code": trained_by.get("source", ""),
        "trained_at": trained_by.get("started", ""),
        "parameters": " ".join(f"{k}={v}" for k, v in sorted(trained_by.get("parameters", {}).items())),
        **_metric_entries(event["metrics"]),
    }
    # The registry takes 256 letters, digits and a few signs as a value, and none that is empty.
    return {
        name: _NOT_ALLOWED.sub("_", value)[:_VALUE_CHARACTERS] for name, value in metadata.items() if value
    }


def _snapshot(key: str) -> dict[str, str]:
    """The table and the snapshot that the data were exported from."""
    found = _SNAPSHOT.fullmatch(key)
    return {} if found is None else {"data.table": found[1], "data.snapshot": found[2]}


def _metric_entries(metrics: Mapping[str, Any]) -> dict[str, str]:
    entries = {}
    for name, value in sorted(metrics.items()):
        values = value if isinstance(value, list) else [value]
        entries[f"metric.{name}"] = " ".join(f"{number:.6g}" for number in values)
    return entries
