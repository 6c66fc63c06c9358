"""Processing, tuning, batch transform and features as steps of a pipeline."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError, DataLake, Split, SpotTraining
from cdk_data_science.feature_store import FeatureGroup, FeatureIngestion, OfflineStore
from cdk_data_science.pipelines import (
    DATA,
    IngestFeatures,
    Output,
    PackageModel,
    Pipeline,
    Prepare,
    Process,
    Transform,
    Tune,
)
from cdk_data_science.security import JobKind, JobRole
from cdk_data_science.training import (
    ContinuousRange,
    Objective,
    ProcessingCode,
    ProcessingJob,
    Search,
    TransformJob,
)
from tests.compliance import task_parameters
from tests.compliance.rules import machines as rules
from tests.compliance.templates import Platform
from tests.constructs import machines, nag, support
from tests.constructs.training.stacks import IMAGE

CLEANED = Output("cleaned", "rows that are whole")
PREDICTED = Output("predicted", "what the model says")
SPLIT = Split(
    id_column="id", group_column="group", label_column="rating", feature_columns=["text"], positive_above=0
)


def pipeline(stack: cdk.Stack, **options: Any) -> Pipeline:
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    repository = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
    jobs = JobRole(stack, "Jobs", kind=JobKind.PROCESSING, name_prefix="clean-", images=[repository])
    model_role = iam.Role(stack, "ModelRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    training = SpotTraining(
        stack,
        "Training",
        image=IMAGE,
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(2),
        metrics={"auroc": "cv_auroc=([0-9.]+)"},
    )
    group = FeatureGroup(
        stack,
        "Group",
        schema={"id": "string", "updated": "timestamp", "rating": "double"},
        record_id="id",
        event_time="updated",
        offline=OfflineStore(zone=lake.features),
    )
    steps = [
        Process(
            ProcessingJob(
                role=jobs.role,
                image=IMAGE,
                code=ProcessingCode(uri=lake.raw.uri("source/clean.py"), file="clean.py"),
                max_runtime=cdk.Duration.hours(1),
            ),
            job_name_prefix="clean",
            inputs={"raw": DATA},
            gives={"rows": CLEANED},
        ),
        Prepare(SPLIT),
        Tune(
            training,
            objective=Objective("auroc"),
            ranges=[ContinuousRange("regularization", 0.1, 100, "Logarithmic")],
            search=Search(trials=8, parallel=2, max_runtime=cdk.Duration.hours(8)),
        ),
        PackageModel(lake.models),
        Transform(
            TransformJob(max_runtime=cdk.Duration.hours(1), content_type="text/csv", split="Line"),
            job_name_prefix="predict",
            model_name="reviews",
            role=model_role,
            rows=CLEANED,
            gives=PREDICTED,
        ),
        IngestFeatures(FeatureIngestion(stack, "Ingestion", group=group)),
    ]
    defaults: dict[str, Any] = {"data": lake.raw, "prefix": "reviews/", "work": lake.features, "steps": steps}
    return Pipeline(stack, "Pipeline", **{**defaults, **options})


@pytest.fixture(scope="module")
def whole() -> Pipeline:
    # GIVEN a pipeline of all of them
    return pipeline(support.stack())


@pytest.fixture(scope="module")
def built(whole: Pipeline) -> cdk.Stack:
    return cdk.Stack.of(whole)


@pytest.fixture(scope="module")
def states(built: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(built)["States"]
    return found


def test_the_parameters_are_those_of_the_apis(built: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(built)) == []


def test_the_role_of_the_machine_fits_its_tasks(built: cdk.Stack) -> None:
    platform = Platform({"Test": support.document(built)})
    assert list(rules.missing_permissions(platform)) == []
    assert [each for each in rules.unused_permissions(platform) if "xray" not in each] == []


def test_what_one_step_leaves_the_next_one_reads(states: dict[str, Any]) -> None:
    (code, raw) = states["Process"]["Arguments"]["ProcessingInputs"]
    assert code["InputName"] == "code"
    assert raw["S3Input"]["S3Uri"] == "{% 's3://' & $data.bucket & '/' & $data.key %}"
    (output,) = states["Process"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"].endswith("/runs/' & $run & '/Process/rows/' %}")
    assert states["Process: take its result"]["Assign"]["cleaned"]["key"] == (
        "{% 'runs/' & $run & '/Process/rows/' %}"
    )
    source = states["Transform"]["Arguments"]["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == "{% 's3://' & $cleaned.bucket & '/' & $cleaned.key %}"
    assert states["IngestFeatures"]["Arguments"]["Payload"] == {
        "bucket": "{% $data.bucket %}",
        "key": "{% $data.key %}",
    }


def test_the_best_trial_is_what_is_packaged(states: dict[str, Any]) -> None:
    assert states["Tune: describe the best"]["Next"] == "Package"
    assigned = states["Tune: describe the best"]["Assign"]
    assert assigned["artifact"] == {"uri": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"}
    trial = states["Tune"]["Arguments"]["TrainingJobDefinition"]
    assert trial["EnableManagedSpotTraining"] is True
    assert trial["CheckpointConfig"]["S3Uri"].endswith("/checkpoints/' & $run & '/' %}")


def test_every_failure_ends_in_the_one_place(states: dict[str, Any]) -> None:
    own = ("Process", "Tune", "Transform", "IngestFeatures")
    caught = {
        state["Catch"][-1]["Next"]
        for name, state in states.items()
        if state["Type"] == "Task" and name.partition(":")[0] in own
    }
    assert caught == {"RecordFailure"}
    assert states["Process: is an output missing?"]["Choices"][-1]["Next"] == "RecordFailure"
    ended = [state for name, state in states.items() if name.endswith(": has the job ended?")]
    assert {state["Choices"][-1]["Next"] for state in ended} == {"RecordFailure"}


def test_a_job_reads_what_its_step_needs_and_nothing_else(built: cdk.Stack) -> None:
    statements = machines.statements(built, "Jobs")
    reads = [s for s in statements if any(a.startswith("s3:Get") for a in machines.actions([s]))]
    text = str(reads)
    assert "/reviews/*" in text
    assert "runs-train" not in text
    writes = [s for s in statements if any(a.startswith("s3:Put") for a in machines.actions([s]))]
    assert "/runs/*" in str(writes)


@pytest.mark.parametrize(("kind", "message"), [(Tune, "without train"), (Transform, "without cleaned")])
def test_a_step_without_what_it_needs_is_refused(whole: Pipeline, kind: type, message: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Other")
    alone = [step for step in whole.steps if isinstance(step, kind)]
    with pytest.raises(ConfigurationError, match=message):
        Pipeline(stack, "Alone", data=lake.raw, prefix="reviews/", work=lake.features, steps=alone)


def test_the_packs_have_no_unacknowledged_finding() -> None:
    app = support.app()
    pipeline(support.stack(app))
    # The model's role and the ingestion's alarm are told of elsewhere.
    left = [each for each in nag.unacknowledged(app) if "/ModelRole" not in each]
    assert [each for each in left if "/Ingestion" not in each] == []
