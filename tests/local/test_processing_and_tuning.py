"""Processing and tuning jobs, alone and as tasks of a state machine."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, eventually, unique
from tests.local.jobs import Workbench

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/python:1"
COPIES = """
import os, shutil, sys
source, target = sys.argv[1:]
print("processing", os.environ["MODE"], flush=True)
for name in os.listdir(source):
    shutil.copy(os.path.join(source, name), os.path.join(target, name + "." + os.environ["MODE"]))
with open(os.path.join(os.environ["SAGEMAKER_BASE_DIR"], "output", "message"), "w") as file:
    file.write("all copied")
"""
SCORES = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--kind")
    given, _ = parser.parse_known_args()
    print(f"score={given.depth}.0", flush=True)
"""


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    return Workbench.of(local_aws)


@pytest.fixture(scope="module")
def sagemaker(local_aws: LocalAws) -> Any:
    return local_aws.client("sagemaker")


def processing(bench: Workbench, script: str = COPIES, **changes: Any) -> dict[str, Any]:
    name = unique("processing")
    bench.put(f"{name}/code/job.py", textwrap.dedent(script))
    bench.put(f"{name}/data/a", "one")
    base = "/opt/ml/processing"
    inputs = [
        {
            "InputName": kind,
            "S3Input": {
                "S3Uri": f"s3://{bench.bucket}/{name}/{kind}/",
                "LocalPath": f"{base}/input/{kind}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for kind in ("code", "data")
    ]
    output = {
        "OutputName": "copies",
        "S3Output": {
            "S3Uri": f"s3://{bench.bucket}/{name}/out",
            "LocalPath": f"{base}/out",
            "S3UploadMode": "EndOfJob",
        },
    }
    return {
        "ProcessingJobName": name,
        "RoleArn": bench.role,
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", f"{base}/input/code/job.py"],
            "ContainerArguments": [f"{base}/input/data", f"{base}/out"],
        },
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": [output]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "Environment": {"MODE": "copy"},
    } | changes


def ended(sagemaker: Any, noun: str, name: str) -> dict[str, Any]:
    described: dict[str, Any] = {}
    describe = {
        "ProcessingJob": sagemaker.describe_processing_job,
        "HyperParameterTuningJob": sagemaker.describe_hyper_parameter_tuning_job,
    }[noun]

    def over() -> bool:
        described.update(describe(**{f"{noun}Name": name}))
        return described[f"{noun}Status"] in ("Completed", "Failed", "Stopped")

    eventually(over, 30, f"the end of {name}")
    return described


def test_a_processing_job_reads_and_writes_s3(bench: Workbench, sagemaker: Any) -> None:
    url, queue = bench.aws.queue("events")
    events, rule = bench.aws.client("events"), unique("rule")
    request = processing(bench, Tags=[{"Key": "team", "Value": "reviews"}])
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
        "detail": {"ProcessingJobName": [request["ProcessingJobName"]]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue}])
    arn = sagemaker.create_processing_job(**request)["ProcessingJobArn"]
    name = request["ProcessingJobName"]
    described = ended(sagemaker, "ProcessingJob", name)
    assert described["ProcessingJobStatus"] == "Completed", described
    assert described["ExitMessage"] == "all copied"
    assert bench.get(f"{name}/out/a.copy") == b"one"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "reviews"}]
    (summary,) = sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    assert summary["ProcessingJobStatus"] == "Completed"
    details = [json.loads(message["Body"])["detail"] for message in bench.aws.messages(url, 2)]
    assert {d["ProcessingJobStatus"] for d in details} == {"InProgress", "Completed"}
    logs = bench.aws.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"
    found = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name)["events"]
    assert [event["message"] for event in found] == ["processing copy"]


def test_a_processing_job_that_fails_says_so(bench: Workbench, sagemaker: Any) -> None:
    request = processing(bench, "raise SystemExit(3)")
    sagemaker.create_processing_job(**request)
    described = ended(sagemaker, "ProcessingJob", request["ProcessingJobName"])
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"].endswith("exit code: 3")
    without = processing(bench)
    del without["AppSpecification"]["ContainerEntrypoint"]
    sagemaker.create_processing_job(**without)
    reason = ended(sagemaker, "ProcessingJob", without["ProcessingJobName"])["FailureReason"]
    assert "runs no container images" in reason


def test_what_processing_cannot_do_here_fails_by_name(bench: Workbench, sagemaker: Any) -> None:
    hosts, features = processing(bench), processing(bench)
    hosts["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    stored = {"OutputName": "f", "AppManaged": True, "FeatureStoreOutput": {"FeatureGroupName": "reviews"}}
    features["ProcessingOutputConfig"]["Outputs"].append(stored)
    for request, what in ((hosts, "more than one host"), (features, "FeatureStoreOutput")):
        sagemaker.create_processing_job(**request)
        described = ended(sagemaker, "ProcessingJob", request["ProcessingJobName"])
        assert described["FailureReason"] == f"ClientError: {what} does not run on the local AWS"


def test_a_processing_job_is_stopped(bench: Workbench, sagemaker: Any) -> None:
    request = processing(bench, "import time; print('started', flush=True); time.sleep(3600)")
    name = request["ProcessingJobName"]
    sagemaker.create_processing_job(**request)
    eventually(
        lambda: "ProcessingStartTime" in sagemaker.describe_processing_job(ProcessingJobName=name),
        15,
        "the start",
    )
    sagemaker.stop_processing_job(ProcessingJobName=name)
    assert ended(sagemaker, "ProcessingJob", name)["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName=name)


def tuning(bench: Workbench, **config: Any) -> dict[str, Any]:
    request = bench.request(SCORES)
    algorithm = request["AlgorithmSpecification"] | {
        "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}]
    }
    ranges = {
        "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "9"}],
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
    }
    return {
        "HyperParameterTuningJobName": unique("tuning")[:32],
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
            "RandomSeed": 7,
        }
        | config,
        "TrainingJobDefinition": {
            "StaticHyperParameters": request["HyperParameters"],
            "AlgorithmSpecification": algorithm,
            "RoleArn": bench.role,
            "OutputDataConfig": request["OutputDataConfig"],
            "ResourceConfig": request["ResourceConfig"],
            "StoppingCondition": request["StoppingCondition"],
        },
    }


def test_a_tuning_job_finds_the_best_of_its_children(bench: Workbench, sagemaker: Any) -> None:
    request = tuning(bench)
    name = request["HyperParameterTuningJobName"]
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", name)
    assert described["HyperParameterTuningJobStatus"] == "Completed", described
    assert described["TrainingJobStatusCounters"]["Completed"] == 4
    listed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    children = listed["TrainingJobSummaries"]
    depths = [int(child["TunedHyperParameters"]["depth"]) for child in children]
    best = described["BestTrainingJob"]
    assert len(depths) == 4
    assert int(best["TunedHyperParameters"]["depth"]) == max(depths)
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert (metric["MetricName"], metric["Value"]) == ("score", float(max(depths)))
    for child in children:
        assert 0.001 <= float(child["TunedHyperParameters"]["rate"]) <= 0.1
        assert child["TunedHyperParameters"]["kind"] in ("a", "b")
    (summary,) = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)[
        "HyperParameterTuningJobSummaries"
    ]
    assert summary["Strategy"] == "Random"


def test_a_tuning_job_ends_when_its_target_is_reached(bench: Workbench, sagemaker: Any) -> None:
    request = tuning(
        bench,
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 1.0},
        ResourceLimits={"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1},
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", request["HyperParameterTuningJobName"])
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_search_whose_trials_report_nothing_fails_and_is_listed(bench: Workbench, sagemaker: Any) -> None:
    request = tuning(bench, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    name = request["HyperParameterTuningJobName"]
    metrics = request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    metrics[0]["Regex"] = "nothing=([0-9.]+)"
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", name)
    assert described["FailureReason"] == "No training job reported the objective metric."
    # A summary has no reason; that it has nothing but what the API knows is checked with every answer.
    listed = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)
    (summary,) = listed["HyperParameterTuningJobSummaries"]
    assert summary["HyperParameterTuningJobStatus"] == "Failed"


def test_a_grid_is_searched_point_by_point(bench: Workbench, sagemaker: Any) -> None:
    grid = {
        "CategoricalParameterRanges": [
            {"Name": "depth", "Values": ["3", "5"]},
            {"Name": "kind", "Values": ["a", "b"]},
        ]
    }
    request = tuning(
        bench, Strategy="Grid", ParameterRanges=grid, ResourceLimits={"MaxParallelTrainingJobs": 4}
    )
    name = request["HyperParameterTuningJobName"]
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", name)
    assert described["HyperParameterTuningJobStatus"] == "Completed", described
    listed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    points = [child["TunedHyperParameters"] for child in listed["TrainingJobSummaries"]]
    assert sorted((point["depth"], point["kind"]) for point in points) == [
        *(("3", "a"), ("3", "b")),
        *(("5", "a"), ("5", "b")),
    ]
    assert described["BestTrainingJob"]["TunedHyperParameters"]["depth"] == "5"


def test_a_search_that_does_not_get_better_ends(bench: Workbench, sagemaker: Any) -> None:
    grid = {"CategoricalParameterRanges": [{"Name": "depth", "Values": ["2", "9", "4", "6", "8", "7"]}]}
    patience = {"MaxNumberOfTrainingJobsNotImproving": 3}
    request = tuning(
        bench,
        Strategy="Grid",
        ParameterRanges=grid,
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria={"BestObjectiveNotImproving": patience},
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", request["HyperParameterTuningJobName"])
    # The second was the best, and the three after it were not better.
    assert described["TrainingJobStatusCounters"]["Completed"] == 5
    assert described["BestTrainingJob"]["TunedHyperParameters"]["depth"] == "9"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (
            "WarmStartConfig",
            {
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "earlier"}],
                "WarmStartType": "IdenticalDataAndAlgorithm",
            },
        ),
        ("Autotune", {"Mode": "Enabled"}),
    ],
)
def test_what_a_search_cannot_do_here_fails_by_name(
    bench: Workbench, sagemaker: Any, member: str, value: dict[str, Any]
) -> None:
    request = tuning(bench) | {member: value}
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", request["HyperParameterTuningJobName"])
    assert described["FailureReason"] == f"ClientError: {member} does not run on the local AWS"


def test_a_search_that_is_stopped_stops_its_children(bench: Workbench, sagemaker: Any) -> None:
    request = tuning(bench)
    sleeps = bench.request("import time; print('score=1.0', flush=True); time.sleep(3600)")
    request["TrainingJobDefinition"]["StaticHyperParameters"] = sleeps["HyperParameters"]
    name = request["HyperParameterTuningJobName"]
    sagemaker.create_hyper_parameter_tuning_job(**request)

    def describe() -> dict[str, Any]:
        described: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return described

    eventually(lambda: describe()["TrainingJobStatusCounters"]["InProgress"] == 2, 15, "two children")
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    described = ended(sagemaker, "HyperParameterTuningJob", name)
    assert described["HyperParameterTuningJobStatus"] == "Stopped"
    assert described["TrainingJobStatusCounters"]["Stopped"] == 2


def test_a_tuning_job_without_its_objective_fails(bench: Workbench, sagemaker: Any) -> None:
    request = tuning(
        bench,
        HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "loss"},
        ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    described = ended(sagemaker, "HyperParameterTuningJob", request["HyperParameterTuningJobName"])
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert "objective metric" in described["FailureReason"]


def test_jobs_of_a_state_machine_are_waited_for_in_its_role(bench: Workbench) -> None:
    aws = bench.aws
    role = aws.role("states", allow("sagemaker:*"), allow("iam:PassRole", resource=bench.role))
    states = {
        "Process": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
            "Arguments": processing(bench),
            "Output": "{% $states.result.ProcessingJobStatus %}",
            "End": True,
        }
    }
    done = aws.execute(aws.machine(role, states, "Process"))
    assert (done["status"], done.get("output")) == ("SUCCEEDED", "Completed")
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    tune = {
        "Tune": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync",
            "Arguments": tuning(bench, ResourceLimits=limits),
            "Output": "{% $states.result.BestTrainingJob.TunedHyperParameters.depth %}",
            "End": True,
        }
    }
    done = aws.execute(aws.machine(role, tune, "Tune"))
    assert done["status"] == "SUCCEEDED", done
    assert 1 <= int(done["output"]) <= 9
    failing = states["Process"] | {"Arguments": processing(bench, "raise SystemExit(1)")}
    done = aws.execute(aws.machine(role, {"Process": failing}, "Process"))
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    assert "exit code: 1" in done["cause"]
