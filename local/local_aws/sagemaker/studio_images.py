"""Images and lifecycle configurations of Studio, as state."""

from __future__ import annotations

import threading
import time
from typing import Any

from local_aws.sagemaker import jobs, validation
from local_aws.sagemaker.errors import ApiError, in_use
from local_aws.sagemaker.hosting import Store

_Request = dict[str, Any]

APP_CONFIGS = Store("AppImageConfig", "app-image-config")
SCRIPTS = Store("StudioLifecycleConfig", "studio-lifecycle-config")
IMAGES = Store("Image", "image")
_versions: dict[tuple[str, int], _Request] = {}
_numbers: dict[str, int] = {}
_lock = threading.Lock()


def create_image(request: _Request) -> _Request:
    answer = IMAGES.create(request)
    IMAGES.find(request["ImageName"]).update(ImageStatus="CREATED", LastModifiedTime=time.time())
    return answer


def create_version(request: _Request) -> _Request:
    validation.check("CreateImageVersion", request)
    name = request["ImageName"]
    image = IMAGES.find(name)
    with _lock:
        number = _numbers[name] = _numbers.get(name, 0) + 1
        arn = f"{jobs.arn_prefix()}image-version/{name.lower()}/{number}"
        _versions[name, number] = {
            "BaseImage": request["BaseImage"],
            "ContainerImage": request["BaseImage"],
            "ImageArn": image["ImageArn"],
            "ImageVersionArn": arn,
            "ImageVersionStatus": "CREATED",
            "Version": number,
            "CreationTime": time.time(),
            "LastModifiedTime": time.time(),
        }
    return {"ImageVersionArn": arn}


def describe_version(request: _Request) -> _Request:
    validation.check("DescribeImageVersion", request)
    name = request["ImageName"]
    number = request.get("Version") or max((n for each, n in _versions if each == name), default=0)
    if (name, number) not in _versions:
        raise ApiError("ResourceNotFound", f"Image {name} has no version {number}.")
    return _versions[name, number]


def delete_version(request: _Request) -> _Request:
    validation.check("DeleteImageVersion", request)
    found = describe_version(request)
    with _lock:
        _versions.pop((request["ImageName"], found["Version"]), None)
    return {}


def delete_image(request: _Request) -> _Request:
    if any(name == request.get("ImageName") for name, _ in _versions):
        raise in_use("The image has versions.")
    return IMAGES.delete(request)


OPERATIONS = {
    "CreateImage": create_image,
    "DescribeImage": IMAGES.describe,
    "DeleteImage": delete_image,
    "CreateImageVersion": create_version,
    "DescribeImageVersion": describe_version,
    "DeleteImageVersion": delete_version,
    "CreateAppImageConfig": APP_CONFIGS.create,
    "DescribeAppImageConfig": APP_CONFIGS.describe,
    "DeleteAppImageConfig": APP_CONFIGS.delete,
    "CreateStudioLifecycleConfig": SCRIPTS.create,
    "DescribeStudioLifecycleConfig": SCRIPTS.describe,
    "DeleteStudioLifecycleConfig": SCRIPTS.delete,
}
