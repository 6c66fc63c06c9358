"""Which IAM actions a call of the AWS SDK needs, from botocore's models and IAM's catalogue."""

from __future__ import annotations

import functools
import re

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from tests.compliance import iam

# Services whose prefix in IAM is not the name that requests are signed with.
_PREFIXES = {"cloudwatch": "cloudwatch"}
# Operations that IAM knows under another name, or that need more than their own action.
_ACTIONS = {
    ("lambda", "Invoke"): {"lambda:InvokeFunction"},
    ("lambda", "InvokeAsync"): {"lambda:InvokeFunction"},
    ("s3", "HeadObject"): {"s3:GetObject"},
    ("s3", "HeadBucket"): {"s3:ListBucket"},
    ("s3", "ListObjects"): {"s3:ListBucket"},
    ("s3", "ListObjectsV2"): {"s3:ListBucket"},
    ("s3", "ListObjectVersions"): {"s3:ListBucketVersions"},
    ("s3", "CopyObject"): {"s3:GetObject", "s3:PutObject"},
    ("s3", "CreateMultipartUpload"): {"s3:PutObject"},
    ("s3", "UploadPart"): {"s3:PutObject"},
    ("s3", "CompleteMultipartUpload"): {"s3:PutObject"},
    ("s3", "DeleteObjects"): {"s3:DeleteObject"},
    ("dynamodb", "TransactWriteItems"): {"dynamodb:PutItem"},
    ("sqs", "SendMessageBatch"): {"sqs:SendMessage"},
    ("sqs", "DeleteMessageBatch"): {"sqs:DeleteMessage"},
    ("sns", "PublishBatch"): {"sns:Publish"},
}
# What boto3 adds to its clients beside the operations. A large upload goes in parts; a failed one is aborted.
_TRANSFERS = {
    "upload_file": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "upload_fileobj": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "download_file": {"s3:GetObject"},
    "download_fileobj": {"s3:GetObject"},
}
_VERSIONED = {"s3:GetObject": "s3:GetObjectVersion", "s3:DeleteObject": "s3:DeleteObjectVersion"}


class UnknownCall(LookupError):
    """No service, no operation or no IAM action of this name."""


def services() -> list[str]:
    """The services that botocore knows."""
    return list(_session().get_available_services())


@functools.cache
def methods(service: str) -> dict[str, str]:
    """The methods of a service's client and the operations that they call."""
    return {xform_name(operation): operation for operation in _model(service).operation_names}


@functools.cache
def actions(service: str, operation: str) -> frozenset[str]:
    """The IAM actions that an operation (`CreateTrainingJob`) of a service (`sagemaker`) needs.

    Raises:
        UnknownCall: botocore or IAM does not know it.
    """
    model = _model(service)
    if operation not in model.operation_names:
        raise UnknownCall(f"{service} has no operation {operation}")
    prefix = _PREFIXES.get(service, model.signing_name)
    found = _ACTIONS.get((service, operation), {f"{prefix}:{operation}"})
    for action in found:
        if not iam.matching_actions(action):
            raise UnknownCall(f"IAM knows no action {action}, as {service}.{operation} would need")
    return frozenset(found)


def method_actions(service: str, method: str, *, versioned: bool = False) -> frozenset[str]:
    """The IAM actions that a client's method (`get_object`) needs; ``versioned`` if it names a version."""
    if service == "s3" and method in _TRANSFERS:
        found = frozenset(_TRANSFERS[method])
    elif method in methods(service):
        found = actions(service, methods(service)[method])
    else:
        raise UnknownCall(f"a client of {service} has no method {method}")
    return found | {_VERSIONED[action] for action in found if versioned and action in _VERSIONED}


def waiter_operation(service: str, waiter: str) -> str:
    """The operation that a waiter (`function_updated_v2`) calls until it is content."""
    model = _session().get_waiter_model(service)
    names = {xform_name(name): name for name in model.waiter_names}
    if waiter not in names:
        raise UnknownCall(f"{service} has no waiter {waiter}")
    return str(model.get_waiter(names[waiter]).operation)


def service_of_stub(module: str) -> str | None:
    """The service whose types a `mypy_boto3_…` module has."""
    found = re.fullmatch(r"mypy_boto3_(\w+?)(\..*)?", module)
    name = found.group(1).replace("_", "-") if found else None
    return name if name in services() else None


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@functools.cache
def _model(service: str) -> botocore.model.ServiceModel:
    try:
        return _session().get_service_model(service)
    except UnknownServiceError as error:
        raise UnknownCall(f"botocore knows no service {service}") from error
