"""The best candidates of an AutoML job, on their way into the registry."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import ConfigurationError
from cdk_data_science.pipelines import ModelRegistry, RegisterCandidates
from cdk_data_science.training import RunName
from tests.compliance import task_parameters
from tests.compliance.rules import machines as rules
from tests.compliance.templates import Platform
from tests.constructs import machines, support


def register(stack: cdk.Stack, **options: Any) -> RegisterCandidates:
    given: dict[str, Any] = {
        "registry": ModelRegistry(stack, "Registry", group_name="churn"),
        "job_name": RunName("find"),
        "content_types": ["text/csv"],
        **options,
    }
    return RegisterCandidates(stack, "Register", **given)


def machine(**options: Any) -> cdk.Stack:
    stack = support.stack()
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(register(stack, **options)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return stack


@pytest.fixture(scope="module")
def built() -> cdk.Stack:
    # GIVEN a machine that registers the candidates with the least error
    return machine(candidates=5, smaller_is_better=True)


def test_the_parameters_are_those_of_the_apis(built: cdk.Stack) -> None:
    definition = machines.definition(built)
    assert task_parameters.faults(definition) == []
    arguments = definition["States"]["Register: list candidates"]["Arguments"]
    assert (arguments["SortOrder"], arguments["MaxResults"]) == ("Ascending", 5)
    each = definition["States"]["Register: each candidate"]
    assert each["MaxConcurrency"] == 1
    assert task_parameters.faults(each["ItemProcessor"]) == []


def test_every_call_is_tried_again_and_its_failure_is_caught(built: cdk.Stack) -> None:
    states = machines.definition(built)["States"]
    inner = states["Register: each candidate"]["ItemProcessor"]["States"]["Register: register"]
    for call in (states["Register: list candidates"], inner):
        assert call["Retry"]
        assert call["TimeoutSeconds"] == 60
    for outer in ("Register: list candidates", "Register: each candidate"):
        assert states[outer]["Catch"][-1]["Next"] == "Register: failed"
    # A call that is made again is told by the same token of the run and the candidate.
    assert "$states.context.Execution.Id & $states.input.name" in inner["Arguments"]["ClientToken"]


def test_the_machine_adds_versions_to_this_group_and_lists_these_jobs_alone(built: cdk.Stack) -> None:
    assert list(rules.missing_permissions(Platform({"Test": support.document(built)}))) == []
    allowed: dict[str, str] = {}
    for statement in machines.statements(built, "MachineRole"):
        for action in machines.actions([statement]):
            allowed[action] = allowed.get(action, "") + str(statement["Resource"])
    assert set(allowed) == {"sagemaker:CreateModelPackage", "sagemaker:ListCandidatesForAutoMLJob"}
    assert ":automl-job/find--*" in allowed["sagemaker:ListCandidatesForAutoMLJob"]
    assert ":model-package/churn/*" in allowed["sagemaker:CreateModelPackage"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 0}, "given candidates=0; allowed: 1 to 20"),
        ({"candidates": "3"}, "given candidates='3'; allowed: 1 to 20"),
        ({"content_types": "text/csv"}, "a list of one media type or more"),
        ({"content_types": []}, "a list of one media type or more"),
        ({"job_name": "{% $states.input.name %}"}, "job_name_pattern="),
        ({"job_name": RunName("Find")}, "given RunName"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(support.stack(), **options)
