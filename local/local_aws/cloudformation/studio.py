"""Types of SageMaker Studio, deployed through its API. What is create-only in AWS replaces the resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_aws import context
from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_CREATE_ONLY = {
    "Domain": ("AuthMode", "DomainName", "KmsKeyId", "VpcId"),
    "UserProfile": ("DomainId", "UserProfileName", "SingleSignOnUserIdentifier", "SingleSignOnUserValue"),
    "Space": ("DomainId", "SpaceName", "SpaceSharingSettings", "OwnershipSettings"),
}
_GONE = "ResourceNotFound"


def handlers() -> dict[str, dict[str, Any]]:
    return {
        "AWS::SageMaker::Domain": _type(_create_domain, _update_domain, _delete_domain),
        "AWS::SageMaker::UserProfile": _type(_create_profile, _update_profile, _delete_profile),
        "AWS::SageMaker::Space": _type(_create_space, _update_space, _delete_space),
        "AWS::SageMaker::Image": _named("Image", lambda props: _image(props)),
        "AWS::SageMaker::ImageVersion": _type(_create_version, None, _delete_version),
        "AWS::SageMaker::AppImageConfig": _named("AppImageConfig"),
        "AWS::SageMaker::StudioLifecycleConfig": _named("StudioLifecycleConfig"),
    }


def _type(create: Any, update: Any, delete: Any) -> dict[str, Any]:
    def replace(physical_id: str, old: Props, new: Props, stack: str) -> Created:
        created: Created = create("", new, stack)
        delete(physical_id, old)
        return created

    return {"create": create, "update": update or replace, "delete": delete}


def _create_domain(logical_id: str, props: Props, stack: str) -> Created:
    number = calls.call("sagemaker", "CreateDomain", props)["DomainId"]
    return number, _domain_attributes(number)


def _update_domain(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if _replaced("Domain", old, new):
        return _create_domain("", new, stack)  # the old one is retained
    changes = {name: value for name, value in new.items() if name not in ("Tags", *_CREATE_ONLY["Domain"])}
    if "DomainSettings" in changes:
        changes["DomainSettingsForUpdate"] = changes.pop("DomainSettings")
    calls.call("sagemaker", "UpdateDomain", changes | {"DomainId": physical_id})
    return physical_id, _domain_attributes(physical_id)


def _delete_domain(physical_id: str, props: Props) -> None:
    """As in AWS: the home file system stays."""
    calls.call_if_there("sagemaker", "DeleteDomain", {"DomainId": physical_id}, _GONE)


def _domain_attributes(number: str) -> dict[str, Any]:
    described = context.client("sagemaker").describe_domain(DomainId=number)
    names = ("DomainId", "DomainArn", "Url", "HomeEfsFileSystemId")
    return {name: described[name] for name in names if name in described}


def _create_profile(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("sagemaker", "CreateUserProfile", props)["UserProfileArn"]
    return f"{props['UserProfileName']}|{props['DomainId']}", {"UserProfileArn": arn}


def _update_profile(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if _replaced("UserProfile", old, new):
        return _create_profile("", new, stack)
    changes: Props = {
        name: new[name] for name in ("DomainId", "UserProfileName", "UserSettings") if name in new
    }
    arn = calls.call("sagemaker", "UpdateUserProfile", changes)["UserProfileArn"]
    return physical_id, {"UserProfileArn": arn}


def _delete_profile(physical_id: str, props: Props) -> None:
    names = {name: props[name] for name in ("DomainId", "UserProfileName")}
    calls.call_if_there("sagemaker", "DeleteUserProfile", names, _GONE)


def _create_space(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("sagemaker", "CreateSpace", props)["SpaceArn"]
    return f"{props['DomainId']}|{props['SpaceName']}", {"SpaceArn": arn}


def _update_space(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if _replaced("Space", old, new):
        return _create_space("", new, stack)
    changes: Props = {
        n: new[n] for n in ("DomainId", "SpaceName", "SpaceSettings", "SpaceDisplayName") if n in new
    }
    arn = calls.call("sagemaker", "UpdateSpace", changes)["SpaceArn"]
    return physical_id, {"SpaceArn": arn}


def _delete_space(physical_id: str, props: Props) -> None:
    names = {name: props[name] for name in ("DomainId", "SpaceName")}
    calls.call_if_there("sagemaker", "DeleteSpace", names, _GONE)


def _create_version(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call(
        "sagemaker", "CreateImageVersion", props | {"ClientToken": f"{stack}-{logical_id}"[-36:]}
    )["ImageVersionArn"]
    described = context.client("sagemaker").describe_image_version(ImageName=props["ImageName"])
    return arn, {
        name: described[name] for name in ("ImageArn", "ImageVersionArn", "Version", "ContainerImage")
    }


def _delete_version(physical_id: str, props: Props) -> None:
    given = {"ImageName": props["ImageName"], "Version": int(physical_id.rsplit("/", 1)[-1])}
    calls.call_if_there("sagemaker", "DeleteImageVersion", given, _GONE, "ValidationException")


def _image(props: Props) -> Props:
    """The API has other names than the template."""
    names = {"ImageRoleArn": "RoleArn", "ImageDescription": "Description", "ImageDisplayName": "DisplayName"}
    return {names.get(name, name): value for name, value in props.items()}


def _named(noun: str, given: Callable[[Props], Props] = dict) -> dict[str, Any]:
    """A type that is created and deleted by its name, and made anew when it changes."""
    name = f"{noun}Name"

    def create(logical_id: str, props: Props, stack: str) -> Created:
        arn = calls.call("sagemaker", f"Create{noun}", given(props))[f"{noun}Arn"]
        return arn if noun == "Image" else props[name], {f"{noun}Arn": arn}

    def update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
        if old[name] == new[name] and noun == "StudioLifecycleConfig":
            message = f"{new[name]} already exists: CloudFormation makes the new one first"
            raise ValueError(message)
        delete(physical_id, old)
        return create("", new, stack)

    def delete(physical_id: str, props: Props) -> None:
        calls.call_if_there("sagemaker", f"Delete{noun}", {name: props[name]}, _GONE, "ValidationException")

    return {"create": create, "update": update, "delete": delete}


def _replaced(noun: str, old: Props, new: Props) -> bool:
    return any(old.get(name) != new.get(name) for name in _CREATE_ONLY[noun])
