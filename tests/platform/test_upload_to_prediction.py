"""An upload becomes a model that answers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.platform.conftest import DATA_NAME
from tests.platform.deployed import Deployed, Run

pytestmark = pytest.mark.xdist_group("platform")

TEXTS = ("The battery lasts for days and the screen is gorgeous.", "It broke, and support never answered.")
STEPS = [
    *("QualityGate", "Prepare", "Train", "Package", "Score", "Evaluate", "Register"),
    *("Deploy: stage", "Deploy: promote"),
]
HANDLERS = {
    "start.handler": "Start",
    "quality_gate.handler": "QualityGate",
    "prepare.handler": "Prepare",
    "package.handler": "Package",
    "evaluate.handler": "Evaluate",
    "register.handler": "Register",
    "deploy.stage": "Stage",
    "deploy.promote": "Promote",
}


def located(platform: Deployed, run: Run, name: str) -> str:
    """A file of the run in the work zone."""
    return platform.get(platform.features, f"runs/{run.name}/{name}").decode()


def package_of(platform: Deployed, run: Run) -> dict[str, Any]:
    arn = run.output["modelPackage"]["model_package_arn"]
    (package,) = [each for each in platform.packages() if each["ModelPackageArn"] == arn]
    return package


def test_a_run_goes_through_every_step_once(platform: Deployed, first_run: Run) -> None:
    assert [state for state in platform.states(first_run) if state in STEPS] == STEPS
    assert first_run.name not in platform.recorded()


def test_each_step_leaves_its_artefact_where_it_should_be(platform: Deployed, first_run: Run) -> None:
    folder, digest = f"runs/{first_run.name}", first_run.output["sha256"]
    for name in (
        "quality.json",
        "holdout.csv",
        "labels.csv",
        "scores.csv",
    ):
        assert platform.exists(platform.features, f"{folder}/{name}"), name
    assert platform.exists(platform.features, f"runs-train/{first_run.name}/train.csv")
    assert platform.exists(platform.features, f"evaluations/{first_run.name}/evaluation.json")
    job = first_run.output["trainingJob"]["name"]
    for key in (
        f"training/{job}/output/model.tar.gz",
        f"checkpoints/{job}/cross-validation.json",
        f"models/{digest}/model.onnx",
        f"models/{digest}/model.json",
    ):
        assert platform.exists(platform.models, key), key
    stored = platform.get(platform.models, f"models/{digest}/model.onnx")
    assert hashlib.sha256(stored).hexdigest() == digest
    assert json.loads(located(platform, first_run, "quality.json"))["passed"] is True


def test_the_held_out_reviews_are_in_no_training_row(platform: Deployed, first_run: Run) -> None:
    train = platform.get(platform.features, f"runs-train/{first_run.name}/train.csv").decode()
    holdout = located(platform, first_run, "holdout.csv")
    labels = located(platform, first_run, "labels.csv")
    ids = [{line.split(",", 1)[0] for line in text.splitlines()[1:]} for text in (train, holdout, labels)]
    assert not ids[0] & ids[1]
    assert ids[1] == ids[2]
    assert "label" not in holdout.splitlines()[0]


def test_the_model_is_good_on_reviews_that_it_never_saw(platform: Deployed, first_run: Run) -> None:
    metrics = first_run.output["metrics"]
    assert metrics["auroc"] >= 0.80
    assert metrics["auroc_ci95"][0] < metrics["auroc"] < metrics["auroc_ci95"][1]
    assert metrics["rows"] > 500
    report = json.loads(platform.get(platform.features, f"evaluations/{first_run.name}/evaluation.json"))
    assert report["passed"] is True
    assert report["metrics"] == metrics


def test_the_registry_knows_what_the_model_was_made_of(
    platform: Deployed, first_run: Run, content: bytes
) -> None:
    metadata = package_of(platform, first_run)["CustomerMetadataProperties"]
    place = {"Bucket": platform.raw, "Key": f"reviews/{DATA_NAME}"}
    assert metadata["data"] == "s3://{Bucket}/{Key}".format_map(place)
    of_version = platform.aws.client("s3").get_object(**place, VersionId=metadata["data.version"])
    assert of_version["Body"].read() == content
    assert metadata["data.checksum"] == first_run.output["data"]["checksum"]
    assert metadata["data.checksum"].endswith(f":{len(content)}")
    assert metadata["run"] == first_run.name
    assert metadata["sha256"] == first_run.output["sha256"]
    job = first_run.output["trainingJob"]
    assert metadata["training_job"] == job["name"]
    assert metadata["code"] == f"s3://{platform.models}/source/sourcedir.tar.gz"
    assert (metadata["training_image"], metadata["trained_at"]) == (job["image"], job["started"])
    assert float(metadata["metric.auroc"]) == pytest.approx(first_run.output["metrics"]["auroc"], abs=1e-5)


def test_the_registered_package_is_approved_and_names_the_evaluation(
    platform: Deployed, first_run: Run
) -> None:
    package = package_of(platform, first_run)
    assert package["ModelApprovalStatus"] == "Approved"
    place = first_run.output["evaluation"]
    quality = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert quality["S3Uri"] == f"s3://{place['bucket']}/{place['key']}"


def test_the_version_that_was_promoted_holds_the_model(platform: Deployed, first_run: Run) -> None:
    version = first_run.output["deployment"]["version"]
    assert platform.model_of_version(version) == {
        "MODEL_BUCKET": platform.models,
        "MODEL_KEY": first_run.output["model"]["key"],
        "MODEL_SHA256": first_run.output["sha256"],
    }
    answer = platform.predict("fine", qualifier=version)
    assert answer["model"] == {"sha256": first_run.output["sha256"], "version": version}


def test_alias_and_pointer_name_the_same_model(platform: Deployed, first_run: Run) -> None:
    serving = platform.serving()
    pointer = json.loads(serving.pointer)
    assert serving.weights == {}
    assert pointer["version"] == serving.version
    assert {"MODEL_SHA256": pointer["sha256"]}.items() <= platform.model_of_version(serving.version).items()
    assert platform.predict("fine")["model"] == {"sha256": pointer["sha256"], "version": serving.version}


def test_alias_and_url_give_the_same_predictions(platform: Deployed, first_run: Run) -> None:
    by_alias = platform.predict(*TEXTS)
    by_url = platform.post(json.dumps({"instances": [{"text": text} for text in TEXTS]}))
    assert (by_url.status, by_url.body) == (200, by_alias)
    labels = [prediction["label"] for prediction in by_alias["predictions"]]
    assert labels == ["positive", "negative"]
    for prediction in by_alias["predictions"]:
        assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_url_answers_nobody_who_does_not_sign(platform: Deployed, first_run: Run) -> None:
    request = json.dumps({"instances": [{"text": "fine"}]})
    answer = platform.post(request, signed=False)
    assert answer.status == 403
    assert "predictions" not in answer.body


def test_the_url_answers_no_role_without_permission(platform: Deployed, first_run: Run) -> None:
    credentials = platform.aws.session_for_role(platform.role_of("prepare.handler")).credentials
    from botocore.credentials import Credentials

    stranger = Credentials(
        credentials["aws_access_key_id"],
        credentials["aws_secret_access_key"],
        credentials["aws_session_token"],
    )
    answer = platform.post(json.dumps({"instances": [{"text": "fine"}]}), credentials=stranger)
    assert answer.status == 403


@pytest.mark.parametrize("handler", HANDLERS)
def test_each_function_logs_lines_that_name_step_and_run(
    platform: Deployed, first_run: Run, handler: str
) -> None:
    lines = [line for line in platform.log_lines(handler) if "level" in line]
    ours = [line for line in lines if line.get("run") == first_run.name]
    assert ours, lines[-3:]
    assert {line["step"] for line in ours} == {HANDLERS[handler]}
    assert all(line["message"] and line["timestamp"] for line in ours)


@pytest.mark.parametrize("handler", [*HANDLERS, "app.handler"])
def test_each_function_writes_its_metrics_as_lines(platform: Deployed, first_run: Run, handler: str) -> None:
    lines = [line for line in platform.log_lines(handler) if "_aws" in line]
    assert lines
    for line in lines:
        for block in line["_aws"]["CloudWatchMetrics"]:
            assert block["Namespace"].startswith("DataScience/")
            assert {metric["Name"] for metric in block["Metrics"]} <= line.keys()
            assert {name for group in block["Dimensions"] for name in group} <= line.keys()


def test_the_training_job_reports_its_metric(platform: Deployed, first_run: Run) -> None:
    name = first_run.output["trainingJob"]["name"]
    job = platform.aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert 0.7 < metrics["cv:auroc"] < 1
    assert job["EnableManagedSpotTraining"] is True
