"""What an execution leaves is removed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.training.asset import FOLDER, sweep

from tests.compliance.handlers import Asset

RUN, OTHER = (f"arn:aws:states:eu-west-1:111122223333:execution:train:{name}" for name in "ab")
TAG = "cdk-data-science:run"


class FakeFsx:
    """File systems of several executions, in pages of one."""

    def __init__(self, **systems: str) -> None:
        self.systems = {
            number.replace("_", "-"): {"run": run, "Lifecycle": "AVAILABLE"}
            for number, run in systems.items()
        }
        self.refuses: dict[str, str] = {}
        self.appearing: dict[str, str] = {}

    def get_paginator(self, name: str) -> FakeFsx:
        assert name == "describe_file_systems"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        for number, system in list(self.systems.items()):
            tags = [{"Key": TAG, "Value": system["run"]}, {"Key": "team", "Value": RUN}]
            yield {"FileSystems": [{"FileSystemId": number, "Lifecycle": system["Lifecycle"], "Tags": tags}]}
        yield {"FileSystems": [{"FileSystemId": "fs-untagged", "Lifecycle": "AVAILABLE"}]}
        self.systems |= {
            number: {"run": run, "Lifecycle": "CREATING"} for number, run in self.appearing.items()
        }
        self.appearing = {}

    def delete_file_system(self, *, FileSystemId: str) -> None:  # noqa: N803
        if FileSystemId in self.refuses:
            error = {"Code": self.refuses[FileSystemId], "Message": "no"}
            raise ClientError({"Error": error}, "DeleteFileSystem")
        self.systems[FileSystemId]["Lifecycle"] = "DELETING"


def run(monkeypatch: pytest.MonkeyPatch, fsx: FakeFsx) -> list[str]:
    monkeypatch.setenv("RUN_TAG", TAG)
    monkeypatch.setenv("SETTLE_SECONDS", "0")
    sweep._fsx.cache_clear()
    monkeypatch.setattr(sweep.boto3, "client", lambda name, **_: {"fsx": fsx}[name])
    found: list[str] = sweep.handler({"detail": {"executionArn": RUN}}, None)["removed"]
    return found


def test_the_file_systems_of_the_execution_are_removed_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsx = FakeFsx(fs_1=RUN, fs_2=OTHER)
    assert run(monkeypatch, fsx) == ["fs-1"]
    assert {number: each["Lifecycle"] for number, each in fsx.systems.items()} == {
        "fs-1": "DELETING", "fs-2": "AVAILABLE",
    }  # fmt: skip


def test_a_second_call_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fsx = FakeFsx(fs_1=RUN)
    run(monkeypatch, fsx)
    assert run(monkeypatch, fsx) == []


def test_one_that_comes_to_light_a_moment_later_is_removed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fsx = FakeFsx()
    fsx.appearing = {"fs-late": RUN}
    assert run(monkeypatch, fsx) == ["fs-late"]


def test_one_that_is_gone_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    fsx = FakeFsx(fs_1=RUN)
    fsx.refuses = {"fs-1": "FileSystemNotFound"}
    assert run(monkeypatch, fsx) == []


def test_what_cannot_be_removed_fails_the_call_by_name_and_the_rest_is_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsx = FakeFsx(fs_1=RUN, fs_2=RUN)
    fsx.refuses = {"fs-1": "BadRequest"}
    with pytest.raises(sweep.NotRemovedError, match=r"fs-1.*BadRequest"):
        run(monkeypatch, fsx)
    assert fsx.systems["fs-2"]["Lifecycle"] == "DELETING"


@pytest.mark.parametrize("wrong", [{}, {"detail": None}, {"detail": {"executionArn": 1}}])
def test_other_events_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(sweep.UnknownEventError, match="no execution"):
        sweep.handler(wrong, None)


def test_the_calls_are_those_that_the_role_allows() -> None:
    asset = Asset.in_folder(FOLDER)
    # The stubs of boto3 have no FSx here: the client is found by how it is made.
    assert asset.unclear() == []
    assert {action for call in asset.calls("sweep.handler") for action in call.actions()} == {
        "fsx:DescribeFileSystems",
        "fsx:DeleteFileSystem",
    }
