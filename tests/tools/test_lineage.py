"""Where a model comes from, and where it went: asked of services that know it, or know it no more."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from settings.model import load
from tools import lineage
from tools.source_archive import commit_of

GROUP = "arn:aws:sagemaker:us-east-1:111122223333:model-package/ds-dev-review-sentiment"
PIPELINE = "arn:aws:sts::111122223333:assumed-role/pipeline/register"
APPROVER = "arn:aws:sts::111122223333:assumed-role/approver/ann"


def at(hour: int) -> datetime:
    return datetime(2026, 11, 2, hour, tzinfo=UTC)


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Any")


class Pages:
    """One page of a list."""

    def __init__(self, page: dict[str, Any]) -> None:
        self._page = page

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield self._page


class SageMaker:
    def __init__(self, *versions: dict[str, Any]) -> None:
        self.versions = {f"{GROUP}/{n}": version for n, version in enumerate(versions, 1)}
        self.jobs: dict[str, dict[str, Any]] = {
            "job-1": {
                "HyperParameters": {"folds": "5", "sagemaker_program": "train.py"},
                "ResourceConfig": {"InstanceType": "ml.m5.xlarge"},
            }
        }
        self.group = True
        # By name of the endpoint: what its one variant's container says of its model.
        self.endpoints: dict[str, dict[str, Any]] = {}

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        variants = [{"VariantName": "main", "CurrentWeight": 1.0}]
        return {"EndpointConfigName": EndpointName, "ProductionVariants": variants}

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        component = "component" in EndpointConfigName
        variant = {"VariantName": "main"} | ({} if component else {"ModelName": EndpointConfigName})
        return {"ProductionVariants": [variant]}

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:  # noqa: N803
        return {"PrimaryContainer": self.endpoints[ModelName]}

    def get_paginator(self, operation: str) -> Pages:
        if operation == "list_endpoints":
            return Pages({"Endpoints": [{"EndpointName": name} for name in self.endpoints]})
        if not self.group:
            raise refused("ValidationException")
        return Pages({"ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in self.versions]})

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        return self.versions[ModelPackageName]

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise refused("ValidationException")
        return self.jobs[TrainingJobName]


class S3:
    """The archive of the code was replaced while the job ran, and once more after it."""

    def __init__(self) -> None:
        self.kept = {"d1", "c1", "c2", "c3"}
        self.code = [("c1", 8), ("c2", 9), ("c3", 11)]

    def get_paginator(self, _: str) -> Pages:
        versions = [
            {"Key": "source/sourcedir.tar.gz", "VersionId": name, "LastModified": at(hour)}
            for name, hour in self.code
        ]
        other = {"Key": "source/sourcedir.tar.gz.old", "VersionId": "x", "LastModified": at(9)}
        return Pages({"Versions": [*versions, other]})

    def head_object(self, *, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        if VersionId not in self.kept:
            raise refused("404")
        return {"Metadata": {"commit": f"commit-of-{VersionId}"}}


class Functions:
    """Nine of ten calls go to version 4, the others to version 5."""

    models: dict[str, str] = {"4": "a" * 64, "5": "b" * 64}  # noqa: RUF012

    def get_alias(self, **_: Any) -> dict[str, Any]:
        return {"FunctionVersion": "4", "RoutingConfig": {"AdditionalVersionWeights": {"5": 0.1}}}

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        return {"Environment": {"Variables": {"MODEL_SHA256": self.models[Qualifier]}}}


class CloudFormation:
    def __init__(self, *, deployed: bool = True) -> None:
        self.deployed = deployed

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if not self.deployed:
            raise refused("ValidationError")
        outputs = {"FunctionName": "inference", "AliasName": "live"}
        return {
            "Stacks": [
                {"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}
            ]
        }


def version(sha256: str, **more: Any) -> dict[str, Any]:
    known = {
        "run": "run-1",
        "sha256": sha256,
        "model": "s3://models/m/model.onnx",
        "data": "s3://raw/reviews/a.csv",
        "data.version": "d1",
        "training_job": "job-1",
        "training_image": "1.dkr.ecr.us-east-1.amazonaws.com/a:1",
        "code": "s3://models/source/sourcedir.tar.gz",
        "trained_at": "2026-11-02T10:00:00.000Z",
        "metric.auroc": "0.83",
    }
    return {
        "CreationTime": at(12),
        "CreatedBy": {"IamIdentity": {"Arn": PIPELINE}},
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": known,
    } | more


@pytest.fixture
def sagemaker() -> SageMaker:
    decided = {
        "LastModifiedBy": {"IamIdentity": {"Arn": APPROVER}},
        "LastModifiedTime": at(13),
        "ApprovalDescription": "better for every group",
    }
    return SageMaker(
        version("a" * 64, **decided),
        version("b" * 64),
        version("c" * 64, ModelApprovalStatus="PendingManualApproval"),
    )


@pytest.fixture
def account(sagemaker: SageMaker) -> lineage.Account:
    fakes: dict[str, Any] = {
        "cloudformation": CloudFormation(),
        "functions": Functions(),
        "s3": S3(),
        "sagemaker": sagemaker,
    }
    return lineage.Account(**fakes)


def asked(account: lineage.Account, number: int | None = None) -> dict[str, Any]:
    (found,) = lineage.answer(account, load("dev"), version=number, everything=False)
    return dict(found)


def test_the_model_that_gets_most_calls_is_the_one_that_is_meant(account: lineage.Account) -> None:
    found = asked(account)
    assert found["version"] == f"{GROUP}/1"
    assert found["deployed"] == ["inference:live, version 4, 90% of the calls"]


def test_a_model_is_traced_to_its_data_code_parameters_and_container(account: lineage.Account) -> None:
    found = asked(account)
    assert found["data"] == {"uri": "s3://raw/reviews/a.csv", "version": "d1"}
    # The newest archive that was there when the job began, not the newest of today.
    assert (found["code"]["version"], found["code"]["commit"]) == ("c2", "commit-of-c2")
    assert found["training"]["parameters"] == "folds=5"
    assert found["training"]["container"] == "1.dkr.ecr.us-east-1.amazonaws.com/a:1"
    assert found["metrics"] == {"auroc": "0.83"}


def test_it_says_who_approved_and_why(account: lineage.Account) -> None:
    approval = asked(account, 1)["approval"]
    assert (approval["by"], approval["why"]) == (APPROVER, "better for every group")


def test_what_nobody_touched_was_approved_by_the_thresholds(account: lineage.Account) -> None:
    found = asked(account, 2)
    assert found["approval"]["by"] == f"the pipeline's thresholds ({PIPELINE})"
    assert found["deployed"] == ["inference:live, version 5, 10% of the calls"]


def test_what_waits_was_approved_by_nobody_and_is_nowhere(account: lineage.Account) -> None:
    found = asked(account, 3)
    assert found["approval"] == {"status": "PendingManualApproval"}
    assert found["deployed"] == []


def test_what_cannot_be_read_any_more_is_said(account: lineage.Account, sagemaker: SageMaker) -> None:
    account.s3.kept = {"c1"}  # type: ignore[attr-defined]
    account.s3.code = [("c3", 11)]  # type: ignore[attr-defined]
    sagemaker.jobs = {}
    found = asked(account)
    assert found["data"]["version"] == "d1 (not there any more)"
    assert found["code"]["version"] == "not there any more"
    assert found["training"]["parameters"] == "the program's own defaults"


def test_endpoints_that_serve_it_are_found_by_version_and_by_folder(
    account: lineage.Account, sagemaker: SageMaker
) -> None:
    sagemaker.endpoints = {
        "by-version": {"ModelPackageName": f"{GROUP}/3"},
        "by-folder": {"ModelDataSource": {"S3DataSource": {"S3Uri": "s3://models/m/"}}},
        "of-another": {"ModelPackageName": f"{GROUP}/1", "ModelDataUrl": "s3://models/more/model.tar.gz"},
        "of-components": {},
    }
    assert asked(account, 3)["deployed"] == [
        "endpoint by-version, variant main, weight 1",
        "endpoint by-folder, variant main, weight 1",
    ]


def test_without_a_deployment_the_newest_version_is_meant(sagemaker: SageMaker) -> None:
    fakes: dict[str, Any] = {
        "cloudformation": CloudFormation(deployed=False),
        "functions": Functions(),
        "s3": S3(),
        "sagemaker": sagemaker,
    }
    found = asked(lineage.Account(**fakes))
    assert (found["version"], found["deployed"]) == (f"{GROUP}/3", [])


def test_all_versions_come_with_the_newest_first(account: lineage.Account) -> None:
    found = lineage.answer(account, load("dev"), version=None, everything=True)
    assert [each["version"] for each in found] == [f"{GROUP}/{number}" for number in (3, 2, 1)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"number": 9}, "has no version 9; it has 1, 2, 3"),
        ({"group": False}, "There is no registry group ds-dev-review-sentiment here"),
        ({"empty": True}, "has no version yet"),
    ],
)
def test_what_cannot_be_answered_is_told(
    account: lineage.Account, sagemaker: SageMaker, change: dict[str, Any], told: str
) -> None:
    sagemaker.group = change.get("group", True)
    if "empty" in change:
        sagemaker.versions = {}
    with pytest.raises(lineage.LineageError, match=told):
        asked(account, change.get("number"))


def test_an_answer_is_read_line_by_line(account: lineage.Account) -> None:
    said: list[str] = []
    lineage.show(asked(account), said.append)
    text = "\n".join(said)
    for part in ("commit-of-c2", "folds=5", APPROVER, "90% of the calls"):
        assert part in text
    assert json.dumps(asked(account))


def test_code_has_the_commit_that_it_is_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Neither the user's configuration (signatures, hooks) nor a repository around the folder matters.
    for name, value in {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent),
    }.items():
        monkeypatch.setenv(name, value)
    # GIVEN a folder that is not in git
    (tmp_path / "train.py").write_text("print('a')\n")
    assert commit_of(tmp_path) is None
    # WHEN it is committed
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Train"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    commit = commit_of(tmp_path)
    # THEN it is named, and a change since then is said
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "train.py").write_text("print('b')\n")
    assert commit_of(tmp_path) == f"{commit}+changes"
