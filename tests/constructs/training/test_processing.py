"""Processing jobs: programs for Python and Spark, own containers, what they read and leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import (
    AthenaQuery,
    ProcessingCode,
    ProcessingInput,
    ProcessingJob,
    ProcessingJobTask,
    ProcessingOutput,
    ProcessingStep,
    RunName,
    SparkSubmit,
    TrainingNetwork,
)
from tests.compliance import task_parameters
from tests.compliance.templates import as_list
from tests.constructs import machines, support

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
CODE = ProcessingCode(uri="s3://lake/source/clean.py", file="clean.py")


def job(stack: cdk.Stack, **options: Any) -> ProcessingJob:
    role = stack.node.try_find_child("JobRole")
    if role is None:
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    defaults: dict[str, Any] = {"role": role, "image": IMAGE, "max_runtime": cdk.Duration.hours(1)}
    return ProcessingJob(**{**defaults, **options})


@pytest.fixture(scope="module")
def machine() -> cdk.Stack:
    # GIVEN a machine with a program on Spark, one of an image's own, and a step that looks for its outputs
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    bucket = s3.Bucket(stack, "Bucket")
    spark = ProcessingJobTask(
        stack,
        "Spark",
        job=job(
            stack,
            code=ProcessingCode(uri="s3://lake/source/", file="quality.py"),
            spark=SparkSubmit(
                jars="s3://lake/jars/", py_files="s3://lake/py/", event_logs="s3://lake/spark/"
            ),
            arguments=["--day", "{% $states.input.day %}"],
            instance_count=3,
            volume_key=kms.Key(stack, "Key"),
            encrypt_between_containers=True,
            network=TrainingNetwork(subnets=vpc.private_subnets, security_groups=[group]),
            environment={"SPARK_VERSION": "3.3"},
            tags={"team": "reviews"},
        ),
        job_name=RunName("quality"),
        inputs=[
            ProcessingInput(name="rows", uri="s3://lake/rows/", sharded=True),
            ProcessingInput(
                name="labels",
                query=AthenaQuery(
                    query="SELECT * FROM labels", database="curated", output_uri="s3://lake/athena/"
                ),
            ),
        ],
        outputs=[
            ProcessingOutput(name="report", uri="s3://lake/report/"),
            ProcessingOutput(name="features", feature_group="reviews"),
        ],
        output_key=kms.Key(stack, "OutputKey"),
    )
    own = ProcessingJobTask(
        stack,
        "Own",
        job=job(
            stack,
            entrypoint=["/bin/run"],
            fallback_types=["ml.m5.2xlarge"],
            network_isolation=True,
        ),
        job_name="own-job",
    )
    step = ProcessingStep(
        stack,
        "Clean",
        job=job(stack, code=CODE),
        job_name=RunName("clean"),
        inputs=[ProcessingInput(name="raw", uri="s3://lake/raw/")],
        outputs=[
            ProcessingOutput(
                name="rows", uri=f"{{% 's3://{bucket.bucket_name}/runs/' & $states.context.Execution.Name %}}"
            ),
            ProcessingOutput(name="rejected", uri="s3://lake/rejected/"),
            ProcessingOutput(name="log", uri="s3://lake/log/", required=False),
        ],
        assign={"cleaned": "{% $states.result.ProcessingJobArn %}"},
    )
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(spark).next(own).next(step)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return stack


@pytest.fixture(scope="module")
def states(machine: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(machine)["States"]
    return found


def test_the_parameters_are_those_of_the_api(machine: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(machine)) == []


def test_spark_runs_a_program_with_jars_over_all_instances(states: dict[str, Any]) -> None:
    request = states["Spark"]["Arguments"]
    base = "/opt/ml/processing"
    assert request["AppSpecification"]["ContainerEntrypoint"] == [
        "smspark-submit",
        *("--py-files", f"{base}/input/py-files"),
        *("--jars", f"{base}/input/jars"),
        *("--local-spark-event-logs-dir", f"{base}/spark-events/"),
        f"{base}/input/code/quality.py",
    ]
    folders = [
        each.get("S3Input", each.get("DatasetDefinition"))["LocalPath"]
        for each in request["ProcessingInputs"]
    ]
    assert folders == [f"{base}/input/{name}" for name in ("code", "jars", "py-files", "rows", "labels")]
    events = request["ProcessingOutputConfig"]["Outputs"][-1]["S3Output"]
    assert events == {
        "S3Uri": "s3://lake/spark/",
        "LocalPath": f"{base}/spark-events",
        "S3UploadMode": "Continuous",
    }
    assert request["NetworkConfig"]["EnableInterContainerTrafficEncryption"] is True
    assert request["Tags"] == [{"Key": "team", "Value": "reviews"}]


def test_an_own_container_runs_its_own_program_on_what_there_is(states: dict[str, Any]) -> None:
    request = states["Own"]["Arguments"]
    assert request["AppSpecification"]["ContainerEntrypoint"] == ["/bin/run"]
    cluster = request["ProcessingResources"]["ClusterConfig"]
    assert [each["InstanceType"] for each in cluster["InstancePreferences"]] == [
        "ml.m5.xlarge",
        "ml.m5.2xlarge",
    ]
    assert "InstanceType" not in cluster
    assert request["NetworkConfig"]["EnableNetworkIsolation"] is True


def test_the_machine_may_run_jobs_of_its_names_and_no_others(machine: cdk.Stack) -> None:
    statements = machines.statements(machine, "MachineRole")
    jobs = [s for s in statements if "sagemaker:CreateProcessingJob" in machines.actions([s])]
    resources = [each for s in jobs for each in as_list(s["Resource"])]
    assert {each["Fn::Join"][1][-1] for each in resources} == {
        ":processing-job/quality--*",
        ":processing-job/own-job",
        ":processing-job/clean--*",
    }
    assert machines.actions(jobs) == {
        "sagemaker:AddTags",
        "sagemaker:CreateProcessingJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:ListTags",
        "sagemaker:StopProcessingJob",
    }
    (passes,) = (s for s in statements if "iam:PassRole" in machines.actions([s]))
    assert passes["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert not any("training" in str(s["Resource"]).lower() for s in statements)


def test_it_may_look_for_outputs_where_they_are_expected_alone(machine: cdk.Stack) -> None:
    looks = [
        s for s in machines.statements(machine, "MachineRole") if "s3:ListBucket" in machines.actions([s])
    ]
    assert [s["Condition"]["StringLike"]["s3:prefix"] for s in looks] == ["runs/*", "rejected/*"]


def test_every_required_output_is_looked_for_and_no_other(states: dict[str, Any]) -> None:
    assert states["Clean: take its result"]["Next"] == "Clean: has rows arrived?"
    assert states["Clean: has rows arrived?"]["Next"] == "Clean: has rejected arrived?"
    assert states["Clean: has rejected arrived?"]["Next"] == "Clean: is an output missing?"
    assert "Clean: has log arrived?" not in states
    *_, missing = states["Clean: is an output missing?"]["Choices"]
    assert missing["Assign"]["failure"]["error"] == "ProcessingOutputMissing"


def test_a_job_whose_answer_was_lost_is_found_again(states: dict[str, Any]) -> None:
    first, last = states["Clean"]["Catch"]
    assert first["ErrorEquals"] == ["SageMaker.ResourceInUseException", "SageMaker.ResourceInUse"]
    assert first["Next"] == "Clean: look for the job"
    assert last["ErrorEquals"] == ["States.ALL"]
    look = states["Clean: look for the job"]
    assert look["Arguments"]["ProcessingJobName"] == states["Clean"]["Arguments"]["ProcessingJobName"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_type": "ml.m5.huge"}, "which is no type"),
        ({"instance_type": "ml.trn1.2xlarge"}, "a type for training"),
        ({"fallback_types": ["ml.m5.huge"]}, "fallback_types='ml.m5.huge'"),
        ({"fallback_types": ["ml.m5.large"] * 5}, "at most 4"),
        ({"instance_count": 101}, "1 to 100"),
        ({"volume_size_gb": 0}, "1 to 16384"),
        ({"max_runtime": cdk.Duration.days(10)}, "9 days"),
        ({"environment": {"1A": "x"}}, "a letter or underscore"),
        ({"environment": {"A": "x" * 257}}, "at most 256"),
        ({"entrypoint": ["run"], "code": CODE}, "either a program in S3 or a command"),
        ({"spark": SparkSubmit()}, "a program for Spark to run"),
        ({"spark": SparkSubmit(main_class="a.B"), "code": CODE}, "main_class with a .jar"),
        ({"arguments": ["x" * 257]}, "at most 256 characters each"),
        ({"arguments": "--rows 5"}, r"allowed: a list.*write: arguments=\['--rows', '5'\]"),
        ({"entrypoint": "run it"}, r"allowed: a list.*write: entrypoint=\['run', 'it'\]"),
        ({"code": replace(CODE, program="python3 -u")}, r"write: program=\['python3', '-u'\]"),
        ({"code": replace(CODE, file="source/clean.py")}, 'file="clean.py"'),
        ({"code": replace(CODE, uri="clean.py")}, "a place in S3"),
        ({"image": "registry.example.com/clean:1"}, "an image in ECR"),
    ],
)
def test_a_job_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match=message):
        ProcessingJobTask(stack, "Clean", job=job(stack, **options), job_name="clean")


def test_a_volume_key_on_local_disks_is_refused() -> None:
    stack = support.stack()
    wrong = job(stack, instance_type="ml.g5.xlarge", volume_key=kms.Key(stack, "Key"))
    with pytest.raises(ConfigurationError, match="no volume key on types with local NVMe disks"):
        ProcessingJobTask(stack, "Clean", job=wrong, job_name="clean")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job_name": "under_score"}, "letters, digits and hyphens"),
        ({"job_name": RunName("Reviews")}, "RunName"),
        ({"job_name": RunName("reviews"), "job_name_pattern": "x*"}, "brings its own"),
        ({"job_name": "{% $name %}"}, "matching every name"),
        ({"inputs": [ProcessingInput(name="a")]}, "neither; allowed: exactly one of uri and query"),
        ({"inputs": [ProcessingInput(name="a b", uri="s3://b/")]}, "hyphens and underscores"),
        ({"inputs": [ProcessingInput(name="a", uri="s3://b/")] * 2}, "each name and each folder once"),
        ({"inputs": [ProcessingInput(name="a", uri="s3://b/", compressed=True)]}, "pipe=True"),
        ({"inputs": [ProcessingInput(name="a", uri="s3://b/", path="in")]}, "an absolute path"),
        ({"inputs": [ProcessingInput(name=f"i{n}", uri="s3://b/") for n in range(11)]}, "at most 10"),
        ({"outputs": [ProcessingOutput(name="a")]}, "exactly one of uri and feature_group"),
        ({"outputs": [ProcessingOutput(name="a", uri="/local/")]}, "a place in S3"),
        (
            {"outputs": [ProcessingOutput(name="a", feature_group="f", continuous=True)]},
            "continuous with a feature group",
        ),
    ],
)
def test_a_task_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    defaults: dict[str, Any] = {"job": job(stack), "job_name": "clean"}
    with pytest.raises(ConfigurationError, match=message):
        ProcessingJobTask(stack, "Clean", **{**defaults, **options})


def test_an_output_that_nobody_can_look_for_is_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="whose bucket is known before the run"):
        ProcessingStep(
            stack,
            "Clean",
            job=job(stack),
            job_name="clean",
            outputs=[ProcessingOutput(name="rows", uri="{% $uri %}")],
        )


def test_all_mistakes_are_told_at_once() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="3 problems"):
        ProcessingJobTask(
            stack, "Clean", job=job(stack, instance_count=0, volume_size_gb=0), job_name="no_name"
        )
