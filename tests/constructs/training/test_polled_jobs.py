"""What Step Functions has no `.sync` for: AutoML, compilation, SageMaker's own pipelines."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import (
    AutoMLChannel,
    AutoMLJobTask,
    CandidateLimits,
    CompilationJobTask,
    ForecastProblem,
    ImageClassificationProblem,
    RunName,
    StartPipelineTask,
    TabularProblem,
    TargetPlatform,
    TextClassificationProblem,
    TextGenerationProblem,
    TrainingNetwork,
)
from cdk_data_science.training.jobs.automl_problems import _FORECAST_ALGORITHMS, _TABULAR_ALGORITHMS
from cdk_data_science.training.tasks import compilation
from tests.compliance import task_parameters
from tests.constructs import machines, support

LIMITS = CandidateLimits(max_runtime=cdk.Duration.hours(4))
TRAIN = AutoMLChannel(uri="s3://lake/train/")


def role(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))


def automl(stack: cdk.Stack, id: str = "Find", **options: Any) -> AutoMLJobTask:
    defaults: dict[str, Any] = {
        "problem": TabularProblem(target="churned"),
        "limits": LIMITS,
        "job_name": RunName("churn"),
        "channels": [TRAIN],
        "output_uri": "s3://lake/automl/",
    }
    given = {**defaults, **options}
    return AutoMLJobTask(stack, id, role=given.pop("role", None) or role(stack), **given)


def compiling(stack: cdk.Stack, id: str = "Compile", **options: Any) -> CompilationJobTask:
    defaults: dict[str, Any] = {
        "job_name": RunName("vision"),
        "framework": "PYTORCH",
        "model_uri": "s3://lake/model.tar.gz",
        "output_uri": "s3://lake/compiled/",
        "device": "ml_c5",
    }
    given = {**defaults, **options}
    return CompilationJobTask(stack, id, role=given.pop("role", None) or role(stack), **given)


def starting(stack: cdk.Stack, id: str = "Start", **options: Any) -> StartPipelineTask:
    defaults: dict[str, Any] = {"pipeline_name": "Churn-Training", "max_runtime": cdk.Duration.hours(6)}
    return StartPipelineTask(stack, id, **{**defaults, **options})


@pytest.fixture(scope="module")
def machine() -> cdk.Stack:
    # GIVEN one machine with all three, and every type of AutoML problem
    stack = support.stack()
    jobs, key = role(stack), kms.Key(stack, "Key")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    network = TrainingNetwork(subnets=vpc.private_subnets, security_groups=[group])
    several: list[Any] = [
        automl(
            stack,
            "Tabular",
            role=jobs,
            problem=TabularProblem(
                target="churned",
                problem_type="BinaryClassification",
                mode="ENSEMBLING",
                algorithms=["xgboost", "lightgbm"],
                sample_weight="weight",
                feature_specification_uri="s3://lake/features.json",
            ),
            objective="AUC",
            limits=CandidateLimits(
                max_runtime=cdk.Duration.hours(4), candidates=20, max_runtime_each=cdk.Duration.hours(1)
            ),
            channels=[TRAIN, AutoMLChannel(uri="s3://lake/val/", type="validation", content_type="text/csv")],
            output_key=key,
            volume_key=key,
            network=network,
            encrypt_between_containers=True,
            deploy_endpoint="churn",
            tags={"team": "churn"},
            assign={"best": "{% $states.result.BestCandidate.CandidateName %}"},
        ),
        automl(
            stack,
            "Texts",
            role=jobs,
            problem=TextClassificationProblem(content="text", target="label"),
            validation_fraction=0.2,
            deploy_endpoint="",
        ),
        automl(stack, "Images", role=jobs, problem=ImageClassificationProblem(), objective="Accuracy"),
        automl(
            stack,
            "Forecast",
            role=jobs,
            problem=ForecastProblem(
                target="sales",
                timestamp="day",
                item="product",
                frequency="1D",
                horizon=14,
                quantiles=["p10", "p90"],
                grouping=["shop"],
                filling={"sales": {"middlefill": "zero"}},
                aggregation={"sales": "sum"},
                holidays="DE",
                algorithms=["deepar"],
            ),
            objective="WAPE",
        ),
        automl(
            stack,
            "Tune a language model",
            role=jobs,
            problem=TextGenerationProblem(
                base_model="Falcon7BInstruct", hyperparameters={"epochCount": "2"}, accept_licence=True
            ),
        ),
        compiling(
            stack,
            role=jobs,
            framework_version="2.0",
            inputs={"input0": [1, 3, 224, 224]},
            output_key=key,
            network=network,
            tags={"team": "vision"},
        ),
        compiling(
            stack,
            "Compile from the registry",
            role=jobs,
            framework=None,
            model_uri=None,
            model_package_arn="{% $modelPackage.arn %}",
            device=None,
            platform=TargetPlatform(os="LINUX", arch="ARM64", accelerator="NVIDIA"),
            compiler_options={"gpu-code": "sm_72", "trt-ver": "6.0.1", "cuda-ver": "10.1"},
        ),
        starting(
            stack,
            parameters={"InputData": "{% $states.input.uri %}"},
            display_name="{% $states.context.Execution.Name %}",
            description="New data",
            max_parallel_steps=4,
            selected_steps=["Train"],
            source_execution="{% $states.input.execution %}",
            assign={"pipeline": "{% $states.result.PipelineExecutionArn %}"},
        ),
    ]
    chain = sfn.Chain.start(several[0])
    for each in several[1:]:
        chain = chain.next(each)
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(chain),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return stack


@pytest.fixture(scope="module")
def states(machine: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(machine)["States"]
    return found


def test_the_parameters_are_those_of_the_api(machine: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(machine)) == []


@pytest.mark.parametrize(
    ("task", "create", "describe", "stop"),
    [
        ("Tabular", "createAutoMLJobV2", "describeAutoMLJobV2", "stopAutoMLJob"),
        ("Compile", "createCompilationJob", "describeCompilationJob", "stopCompilationJob"),
        ("Start", "startPipelineExecution", "describePipelineExecution", "stopPipelineExecution"),
    ],
)
def test_a_job_is_created_looked_at_and_stopped_when_its_time_is_over(
    states: dict[str, Any], task: str, create: str, describe: str, stop: str
) -> None:
    def call(name: str) -> str:
        return str(states[name]["Resource"].rpartition(":")[2])

    assert call(task) == create
    assert states[task]["Next"] == f"{task}: look for the job"
    assert call(f"{task}: look for the job") == describe
    done, late, again, ended = states[f"{task}: has the job ended?"]["Choices"]
    assert done["Next"] == f"{task}: take its result"
    assert "$toMillis($states.input.CreationTime) >" in late["Condition"]
    assert late["Next"] == f"{task}: stop the job"
    assert call(late["Next"]) == stop
    assert states[late["Next"]]["Assign"]["failure"]["error"] == "States.Timeout"
    assert states[again["Next"]]["Next"] == f"{task}: look for the job"
    assert ended["Assign"]["failure"]["error"] == "States.TaskFailed"


@pytest.mark.parametrize("task", ["Tabular", "Compile"])
def test_a_job_that_exists_is_the_one_whose_answer_was_lost(states: dict[str, Any], task: str) -> None:
    first, *_ = states[task]["Catch"]
    assert first["ErrorEquals"][0] == "SageMaker.ResourceInUseException"
    assert first["Next"] == f"{task}: look for the job"


def test_a_pipeline_is_started_once_however_often_the_call_is_made(states: dict[str, Any]) -> None:
    token = states["Start"]["Arguments"]["ClientRequestToken"]
    assert token.startswith("{% $hash($states.context.Execution.Id")
    # A start call has no name that could exist already: its token alone tells it apart.
    assert "now()" not in token
    assert "uuid" not in token


def test_every_call_is_tried_again_and_caught(states: dict[str, Any]) -> None:
    calls = {name: state for name, state in states.items() if state["Type"] == "Task"}
    assert all(state["Retry"] and state["TimeoutSeconds"] > 0 for state in calls.values())
    assert all(state["Catch"][-1]["ErrorEquals"] == ["States.ALL"] for state in calls.values())


def test_the_machine_may_do_this_to_its_own_jobs_alone(machine: cdk.Stack) -> None:
    allowed: dict[str, set[str]] = {}
    for statement in machines.statements(machine, "MachineRole"):
        for action in machines.actions([statement]):
            resources = statement["Resource"]
            for each in resources if isinstance(resources, list) else [resources]:
                tail = each["Fn::Join"][1][-1] if "Fn::Join" in each else ""
                allowed.setdefault(action, set()).add(tail)
    assert allowed["sagemaker:CreateAutoMLJobV2"] == {":automl-job/churn--*"}
    assert allowed["sagemaker:StopCompilationJob"] == {":compilation-job/vision--*"}
    assert allowed["sagemaker:StartPipelineExecution"] == {":pipeline/churn-training"}
    assert allowed["sagemaker:DescribePipelineExecution"] == {":pipeline/churn-training/execution/*"}
    assert not {"events:PutRule", "sagemaker:ListTags", "sagemaker:CreateAutoMLJob"} & allowed.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": TabularProblem(target="")}, "the name of a column"),
        ({"problem": TabularProblem(target="x", problem_type="Regression")}, "both or neither"),
        ({"objective": "AUC"}, "both or neither"),
        (
            {"problem": TabularProblem(target="x", problem_type="Regression"), "objective": "AUC"},
            "MSE, MAE, R2, RMSE",
        ),
        ({"problem": TabularProblem(target="x", algorithms=["deepar"])}, "xgboost, linear-learner"),
        ({"problem": TabularProblem(target="x", sample_weight="w")}, 'mode="ENSEMBLING"'),
        ({"problem": TextClassificationProblem(content="", target="y")}, "the name of a column"),
        (
            {
                "problem": ForecastProblem(
                    target="x", timestamp="t", item="i", frequency="90min", horizon=0, quantiles=["p0"]
                )
            },
            "3 problems",
        ),
        ({"problem": TextGenerationProblem(), "objective": "Accuracy"}, "cross-entropy loss"),
        ({"channels": []}, "one of training"),
        ({"channels": [TRAIN, TRAIN]}, "one of training"),
        ({"validation_fraction": 1.0}, "above 0 and below 1"),
        (
            {
                "channels": [TRAIN, AutoMLChannel(uri="s3://b/", type="validation")],
                "validation_fraction": 0.2,
            },
            "validation_fraction=None",
        ),
        ({"limits": CandidateLimits(max_runtime=cdk.Duration.hours(1), candidates=751)}, "1 to 750"),
        ({"job_name": "a-name-that-is-longer-than-it-may-be"}, "1 to 32 letters"),
        ({"output_uri": "automl/"}, "a place in S3"),
    ],
)
def test_an_automl_job_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        automl(support.stack(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"framework": None}, "either framework and model_uri"),
        ({"model_uri": None}, "either framework and model_uri"),
        ({"model_package_arn": "{% $arn %}"}, "either framework and model_uri"),
        ({"framework": "CAFFE"}, "TENSORFLOW, KERAS"),
        ({"framework": "ONNX", "framework_version": "1.4"}, "framework_version=None"),
        ({"device": None}, "neither of device and platform"),
        ({"platform": TargetPlatform(os="LINUX", arch="X86_64")}, "both of device and platform"),
        ({"device": "ml_eia2"}, "lambda, ml_m4"),
        (
            {"device": None, "platform": TargetPlatform(os="LINUX", arch="ARM64", accelerator="NVIDIA")},
            "which Neo asks for there",
        ),
        ({"max_runtime": cdk.Duration.days(29)}, "28 days"),
    ],
)
def test_a_compilation_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compiling(support.stack(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pipeline_name": "{% $name %}"}, "which its permissions are for"),
        ({"parameters": {"a b": "x"}}, "hyphens and underscores"),
        ({"parameters": {"a": "x" * 1025}}, "at most 1024"),
        ({"parameters": {"a": 1}}, 'write: "a": "1"'),
        ({"display_name": "new data"}, "1 to 82 letters"),
        ({"max_parallel_steps": 0}, "1 or more"),
        ({"source_execution": "{% $arn %}"}, "repeated in part"),
    ],
)
def test_a_start_that_cannot_be_had_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        starting(support.stack(), **options)


def test_the_words_of_the_api_are_all_known() -> None:
    """A device, a framework or an algorithm that is new in botocore is noticed."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert set(model.shape_for("TargetDevice").enum) == set(compilation.DEVICES)
    assert set(model.shape_for("Framework").enum) == set(compilation.FRAMEWORKS)
    assert set(model.shape_for("AutoMLAlgorithm").enum) == {*_TABULAR_ALGORITHMS, *_FORECAST_ALGORITHMS}
