"""Training jobs as a script and a client of SageMaker see them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, eventually, unique
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
COUNTS = """
    import os, pathlib, signal, sys, time
    folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
    start = int((folder / "epoch").read_text()) if (folder / "epoch").exists() else 0
    print(f"start={start}", flush=True)
    for epoch in range(start, 6):
        (folder / "epoch").write_text(str(epoch + 1))
        print(f"epoch={epoch} loss={1 / (epoch + 1):.3f}", flush=True)
        time.sleep(0.4)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_text(str(start))
"""
SLEEPS = """
    import time
    print("sleeping", flush=True)
    time.sleep(60)
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


def test_the_log_appears_while_the_job_runs(bench: Workbench) -> None:
    name = bench.start(bench.request(SLEEPS))
    bench.wait_for_log(name, "sleeping")
    assert bench.describe(name)["SecondaryStatus"] == "Training"
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    bench.end_of(name)


def test_a_failing_script_fails_the_job_with_its_traceback(bench: Workbench) -> None:
    described = bench.run(bench.request("raise ValueError('no such column: rating')"))
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    reason = described["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1")
    assert "ValueError: no such column: rating" in reason
    assert reason.endswith("exit code: 1")
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == ""


def test_what_the_script_writes_into_its_failure_file_is_the_reason(bench: Workbench) -> None:
    script = """
        import os, pathlib, sys
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("The data is empty")
        sys.exit(3)
    """
    described = bench.run(bench.request(script))
    assert described["FailureReason"] == "AlgorithmError: The data is empty, exit code: 3"


def test_a_prefix_without_objects_fails_the_job_and_names_it(bench: Workbench) -> None:
    uri = f"s3://{bench.bucket}/nothing-here/"
    described = bench.run(bench.request(REPORTS, InputDataConfig=[channel("train", uri)]))
    assert described["TrainingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "{uri}"' in described["FailureReason"]


def test_a_job_may_read_only_what_its_role_may_read(bench: Workbench) -> None:
    other = bench.aws.bucket()
    bench.aws.client("s3").put_object(Bucket=other, Key="data/a.csv", Body=b"1")
    request = bench.request(REPORTS, InputDataConfig=[channel("train", f"s3://{other}/data/")])
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: Failed to download data. AccessDenied")
    assert bench.role in described["FailureReason"]


def test_a_script_may_do_only_what_its_role_may_do(bench: Workbench) -> None:
    other = bench.aws.bucket()
    script = f"""
        import boto3
        print(boto3.client("sts").get_caller_identity()["Arn"])
        boto3.client("s3").put_object(Bucket="{other}", Key="stolen", Body=b"1")
    """
    request = bench.request(script)
    described = bench.run(request)
    assert "AccessDenied" in described["FailureReason"]
    role_name = bench.role.rsplit("/", 1)[-1]
    assert bench.log(request["TrainingJobName"])[0].endswith(f"assumed-role/{role_name}/SageMaker")


def test_a_role_that_may_not_write_logs_loses_them_and_the_job_goes_on(bench: Workbench) -> None:
    objects = f"arn:aws:s3:::{bench.bucket}"
    role = bench.aws.role("sagemaker", allow("s3:*", resource=[objects, f"{objects}/*"]))
    request = bench.request("print('hello')", RoleArn=role)
    assert bench.run(request)["TrainingJobStatus"] == "Completed"
    assert bench.log(request["TrainingJobName"]) == []


def test_an_image_without_a_script_fails_and_says_what_runs_here(bench: Workbench) -> None:
    request = bench.request(REPORTS) | {"HyperParameters": {"num_round": "10"}}
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Failed"
    assert "runs script mode only" in described["FailureReason"]
    assert "sagemaker_program" in described["FailureReason"]


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


def test_stopping_a_job_keeps_what_it_has_made(bench: Workbench) -> None:
    script = """
        import os, pathlib, signal, sys, time
        model = pathlib.Path(os.environ["SM_MODEL_DIR"], "model")
        def save(*_):
            model.write_text("saved on SIGTERM")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("training", flush=True)
        time.sleep(60)
    """
    name = bench.start(bench.request(script))
    bench.wait_for_log(name, "training")
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert bench.describe(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    described = bench.end_of(name)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert bench.model(name) == {"model": b"saved on SIGTERM"}
    with pytest.raises(ClientError, match="in status Stopped"):
        bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)


def test_a_script_that_ignores_sigterm_is_killed_with_its_children(bench: Workbench) -> None:
    script = """
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"])  # inherits what is ignored
        print(f"child={child.pid}", flush=True)
        time.sleep(60)
    """
    name = bench.start(bench.request(script))
    bench.wait_for_log(name, "child=")
    child = int(bench.log(name)[0].removeprefix("child="))
    began = time.monotonic()
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert bench.end_of(name)["TrainingJobStatus"] == "Stopped"
    assert 1 < time.monotonic() - began < 10
    eventually(lambda: not _alive(child), 5, "the end of the script's child")


def test_the_maximum_run_time_ends_a_job_as_stopped(bench: Workbench) -> None:
    described = bench.run(bench.request(SLEEPS, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_checkpoints_are_restored_at_the_start_and_copied_while_it_runs(bench: Workbench) -> None:
    request = bench.spot_request(COUNTS)
    name = request["TrainingJobName"]
    bench.put(f"checkpoints/{name}/epoch", "1")
    bench.start(request)
    eventually(lambda: bench.get(f"checkpoints/{name}/epoch") != b"1", 10, "a copied checkpoint")
    assert bench.describe(name)["TrainingJobStatus"] == "InProgress"
    bench.end_of(name)
    assert bench.log(name)[0] == "start=1"
    assert bench.get(f"checkpoints/{name}/epoch") == b"6"


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(bench: Workbench) -> None:
    request = bench.spot_request(COUNTS)
    name = bench.start(request)
    bench.wait_for_log(name, "epoch=1")
    done = bench.aws.run("faults", "interrupt", name)
    assert done.returncode == 0, done.stderr
    described = bench.end_of(name)
    assert described["TrainingJobStatus"] == "Completed"
    phases = [transition["Status"] for transition in described["SecondaryStatusTransitions"]]
    assert phases == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    starts = [line for line in bench.log(name) if line.startswith("start=")]
    assert starts[0] == "start=0"
    assert int(starts[1].removeprefix("start=")) >= 2
    assert bench.model(name)["model"].decode() == starts[1].removeprefix("start=")


def test_waiting_longer_than_allowed_ends_a_spot_job(bench: Workbench) -> None:
    limits = {"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2}
    request = bench.spot_request(SLEEPS, StoppingCondition=limits)
    described = bench.run(request)
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded")


def test_a_job_without_spot_capacity_cannot_be_interrupted(bench: Workbench) -> None:
    name = bench.start(bench.request(SLEEPS))
    done = bench.aws.run("faults", "interrupt", name)
    assert done.returncode == 1
    assert "does not use managed Spot training" in done.stderr
    bench.aws.client("sagemaker").stop_training_job(TrainingJobName=name)
    bench.end_of(name)


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


def test_a_name_is_used_once(bench: Workbench) -> None:
    request = bench.request("")
    bench.run(request)
    sagemaker = bench.aws.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match=request["TrainingJobName"]):
        sagemaker.create_training_job(**request)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TrainingJobName": "with_underscore"}, "Value 'with_underscore' at 'trainingJobName'"),
        (
            {"ResourceConfig": {"InstanceType": "ml.none", "InstanceCount": 1, "VolumeSizeInGB": 1}},
            "Value 'ml.none' at 'resourceConfig.instanceType' failed to satisfy constraint",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "stoppingCondition.maxRuntimeInSeconds"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds is required"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
            "only when EnableManagedSpotTraining is true",
        ),
    ],
)
def test_what_sagemaker_refuses_is_refused(bench: Workbench, changes: dict[str, Any], message: str) -> None:
    from botocore.config import Config

    unchecked = bench.aws.client("sagemaker", config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match=message) as caught:
        unchecked.create_training_job(**bench.request("", **changes))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_who_creates_a_job_must_be_allowed_to_pass_its_role(bench: Workbench) -> None:
    creator = bench.aws.role("lambda", allow("sagemaker:CreateTrainingJob"))
    sagemaker = bench.aws.session_for_role(creator).client("sagemaker")
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole"):
        sagemaker.create_training_job(**bench.request(""))
    passing = bench.aws.role(
        "lambda", allow("sagemaker:CreateTrainingJob"), allow("iam:PassRole", resource=bench.role)
    )
    request = bench.request("")
    bench.aws.session_for_role(passing).client("sagemaker").create_training_job(**request)
    assert bench.end_of(request["TrainingJobName"])["TrainingJobStatus"] == "Completed"


def test_sagemakers_actions_are_authorized_on_the_job(bench: Workbench) -> None:
    request = bench.request("")
    bench.run(request)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{request['TrainingJobName']}"
    allowed = bench.aws.role("lambda", allow("sagemaker:DescribeTrainingJob", resource=arn))
    other = bench.aws.role("lambda", allow("sagemaker:DescribeTrainingJob", resource=f"{arn}-other"))
    name = {"TrainingJobName": request["TrainingJobName"]}
    bench.aws.session_for_role(allowed).client("sagemaker").describe_training_job(**name)
    with pytest.raises(ClientError, match="AccessDenied"):
        bench.aws.session_for_role(other).client("sagemaker").describe_training_job(**name)


def test_an_unknown_job_is_not_found(bench: Workbench) -> None:
    with pytest.raises(ClientError, match="Requested resource not found"):
        bench.describe(unique("job"))


def test_lists_filter_sort_and_page(bench: Workbench) -> None:
    mark = unique("listed")[:20]
    for number in range(3):
        bench.run(bench.request("", TrainingJobName=f"{mark}-{number}"))
    sagemaker = bench.aws.client("sagemaker")
    first = sagemaker.list_training_jobs(
        NameContains=mark, SortBy="Name", SortOrder="Ascending", MaxResults=2
    )
    rest = sagemaker.list_training_jobs(
        NameContains=mark, SortBy="Name", SortOrder="Ascending", MaxResults=2, NextToken=first["NextToken"]
    )
    names = [job["TrainingJobName"] for job in first["TrainingJobSummaries"] + rest["TrainingJobSummaries"]]
    assert names == [f"{mark}-{number}" for number in range(3)]
    assert "NextToken" not in rest
    failed = sagemaker.list_training_jobs(NameContains=mark, StatusEquals="Failed")
    assert failed["TrainingJobSummaries"] == []


def test_state_changes_are_events(bench: Workbench) -> None:
    events = bench.aws.client("events")
    url, arn = bench.aws.queue("events")
    request = bench.request("")
    rule = unique("rule")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [request["TrainingJobName"]], "TrainingJobStatus": ["Completed"]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    described = bench.run(request)
    (message,) = bench.aws.messages(url)
    event = json.loads(message["Body"])
    assert event["resources"] == [described["TrainingJobArn"]]
    assert event["detail"]["SecondaryStatus"] == "Completed"
    assert event["detail"]["TrainingEndTime"] == int(described["TrainingEndTime"].timestamp() * 1000)


def test_tags_of_a_job_are_kept(bench: Workbench) -> None:
    request = bench.request("", Tags=[{"Key": "team", "Value": "reviews"}])
    arn = bench.run(request)["TrainingJobArn"]
    sagemaker = bench.aws.client("sagemaker")
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    assert {t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=arn)["Tags"]} == {
        "team": "reviews",
        "stage": "test",
    }


def test_the_rest_of_sagemakers_api_is_answered(bench: Workbench) -> None:
    assert bench.aws.client("sagemaker").list_notebook_instances()["NotebookInstances"] == []


def _alive(pid: int) -> bool:
    from pathlib import Path

    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wheel(name: str, source: str) -> bytes:
    from tests.local.conftest import zipped

    info = f"{name}-1.dist-info"
    return zipped(
        {
            f"{name}.py": source,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }
    )
