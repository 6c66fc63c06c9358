"""What ends a user and a domain: in order, once, whatever fails on the way, and never what is not theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.studio.asset import custom_resource
from handlers.studio.fakes import DOMAIN, FILES, VPC, FakeEc2, FakeEfs, FakeSageMaker, error

CREATE_ONLY = {"AuthMode": "IAM", "DomainName": "research", "KmsKeyId": "key-1", "VpcId": VPC}


@dataclass
class World:
    """The services, a clock, CloudFormation's ear, and the function's own time."""

    sagemaker: FakeSageMaker = field(default_factory=FakeSageMaker)
    efs: FakeEfs = field(default_factory=FakeEfs)
    ec2: FakeEc2 = field(default_factory=FakeEc2)
    told: list[dict[str, str]] = field(default_factory=list)
    handed_over: list[dict[str, Any]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    now: float = 1000.0
    ends: float = 1900.0
    function_name: str = "ending"

    def client(self, name: str, **_: Any) -> Any:
        return {"sagemaker": self.sagemaker, "efs": self.efs, "ec2": self.ec2, "lambda": self}[name]

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        assert (FunctionName, InvocationType) == ("ending", "Event")
        self.handed_over.append(json.loads(Payload))

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - self.now) * 1000)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def call(self, event: dict[str, Any]) -> dict[str, str] | None:
        """A call of the function; what CloudFormation was told, if it was."""
        self.told.clear()
        custom_resource.handler(event, self)
        assert len(self.told) <= 1
        return self.told[0] if self.told else None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(custom_resource.boto3, "client", made.client)
    # The clock of this module alone: threads of others may ask for the time, too.
    monkeypatch.setattr(custom_resource, "time", SimpleNamespace(sleep=made.sleep, time=lambda: made.now))
    monkeypatch.setattr(
        custom_resource.answers,
        "succeeded",
        lambda _event, physical_id: made.told.append({"Status": "SUCCESS", "Id": physical_id}),
    )
    monkeypatch.setattr(
        custom_resource.answers,
        "failed",
        lambda _event, physical_id, reason: made.told.append(
            {"Status": "FAILED", "Id": physical_id, "Reason": reason}
        ),
    )
    return made


def of_domain(request: str = "Delete", *, destroy: bool = True, **more: Any) -> dict[str, Any]:
    properties = {
        "DomainId": DOMAIN,
        "VpcId": VPC,
        "HomeEfsFileSystemId": FILES,
        "Destroy": str(destroy).lower(),
    }
    return {
        "RequestType": request,
        "ResourceType": "Custom::StudioDomainEnd",
        "PhysicalResourceId": DOMAIN,
        "ResourceProperties": properties,
    } | more


def of_user(name: str, request: str = "Delete", *, destroy: bool = True) -> dict[str, Any]:
    properties = {"DomainId": DOMAIN, "UserProfileName": name, "Destroy": str(destroy).lower()}
    return {
        "RequestType": request,
        "ResourceType": "Custom::StudioUserEnd",
        "PhysicalResourceId": f"{DOMAIN}/{name}",
        "ResourceProperties": properties,
    }


def of_lock(request: str, now: dict[str, str], *, id: str | None = None, **more: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "RequestType": request,
        "ResourceType": "Custom::StudioDomainLock",
        "ResourceProperties": {"CreateOnly": now, "MayBeReplaced": "false"} | more,
        "OldResourceProperties": {"CreateOnly": CREATE_ONLY},
    }
    return event if id is None else event | {"PhysicalResourceId": id}


# A domain


def test_a_domain_ends_with_everything_in_it_and_nothing_beside(world: World) -> None:
    # GIVEN two people with three spaces that are in use, and a Canvas app without a space
    world.sagemaker.add_user("ann", "ann-lab", "ann-code")
    world.sagemaker.add_user("ben", "ben-lab")
    world.sagemaker.add_app("default", UserProfileName="ben")
    # WHEN its end is asked for
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}
    # THEN nothing of it is left
    assert {app["Status"] for app in world.sagemaker.apps} == {"Deleted"}
    assert (world.sagemaker.spaces, world.sagemaker.profiles, world.sagemaker.domain) == ({}, {}, None)
    assert world.sagemaker.retention == ["Delete"]
    assert world.efs.file_system is None
    # AND what belongs to others is
    assert list(world.ec2.groups) == ["sg-other"]
    assert list(world.ec2.interfaces) == ["eni-other"]


def test_files_that_may_not_be_lost_stay_without_what_holds_the_network_back(world: World) -> None:
    world.sagemaker.add_user("ann")
    assert world.call(of_domain(destroy=False)) == {"Status": "SUCCESS", "Id": DOMAIN}
    assert world.sagemaker.domain is None
    assert world.sagemaker.retention == ["Retain"]
    assert world.efs.file_system == "available"
    assert world.efs.targets == {}
    assert "delete_file_system" not in world.efs.calls
    assert list(world.ec2.groups) == ["sg-other"]


def test_spaces_with_files_stop_the_end_after_the_apps_that_cost(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab", "ann-code")
    told = world.call(of_domain(destroy=False))
    assert told is not None
    assert told["Status"] == "FAILED"
    assert "2 spaces have files that would be lost: ann-lab, ann-code" in told["Reason"]
    assert "cdk-data-science:destroyData" in told["Reason"]
    assert {app["Status"] for app in world.sagemaker.apps} == {"Deleted"}
    assert {*world.sagemaker.spaces} == {"ann-lab", "ann-code"}
    assert world.sagemaker.domain == {"Status": "InService"}


def test_what_is_gone_already_is_fine(world: World) -> None:
    world.sagemaker.domain, world.efs.file_system = None, None
    world.ec2.groups.clear()
    world.ec2.interfaces.clear()
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}
    # AND once more, as a redelivery
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}


def test_a_domain_that_somebody_deleted_leaves_its_network_to_us(world: World) -> None:
    world.sagemaker.domain = None
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}
    assert world.efs.file_system is None
    assert list(world.ec2.groups) == ["sg-other"]


@pytest.mark.parametrize(
    ("service", "operation", "codes"),
    [
        ("sagemaker", "list_apps", ["ThrottlingException"] * 3),
        ("sagemaker", "delete_app", ["ThrottlingException", "ResourceInUse", "ResourceNotFound"]),
        ("sagemaker", "list_spaces", ["ServiceUnavailable"]),
        ("sagemaker", "delete_space", ["ResourceInUse", "ThrottlingException"]),
        ("sagemaker", "delete_user_profile", ["ResourceInUse", "InternalFailure"]),
        ("sagemaker", "describe_domain", ["ThrottlingException"]),
        ("sagemaker", "delete_domain", ["ResourceInUse", "TooManyRequestsException"]),
        ("efs", "describe_mount_targets", ["TooManyRequestsException"]),
        ("efs", "delete_mount_target", ["MountTargetNotFound"]),
        ("efs", "delete_file_system", ["FileSystemInUse", "FileSystemInUse"]),
        ("ec2", "describe_network_interfaces", ["RequestLimitExceeded"]),
        ("ec2", "delete_network_interface", ["InvalidParameterValue", "OperationNotPermitted"]),
        ("ec2", "delete_security_group", ["DependencyViolation"] * 3),
        ("ec2", "revoke_security_group_ingress", ["InvalidPermission.NotFound"]),
    ],
)
def test_a_fault_on_the_way_is_waited_out(
    world: World, service: str, operation: str, codes: list[str]
) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    {"sagemaker": world.sagemaker, "efs": world.efs, "ec2": world.ec2}[service].fail(operation, *codes)
    told = world.call(of_domain())
    assert told is not None
    assert told["Status"] == "SUCCESS", told
    assert world.sagemaker.domain is None


def test_a_denial_is_told_with_what_was_denied(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    world.sagemaker.fail("delete_app", "AccessDeniedException")
    told = world.call(of_domain())
    assert told is not None
    assert told["Status"] == "FAILED"
    assert "AccessDeniedException" in told["Reason"]
    assert "delete_app" in told["Reason"]


def test_an_app_that_does_not_end_is_handed_over_and_told_of_at_the_deadline(world: World) -> None:
    # GIVEN an app that never ends
    world.sagemaker.add_user("ann", "ann-lab", "ann-code")
    world.sagemaker.stuck.add("app-ann-lab")
    event, calls, told = of_domain(), 0, None
    # WHEN the function goes on for as long as it may
    while told is None and calls < 10:
        calls += 1
        world.ends = world.now + 900
        told = world.call(event)
        assert world.now < world.ends - 50  # never into the time that handing over takes
        if told is None:
            event = world.handed_over.pop()
    # THEN it took a few calls, within CloudFormation's hour, and says what is still there
    assert 3 <= calls <= 5
    assert world.now - 1000 < 3600
    assert told is not None
    assert told["Status"] == "FAILED"
    assert "Still there after 50 minutes: app JupyterLab/app-ann-lab of ann-lab (Deleting)" in told["Reason"]
    assert world.sagemaker.domain == {"Status": "InService"}


def test_what_stands_still_is_looked_at_ever_more_seldom_and_what_moves_on_soon(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    world.sagemaker.stuck.add("app-ann-lab")
    world.ends = world.now + 120
    assert world.call(of_domain()) is None
    assert world.pauses[0] == 0.5
    assert world.pauses[1:8] == [0.5, 1, 2, 4, 8, 8, 8]
    # Nothing stands in the way: every look finds something else.
    world.sagemaker.stuck.clear()
    world.pauses.clear()
    world.ends = world.now + 900
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}
    assert set(world.pauses) <= {0.5, 1}


def test_an_app_that_is_starting_or_failed_ends_too(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab", status="Failed")
    assert world.call(of_domain()) == {"Status": "SUCCESS", "Id": DOMAIN}
    starting = FakeSageMaker()
    starting.add_user("ann", "ann-lab", status="Pending")
    world.sagemaker = starting
    world.ends = world.now + 200
    assert world.call(of_domain()) is None  # handed over: an app that starts cannot be ended
    assert "delete_app" not in starting.calls
    starting.apps[0]["Status"] = "InService"
    world.ends = world.now + 900
    assert world.call(world.handed_over.pop()) == {"Status": "SUCCESS", "Id": DOMAIN}


def test_two_calls_at_the_same_time_do_no_harm(world: World) -> None:
    """CloudFormation, or Lambda, delivers a request again while the first one is carried out."""
    world.sagemaker.add_user("ann", "ann-lab")
    target = custom_resource.Target(domain=DOMAIN, destroy=True, file_system=FILES, vpc=VPC)
    clients = custom_resource.Clients(sagemaker=world.sagemaker, efs=world.efs, ec2=world.ec2)
    waiting = ["first"]
    while waiting:
        custom_resource.end_domain(clients, target)
        waiting = custom_resource.end_domain(clients, target)
    assert world.sagemaker.domain is None


# A user


def test_a_users_end_leaves_the_others_alone(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    world.sagemaker.add_app("default", UserProfileName="ann")
    world.sagemaker.add_user("ben", "ben-lab")
    assert world.call(of_user("ann")) == {"Status": "SUCCESS", "Id": f"{DOMAIN}/ann"}
    status = {app["AppName"]: app["Status"] for app in world.sagemaker.apps}
    assert status == {"app-ann-lab": "Deleted", "default": "Deleted", "app-ben-lab": "InService"}
    assert {*world.sagemaker.spaces} == {"ben-lab"}
    assert {*world.sagemaker.profiles} == {"ann", "ben"}  # the profile is CloudFormation's
    assert world.sagemaker.domain == {"Status": "InService"}


def test_a_user_with_files_keeps_them_and_stops_costing(world: World) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    told = world.call(of_user("ann", destroy=False))
    assert told is not None
    assert "The apps of user ann have ended, but 1 spaces" in told["Reason"]
    assert world.sagemaker.apps[0]["Status"] == "Deleted"


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@pytest.mark.parametrize(
    ("make", "id"), [(of_domain, DOMAIN), (lambda r: of_user("ann", r), f"{DOMAIN}/ann")]
)
def test_nothing_ends_before_it_is_deleted(world: World, make: Any, id: str, request_type: str) -> None:
    world.sagemaker.add_user("ann", "ann-lab")
    assert world.call(make(request_type)) == {"Status": "SUCCESS", "Id": id}
    assert world.sagemaker.calls == []


# The lock


def test_the_lock_refuses_what_would_replace_the_domain(world: World) -> None:
    made = world.call(of_lock("Create", CREATE_ONLY))
    assert made is not None
    changed = CREATE_ONLY | {"KmsKeyId": "key-2", "DomainName": "lab"}
    told = world.call(of_lock("Update", changed, id=made["Id"]))
    assert told is not None
    assert told["Status"] == "FAILED"
    assert told["Id"] == made["Id"]
    assert "DomainName from research to lab, KmsKeyId from key-1 to key-2" in told["Reason"]
    assert "may_be_replaced=True" in told["Reason"]
    # AND takes the old values back when CloudFormation rolls back, though the last request had the new ones
    back = of_lock("Update", CREATE_ONLY, id=made["Id"]) | {"OldResourceProperties": {"CreateOnly": changed}}
    assert world.call(back) == {"Status": "SUCCESS", "Id": made["Id"]}


def test_the_lock_lets_through_what_was_acknowledged(world: World) -> None:
    made = world.call(of_lock("Create", CREATE_ONLY))
    assert made is not None
    changed = CREATE_ONLY | {"KmsKeyId": "key-2"}
    told = world.call(of_lock("Update", changed, id=made["Id"], MayBeReplaced="true"))
    assert told is not None
    assert told["Status"] == "SUCCESS"
    assert told["Id"] != made["Id"]
    # The old id is deleted then, which ends nothing.
    assert world.call(of_lock("Delete", CREATE_ONLY, id=made["Id"])) == {
        "Status": "SUCCESS",
        "Id": made["Id"],
    }
    assert world.sagemaker.calls == []


def test_an_unexpected_error_is_told_and_not_left_to_time_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, **_: Any) -> Any:
        raise error("EndpointConnectionError", name)

    monkeypatch.setattr(custom_resource.boto3, "client", broken)
    told = world.call(of_domain())
    assert told is not None
    assert told["Status"] == "FAILED"
