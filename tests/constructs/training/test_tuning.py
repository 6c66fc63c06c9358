"""Tuning jobs: what is searched, how, with what, and what comes of it."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import (
    REPORT,
    TUNING_REPORT,
    AutomaticRange,
    CategoricalRange,
    Channel,
    Completion,
    ContinuousRange,
    IntegerRange,
    Objective,
    PrivateRegistry,
    RunName,
    Search,
    TrainingJob,
    TuningDefinition,
    TuningJobTask,
    TuningStep,
    WarmStart,
)
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.training.stacks import IMAGE

RANGES = [
    ContinuousRange("eta", 0.01, 0.5, "Logarithmic"),
    ContinuousRange("momentum", 0.5, 0.999, "ReverseLogarithmic"),
    IntegerRange("depth", 2, 10),
    CategoricalRange("booster", ["gbtree", "dart"]),
]


def training_job(stack: cdk.Stack, **options: Any) -> TrainingJob:
    role = stack.node.try_find_child("JobRole")
    if role is None:
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    defaults: dict[str, Any] = {
        "role": role,
        "image": IMAGE,
        "max_runtime": cdk.Duration.hours(1),
        "metrics": {"auc": "auc=([0-9.]+)"},
        "hyperparameters": {"rounds": "100"},
    }
    return TrainingJob(**{**defaults, **options})


def definition(stack: cdk.Stack, job: dict[str, Any] | None = None, **options: Any) -> TuningDefinition:
    defaults: dict[str, Any] = {
        "job": training_job(stack, **(job or {})),
        "objective": Objective("auc"),
        "ranges": RANGES,
        "channels": [Channel(name="train", uri="s3://lake/train/")],
        "output_uri": "s3://lake/models/",
    }
    return TuningDefinition(**{**defaults, **options})


def search(**options: Any) -> Search:
    defaults: dict[str, Any] = {"trials": 8, "parallel": 2, "max_runtime": cdk.Duration.hours(8)}
    return Search(**{**defaults, **options})


@pytest.fixture(scope="module")
def machine() -> cdk.Stack:
    # GIVEN a search on Spot with all that a search can have, one over two algorithms, and a step
    stack = support.stack()
    spot = {"max_wait": cdk.Duration.hours(2), "internal_error_retries": 2}
    whole = TuningJobTask(
        stack,
        "Whole",
        definitions=[
            definition(stack, spot, checkpoint_uri="s3://lake/checkpoints/", fallback_types=["ml.m5.2xlarge"])
        ],
        search=search(
            early_stopping=True,
            random_seed=7,
            completion=Completion(target=0.95, not_improving=5, convergence=True),
            warm_start=WarmStart(parents=["churn-1", "{% $parent %}"], type="TransferLearning"),
        ),
        job_name=RunName("churn"),
        tags={"team": "churn"},
    )
    several = TuningJobTask(
        stack,
        "Several",
        definitions=[
            definition(stack, name="one"),
            definition(stack, name="two", ranges=[IntegerRange("depth", 2, 4)]),
        ],
        search=search(strategy="Hyperband", least_resource=1, most_resource=9),
        job_name="several",
    )
    step = TuningStep(
        stack,
        "Tune",
        definitions=[definition(stack, ranges=[CategoricalRange("depth", ["2", "4"])])],
        search=search(strategy="Grid", trials=None),
        job_name=RunName("tune"),
        assign={"tuning": TUNING_REPORT},
        assign_best={"best": REPORT},
    )
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(whole).next(several).next(step)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return stack


@pytest.fixture(scope="module")
def states(machine: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(machine)["States"]
    return found


def test_the_parameters_are_those_of_the_api(machine: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(machine)) == []


def test_a_search_on_spot_goes_on_from_checkpoints_and_on_other_types(states: dict[str, Any]) -> None:
    request = states["Whole"]["Arguments"]
    trial = request["TrainingJobDefinition"]
    assert trial["EnableManagedSpotTraining"] is True
    assert trial["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert trial["CheckpointConfig"]["S3Uri"] == "s3://lake/checkpoints/"
    assert [
        each["InstanceType"] for each in trial["HyperParameterTuningResourceConfig"]["InstanceConfigs"]
    ] == ["ml.m5.xlarge", "ml.m5.2xlarge"]
    assert "ResourceConfig" not in trial
    assert trial["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert trial["StaticHyperParameters"] == {"rounds": "100"}
    assert request["WarmStartConfig"]["WarmStartType"] == "TransferLearning"


def test_ranges_are_written_as_the_api_has_them(states: dict[str, Any]) -> None:
    config = states["Whole"]["Arguments"]["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == {
        "ContinuousParameterRanges": [
            {"Name": "eta", "MinValue": "0.01", "MaxValue": "0.5", "ScalingType": "Logarithmic"},
            {"Name": "momentum", "MinValue": "0.5", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [
            {"Name": "depth", "MinValue": "2", "MaxValue": "10", "ScalingType": "Auto"}
        ],
        "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}],
    }
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.95,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }


def test_several_algorithms_have_ranges_and_objectives_of_their_own(states: dict[str, Any]) -> None:
    request = states["Several"]["Arguments"]
    assert [each["DefinitionName"] for each in request["TrainingJobDefinitions"]] == ["one", "two"]
    assert {"TuningObjective", "HyperParameterRanges"} <= request["TrainingJobDefinitions"][0].keys()
    config = request["HyperParameterTuningJobConfig"]
    assert not {"ParameterRanges", "HyperParameterTuningJobObjective"} & config.keys()
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {"MinResource": 1, "MaxResource": 9}


def test_a_grid_has_as_many_trials_as_points(states: dict[str, Any]) -> None:
    limits = states["Tune"]["Arguments"]["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits == {"MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 28800}


def test_a_name_has_32_characters_at_most(states: dict[str, Any]) -> None:
    name = states["Tune"]["Arguments"]["HyperParameterTuningJobName"]
    # The longest prefix, two hyphens, and eight characters of the digest.
    assert name.startswith("{% 'tune--' & $substring($hash(")
    assert name.endswith(", 0, 8) %}")
    assert 22 + 2 + 8 == 32


def test_the_best_trial_is_described_and_no_other_job(machine: cdk.Stack, states: dict[str, Any]) -> None:
    assert states["Tune: take its result"]["Next"] == "Tune: describe the best"
    best = states["Tune: describe the best"]
    assert best["Arguments"] == {"TrainingJobName": "{% $states.input.BestTrainingJob.TrainingJobName %}"}
    statements = machines.statements(machine, "MachineRole")
    (describes,) = (s for s in statements if machines.actions([s]) == {"sagemaker:DescribeTrainingJob"})
    assert describes["Resource"]["Fn::Join"][1][-1] == ":training-job/tune--*"
    assert "sagemaker:CreateTrainingJob" not in machines.actions(statements)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (IntegerRange("depth", 4, 4), "holds more than one value"),
        (ContinuousRange("eta", 0.5, 0.1), r"write: ContinuousRange\('eta', 0.1, 0.5\)"),
        (ContinuousRange("eta", 0, 1, "Logarithmic"), "a range above 0"),
        (ContinuousRange("eta", 0, 1, "ReverseLogarithmic"), "from 0 to below 1"),
        (IntegerRange("depth", 1, 4, "ReverseLogarithmic"), "for whole numbers"),
        (CategoricalRange("kind", []), "1 to 30 values"),
        (CategoricalRange("kind", ["a", "a"]), "each once"),
        (CategoricalRange("kind", [1, 2]), 'write: "1"'),  # type: ignore[list-item]
        (IntegerRange("rounds", 1, 4), "either a fixed value or a range"),
        (AutomaticRange("eta", "0.1"), "autotune=True"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(wrong: Any, message: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match=message):
        TuningJobTask(
            stack, "Tune", definitions=[definition(stack, ranges=[wrong])], search=search(), job_name="tune"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "Guess"}, "Bayesian, Random, Grid, Hyperband"),
        ({"trials": None}, "trials=20"),
        ({"strategy": "Grid"}, "trials=None"),
        ({"trials": 2, "parallel": 4}, "parallel=2"),
        ({"max_runtime": cdk.Duration.seconds(60)}, "120 s"),
        ({"strategy": "Hyperband", "early_stopping": True}, "its own way of stopping"),
        ({"least_resource": 1}, "both are Hyperband's"),
        ({"strategy": "Hyperband", "least_resource": 9, "most_resource": 1}, "less at least than at most"),
        ({"completion": Completion(not_improving=2)}, "3 or more"),
        ({"warm_start": WarmStart(parents=[])}, "1 to 5 tuning jobs"),
        ({"random_seed": -1}, "0 or more"),
    ],
)
def test_a_search_that_sagemaker_has_not_is_refused(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    ranges = [CategoricalRange("depth", ["2", "4"])]
    with pytest.raises(ConfigurationError, match=message):
        TuningJobTask(
            stack,
            "Tune",
            definitions=[definition(stack, ranges=ranges)],
            search=search(**options),
            job_name="tune",
        )


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        ({}, {"ranges": []}, "given 0 ranges"),
        ({}, {"ranges": [IntegerRange("depth", 1, 2)] * 2}, "each name once"),
        ({}, {"objective": Objective("loss")}, "one of the job's metrics: auc"),
        ({}, {"fallback_types": ["ml.inf2.xlarge"]}, "fallback_types='ml.inf2.xlarge', a type for"),
        ({"instance_type": "ml.m5.huge"}, {}, "which is no type"),
        ({"tensorboard_uri": "s3://lake/tb/"}, {}, "a job with tensorboard_uri"),
        ({"environment": {f"V{n}": "x" for n in range(49)}}, {}, "at most 48"),
        ({}, {"output_uri": "models/"}, "a place in S3"),
        ({"private_registry": PrivateRegistry()}, {}, "a job with private_registry"),
    ],
)
def test_a_definition_that_cannot_run_is_refused(
    job: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match=message):
        TuningJobTask(
            stack, "Tune", definitions=[definition(stack, job, **options)], search=search(), job_name="tune"
        )


def test_a_volume_key_is_refused_with_a_fallback_on_local_disks() -> None:
    stack = support.stack()
    wrong = definition(stack, {"volume_key": kms.Key(stack, "Key")}, fallback_types=["ml.g5.xlarge"])
    with pytest.raises(ConfigurationError, match="no volume key on types with local NVMe disks"):
        TuningJobTask(stack, "Tune", definitions=[wrong], search=search(), job_name="tune")


@pytest.mark.parametrize(
    ("names", "types", "options", "message"),
    [
        (("one", None), ("Maximize",) * 2, {}, "a name for each"),
        (("one", "two"), ("Maximize", "Minimize"), {}, "one type"),
        (("one", "two"), ("Maximize",) * 2, {"autotune": True}, "searches with one definition"),
    ],
)
def test_definitions_that_cannot_be_compared_are_refused(
    names: tuple[str, ...], types: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    stack = support.stack()
    definitions = [
        definition(stack, name=name, objective=Objective("auc", kind))
        for name, kind in zip(names, types, strict=True)
    ]
    with pytest.raises(ConfigurationError, match=message):
        TuningJobTask(stack, "Tune", definitions=definitions, search=search(**options), job_name="tune")


@pytest.mark.parametrize(("checkpoint_uri", "warned"), [(None, True), ("s3://lake/checkpoints/", False)])
def test_long_trials_on_spot_without_checkpoints_are_warned_of(
    checkpoint_uri: str | None, warned: bool
) -> None:
    stack = support.stack()
    times = {"max_runtime": cdk.Duration.hours(5), "max_wait": cdk.Duration.hours(6)}
    TuningJobTask(
        stack,
        "Tune",
        definitions=[definition(stack, times, checkpoint_uri=checkpoint_uri)],
        search=search(),
        job_name="tune",
    )
    told = [str(entry.data) for entry in stack.node.metadata if entry.type == "aws:cdk:warning"]
    assert any("without checkpoint_uri" in each for each in told) is warned
