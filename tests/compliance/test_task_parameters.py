"""The checker of task parameters finds what AWS would refuse, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.compliance import task_parameters

JOB: dict[str, Any] = {
    "TrainingJobName": "{% $name %}",
    "RoleArn": "arn:aws:iam::111122223333:role/job-role",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://lake/models/"},
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "HyperParameters": {"depth": "3"},
}


def machine(arguments: dict[str, Any], resource: str = "sagemaker:createTrainingJob.sync") -> dict[str, Any]:
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, "End": True}
    return {"StartAt": "Train", "States": {"Train": task}}


def test_a_good_job_has_no_fault() -> None:
    assert task_parameters.faults(machine(JOB)) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["Nope"], 1, "has no member Nope"),
        (["OutputDataConfig"], {}, "lacks S3OutputPath"),
        (["AlgorithmSpecification", "TrainingInputMode"], "Files", "none of the 3 allowed values"),
        (["ResourceConfig", "InstanceType"], "ml.m5.huge", "allowed values"),
        (["ResourceConfig", "InstanceCount"], "1", "is no integer"),
        (["StoppingCondition", "MaxRuntimeInSeconds"], 0, "fewer than 1"),
        (["EnableManagedSpotTraining"], "true", "is no boolean"),
        (["HyperParameters", "depth"], 3, "is no string"),
        (["TrainingJobName"], "under_score", "does not match"),
        (["RoleArn"], "arn:aws:iam::1:role/r-too-short-account", "does not match"),
        (["Tags"], [{"Key": "k", "Value": "v"}] * 51, "more than 50"),
    ],
)
def test_a_fault_is_named_with_its_place(path: list[str], value: Any, fault: str) -> None:
    job = copy.deepcopy(JOB)
    holder = job
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    found = task_parameters.faults(machine(job))
    assert len(found) == 1
    assert found[0].startswith("Train: CreateTrainingJob")
    assert fault in found[0]


def test_an_operation_that_does_not_exist_is_found() -> None:
    assert task_parameters.faults(machine({}, "aws-sdk:sagemaker:createTrainingJobb")) == [
        "Train: botocore knows no operation sagemaker.CreateTrainingJobb"
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("StateMachineArn", None),
        ("stateMachineArn", "has no member stateMachineArn (begins with a capital letter)"),
        ("Nope", "has no member Nope"),
    ],
)
def test_an_sdk_integration_takes_names_with_a_capital_letter(name: str, fault: str | None) -> None:
    found = task_parameters.faults(machine({name: "{% $arn %}"}, "aws-sdk:sfn:listExecutions"))
    assert found == ([] if fault is None else [f"Train: ListExecutions {fault}"])


def test_tasks_in_branches_are_read() -> None:
    outer = {
        "StartAt": "Both",
        "States": {"Both": {"Type": "Parallel", "Branches": [machine({**JOB, "Nope": 1})]}},
    }
    assert len(task_parameters.faults(outer)) == 1
