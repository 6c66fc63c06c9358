"""Working hours: the construct of the library, deployed, switches an endpoint and provisioned concurrency."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sagemaker as sagemaker
from botocore.exceptions import ClientError

from cdk_data_science.cost import WorkingHours
from tests.local.assembly import deploy, destroy, new_stack
from tests.local.conftest import LocalAws, eventually
from tests.local.test_hosting import Host

MORNING, EVENING = "2026-11-24T08:00:00Z", "2026-11-24T19:00:00Z"  # a Tuesday


class Office:
    """A stack with things that cost by the hour."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.host = aws, Host(aws)
        self.stack = stack = new_stack(folder, "office")
        hours = WorkingHours(stack, "Hours", start="08:00", end="19:00")
        endpoint = sagemaker.CfnEndpoint(
            stack,
            "Endpoint",
            endpoint_config_name=(config := self.host.config((self.host.model(2), 1))),
            tags=[cdk.CfnTag(key="owner", value="ada")],
        )
        self.config = config
        hours.add_endpoint(endpoint, scaling=True)
        function = lambda_.Function(
            stack,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline("def handler(event, context): return 1"),
        )
        alias = lambda_.Alias(stack, "Live", alias_name="live", version=function.current_version)
        hours.add_provisioned_concurrency(alias, executions=2)
        (switch,) = [
            child
            for child in stack.node.find_all()
            if isinstance(child, lambda_.Function) and "Hours" in child.node.path
        ]
        for name, value in {
            "EndpointName": endpoint.attr_endpoint_name,
            "Switch": switch.function_name,
            "FunctionName": function.function_name,
            "Hold": hours.hold.parameter_name,
        }.items():
            cdk.CfnOutput(stack, name, value=value)
        outputs = deploy(aws, stack)
        self.endpoint, self.hold = outputs["EndpointName"], outputs["Hold"]
        self._switch, self._function = outputs["Switch"], outputs["FunctionName"]

    def switch(self, to: str, time: str) -> dict[str, Any]:
        """What the schedule calls, in the function's own role."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self._switch, Payload=json.dumps({"switch": to, "time": time})
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def is_there(self) -> bool:
        try:
            self.host.sagemaker.describe_endpoint(EndpointName=self.endpoint)
        except ClientError:
            return False
        return True

    @property
    def scaling(self) -> list[tuple[int, int, list[str]]]:
        """The bounds of each scalable target of the endpoint, with the names of its policies."""
        client = self.aws.client("application-autoscaling")
        targets = client.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[self.variant["ResourceId"]]
        )["ScalableTargets"]
        policies = client.describe_scaling_policies(**self.variant)["ScalingPolicies"]
        return [
            (each["MinCapacity"], each["MaxCapacity"], [policy["PolicyName"] for policy in policies])
            for each in targets
        ]

    @property
    def variant(self) -> dict[str, Any]:
        described = self.host.sagemaker.describe_endpoint_config(EndpointConfigName=self.config)
        (variant,) = described["ProductionVariants"]
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.endpoint}/variant/{variant['VariantName']}",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    @property
    def provisioned(self) -> int:
        try:
            found = self.aws.client("lambda").get_provisioned_concurrency_config(
                FunctionName=self._function, Qualifier="live"
            )
        except ClientError:
            return 0
        return int(found["RequestedProvisionedConcurrentExecutions"])


@pytest.fixture(scope="module")
def office(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Office(local_aws, tmp_path_factory.mktemp("office"))
    yield made
    destroy(local_aws, made.stack)


def test_things_are_off_at_night_and_in_the_morning_as_they_were(office: Office) -> None:
    # GIVEN an endpoint that answers, in the evening
    assert office.host.settled(office.endpoint)["EndpointStatus"] == "InService"
    office.switch("on", MORNING)
    assert office.provisioned == 2
    # AND scales
    scaling = office.aws.client("application-autoscaling")
    scaling.register_scalable_target(**office.variant, MinCapacity=1, MaxCapacity=4)
    scaling.put_scaling_policy(
        **office.variant,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 600,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )
    # WHEN
    office.switch("off", EVENING)
    # THEN
    eventually(lambda: not office.is_there(), 30, "the end of the endpoint")
    assert office.provisioned == 0
    assert set(office.switch("off", EVENING).values()) == {"is off"}
    # AND whoever deletes endpoints with more rights takes their scaling away
    scaling.deregister_scalable_target(**office.variant)
    assert office.scaling == []
    # WHEN it is morning
    office.switch("on", MORNING)
    # THEN it answers as before, with its tags
    described = office.host.settled(office.endpoint)
    assert described["EndpointStatus"] == "InService"
    assert office.host.invoke(office.endpoint, [4])[0] == [8]
    tags = office.host.sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    assert {"Key": "owner", "Value": "ada"} in tags
    assert office.provisioned == 2
    # AND scales again, by the event of its state
    eventually(lambda: office.scaling == [(1, 4, ["load"])], 30, "what scales the endpoint")


def test_a_hold_keeps_things_on(office: Office) -> None:
    office.aws.client("ssm").put_parameter(Name=office.hold, Value="2026-11-24", Overwrite=True)
    assert office.switch("off", EVENING) == {"skipped": "held until 2026-11-24"}
    office.aws.client("ssm").put_parameter(Name=office.hold, Value="none", Overwrite=True)
