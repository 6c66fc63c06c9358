"""Candidates of an AutoML job, registered by a deployed state machine; the list of them is given here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science.pipelines import ModelRegistry, RegisterCandidates
from cdk_data_science.training import RunName
from tests.local.assembly import deploy, new_stack
from tests.local.conftest import LocalAws, unique

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-sklearn-automl:2.5-1-cpu-py3"


def candidate(name: str, value: float, containers: int) -> dict[str, Any]:
    return {
        "CandidateName": name,
        # As the SDK for Java writes acronyms, which is not as the API does.
        "FinalAutoMlJobObjectiveMetric": {"MetricName": "AUC", "Value": value},
        "InferenceContainers": [
            {"Image": IMAGE, "ModelDataUrl": f"s3://lake/{name}/{number}.tar.gz", "Environment": {"A": "b"}}
            for number in range(containers)
        ],
    }


class Leaderboard:
    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.group = aws, unique("churn")
        stack = new_stack(folder, "leaderboard")
        register = RegisterCandidates(
            stack,
            "Register",
            registry=ModelRegistry(stack, "Registry", group_name=self.group),
            job_name=RunName("churn"),
            content_types=["text/csv"],
            assign={"versions": "{% $states.result.ModelPackageArn %}"},
        )
        done = sfn.Pass.jsonata(stack, "Done", outputs="{% $versions %}")
        machine = sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(register).next(done)),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        cdk.CfnOutput(stack, "Arn", value=machine.state_machine_arn)
        self.arn = deploy(aws, stack)["Arn"]
        self._give_the_list()

    def versions(self) -> list[dict[str, Any]]:
        """The group's versions, the newest first."""
        sagemaker = self.aws.client("sagemaker")
        listed = sagemaker.list_model_packages(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Descending"
        )["ModelPackageSummaryList"]
        found = [sagemaker.describe_model_package(ModelPackageName=v["ModelPackageArn"]) for v in listed]
        return sorted(found, key=lambda version: -version["ModelPackageVersion"])

    def _give_the_list(self) -> None:
        """The answer of ListCandidatesForAutoMLJob is the run's input: no AutoML job runs here."""
        states = self.aws.client("stepfunctions")
        definition = json.loads(states.describe_state_machine(stateMachineArn=self.arn)["definition"])
        listing = definition["States"]["Register: list candidates"]
        output = json.loads(json.dumps(listing["Output"]).replace("$states.result", "$states.input"))
        definition["States"]["Register: list candidates"] = {
            "Type": "Pass",
            "Output": output,
            "Next": listing["Next"],
        }
        states.update_state_machine(stateMachineArn=self.arn, definition=json.dumps(definition))


@pytest.fixture(scope="module")
def leaderboard(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    return Leaderboard(local_aws, tmp_path_factory.mktemp("leaderboard"))


def test_the_best_candidate_is_the_newest_version(leaderboard: Leaderboard) -> None:
    # GIVEN what SageMaker lists, the best one first
    listed = [candidate("first", 0.91, 3), candidate("second", 0.875, 1)]
    # WHEN
    done = leaderboard.aws.execute(leaderboard.arn, {"Candidates": listed})
    # THEN each is a version that waits for a person, with its containers and its rank
    assert done["status"] == "SUCCEEDED", done.get("cause")
    best, other = leaderboard.versions()
    assert done["output"] == [other["ModelPackageArn"], best["ModelPackageArn"]]
    assert best["CustomerMetadataProperties"] == {
        "candidate": "first",
        "metric": "AUC",
        "rank": "1",
        "value": "0.91",
    }
    assert other["CustomerMetadataProperties"]["rank"] == "2"
    assert {version["ModelApprovalStatus"] for version in (best, other)} == {"PendingManualApproval"}
    assert [len(v["InferenceSpecification"]["Containers"]) for v in (best, other)] == [3, 1]
    container = other["InferenceSpecification"]["Containers"][0]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, "s3://lake/second/0.tar.gz")


def test_one_candidate_is_a_list_too(leaderboard: Leaderboard) -> None:
    before = len(leaderboard.versions())
    done = leaderboard.aws.execute(leaderboard.arn, {"Candidates": [candidate("only", 0.5, 1)]})
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert len(leaderboard.versions()) == before + 1
