"""A domain with people in it, whose parts take their time to end, and which can be told to fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

DOMAIN, FILES, VPC = "d-abcdefghijkl", "fs-0123456789abcdef0", "vpc-0123456789abcdef0"
CREATED = datetime(2026, 11, 24, 8, tzinfo=UTC)


def error(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class Pages:
    """A paginator over what an operation answers, two items a page."""

    def __init__(self, operation: Callable[..., list[dict[str, Any]]], member: str) -> None:
        self._operation, self._member = operation, member

    def paginate(self, *, PaginationConfig: object = None, **given: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        found = self._operation(**given)
        for start in range(0, max(len(found), 1), 2):
            yield {self._member: found[start : start + 2]}


class Faulty:
    """Raises the errors that were queued for an operation, one a call, before it does its work."""

    def __init__(self) -> None:
        self.faults: dict[str, deque[str]] = {}
        self.calls: list[str] = []

    def fail(self, operation: str, *codes: str) -> None:
        self.faults.setdefault(operation, deque()).extend(codes)

    def _called(self, operation: str) -> None:
        self.calls.append(operation)
        if self.faults.get(operation):
            raise error(self.faults[operation].popleft(), operation)


class FakeSageMaker(Faulty):
    """Apps, spaces and profiles pass through `Deleting` before they are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.apps: list[dict[str, Any]] = []
        self.spaces: dict[str, dict[str, Any]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.domain: dict[str, Any] | None = {"Status": "InService"}
        self.retention: list[str] = []
        self.stuck: set[str] = set()
        """Names of apps that never end."""

    def add_user(self, name: str, *spaces: str, status: str = "InService") -> None:
        """A user with an app in each of these spaces."""
        self.profiles[name] = {"UserProfileName": name, "Status": "InService"}
        for space in spaces:
            self.spaces[space] = {
                "SpaceName": space,
                "Status": "InService",
                "OwnershipSettingsSummary": {"OwnerUserProfileName": name},
                "SpaceSharingSettingsSummary": {"SharingType": "Private"},
            }
            self.add_app(f"app-{space}", SpaceName=space, Status=status)

    def add_app(self, name: str, **more: Any) -> None:
        self.apps.append(
            {
                "DomainId": DOMAIN,
                "AppType": "JupyterLab",
                "AppName": name,
                "Status": "InService",
                "CreationTime": CREATED,
                "ResourceSpec": {"InstanceType": "ml.t3.medium"},
            }
            | more
        )

    def get_paginator(self, operation: str) -> Pages:
        operations: dict[str, tuple[Callable[..., list[dict[str, Any]]], str]] = {
            "list_apps": (self._list_apps, "Apps"),
            "list_spaces": (self._list_spaces, "Spaces"),
            "list_user_profiles": (self._list_profiles, "UserProfiles"),
        }
        return Pages(*operations[operation])

    def _list_apps(self, **given: str) -> list[dict[str, Any]]:
        self._called("list_apps")
        self._exists()
        found = [
            dict(app)
            for app in self.apps
            if all(
                app.get(name.removesuffix("Equals")) == value
                for name, value in given.items()
                if name != "DomainIdEquals"
            )
        ]
        for app in self.apps:  # it takes a look for each to be gone, and it stays listed
            if app["Status"] == "Deleting" and app["AppName"] not in self.stuck:
                app["Status"] = "Deleted"
        return found

    def _list_spaces(self, **_: str) -> list[dict[str, Any]]:
        self._called("list_spaces")
        self._exists()
        return self._passing(self.spaces)

    def _list_profiles(self, **_: str) -> list[dict[str, Any]]:
        self._called("list_user_profiles")
        self._exists()
        return self._passing(self.profiles)

    @staticmethod
    def _passing(things: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        found = [dict(each) for each in things.values()]
        for name in [name for name, each in things.items() if each["Status"] == "Deleting"]:
            del things[name]
        return found

    def _exists(self) -> None:
        if self.domain is None:
            raise error("ResourceNotFound")

    def delete_app(self, *, DomainId: str, AppType: str, AppName: str, **place: str) -> None:  # noqa: N803
        self._called("delete_app")
        assert (DomainId, AppType) == (DOMAIN, "JupyterLab")
        assert len(place) == 1
        (app,) = [each for each in self.apps if each["AppName"] == AppName]
        app["Status"] = "Deleting"

    def delete_space(self, *, DomainId: str, SpaceName: str) -> None:  # noqa: N803
        self._called("delete_space")
        busy = [a for a in self.apps if a.get("SpaceName") == SpaceName and a["Status"] != "Deleted"]
        if busy:
            raise error("ResourceInUse")
        self.spaces[SpaceName]["Status"] = "Deleting"

    def delete_user_profile(self, *, DomainId: str, UserProfileName: str) -> None:  # noqa: N803
        self._called("delete_user_profile")
        owned = [s for s in self.spaces.values() if s["OwnershipSettingsSummary"]]
        if any(s["OwnershipSettingsSummary"]["OwnerUserProfileName"] == UserProfileName for s in owned):
            raise error("ResourceInUse")
        self.profiles[UserProfileName]["Status"] = "Deleting"

    def describe_domain(self, *, DomainId: str) -> dict[str, Any]:  # noqa: N803
        self._called("describe_domain")
        self._exists()
        assert self.domain is not None
        found = dict(self.domain)
        if self.domain["Status"] == "Deleting":
            self.domain = None
        return found

    def delete_domain(self, *, DomainId: str, RetentionPolicy: dict[str, str]) -> None:  # noqa: N803
        self._called("delete_domain")
        assert not self.profiles
        assert not self.spaces
        assert self.domain is not None
        self.retention.append(RetentionPolicy["HomeEfsFileSystem"])
        self.domain["Status"] = "Deleting"


class FakeEfs(Faulty):
    def __init__(self) -> None:
        super().__init__()
        self.targets = {f"fsmt-{n}": "available" for n in (1, 2)}
        self.file_system: str | None = "available"

    def describe_mount_targets(self, *, FileSystemId: str) -> dict[str, Any]:  # noqa: N803
        self._called("describe_mount_targets")
        assert FileSystemId == FILES
        if self.file_system is None:
            raise error("FileSystemNotFound")
        found = [{"MountTargetId": n, "LifeCycleState": state} for n, state in self.targets.items()]
        self.targets = {n: state for n, state in self.targets.items() if state != "deleting"}
        return {"MountTargets": found}

    def delete_mount_target(self, *, MountTargetId: str) -> None:  # noqa: N803
        self._called("delete_mount_target")
        self.targets[MountTargetId] = "deleting"

    def describe_file_systems(self, *, FileSystemId: str) -> dict[str, Any]:  # noqa: N803
        self._called("describe_file_systems")
        return {"FileSystems": [{"FileSystemId": FileSystemId, "LifeCycleState": self.file_system}]}

    def delete_file_system(self, *, FileSystemId: str) -> None:  # noqa: N803
        self._called("delete_file_system")
        assert not self.targets
        self.file_system = None


class FakeEc2(Faulty):
    """Two groups of the domain that name each other, one of somebody else, and interfaces of both."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = {
            "sg-in": self._group("sg-in", f"security-group-for-inbound-nfs-{DOMAIN}", "sg-out"),
            "sg-out": self._group("sg-out", f"security-group-for-outbound-nfs-{DOMAIN}", "sg-in"),
            "sg-other": self._group("sg-other", "security-group-for-inbound-nfs-d-other", "sg-other"),
        }
        self.interfaces = {
            "eni-app": self._interface("eni-app", f"ENI managed by SageMaker for {DOMAIN}", "in-use"),
            "eni-files": self._interface("eni-files", "EFS mount target", "available", "sg-in"),
            "eni-other": self._interface("eni-other", "ENI of somebody else", "available"),
        }

    @staticmethod
    def _group(group: str, name: str, other: str) -> dict[str, Any]:
        rule = {"IpProtocol": "tcp", "UserIdGroupPairs": [{"GroupId": other}]}
        return {"GroupId": group, "GroupName": name, "IpPermissions": [rule], "IpPermissionsEgress": [rule]}

    @staticmethod
    def _interface(name: str, description: str, status: str, *groups: str) -> dict[str, Any]:
        return {
            "NetworkInterfaceId": name,
            "Description": description,
            "Status": status,
            "Groups": [{"GroupId": group} for group in groups],
        }

    def get_paginator(self, operation: str) -> Pages:
        operations: dict[str, tuple[Callable[..., list[dict[str, Any]]], str]] = {
            "describe_security_groups": (self._describe_groups, "SecurityGroups"),
            "describe_network_interfaces": (self._describe_interfaces, "NetworkInterfaces"),
        }
        return Pages(*operations[operation])

    def _describe_groups(self, *, Filters: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N803
        self._called("describe_security_groups")
        (names,) = [each["Values"] for each in Filters if each["Name"] == "group-name"]
        return [dict(group) for group in self.groups.values() if group["GroupName"] in names]

    def _describe_interfaces(self, *, Filters: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N803
        """A service that takes no notice of filters: what is deleted must not hang on them."""
        self._called("describe_network_interfaces")
        assert {"Name": "vpc-id", "Values": [VPC]} in Filters
        found = [dict(each) for each in self.interfaces.values()]
        if "eni-app" in self.interfaces:  # SageMaker releases it a while after the app
            self.interfaces["eni-app"]["Status"] = "available"
        return found

    def delete_network_interface(self, *, NetworkInterfaceId: str) -> None:  # noqa: N803
        self._called("delete_network_interface")
        del self.interfaces[NetworkInterfaceId]

    def revoke_security_group_ingress(self, *, GroupId: str, IpPermissions: list[Any]) -> None:  # noqa: N803
        self._called("revoke_security_group_ingress")
        assert IpPermissions
        self.groups[GroupId]["IpPermissions"] = []

    def revoke_security_group_egress(self, *, GroupId: str, IpPermissions: list[Any]) -> None:  # noqa: N803
        self._called("revoke_security_group_egress")
        assert IpPermissions
        self.groups[GroupId]["IpPermissionsEgress"] = []

    def delete_security_group(self, *, GroupId: str) -> None:  # noqa: N803
        self._called("delete_security_group")
        for group in self.groups.values():
            for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"]):
                if rule["UserIdGroupPairs"][0]["GroupId"] == GroupId:
                    raise error("DependencyViolation")
        del self.groups[GroupId]
