"""Training jobs as a client of SageMaker sees them, and what their roles may do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, unique
from tests.local.jobs import Workbench, channel


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    return Workbench.of(local_aws)


def test_a_prefix_without_objects_fails_the_job_and_names_it(bench: Workbench) -> None:
    uri = f"s3://{bench.bucket}/nothing-here/"
    described = bench.run(bench.request("", InputDataConfig=[channel("train", uri)]))
    assert described["TrainingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "{uri}"' in described["FailureReason"]


def test_a_job_may_read_only_what_its_role_may_read(bench: Workbench) -> None:
    other = bench.aws.bucket()
    bench.aws.client("s3").put_object(Bucket=other, Key="data/a.csv", Body=b"1")
    request = bench.request("", InputDataConfig=[channel("train", f"s3://{other}/data/")])
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
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
            "more than one host does not run on the local AWS",
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
    # The event's milliseconds are cut off, and the description's microseconds are rounded.
    ended = described["TrainingEndTime"].timestamp() * 1000
    assert event["detail"]["TrainingEndTime"] == pytest.approx(ended, rel=0, abs=1)


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
