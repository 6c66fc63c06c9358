"""The deployment of a pipeline: what its functions are told, and what they may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science import ConfigurationError, DataLake, ServerlessInference
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines import Deploy, FunctionNetwork, Output, Pipeline, States, Step, StepContext
from cdk_data_science.pipelines.outputs import HOLDOUT, MANIFEST, MODEL, SCORES, SHA256
from cdk_data_science.pipelines.steps.deploy import TIMEOUT_MINUTES
from cdk_data_science.serving import CanaryGuard
from tests.constructs import machines, nag, support


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
    return deployment(support.stack())


@pytest.fixture(scope="module")
def in_vpc_deployed() -> cdk.Stack:
    return deployment_in_vpc(support.stack())


def deployment_in_vpc(stack: cdk.Stack) -> cdk.Stack:
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        subnet_configuration=[
            ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
    )
    return deployment(stack, network=FunctionNetwork(vpc=vpc))


def deployment(stack: cdk.Stack, **inference_options: Any) -> cdk.Stack:
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    inference = ServerlessInference(stack, "Inference", models=lake.models, **inference_options)
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


def test_it_knows_how_much_worse_the_new_version_may_be(deployed: cdk.Stack) -> None:
    assert request(deployed)["guard"] == {
        "failed_percent": 0,
        "slower_percent": 100,
        "refused_points": 5,
        "confidence_shift": 0.2,
        "minimum_calls": 100,
    }
    # What was spent is known to whoever rolls back, and to whoever reads the run.
    assigned = machines.definition(deployed)["States"]["Deploy: check"]["Assign"]
    assert assigned["deployment"] == (
        "{% $merge([$deployment, {'budget': $states.result.Payload.budget}]) %}"
    )


def test_a_guard_can_leave_comparisons_out() -> None:
    guard = CanaryGuard(failed_percent=1, slower_percent=None, refused_points=None, confidence_shift=None)
    assert guard.as_event() == {"failed_percent": 1, "minimum_calls": 100}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failed_percent": 100}, "0 to less than 100"),
        ({"failed_percent": -1}, "0 to less than 100"),
        ({"slower_percent": 0}, "more than 0, at most 10000, or None"),
        ({"refused_points": 101}, "more than 0, at most 100, or None"),
        ({"confidence_shift": 2}, "more than 0, at most 1, or None"),
        ({"minimum_calls": 0}, "1 or more"),
    ],
)
def test_a_guard_that_would_stop_nothing_or_everything_is_refused(
    options: dict[str, Any], message: str
) -> None:
    problems = Problems("Deploy")
    CanaryGuard(**options).check(problems)
    with pytest.raises(ConfigurationError, match=message):
        problems.raise_if_any()


def test_it_may_look_at_the_data_of_the_pipeline_and_at_nothing_beside_them(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "PipelineDeployStage")
    (age,) = (s for s in found if s["Action"] == ["s3:GetObject", "s3:GetObjectVersion"])
    raw = next(key for key in support.resources(deployed, "AWS::S3::Bucket") if key.startswith("LakeRaw"))
    assert age["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [raw, "Arn"]}, "/reviews/*"]]}
    # Without it S3 answers 403 for data that were withdrawn, and the run fails as if it had no permission.
    zone = {"Fn::GetAtt": [raw, "Arn"]}
    on_zone = [s for s in found if isinstance(s["Resource"], list) and zone in s["Resource"]]
    assert [(s["Action"], "Condition" in s) for s in on_zone] == [("s3:ListBucket", False)]
    assert json.dumps(found).count(json.dumps(zone)) == 2


def test_its_functions_may_run_as_long_as_their_handlers_may_wait(deployed: cdk.Stack) -> None:
    functions = support.resources(deployed, "AWS::Lambda::Function").items()
    found = {
        handler.removeprefix("deploy.").title(): properties["Timeout"] / 60
        for properties in (function["Properties"] for _, function in functions)
        if (handler := properties["Handler"]).startswith("deploy.")
    }
    assert found == TIMEOUT_MINUTES
    states = machines.definition(deployed)["States"]
    for step, minutes in TIMEOUT_MINUTES.items():
        assert states[f"Deploy: {step.lower()}"]["TimeoutSeconds"] == 60 * (minutes + 1)


@pytest.mark.parametrize("function", ["Stage", "Shift", "Check", "Promote", "Rollback"])
@pytest.mark.parametrize("in_vpc", [True, False], ids=["in a VPC", "without one"])
def test_who_configures_a_function_in_a_vpc_sees_the_network(
    deployed: cdk.Stack, in_vpc_deployed: cdk.Stack, function: str, in_vpc: bool
) -> None:
    found = machines.statements(in_vpc_deployed if in_vpc else deployed, f"PipelineDeploy{function}")
    network = {action for action in machines.actions(found) if action.startswith("ec2:")}
    expected = {"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"}
    configures = "lambda:UpdateFunctionConfiguration" in machines.actions(found)
    assert network == (expected if in_vpc and configures else set())
    assert configures is (function in ("Stage", "Promote", "Rollback"))


def test_it_has_no_finding_in_a_vpc() -> None:
    app = support.app()
    deployment_in_vpc(support.stack(app))
    assert [finding for finding in nag.unacknowledged(app) if "/Pipeline/" in finding] == []


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
