"""The state machines of all job tasks may do what their tasks do, and nothing else."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science.training import (
    CandidateLimits,
    Channel,
    ContinuousRange,
    Objective,
    ProcessingJob,
    ProcessingOutput,
    ProcessingStep,
    RunName,
    Search,
    StartPipelineTask,
    TabularProblem,
    TrainingJob,
    TransformJob,
    TransformStep,
    TuningDefinition,
    TuningStep,
)
from cdk_data_science.training.tasks.automl import AutoMLChannel, AutoMLJobTask
from cdk_data_science.training.tasks.compilation import CompilationJobTask
from tests.compliance.rules import machines as rules
from tests.compliance.templates import Platform
from tests.constructs import support
from tests.constructs.training.stacks import IMAGE

HOUR = cdk.Duration.hours(1)


def process(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return ProcessingStep(
        scope,
        "Process",
        job=ProcessingJob(role=role, image=IMAGE, max_runtime=HOUR),
        job_name=RunName("clean"),
        outputs=[ProcessingOutput(name="rows", uri="s3://lake/clean/")],
    )


def tune(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return TuningStep(
        scope,
        "Tune",
        definitions=[
            TuningDefinition(
                job=TrainingJob(role=role, image=IMAGE, max_runtime=HOUR),
                objective=Objective("auc"),
                ranges=[ContinuousRange("eta", 0.1, 0.9)],
                channels=[Channel(name="train", uri="s3://lake/train/")],
                output_uri="s3://lake/models/",
            )
        ],
        search=Search(trials=4, max_runtime=HOUR),
        job_name=RunName("tune"),
    )


def transform(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return TransformStep(
        scope,
        "Predict",
        job=TransformJob(max_runtime=HOUR),
        job_name=RunName("predict"),
        model_name="churn",
        input_uri="s3://lake/in/",
        output_uri="s3://lake/out/",
    )


def automl(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return AutoMLJobTask(
        scope,
        "Find",
        role=role,
        problem=TabularProblem(target="churned"),
        limits=CandidateLimits(max_runtime=HOUR),
        job_name=RunName("churn"),
        channels=[AutoMLChannel(uri="s3://lake/train/")],
        output_uri="s3://lake/automl/",
    )


def compile_model(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return CompilationJobTask(
        scope,
        "Compile",
        role=role,
        job_name=RunName("vision"),
        framework="ONNX",
        model_uri="s3://lake/model.tar.gz",
        output_uri="s3://lake/compiled/",
        device="ml_c5",
    )


def start(scope: Construct, role: iam.IRole) -> sfn.IChainable:
    return StartPipelineTask(scope, "Start", pipeline_name="churn", max_runtime=HOUR)


MAKERS = (process, tune, transform, automl, compile_model, start)


@pytest.fixture(scope="module")
def platform() -> Platform:
    # GIVEN a machine for each kind of job, with a role of its own, in an app with tags
    stack = support.stack()
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    for maker in MAKERS:
        own = Construct(stack, maker.__name__)
        sfn.StateMachine(
            own,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(maker(own, role)),
            query_language=sfn.QueryLanguage.JSONATA,
        )
    return Platform({"Test": support.document(stack)})


def test_each_may_do_what_its_tasks_do(platform: Platform) -> None:
    assert list(rules.missing_permissions(platform)) == []


def test_and_nothing_else(platform: Platform) -> None:
    assert list(rules.unused_permissions(platform)) == []


def test_every_task_ends_in_time_and_is_tried_again_and_caught(platform: Platform) -> None:
    assert list(rules.careless_tasks(platform, set())) == []
