"""A run that waits for a person's decision, on the local AWS's registry and topics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science import DataLake, ModelRegistry, Pipeline
from cdk_data_science.pipelines import (
    METRICS,
    MODEL_PACKAGE,
    Approve,
    ManualApproval,
    Output,
    States,
    Step,
    StepContext,
)
from tests.constructs import machines, support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, allow, eventually, unique

# The looks of an hour, a minute apart; here they are a second apart.
HOUR = "looks >= 61 "


class Registered(Step):
    """Stands for the steps before: the version that the input names, and how good it is."""

    name: ClassVar[str] = "Registered"
    gives: ClassVar[Sequence[Output]] = (MODEL_PACKAGE, METRICS)

    def states(self, scope: Construct, context: StepContext) -> States:
        given = "{% $states.context.Execution.Input.version %}"
        known = {MODEL_PACKAGE.name: {"model_package_arn": given}, METRICS.name: {"auroc": 0.84}}
        registered = sfn.Pass.jsonata(scope, self.name, assign=known)
        return States(registered, [registered])


@pytest.fixture(scope="module")
def written() -> str:
    """The definition of a pipeline in which a person has an hour to decide."""
    stack = support.stack(env=cdk.Environment(account=ACCOUNT, region=REGION))
    lake = DataLake(stack, "Lake")
    registry = ModelRegistry(stack, "Registry", group_name="reviews")
    approve = Approve(registry, approval=ManualApproval(timeout=cdk.Duration.hours(1)))
    Pipeline(
        stack, "Pipeline", data=lake.raw, prefix="reviews/", work=lake.features, steps=[Registered(), approve]
    )
    return json.dumps(machines.definition(stack))


class Waiting:
    """A run of that pipeline with a version that waits, and the messages that it sent."""

    def __init__(
        self, aws: LocalAws, definition: str, *, looks: int | None = None, approved: bool = False
    ) -> None:
        self.aws = aws
        sagemaker = aws.client("sagemaker")
        group = unique("reviews")
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        self.version = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        self._queue, queue_arn = aws.queue("sns")
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        role = aws.role(
            "states",
            allow("states:ListExecutions", "s3:PutObject", "sns:Publish"),
            allow("sagemaker:DescribeModelPackage", resource=self.version),
        )
        if looks is not None:
            assert HOUR in definition
            definition = definition.replace(HOUR, f"looks >= {looks} ")
        parsed = json.loads(definition)
        states = parsed["States"]
        states["RecordFailure"]["Arguments"]["Bucket"] = aws.bucket()
        for name in ("NotifyFailure", "NotifyFailure: as it is", "Approve: tell"):
            states[name]["Arguments"]["TopicArn"] = topic
        states["Approve: wait"]["Seconds"] = 1
        machine = aws.machine(role, states, parsed["StartAt"], TimeoutSeconds=3600)
        if approved:
            self.decide("Approved", "")
        given = {"data": {"bucket": "lake", "key": "reviews/new.csv"}, "version": self.version}
        self.run = aws.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=unique("run"), input=json.dumps(given)
        )["executionArn"]

    def asked(self) -> bool:
        """Whether somebody was asked for a decision."""
        received = self.aws.client("sqs").receive_message(QueueUrl=self._queue, VisibilityTimeout=0)
        return "Messages" in received

    def message(self) -> dict[str, Any]:
        (message,) = self.aws.messages(self._queue)
        told: dict[str, Any] = json.loads(message["Body"])
        return told

    def decide(self, status: str, why: str) -> str:
        """In an approver's role; its name."""
        role = self.aws.role("sagemaker", allow("sagemaker:UpdateModelPackage", resource=self.version))
        self.aws.session_for_role(role).client("sagemaker").update_model_package(
            ModelPackageArn=self.version, ModelApprovalStatus=status, ApprovalDescription=why
        )
        return role.rpartition("/")[2]

    def looked(self) -> bool:
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return "Approve: wait" in [
            event.get("stateEnteredEventDetails", {}).get("name")
            for page in pages.paginate(executionArn=self.run)
            for event in page["events"]
        ]


def test_a_model_goes_on_once_somebody_has_approved_it(local_aws: LocalAws, written: str) -> None:
    # GIVEN a run whose model waits
    waiting = Waiting(local_aws, written)
    # WHEN whoever is told approves it
    told = waiting.message()
    assert told["Subject"] == "A model waits for approval"
    assert waiting.version in told["Message"]
    assert '"auroc":0.84' in told["Message"]
    approver = waiting.decide("Approved", "better for every group")
    # THEN the run goes on, and knows who it was and why
    ended = local_aws.execution_end(waiting.run)
    assert ended["status"] == "SUCCEEDED", ended
    decision = ended["output"]["approval"]
    assert (decision["status"], decision["why"]) == ("Approved", "better for every group")
    assert approver in decision["by"]


def test_a_rejected_model_ends_its_run_under_a_name_of_its_own(local_aws: LocalAws, written: str) -> None:
    waiting = Waiting(local_aws, written)
    eventually(waiting.looked, 20, "the first look")
    rejecter = waiting.decide("Rejected", "worse on short reviews")
    ended = local_aws.execution_end(waiting.run)
    assert (ended["status"], ended["error"]) == ("FAILED", "ModelNotApproved")
    assert rejecter in ended["cause"]
    assert "worse on short reviews" in ended["cause"]


def test_a_model_that_was_approved_before_is_not_asked_for_again(local_aws: LocalAws, written: str) -> None:
    waiting = Waiting(local_aws, written, approved=True)
    ended = local_aws.execution_end(waiting.run)
    assert ended["status"] == "SUCCEEDED"
    assert not waiting.asked()


def test_a_model_that_nobody_decides_on_fails_its_run_in_time(local_aws: LocalAws, written: str) -> None:
    waiting = Waiting(local_aws, written, looks=2)
    ended = local_aws.execution_end(waiting.run)
    assert (ended["status"], ended["error"]) == ("FAILED", "ApprovalTimeout")
    assert waiting.version in ended["cause"]


def test_the_event_of_an_approval_is_delivered(local_aws: LocalAws) -> None:
    # GIVEN a rule as ModelRegistry.on_approved makes it
    sagemaker, events = local_aws.client("sagemaker"), local_aws.client("events")
    group = unique("reviews")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    queue, arn = local_aws.queue("events")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    rule = unique("approved")
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    # WHEN a version is registered, and then approved
    version = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    # THEN the approval is told, and the registration is not
    (message,) = local_aws.messages(queue)
    detail = json.loads(message["Body"])["detail"]
    assert (detail["ModelPackageArn"], detail["ModelApprovalStatus"]) == (version, "Approved")
