"""What a training script is given, and what is kept of what it leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.conftest import LocalAws, zipped
from tests.local.jobs import Workbench, archive, channel, unpacked

# Tells what the script was given, in the model.
REPORTS = """
    import json, os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    files = sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())
    report = {"environment": dict(os.environ), "arguments": sys.argv[1:], "files": files}
    for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
        report[name] = json.loads((base / "input/config" / f"{name}.json").read_text())
    pathlib.Path(os.environ["SM_MODEL_DIR"], "report.json").write_text(json.dumps(report))
"""


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    return Workbench.of(local_aws)


@pytest.fixture(scope="module")
def report(bench: Workbench) -> dict[str, Any]:
    """What a script sees of a request with hyperparameters, channels and variables."""
    bench.put("train/a.csv", "1")
    bench.put("train/deep/b.csv", "2")
    bench.put("listed/one.csv", "1")
    bench.put("listed/two.csv", "2")
    bench.put("listed/not.csv", "3")
    manifest = json.dumps([{"prefix": f"s3://{bench.bucket}/listed/"}, "one.csv", "two.csv"])
    request = bench.request(
        REPORTS,
        hyperparameters={
            "epochs": "3",
            "rate": '"0.1"',
            "name": "plain text",
            "deep": '{"a": 1}',
            "flag": "true",
            "out": "/opt/ml/checkpoints",
            # A tuning job's trials have it; the program does not get to see it.
            "_tuning_objective_metric": "auroc",
        },
        InputDataConfig=[
            channel("train", f"s3://{bench.bucket}/train/"),
            channel("manifest", bench.put("lists/m.manifest", manifest), "ManifestFile"),
        ],
        Environment={"MINE": "yes", "WHERE": "/opt/ml/model"},
    )
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    found: dict[str, Any] = json.loads(bench.model(request["TrainingJobName"])["report.json"])
    return found | {"request": request, "described": described}


def test_channels_lie_where_script_mode_says(report: dict[str, Any]) -> None:
    data = [name for name in report["files"] if name.startswith("input/data/") and "-manifest" not in name]
    assert data == [
        "input/data/manifest/one.csv",
        "input/data/manifest/two.csv",
        "input/data/train/a.csv",
        "input/data/train/deep/b.csv",
    ]
    base = report["environment"]["SAGEMAKER_BASE_DIR"]
    assert report["environment"]["SM_CHANNEL_TRAIN"] == f"{base}/input/data/train"
    assert json.loads(report["environment"]["SM_CHANNELS"]) == ["manifest", "train"]


def test_hyperparameters_are_arguments_variables_and_a_file_of_strings(report: dict[str, Any]) -> None:
    base = report["environment"]["SAGEMAKER_BASE_DIR"]
    assert report["arguments"] == [
        *("--deep", "a=1"),
        *("--epochs", "3"),
        *("--flag", "True"),
        *("--name", "plain text"),
        *("--out", f"{base}/checkpoints"),
        *("--rate", "0.1"),
    ]
    hps = json.loads(report["environment"]["SM_HPS"])
    assert hps == {
        "epochs": 3,
        "rate": "0.1",
        "name": "plain text",
        "deep": {"a": 1},
        "flag": True,
        "out": f"{base}/checkpoints",
    }
    assert report["environment"]["SM_HP_EPOCHS"] == "3"
    assert report["hyperparameters"] == report["request"]["HyperParameters"]


def test_the_environment_is_the_toolkits_and_the_users(report: dict[str, Any]) -> None:
    variables = report["environment"]
    base = variables["SAGEMAKER_BASE_DIR"]
    assert variables["SM_MODEL_DIR"] == variables["WHERE"] == f"{base}/model"
    assert variables["SM_OUTPUT_DATA_DIR"] == f"{base}/output/data"
    assert variables["SM_CURRENT_HOST"] == "algo-1"
    assert variables["SM_NUM_GPUS"] == "0"
    assert variables["SM_USER_ENTRY_POINT"] == "train.py"
    assert variables["MINE"] == "yes"
    assert variables["TRAINING_JOB_NAME"] == report["request"]["TrainingJobName"]
    assert report["resourceconfig"]["hosts"] == ["algo-1"]
    assert report["inputdataconfig"]["train"]["TrainingInputMode"] == "File"


def test_the_script_has_its_roles_credentials_and_no_others(report: dict[str, Any]) -> None:
    variables = report["environment"]
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert variables["AWS_SESSION_TOKEN"]
    assert not {"AWS_PROFILE", "GATEWAY_PORT", "MINISTACK_ACCOUNT_ID"} & variables.keys()


def test_a_finished_job_is_described_as_sagemaker_does(report: dict[str, Any]) -> None:
    described, name = report["described"], report["request"]["TrainingJobName"]
    assert described["TrainingJobArn"] == f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    assert described["SecondaryStatus"] == "Completed"
    phases = [transition["Status"] for transition in described["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in described["SecondaryStatusTransitions"])
    artifacts = f"{report['request']['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == artifacts
    assert described["CreationTime"] <= described["TrainingStartTime"] <= described["TrainingEndTime"]
    assert 1 <= described["BillableTimeInSeconds"] <= described["TrainingTimeInSeconds"]


def test_metrics_logs_and_output_data_are_kept(bench: Workbench) -> None:
    script = """
        import os, pathlib
        for value in (0.5, 0.75):
            print(f"validation auroc={value}; loss=1e-2")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "plot.txt").write_text("plot")
    """
    request = bench.request(script)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "auroc", "Regex": "auroc=([0-9.]+)"},
        {"Name": "loss", "Regex": "loss=([0-9.e-]+)"},
        {"Name": "absent", "Regex": "absent=([0-9.]+)"},
    ]
    described = bench.run(request)
    name = request["TrainingJobName"]
    metrics = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
    assert metrics == pytest.approx({"auroc": 0.75, "loss": 0.01})
    assert bench.log(name) == ["validation auroc=0.5; loss=1e-2", "validation auroc=0.75; loss=1e-2"]
    assert unpacked(bench.get(f"output/{name}/output/output.tar.gz")) == {"plot.txt": b"plot"}


def test_the_script_can_be_named_by_variables(bench: Workbench) -> None:
    request = bench.request("print('by variables')")
    given = request.pop("HyperParameters")
    request["Environment"] = {
        "SAGEMAKER_PROGRAM": given["sagemaker_program"],
        "SAGEMAKER_SUBMIT_DIRECTORY": given["sagemaker_submit_directory"],
    }
    assert bench.run(request)["TrainingJobStatus"] == "Completed"


def test_a_source_without_the_script_fails_and_names_it(bench: Workbench) -> None:
    request = bench.request("", hyperparameters={"sagemaker_program": "missing.py"})
    assert bench.run(request)["FailureReason"] == "ClientError: the source holds no missing.py"


def test_a_source_that_would_leave_its_folder_is_refused(bench: Workbench) -> None:
    uri = bench.put("source/evil.tar.gz", archive({"../../evil.py": "1", "train.py": "1"}))
    described = bench.run(bench.request("", hyperparameters={"sagemaker_submit_directory": uri}))
    assert described["TrainingJobStatus"] == "Failed"
    assert "cannot be unpacked" in described["FailureReason"]


def test_an_image_without_a_script_fails_and_says_what_runs_here(bench: Workbench) -> None:
    request = bench.request(REPORTS) | {"HyperParameters": {"num_round": "10"}}
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Failed"
    assert "runs script mode only" in described["FailureReason"]
    assert "sagemaker_program" in described["FailureReason"]


def test_requirements_are_installed_for_the_script_alone(bench: Workbench) -> None:
    """A local package: nothing is fetched from anywhere."""
    name = "greeting-1-py3-none-any.whl"
    source = archive(
        {
            "requirements.txt": f"./{name}",
            "train.py": "import greeting, sys; print(greeting.TEXT, sys.prefix)",
            name: _wheel("greeting", "TEXT = 'installed'"),
        }
    )
    uri = bench.put("source/requirements.tar.gz", source)
    request = bench.request("", hyperparameters={"sagemaker_submit_directory": uri})
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    text, prefix = bench.log(request["TrainingJobName"])[-1].split(" ", 1)
    assert text == "installed"
    assert "training-environments" in prefix


def test_requirements_that_cannot_be_installed_fail_the_job(bench: Workbench) -> None:
    uri = bench.put("source/broken.tar.gz", archive({"requirements.txt": "./absent.whl", "train.py": ""}))
    described = bench.run(bench.request("", hyperparameters={"sagemaker_submit_directory": uri}))
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: InstallRequirementsError")


def _wheel(name: str, source: str) -> bytes:
    info = f"{name}-1.dist-info"
    return zipped(
        {
            f"{name}.py": source,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }
    )
