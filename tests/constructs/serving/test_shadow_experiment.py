"""ShadowExperiment: what it says to SageMaker, what its role may, what is refused."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError, DataCapture
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import Scaling, ShadowExperiment, TrackInvocations
from tests.compliance.test_cfn_lint import problems
from tests.constructs import machines, nag, support
from tests.constructs.serving import endpoints
from tests.constructs.serving.endpoints import properties

EXPERIMENT = "AWS::SageMaker::InferenceExperiment"


def trial(
    stack: cdk.Stack, id: str = "Trial", *, name: str | None = None, **changes: Any
) -> ShadowExperiment:
    known: Any = stack.node.try_find_child("Endpoint")
    # cfn-lint takes the types of experiments from a price list, which has no M6i; the API takes them.
    production = endpoints.variant(stack, instance_type="ml.m5.large")
    given = {
        "endpoint": known
        if known is not None
        else endpoints.endpoint(stack, endpoint_name=name, variants=[production]),
        "production": production,
        "candidate": endpoints.variant(
            stack, name="next", model=endpoints.model(stack, "Next"), instance_type="ml.m5.large"
        ),
    } | changes
    return ShadowExperiment(stack, id, **given)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a test of a week that captures both
    stack = support.stack()
    trial(
        stack,
        percent=20,
        start="2026-12-01T08:00:00Z",
        end="2026-12-08T09:00:00+01:00",
        data_capture=DataCapture(zone=endpoints.lake(stack).curated, prefix="trial/"),
    )
    return stack


def test_a_share_of_the_requests_goes_to_the_candidate_for_a_week(stack: cdk.Stack) -> None:
    made = properties(stack, EXPERIMENT)
    assert made["Type"] == "ShadowMode"
    assert made["ShadowModeConfig"] == {
        "SourceModelVariantName": "main",
        "ShadowModelVariants": [{"ShadowModelVariantName": "next", "SamplingPercentage": 20}],
    }
    assert made["Schedule"] == {"StartTime": "2026-12-01T08:00:00Z", "EndTime": "2026-12-08T09:00:00+01:00"}
    assert [each["VariantName"] for each in made["ModelVariants"]] == ["main", "next"]
    (first, _) = (each["InfrastructureConfig"]["RealTimeInferenceConfig"] for each in made["ModelVariants"])
    assert first == {"InstanceType": "ml.m5.large", "InstanceCount": 2}


def test_both_models_write_what_is_captured_and_the_candidate_the_log(stack: cdk.Stack) -> None:
    name = properties(stack, "AWS::SageMaker::Endpoint")["EndpointName"]
    for role in ("ModelRole", "NextRole"):
        said = json.dumps(machines.statements(stack, role))
        assert "/trial/*" in said and f"/aws/sagemaker/Endpoints/{name}" in said
    storage = properties(stack, EXPERIMENT)["DataStorageConfig"]
    assert json.dumps(storage["Destination"]).endswith('"/trial"]]}') and "KmsKey" in storage


def test_the_role_changes_this_endpoint_and_reads_no_data(stack: cdk.Stack) -> None:
    statements = machines.statements(stack, "TrialRole")
    actions = machines.actions(statements)
    assert not any(action.startswith("s3:") for action in actions)
    (update,) = [each for each in statements if "sagemaker:DescribeEndpoint" in each["Action"]]
    (endpoint,) = support.resources(stack, "AWS::SageMaker::Endpoint")
    assert update["Resource"] == {"Ref": endpoint}
    assert "sagemaker:DeleteEndpoint" not in actions and "sagemaker:CreateEndpoint" not in actions


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


def test_another_endpoint_means_another_name() -> None:
    names = set()
    for name in ("first", "second"):
        stack = support.stack()
        trial(stack, name=name)
        names.add(properties(stack, EXPERIMENT)["Name"])
    assert len(names) == 2


@functools.cache
def workshop() -> cdk.Stack:
    """Where experiments are tried that are refused: nobody synthesizes it."""
    return support.stack()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"percent": 0}, "percent=0"),
        ({"percent": 2.5}, "percent=2.5"),
        ({"start": "tomorrow"}, "start='tomorrow'; allowed: a time in ISO 8601"),
        ({"start": "2026-12-01T08:00:00"}, "with its offset or Z"),
        ({"start": "2026-12-02T08:00:00Z", "end": "2026-12-01T08:00:00Z"}, "an end after the start"),
        ({"production": {"name": "other"}}, "the only variant of the endpoint"),
        ({"candidate": {"name": "main"}}, "two variants of the name 'main'"),
        (
            {
                "candidate": {
                    "name": "next",
                    "scaling": Scaling(maximum=4, policies=[TrackInvocations(per_minute=9)]),
                }
            },
            "scaling of the shadow 'next'",
        ),
        ({"candidate": {"name": "next", "instance_count": 0}}, "instance_count=0"),
        ({"description": "x" * 1025}, "description of 1025 characters"),
    ],
)
def test_what_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    given = {
        name: endpoints.variant(stack, **value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    with pytest.raises(ConfigurationError) as failure:
        trial(stack, f"Try{len(stack.node.children)}", **given)
    assert expected in str(failure.value)


def test_the_packs_and_our_rules_find_nothing_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    trial(stack)
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    assert [each for each in nag.unacknowledged(app) if "/Trial" in each] == []
