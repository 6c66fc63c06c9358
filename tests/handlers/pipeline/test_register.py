"""The registry: one version for each model."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from cfnlint.jsonschema import StandardValidator
from handlers.pipeline.asset import register
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake

from tests.compliance import cloudformation

GROUP = "reviews"
ARN = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/{GROUP}"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "run": RUN,
        "group": GROUP,
        "model": {"bucket": BUCKET, "key": f"models/{'a' * 64}/model.onnx"},
        "sha256": "a" * 64,
        "metrics": {"auroc": 0.8361234, "auroc_ci95": [0.81, 0.86], "rows": 700},
        "data": {"bucket": BUCKET, "key": "reviews/ä b's.csv", "versionId": "v1", "checksum": "CRC32:x==:9"},
        "training_job": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{RUN}",
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/onnx:1",
    } | changes


@pytest.fixture
def registry(lake: Lake) -> Any:
    client = boto3.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName=GROUP)
    return client


def test_a_model_is_registered_with_where_it_came_from(registry: Any) -> None:
    result = register.handler(event(), CONTEXT)
    assert result["version"] == 1
    known = registry.describe_model_package(ModelPackageName=result["model_package_arn"])
    assert known["ModelApprovalStatus"] == "Approved"
    metadata = known["CustomerMetadataProperties"]
    assert metadata["sha256"] == "a" * 64
    assert metadata["run"] == RUN
    assert metadata["data"] == f"s3://{BUCKET}/reviews/ä b_s.csv"
    assert metadata["data.version"] == "v1"
    assert metadata["metric.auroc"] == "0.836123"
    assert metadata["metric.auroc_ci95"] == "0.81 0.86"
    (container,) = known["InferenceSpecification"]["Containers"]
    assert container["ModelDataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/models/{'a' * 64}/"


def test_what_the_job_ran_is_registered_as_far_as_it_is_known(registry: Any) -> None:
    ran = {
        "image": "1.dkr.ecr.us-east-1.amazonaws.com/a:1",
        "source": f"s3://{BUCKET}/source/sourcedir.tar.gz",
        "started": "2026-11-02T10:00:00.000Z",
    }
    arn = register.handler(event(trained_by=ran), CONTEXT)["model_package_arn"]
    metadata = registry.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    assert {name: metadata[name] for name in ("training_image", "code", "trained_at")} == {
        "training_image": ran["image"],
        "code": ran["source"],
        "trained_at": ran["started"],
    }
    other = register.handler(event(sha256="b" * 64, trained_by={}), CONTEXT)["model_package_arn"]
    metadata = registry.describe_model_package(ModelPackageName=other)["CustomerMetadataProperties"]
    assert not {"training_image", "code", "trained_at"} & set(metadata)


def test_the_snapshot_that_the_data_were_exported_from_is_registered(registry: Any) -> None:
    key = "reviews/table=amazon/snapshot=4358109269898191234/data.csv"
    arn = register.handler(event(data={"bucket": BUCKET, "key": key}), CONTEXT)["model_package_arn"]
    metadata = registry.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    assert metadata["data.table"] == "amazon"
    assert metadata["data.snapshot"] == "4358109269898191234"


def test_the_same_model_is_registered_once_whatever_run_brings_it(registry: Any) -> None:
    first = register.handler(event(), CONTEXT)
    assert register.handler(event(), CONTEXT) == first
    assert register.handler(event(run="run-2"), CONTEXT) == first
    listed = registry.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert len(listed) == 1


def test_another_model_gets_the_next_version(registry: Any) -> None:
    register.handler(event(), CONTEXT)
    assert register.handler(event(sha256="b" * 64, run="run-2"), CONTEXT)["version"] == 2


def test_without_an_image_there_is_no_inference_specification(registry: Any) -> None:
    result = register.handler(event(image=None), CONTEXT)
    known = registry.describe_model_package(ModelPackageName=result["model_package_arn"])
    assert "InferenceSpecification" not in known


def test_the_request_is_one_that_the_service_accepts(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("sagemaker")
    monkeypatch.setattr(register, "sagemaker", lambda: client)
    long = event(data={"bucket": BUCKET, "key": "k" * 1000}, report={"bucket": BUCKET, "key": "report.json"})
    with Stubber(client) as stub:
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": []}, {
            "ModelPackageGroupName": GROUP, "SortBy": "CreationTime", "SortOrder": "Descending"})  # fmt: skip
        stub.add_response("create_model_package", {"ModelPackageArn": f"{ARN}/7"}, {
            "ModelPackageGroupName": GROUP, "ModelPackageDescription": ANY, "ModelApprovalStatus": "Approved",
            "ClientToken": ANY, "CustomerMetadataProperties": ANY, "MetadataProperties": ANY,
            "InferenceSpecification": ANY, "ModelCard": ANY, "ModelMetrics": ANY})  # fmt: skip
        assert register.handler(long, CONTEXT) == {"model_package_arn": f"{ARN}/7", "version": 7}
    request = register._request(long)
    assert len(request["ClientToken"]) <= 36
    assert len(request["ModelPackageDescription"]) <= 1024
    assert all(0 < len(value) <= 256 for value in request["CustomerMetadataProperties"].values())
    assert request["ClientToken"] == register._request(long)["ClientToken"]


def test_a_model_that_waits_for_a_person_is_not_approved(registry: Any) -> None:
    arn = register.handler(event(approval="PendingManualApproval"), CONTEXT)["model_package_arn"]
    assert registry.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == (
        "PendingManualApproval"
    )


def test_the_parameters_are_part_of_the_record(registry: Any) -> None:
    ran = {"parameters": {"ngrams": "2", "folds": "5"}}
    arn = register.handler(event(trained_by=ran), CONTEXT)["model_package_arn"]
    known = registry.describe_model_package(ModelPackageName=arn)
    assert known["CustomerMetadataProperties"]["parameters"] == "folds=5 ngrams=2"


@pytest.mark.parametrize("trained_by", [None, {}])
def test_a_card_needs_no_more_than_the_event_has(trained_by: Any) -> None:
    changes = {} if trained_by is None else {"trained_by": trained_by}
    assert list(_card_problems(event(**changes))) == []


def test_the_card_is_one_that_sagemaker_shows() -> None:
    # GIVEN a model with all that is known of it, and texts that are too long
    ran = {
        "arn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{RUN}",
        "image": "1.dkr.ecr.us-east-1.amazonaws.com/a:1",
        "parameters": {"folds": "5", "empty": "", "long": "x" * 2000},
        "source": f"s3://{BUCKET}/source/sourcedir.tar.gz",
        "started": "2026-11-02T10:00:00.000Z",
    }
    whole = event(
        trained_by=ran,
        data={"bucket": BUCKET, "key": "k" * 2000, "versionId": "v1", "checksum": "CRC32:x==:9"},
        report={"bucket": BUCKET, "key": "report.json"},
    )
    # THEN its card has the shape of SageMaker's model cards
    assert list(_card_problems(whole)) == []
    content = json.loads(register._request(whole)["ModelCard"]["ModelCardContent"])
    # AND tells what the model was made of, and how good it is
    job = content["training_details"]["training_job_details"]
    assert job["training_arn"] == ran["arn"]
    assert [each["name"] for each in job["user_provided_hyper_parameters"]] == ["folds", "long"]
    details = content["additional_information"]["custom_details"]
    assert (details["code"], details["data_version"]) == (ran["source"], "v1")
    (group,) = content["evaluation_details"][0]["metric_groups"]
    assert {"name": "auroc", "type": "number", "value": 0.8361234} in group["metric_data"]
    # AND a range of numbers, which cards have no form for, is left to the metadata
    assert "auroc_ci95" not in [each["name"] for each in group["metric_data"]]


def _card_problems(given: dict[str, Any]) -> Iterator[str]:
    """What CloudFormation's schema of model cards says against the card of an event."""
    schema = cloudformation.schema("AWS::SageMaker::ModelCard")
    assert schema is not None
    content = json.loads(register._request(given)["ModelCard"]["ModelCardContent"])
    rules = {"$ref": "#/definitions/Content", "definitions": schema["definitions"]}
    for error in StandardValidator(rules).iter_errors(_in_capitals(content)):
        yield error.message


def _in_capitals(value: Any) -> Any:
    """The names of a card as CloudFormation writes them; what people name stays."""
    if isinstance(value, list):
        return [_in_capitals(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(part.capitalize() for part in name.split("_")): (
            content if name in ("custom_details", "metadata") else _in_capitals(content)
        )
        for name, content in value.items()
    }


CREATED = {
    "ModelPackageGroupName": GROUP,
    "ModelPackageDescription": ANY,
    "ModelApprovalStatus": "Approved",
    "ClientToken": ANY,
    "CustomerMetadataProperties": ANY,
    "MetadataProperties": ANY,
    "InferenceSpecification": ANY,
}


@pytest.mark.parametrize(
    ("code", "message", "registered"),
    [
        ("ValidationException", "Model Card content does not follow the schema", True),
        ("ValidationException", "1 validation error detected: Value at 'modelPackageGroupName'", False),
        ("AccessDeniedException", "not authorized to perform: sagemaker:CreateModelCard", False),
    ],
)
def test_a_refused_card_alone_does_not_hold_a_model_back(
    _clients: None, monkeypatch: pytest.MonkeyPatch, code: str, message: str, *, registered: bool
) -> None:
    client = boto3.client("sagemaker")
    monkeypatch.setattr(register, "sagemaker", lambda: client)
    with Stubber(client) as stub:
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": []})
        stub.add_client_error(
            "create_model_package", code, message, expected_params=CREATED | {"ModelCard": ANY}
        )
        if registered:
            stub.add_response("create_model_package", {"ModelPackageArn": f"{ARN}/7"}, CREATED)
            assert register.handler(event(), CONTEXT)["version"] == 7
        else:
            with pytest.raises(ClientError, match=code):
                register.handler(event(), CONTEXT)
        stub.assert_no_pending_responses()
