"""The deployment of a pipeline: what its functions are told, and what they may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science import DataLake, ServerlessInference
from cdk_data_science.pipelines import Deploy, Output, Pipeline, States, Step, StepContext
from cdk_data_science.pipelines.outputs import HOLDOUT, MANIFEST, MODEL, SCORES, SHA256
from tests.constructs import machines, support


class Given(Step):
    """Stands for the steps before a deployment: its outputs are there, and nothing is done."""

    name: ClassVar[str] = "Given"
    gives: ClassVar[Sequence[Output]] = (MODEL, SHA256, MANIFEST, HOLDOUT, SCORES)

    def states(self, scope: Construct, context: StepContext) -> States:
        for output in (MANIFEST, HOLDOUT, SCORES):
            context.place(output, context.runs)
        given = sfn.Pass.jsonata(scope, self.name)
        return States(given, [given])


@pytest.fixture(scope="module")
def deployed() -> cdk.Stack:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    inference = ServerlessInference(stack, "Inference", models=lake.models)
    Pipeline(
        stack,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[Given(), Deploy(inference)],
    )
    return stack


def request(deployed: cdk.Stack) -> dict[str, Any]:
    """What all functions of the deployment are told."""
    found: dict[str, Any] = machines.definition(deployed)["States"]["Deploy: begin"]["Assign"][
        "deployRequest"
    ]
    return found


def test_it_knows_the_data_when_it_began_and_whether_older_data_are_meant(deployed: cdk.Stack) -> None:
    told = request(deployed)
    assert told["data"] == "{% $data %}"
    assert told["begun"] == "{% $states.context.State.EnteredTime %}"
    assert told["allow_older_data"] == "{% $states.context.Execution.Input.allowOlderData = true %}"


def test_it_knows_where_the_function_counts_its_own_errors(deployed: cdk.Stack) -> None:
    alarms = support.resources(deployed, "AWS::CloudWatch::Alarm").values()
    (own,) = (a["Properties"] for a in alarms if a["Properties"]["MetricName"] == "ServerErrors")
    (service,) = own["Dimensions"]
    assert request(deployed)["metrics"] == {"namespace": own["Namespace"], "service": service["Value"]}


def test_it_may_look_at_the_data_of_the_pipeline_and_at_nothing_beside_them(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "PipelineDeployStage")
    (age,) = (s for s in found if s["Action"] == ["s3:GetObject", "s3:GetObjectVersion"])
    raw = next(key for key in support.resources(deployed, "AWS::S3::Bucket") if key.startswith("LakeRaw"))
    assert age["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [raw, "Arn"]}, "/reviews/*"]]}
    assert json.dumps(found).count(json.dumps({"Fn::GetAtt": [raw, "Arn"]})) == 1


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        ("Stage", {"cloudwatch:DescribeAlarms"}),
        ("Shift", set()),
        ("Check", {"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"}),
        ("Promote", set()),
        ("Rollback", set()),
    ],
)
def test_who_judges_sees_alarms_and_numbers(deployed: cdk.Stack, function: str, needed: set[str]) -> None:
    found = machines.actions(machines.statements(deployed, f"PipelineDeploy{function}"))
    assert {action for action in found if action.startswith("cloudwatch:")} == needed
