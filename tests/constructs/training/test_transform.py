"""Batch transform: requests, filters, joins, and what the state machine may do."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.training import RunName, TransformJob, TransformJobTask, TransformStep
from tests.compliance import task_parameters
from tests.constructs import machines, support

PLACES = {"input_uri": "s3://lake/in/", "output_uri": "s3://lake/out/"}


def job(**options: Any) -> TransformJob:
    return TransformJob(**{"max_runtime": cdk.Duration.hours(2), **options})


@pytest.fixture(scope="module")
def machine() -> cdk.Stack:
    # GIVEN a machine with all that a transform can have, and a step by default
    stack = support.stack()
    key = kms.Key(stack, "Key")
    whole = TransformJobTask(
        stack,
        "Whole",
        job=job(
            instance_count=2,
            volume_key=key,
            content_type="text/csv; header=absent",
            accept="text/csv",
            compressed=True,
            split="Line",
            strategy="MultiRecord",
            assemble_lines=True,
            max_payload_mb=5,
            max_concurrent=20,
            request_timeout=cdk.Duration.minutes(2),
            request_retries=1,
            input_filter="$[1:]",
            output_filter="$[0,-1]",
            join_input=True,
            capture_uri="s3://lake/captured/",
            environment={"MODE": "batch"},
            tags={"team": "churn"},
        ),
        job_name="{% 'churn-' & $states.input.day %}",
        job_name_pattern="churn-*",
        model_name="{% $model %}",
        output_key=key,
        **PLACES,
    )
    step = TransformStep(
        stack, "Predict", job=job(), job_name=RunName("predict"), model_name="churn", **PLACES
    )
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(whole).next(step)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return stack


def test_the_parameters_are_those_of_the_api(machine: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(machine)) == []


def test_records_are_filtered_and_joined(machine: cdk.Stack) -> None:
    request = machines.definition(machine)["States"]["Whole"]["Arguments"]
    assert request["DataProcessing"] == {
        "InputFilter": "$[1:]",
        "OutputFilter": "$[0,-1]",
        "JoinSource": "Input",
    }
    assert request["TransformInput"]["SplitType"] == "Line"
    assert request["ModelClientConfig"] == {"InvocationsMaxRetries": 1, "InvocationsTimeoutInSeconds": 120}


def test_by_default_nothing_is_said_that_sagemaker_knows_better(machine: cdk.Stack) -> None:
    request = machines.definition(machine)["States"]["Predict"]["Arguments"]
    assert (
        not {"BatchStrategy", "MaxPayloadInMB", "MaxConcurrentTransforms", "DataProcessing"} & request.keys()
    )
    # A transform job has no limit of its own: the state's is the only one.
    assert machines.definition(machine)["States"]["Predict"]["TimeoutSeconds"] == 7200


def test_the_machine_passes_no_role_since_the_model_has_one(machine: cdk.Stack) -> None:
    statements = machines.statements(machine, "MachineRole")
    assert "iam:PassRole" not in machines.actions(statements)
    assert {
        "sagemaker:AddTags",
        "sagemaker:CreateTransformJob",
        "sagemaker:StopTransformJob",
    } <= machines.actions(statements)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_type": "ml.p5.48xlarge"}, "a type for"),
        ({"instance_count": 0}, "1 or more"),
        ({"strategy": "SingleRecord"}, 'split="Line"'),
        ({"max_payload_mb": 101}, "0 to 100"),
        ({"max_concurrent": 17}, "max_concurrent=16"),
        ({"max_concurrent": 11, "max_payload_mb": 10}, "at most 100 MB together"),
        ({"request_retries": 4}, "0 to 3"),
        ({"request_timeout": cdk.Duration.hours(2)}, "3600"),
        ({"input_filter": "[1:]"}, "begins with"),
        ({"join_input": True}, 'content_type="text/csv"'),
        ({"join_input": True, "content_type": "image/png"}, "text/csv, application/json"),
        ({"environment": {f"V{n}": "x" for n in range(17)}}, "at most 16"),
        ({"capture_uri": "captured/"}, "a place in S3"),
        ({"split": "Comma"}, "None, Line, RecordIO, TFRecord"),
    ],
)
def test_a_job_that_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TransformJobTask(
            support.stack(), "Predict", job=job(**options), job_name="predict", model_name="m", **PLACES
        )


def test_a_volume_key_on_local_disks_is_refused() -> None:
    stack = support.stack()
    wrong = job(instance_type="ml.g5.xlarge", volume_key=kms.Key(stack, "Key"))
    with pytest.raises(ConfigurationError, match="no volume key on types with local NVMe disks"):
        TransformJobTask(stack, "Predict", job=wrong, job_name="predict", model_name="m", **PLACES)
